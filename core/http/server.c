/* server.c - one listening socket. With too many clients the next one waits in its line. */
#include "core/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#define BACKLOG 511

struct http_server {
    struct http_connections connections; /* first member */
    uv_tcp_t tcp;
    struct http_server_options options;
    const struct http_events *events;
    void *owner;
    unsigned waiting; /* clients in the line for whom there was no room */
    bool is_draining;
    bool is_closed;     /* the socket */
    bool is_given_back; /* by the owner */
};

static void on_client(uv_stream_t *stream, int status);
static void accept_one(struct http_server *s);
static void on_fewer(struct http_connections *all);
static void on_closed(uv_handle_t *handle);
static void release(struct http_server *s);

static int to_address(const char *host, uint16_t port, struct sockaddr_storage *address)
{
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)address) == 0) {
        return 0;
    }
    return uv_ip6_addr(host, port, (struct sockaddr_in6 *)address);
}

static int listen_on(struct http_server *s)
{
    struct sockaddr_storage address;

    int error = to_address(s->options.host, s->options.port, &address);
    if (error == 0) {
        error = uv_tcp_bind(&s->tcp, (const struct sockaddr *)&address, 0);
    }
    if (error == 0) {
        error = uv_listen((uv_stream_t *)&s->tcp, BACKLOG, on_client);
    }
    return error;
}

int http_server_open(uv_loop_t *loop,
                     const struct http_server_options *options,
                     const struct http_events *events,
                     void *owner,
                     struct http_server **server)
{
    struct http_server *s = mem_zalloc(sizeof(*s));

    LIST_INIT(&s->connections.list);
    s->connections.fewer = on_fewer;
    s->options = *options;
    s->events = events;
    s->owner = owner;
    uv_tcp_init(loop, &s->tcp);
    s->tcp.data = s;
    int error = listen_on(s);
    if (error < 0) {
        http_server_close(s);
        return error;
    }
    *server = s;
    return 0;
}

void http_server_address(const struct http_server *s, struct buffer *out)
{
    struct sockaddr_storage address = {0};
    int size = sizeof(address);
    char host[64] = "";
    bool is_6;

    (void)uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&address, &size);
    (void)uv_ip_name((const struct sockaddr *)&address, host, sizeof(host));
    is_6 = address.ss_family == AF_INET6;
    /* The port is at the same place in both. */
    unsigned port = ntohs(((const struct sockaddr_in *)&address)->sin_port);
    buffer_printf(out, is_6 ? "[%s]:%u" : "%s:%u", host, port);
}

size_t http_server_connections(const struct http_server *s)
{
    return s->connections.count;
}

void http_server_drain(struct http_server *s)
{
    struct http_connection *c = LIST_FIRST(&s->connections.list);

    s->is_draining = true;
    if (!uv_is_closing((uv_handle_t *)&s->tcp)) {
        uv_close((uv_handle_t *)&s->tcp, on_closed);
    }
    while (c != NULL) {
        struct http_connection *next = http_connection_next(c);
        http_connection_finish(c);
        c = next;
    }
}

void http_server_close(struct http_server *s)
{
    struct http_connection *c = LIST_FIRST(&s->connections.list);

    s->is_draining = true;
    while (c != NULL) {
        struct http_connection *next = http_connection_next(c);
        http_connection_close(c);
        c = next;
    }
    s->is_given_back = true;
    if (!uv_is_closing((uv_handle_t *)&s->tcp)) {
        uv_close((uv_handle_t *)&s->tcp, on_closed);
    }
    release(s);
}

static void on_client(uv_stream_t *stream, int status)
{
    struct http_server *s = stream->data;

    if (status < 0) {
        return;
    }
    if (s->connections.count >= s->options.connections_max) {
        s->waiting++;
    } else {
        accept_one(s);
    }
}

static void accept_one(struct http_server *s)
{
    http_connection_accept((uv_stream_t *)&s->tcp,
                           &s->connections,
                           &s->options.limits,
                           s->events,
                           s->owner);
}

static void on_fewer(struct http_connections *all)
{
    struct http_server *s = (struct http_server *)all;

    if (s->waiting > 0 && !s->is_draining) {
        s->waiting--;
        accept_one(s);
    }
    release(s);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;

    s->is_closed = true;
    release(s);
}

static void release(struct http_server *s)
{
    if (s->is_closed && s->is_given_back && s->connections.count == 0) {
        free(s);
    }
}
