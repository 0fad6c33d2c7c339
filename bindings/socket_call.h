/*
 * socket_call.h - what the files of jobq.socket share: a socket, and the calls that wait for it.
 *
 * Three kinds of memory: the socket is Lua's and may go at any time; a connection, a look-up and a
 * write are the loop's until their callbacks have run, and forget the socket when it goes; a call is
 * the loop's until its timer is closed.
 */
#ifndef BINDINGS_SOCKET_CALL_H
#define BINDINGS_SOCKET_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>
#include <uv.h>

#include "core/base/buffer.h"

#include "bindings/task.h"

struct socket;

/* One waiting call; a socket has one of each kind at most. */
struct call {
    struct wait wait; /* first member */
    uv_timer_t timer;
    struct socket *socket;
    struct call **place; /* where the socket knows it: reader or writer */
    double timeout_s;
};

struct conn {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };

    union {
        uv_connect_t connect;
        uv_shutdown_t shutdown;
    };
    struct socket *socket; /* NULL once it is gone, or tries another address */
};

struct lookup {
    uv_getaddrinfo_t request;
    struct socket *socket; /* NULL once it is gone */
};

struct outgoing {
    uv_write_t request;
    char *data;            /* owned */
    struct socket *socket; /* NULL once it is gone */
};

enum want {
    WANT_BYTES,
    WANT_LINE,
    WANT_ALL,
};

struct socket {
    struct hold hold; /* first member */
    struct conn *conn;
    struct lookup *lookup;
    struct outgoing *outgoing;
    struct addrinfo *addresses; /* owned */
    struct addrinfo *next;      /* to try */
    struct buffer in;
    size_t searched; /* bytes of in without a line end */
    enum want want;
    size_t count;  /* wanted, of bytes */
    size_t limit;  /* of a line, or of all */
    bool is_ended; /* the peer has said all */
    bool is_closed;
    struct call *reader;
    struct call *writer; /* also connects and shuts down */
};

/* An open one without a connection, on top of the stack; it belongs to the run of task. */
struct socket *socket_push(lua_State *L, struct task *task);

/* The socket at arg; raises for anything else. */
struct socket *socket_check(lua_State *L, int arg);

/* The first argument: seconds. */
double socket_check_timeout(lua_State *L);

/*
 * Closes it. What is on its way forgets it; a call that still waits is told in the next turn of the
 * loop, unless it ends before. No-op when closed.
 */
void socket_close(struct socket *s);

/* Closes the connection alone: another address is to be tried. */
void socket_drop_conn(struct socket *s);

/* Suspends the handler in a call, which place belongs to; returns what the binding must return. */
int socket_wait(struct socket *s, struct call **place, struct task *task, double timeout_s);

/* Ends the call: nresults are pushed on its task's co. The handler goes on in here. */
void call_end(struct call *c, int nresults);
void call_end_with_error(struct call *c, int error);

/* Pushes what every call on a closed socket answers. Returns 3. */
int socket_push_closed(lua_State *L);

#endif
