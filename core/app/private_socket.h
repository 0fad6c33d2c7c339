/*
 * private_socket.h - a Unix socket for people on this machine who ask the worker something: a line comes
 * in, a text goes out, and the connection is closed.
 *
 * It lies in a folder that only this user may enter: $RUNTIME_DIRECTORY/workers (systemd),
 * $XDG_RUNTIME_DIR/jobq, else /tmp/jobq-UID. Whoever connects must be this user or root. A client that
 * is slow, silent or long-winded is cut off, and too many are turned away; nobody else notices.
 */
#ifndef CORE_APP_PRIVATE_SOCKET_H
#define CORE_APP_PRIVATE_SOCKET_H

#include <uv.h>

#include "core/base/slice.h"

struct private_socket;
struct asker;

/* line, borrowed, is without its end. Must be answered some time, perhaps inside the call. */
typedef void (*asked_fn)(void *owner, struct asker *a, const char *line);

/* NULL after a warning if there can be none: a worker works without. Removes what dead ones left. */
struct private_socket *private_socket_open(uv_loop_t *loop, asked_fn asked, void *owner);

/* Where it is. Borrowed. */
const char *private_socket_path(const struct private_socket *s);

/* text is copied. a is gone. */
void private_socket_answer(struct asker *a, struct slice text);

/* The file goes at once: for who leaves without closing. s may be NULL. */
void private_socket_unlink(struct private_socket *s);

/* Whoever waits for an answer gets none. s may be NULL. */
void private_socket_close(struct private_socket *s);

#endif
