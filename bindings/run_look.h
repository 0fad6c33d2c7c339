/*
 * run_look.h - where a run is, for people who look at it while it runs. Lines:
 *
 *   state queued | waiting | computing     it has not begun | waits | has the processor
 *   for 41.203                             seconds that it does so
 *   in jobq.sleep                          the function in which it waits
 *   at handlers/a.lua:7: in run            its frames, the innermost first
 *   part                                   the same follows of a function of jobq.parallel
 */
#ifndef BINDINGS_RUN_LOOK_H
#define BINDINGS_RUN_LOOK_H

#include "core/base/buffer.h"

struct run;

/* Adds these lines. Callable inside a run, where it raises nothing. */
void run_look(struct run *r, struct buffer *out);

#endif
