/*
 * connection.h - one client: a request, its answer, the next request.
 *
 *   HEAD --complete--> BODY --complete--> ANSWERING --sent--> HEAD ...
 *     \                  |                    |  \--begun--> STREAMING --> (closed)
 *      \-- refused, late: one short answer --> LINGERING --> (closed)
 *
 * Deadlines count from the first byte of a head or body, not from the last: a client that sends a
 * byte a second does not stay for ever.
 */
#ifndef CORE_HTTP_CONNECTION_H
#define CORE_HTTP_CONNECTION_H

#include <sys/queue.h>

#include <uv.h>

#include "core/base/buffer.h"
#include "core/http/head.h"

struct http_connection;

struct http_limits {
    size_t body_bytes;
    size_t backlog_bytes; /* what a stream's client may leave unread */
    uint64_t head_ms;
    uint64_t body_ms;
    uint64_t idle_ms;  /* between two requests */
    uint64_t write_ms; /* for each write to be taken */
};

/* Borrowed until request() returns. */
struct http_request {
    const struct http_head *head;
    struct slice body;
};

struct http_answer {
    unsigned status;
    struct slice fields; /* lines with CRLF; all but Content-Length, Date and Connection */
    struct slice body;
    bool closes; /* the connection, after it */
};

struct http_events {
    /* To be answered once, now or later. *data is the owner's, NULL at first. */
    void (*request)(void *owner, struct http_connection *c, const struct http_request *r);
    /* The client has left before its answer was complete, or while it streamed. c is not valid after. */
    void (*left)(void *owner, struct http_connection *c);
    /* What came was refused, or too late, and the client is told so. May be NULL. */
    void (*refused)(void *owner, unsigned status);
    /* c is no more, in whatever way; the last word about it. */
    void (*closed)(void *owner, struct http_connection *c);
};

/* All of a server's. Each puts itself here, and takes itself away when it is gone. */
struct http_connections {
    LIST_HEAD(, http_connection) list;
    size_t count;
    void (*fewer)(
        struct http_connections *all); /* one is gone; may free this when it was the last */
};

/* Takes the next client of server, which may have left already. The loop owns it until closed(). */
void http_connection_accept(uv_stream_t *server,
                            struct http_connections *all,
                            const struct http_limits *limits,
                            const struct http_events *events,
                            void *owner);

/* The next in the list of all, or NULL. */
struct http_connection *http_connection_next(const struct http_connection *c);

/* A place for the owner's own; NULL at first. */
void **http_connection_data(struct http_connection *c);

/* The address of the client, as text. */
void http_connection_peer(const struct http_connection *c, struct buffer *out);

/* Answers the request; borrows a until it returns. */
void http_connection_answer(struct http_connection *c, const struct http_answer *a);

/* Answers with a body that has no end yet: text/event-stream and the like. fields as above. */
void http_connection_stream(struct http_connection *c, struct slice fields);

/* More of it. A client that does not read, and lets too much pile up, is closed: left() follows. */
void http_connection_add(struct http_connection *c, struct slice more);

/* Closes at once, or, if an answer is due or under way, after it. */
void http_connection_finish(struct http_connection *c);

/* Closes at once; left() and closed() follow. */
void http_connection_close(struct http_connection *c);

#endif
