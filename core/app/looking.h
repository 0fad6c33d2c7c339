/*
 * looking.h - answers who asks, through the private socket, where a running job is.
 *
 *   stack 42      the only question. Lines of the answer, each a word and its value:
 *
 *   kind email.send   attempt 1   ran 41.2   timeout 60     while it runs here
 *   state ...         what its executor says: bindings/run_look.h; or one of
 *   state claimed     it is not running here: about to begin, or its end is on the way
 *   state over        it ended while we looked
 *   state silent      the executor did not answer; then
 *     busy self | nobody | 43 file.scan      which job keeps it, since when, and the last place known
 *     for 3.1
 *     last handlers/file.lua:12
 *   end               the answer is whole
 */
#ifndef CORE_APP_LOOKING_H
#define CORE_APP_LOOKING_H

#include <uv.h>

#include "core/app/private_socket.h"
#include "core/base/frame.h"
#include "core/flow/dispatcher.h"

struct looking;

struct looking *looking_open(uv_loop_t *loop, struct dispatcher *dispatcher);

/* A question. */
void looking_ask(struct looking *l, struct asker *a, const char *line);

/* A sight frame; -EBADMSG when it makes no sense. */
MUST_USE int looking_told(struct looking *l, struct frame *f);

/* Answers nobody any more: the private socket is about to close. */
void looking_close(struct looking *l);

#endif
