/* socket_call.c - how a socket ends, and how a call does: with results, in time, by a stop. */
#include "bindings/socket_call.h"

#include <math.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "core/base/mem.h"

#include "bindings/offload.h"

#define TYPE_NAME "jobq.socket.handle"

/* ---- calls ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void call_end(struct call *c, int nresults)
{
    *c->place = NULL;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    task_wake(&c->wait, nresults);
}

void call_end_with_error(struct call *c, int error)
{
    call_end(c, push_errno(c->wait.task->co, NULL, error));
}

/* ---- the socket ---- */

static void on_conn_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void socket_drop_conn(struct socket *s)
{
    if (s->conn != NULL) {
        s->conn->socket = NULL;
        uv_close(&s->conn->handle, on_conn_closed);
        s->conn = NULL;
    }
}

static void on_told(uv_timer_t *timer)
{
    struct call *c = timer->data;

    call_end(c, socket_push_closed(c->wait.task->co));
}

/* From the loop: a task may be the one that closes. */
static void tell_closed(struct call *c)
{
    if (c != NULL) {
        (void)uv_timer_start(&c->timer, on_told, 0, 0);
    }
}

void socket_close(struct socket *s)
{
    if (s->is_closed) {
        return;
    }
    s->is_closed = true;
    task_let_go(&s->hold);
    socket_drop_conn(s);
    if (s->lookup != NULL) {
        s->lookup->socket = NULL;
        (void)uv_cancel((uv_req_t *)&s->lookup->request);
        s->lookup = NULL;
    }
    if (s->outgoing != NULL) {
        s->outgoing->socket = NULL;
        s->outgoing = NULL;
    }
    tell_closed(s->reader);
    tell_closed(s->writer);
    uv_freeaddrinfo(s->addresses);
    s->addresses = s->next = NULL;
    buffer_fini(&s->in);
}

static void on_release(struct hold *h)
{
    socket_close((struct socket *)h);
}

struct socket *socket_check(lua_State *L, int arg)
{
    return luaL_checkudata(L, arg, TYPE_NAME);
}

static int socket_gc(lua_State *L)
{
    socket_close(socket_check(L, 1));
    return 0;
}

struct socket *socket_push(lua_State *L, struct task *task)
{
    struct socket *s = lua_newuserdatauv(L, sizeof(*s), 0);

    *s = (struct socket){.is_closed = true, .hold = {.release = on_release}};
    if (luaL_newmetatable(L, TYPE_NAME)) {
        lua_pushcfunction(L, socket_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    s->is_closed = false;
    task_hold(task, &s->hold);
    return s;
}

/* A stop in the middle of these leaves a connection whose state nobody knows. */
static void on_writer_cancel(struct wait *w)
{
    struct call *c = (struct call *)w;

    *c->place = NULL;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    socket_close(c->socket);
}

static void on_writer_timeout(uv_timer_t *timer)
{
    struct call *c = timer->data;

    socket_close(c->socket);
    lua_pushnil(c->wait.task->co);
    lua_pushfstring(c->wait.task->co, "not done after %f s", c->timeout_s);
    lua_pushliteral(c->wait.task->co, "timeout");
    call_end(c, 3);
}

static void on_reader_cancel(struct wait *w)
{
    struct call *c = (struct call *)w;

    *c->place = NULL;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    if (c->socket->conn != NULL) { /* else it is closed, and c was to hear of it */
        (void)uv_read_stop(&c->socket->conn->stream);
    }
}

static void on_reader_timeout(uv_timer_t *timer)
{
    struct call *c = timer->data;

    (void)uv_read_stop(&c->socket->conn->stream);
    lua_pushnil(c->wait.task->co);
    lua_pushfstring(c->wait.task->co, "nothing came for %f s", c->timeout_s);
    lua_pushliteral(c->wait.task->co, "timeout");
    call_end(c, 3);
}

double socket_check_timeout(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);

    luaL_argcheck(L, seconds > 0 && seconds < 3.2e9, 1, "positive seconds expected");
    return seconds;
}

int socket_wait(struct socket *s, struct call **place, struct task *task, double timeout_s)
{
    struct call *c = mem_zalloc(sizeof(*c));
    bool is_reader = place == &s->reader;
    uv_loop_t *loop = task->vm->loop;

    c->wait.cancel = is_reader ? on_reader_cancel : on_writer_cancel;
    c->socket = s;
    c->place = place;
    c->timeout_s = timeout_s;
    c->timer.data = c;
    uv_update_time(loop); /* the run may have computed since the loop last looked */
    (void)uv_timer_init(loop, &c->timer);
    (void)uv_timer_start(&c->timer,
                         is_reader ? on_reader_timeout : on_writer_timeout,
                         (uint64_t)ceil(timeout_s * 1000),
                         0);
    *place = c;
    return task_wait(task, &c->wait);
}

int socket_push_closed(lua_State *L)
{
    return push_failure(L, "the socket is closed", "closed");
}
