/* check.h - jobq-run --check: do the handlers load? Needs no database. */
#ifndef CORE_APP_CHECK_H
#define CORE_APP_CHECK_H

#include "core/app/config.h"

/* Loads the handlers in one executor and says what they define; returns the exit status. */
int check_run(const struct config *config);

#endif
