/*
 * once.h - jobq-run --run-once: one run in a real executor, without a queue. For `jobq run-once`.
 *
 * Its arguments are the JSON on stdin. Lines of its log go to stderr; how it went goes to stdout:
 *
 *   verdict done             done, failed, discarded, snoozed or stopped
 *   seconds 0.012
 *   delay 4                  seconds, unless it is the usual one
 *   error 23                 bytes, which follow in the next line
 *   result 12                the same
 */
#ifndef CORE_APP_ONCE_H
#define CORE_APP_ONCE_H

#include "core/app/config.h"

/* Returns the exit status: that of engine.h. A run that failed is EXIT_FAILED. */
int once_run(const struct config *config);

#endif
