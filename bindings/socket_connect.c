/* socket_connect.c - from a name to a connection: all addresses in turn, until one answers. */
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <lauxlib.h>

#include "core/base/mem.h"

#include "bindings/offload.h"
#include "bindings/socket.h"
#include "bindings/socket_call.h"

#define SOCKET_INDEX 4 /* in the stack of bind_socket_connect */

static void try_next(struct socket *s, int error);

static void on_connected(uv_connect_t *request, int status)
{
    struct conn *conn = request->handle->data;
    struct socket *s = conn->socket;

    if (s == NULL) {
        return;
    }
    if (status != 0) {
        try_next(s, status);
        return;
    }
    uv_freeaddrinfo(s->addresses);
    s->addresses = s->next = NULL;
    lua_pushvalue(s->writer->wait.task->co, SOCKET_INDEX);
    call_end(s->writer, 1);
}

static struct conn *new_conn(struct socket *s)
{
    struct conn *conn = mem_zalloc(sizeof(*conn));

    conn->socket = s;
    s->conn = conn;
    return conn;
}

/* error is what the last one ended with; it is told when there is no other. */
static void try_next(struct socket *s, int error)
{
    uv_loop_t *loop = s->writer->wait.task->vm->loop;

    socket_drop_conn(s);
    while (s->next != NULL && s->conn == NULL) {
        struct conn *conn = new_conn(s);
        (void)uv_tcp_init(loop, &conn->tcp);
        conn->handle.data = conn;
        error = uv_tcp_connect(&conn->connect, &conn->tcp, s->next->ai_addr, on_connected);
        s->next = s->next->ai_next;
        if (error != 0) {
            socket_drop_conn(s);
        }
    }
    if (s->conn == NULL) {
        struct call *c = s->writer;
        socket_close(s);
        call_end_with_error(c, error);
    }
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct lookup *lookup = (struct lookup *)request;
    struct socket *s = lookup->socket;

    free(lookup);
    if (s == NULL) {
        uv_freeaddrinfo(addresses);
        return;
    }
    s->lookup = NULL;
    s->addresses = s->next = addresses;
    try_next(s, status);
}

static int look_up(struct socket *s, uv_loop_t *loop, const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct lookup *lookup = mem_zalloc(sizeof(*lookup));

    int error = uv_getaddrinfo(loop, &lookup->request, on_found, host, port, &hints);
    if (error != 0) {
        free(lookup);
        return error;
    }
    lookup->socket = s;
    s->lookup = lookup;
    return 0;
}

static void connect_path(struct socket *s, uv_loop_t *loop, const char *path)
{
    struct conn *conn = new_conn(s);

    (void)uv_pipe_init(loop, &conn->pipe, 0);
    conn->handle.data = conn;
    uv_pipe_connect(&conn->connect, &conn->pipe, path, on_connected);
}

int bind_socket_connect(lua_State *L)
{
    double timeout_s = socket_check_timeout(L);
    const char *address = luaL_checkstring(L, 2);
    const char *port = luaL_optstring(L, 3, NULL);
    struct task *task = task_check(L);

    if (port == NULL && strlen(address) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        return push_errno(L, NULL, UV_ENAMETOOLONG); /* libuv would cut it */
    }
    lua_settop(L, SOCKET_INDEX - 1);
    struct socket *s = socket_push(L, task);
    if (port == NULL) {
        connect_path(s, task->vm->loop, address);
    } else {
        int error = look_up(s, task->vm->loop, address, port);
        if (error != 0) {
            socket_close(s);
            return push_errno(L, NULL, error);
        }
    }
    return socket_wait(s, &s->writer, task, timeout_s);
}
