/* server.h - listens, and keeps count of who is there. */
#ifndef CORE_HTTP_SERVER_H
#define CORE_HTTP_SERVER_H

#include <uv.h>

#include "core/base/buffer.h"
#include "core/http/connection.h"

struct http_server;

struct http_server_options {
    const char *host; /* an address, not a name */
    uint16_t port;    /* 0: any that is free */
    size_t connections_max;
    struct http_limits limits;
};

/* 0, or -errno: the address is none, is taken, or may not be used. Owned until http_server_close(). */
MUST_USE int http_server_open(uv_loop_t *loop,
                              const struct http_server_options *options,
                              const struct http_events *events,
                              void *owner,
                              struct http_server **server);

/* "127.0.0.1:8080", with the port that it got. */
void http_server_address(const struct http_server *s, struct buffer *out);

size_t http_server_connections(const struct http_server *s);

/* Takes nobody new; requests under way are answered, then their connections close. */
void http_server_drain(struct http_server *s);

/* Closes all; the loop frees it when the last connection is gone. Not from inside of an event. */
void http_server_close(struct http_server *s);

#endif
