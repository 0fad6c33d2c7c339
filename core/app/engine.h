/* engine.h - a whole worker: owns the parts, connects them, ends them in order. */
#ifndef CORE_APP_ENGINE_H
#define CORE_APP_ENGINE_H

#include "core/app/config.h"

/* The exit status of both programs. */
enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NO_HANDLERS = 3,
    EXIT_NO_DATABASE = 4,
    EXIT_REFUSED = 5,
    EXIT_SCHEMA = 7,
    EXIT_NAME_TAKEN = 8,
    EXIT_READ_ONLY = 9,
    EXIT_DATABASE_AWAY = 75,
};

/*
 * Works until a signal, a drained queue or an error ends it; returns the exit status. conninfo is
 * where the queue is. Messages for people go to stderr.
 */
int engine_run(const struct config *config, const char *conninfo);

#endif
