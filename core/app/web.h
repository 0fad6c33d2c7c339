/* web.h - jobq-run --serve: the web server of `jobq serve`, in place of a worker (docs/decisions/0058). */
#ifndef CORE_APP_WEB_H
#define CORE_APP_WEB_H

#include "core/app/config.h"

/*
 * Serves what the handlers of config do with http.request until a signal ends it; returns the exit
 * status, that of engine.h. conninfo is where the queue is.
 */
int web_run(const struct config *config, const char *conninfo);

#endif
