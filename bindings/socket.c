/* socket.c - reading into a buffer until it holds what is wanted; writing until all is gone. */
#include "bindings/socket.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "core/base/mem.h"

#include "bindings/offload.h"
#include "bindings/socket_call.h"

#define BLOCK ((size_t)16 << 10)

static int push_filled(lua_State *L, struct socket *s);

/* ---- read ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *conn = handle->data;
    (void)suggested;

    *buf = uv_buf_init(buffer_reserve(&conn->socket->in, BLOCK), BLOCK);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct conn *conn = stream->data;
    struct socket *s = conn->socket;
    (void)buf;

    if (size > 0) {
        buffer_grew(&s->in, (size_t)size);
    }
    s->is_ended = s->is_ended || size == UV_EOF;
    lua_State *co = s->reader->wait.task->co;
    int pushed = size < 0 && size != UV_EOF ? push_errno(co, NULL, (int)size) : push_filled(co, s);
    if (pushed > 0) {
        (void)uv_read_stop(stream);
        call_end(s->reader, pushed);
    }
}

/* The bytes that are there and wanted, or 0. */
static size_t filled(struct socket *s)
{
    if (s->want == WANT_BYTES) {
        return s->in.size >= s->count ? s->count : 0;
    }
    if (s->want == WANT_ALL) {
        return 0;
    }
    const char *from = buffer_text(&s->in) + s->searched;
    const char *end = memchr(from, '\n', s->in.size - s->searched);
    s->searched = s->in.size;
    return end == NULL ? 0 : (size_t)(end - s->in.data) + 1;
}

/* Pushes what fill answers; pushes nothing while it has to wait. */
static int push_filled(lua_State *L, struct socket *s)
{
    size_t size = filled(s);

    if (s->want != WANT_BYTES && (size > s->limit || (size == 0 && s->in.size > s->limit))) {
        luaL_pushfail(L);
        lua_pushfstring(L, "more than %d bytes", (int)s->limit);
        lua_pushliteral(L, "too_large");
        return 3;
    }
    if (size > 0 || (s->want == WANT_ALL && s->is_ended)) {
        lua_pushinteger(L, (lua_Integer)(size > 0 ? size : s->in.size));
        return 1;
    }
    return s->is_ended ? push_failure(L, "the other side closed the connection", "closed") : 0;
}

int bind_socket_fill(lua_State *L)
{
    static const char *const wants[] = {"line", "all", NULL};
    double timeout_s = socket_check_timeout(L);
    struct socket *s = socket_check(L, 2);
    lua_Integer count = 0;
    enum want want = WANT_BYTES;

    if (lua_type(L, 3) == LUA_TNUMBER) {
        count = luaL_checkinteger(L, 3);
        luaL_argcheck(L, count > 0, 3, "positive count expected");
    } else {
        want = luaL_checkoption(L, 3, NULL, wants) == 0 ? WANT_LINE : WANT_ALL;
    }
    lua_Integer limit = luaL_checkinteger(L, 4);
    struct task *task = task_check(L);
    luaL_argcheck(L, s->reader == NULL, 2, "another function reads from it");
    if (s->is_closed) {
        return socket_push_closed(L);
    }
    s->want = want;
    s->count = (size_t)count;
    s->limit = (size_t)limit;
    s->searched = 0;
    int pushed = push_filled(L, s);
    if (pushed > 0) {
        return pushed;
    }
    int error = uv_read_start(&s->conn->stream, on_alloc, on_read);
    return error != 0 ? push_errno(L, NULL, error) : socket_wait(s, &s->reader, task, timeout_s);
}

int bind_socket_take(lua_State *L)
{
    struct socket *s = socket_check(L, 1);
    lua_Integer count = luaL_checkinteger(L, 2);

    luaL_argcheck(L, count >= 0 && (size_t)count <= s->in.size, 2, "more than there is");
    lua_pushlstring(L, buffer_text(&s->in), (size_t)count);
    buffer_shift(&s->in, (size_t)count);
    return 1;
}

/* ---- write ---- */

static void on_written(uv_write_t *request, int status)
{
    struct outgoing *o = (struct outgoing *)request;
    struct socket *s = o->socket;

    free(o->data);
    free(o);
    if (s == NULL) {
        return;
    }
    s->outgoing = NULL;
    if (status != 0) {
        struct call *c = s->writer;
        socket_close(s);
        call_end_with_error(c, status);
        return;
    }
    lua_pushboolean(s->writer->wait.task->co, 1);
    call_end(s->writer, 1);
}

/* What the kernel has no room for now. */
static int write_rest(struct socket *s, const char *data, size_t size)
{
    struct outgoing *o = mem_zalloc(sizeof(*o));

    o->data = mem_copy(data, size);
    uv_buf_t buf = uv_buf_init(o->data, (unsigned)size);
    int error = uv_write(&o->request, &s->conn->stream, &buf, 1, on_written);
    if (error != 0) {
        free(o->data);
        free(o);
        return error;
    }
    o->socket = s;
    s->outgoing = o;
    return 0;
}

int bind_socket_write(lua_State *L)
{
    double timeout_s = socket_check_timeout(L);
    struct socket *s = socket_check(L, 2);
    size_t size;
    const char *text = luaL_checklstring(L, 3, &size);
    luaL_argcheck(L, size <= UINT32_MAX, 3, "is too long");
    struct task *task = task_check(L);
    uv_buf_t buf = {.len = size};

    memcpy(&buf.base, &text, sizeof(text)); /* libuv only reads it */
    luaL_argcheck(L, s->writer == NULL, 2, "another function writes to it");
    if (s->is_closed) {
        return socket_push_closed(L);
    }
    int sent = uv_try_write(&s->conn->stream, &buf, 1);
    int error = sent < 0 && sent != UV_EAGAIN ? sent : 0;
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (error == 0 && done < size) {
        error = write_rest(s, text + done, size - done);
    }
    if (error != 0) {
        socket_close(s);
        return push_errno(L, NULL, error);
    }
    if (done == size) {
        lua_pushboolean(L, 1);
        return 1;
    }
    return socket_wait(s, &s->writer, task, timeout_s);
}

static void on_shut(uv_shutdown_t *request, int status)
{
    struct conn *conn = request->handle->data;
    struct socket *s = conn->socket;

    if (s == NULL) {
        return;
    }
    if (status != 0) {
        call_end_with_error(s->writer, status);
        return;
    }
    lua_pushboolean(s->writer->wait.task->co, 1);
    call_end(s->writer, 1);
}

int bind_socket_shutdown(lua_State *L)
{
    double timeout_s = socket_check_timeout(L);
    struct socket *s = socket_check(L, 2);
    struct task *task = task_check(L);

    luaL_argcheck(L, s->writer == NULL, 2, "another function writes to it");
    if (s->is_closed) {
        return socket_push_closed(L);
    }
    int error = uv_shutdown(&s->conn->shutdown, &s->conn->stream, on_shut);
    return error != 0 ? push_errno(L, NULL, error) : socket_wait(s, &s->writer, task, timeout_s);
}

int bind_socket_close(lua_State *L)
{
    socket_close(socket_check(L, 1));
    return 0;
}
