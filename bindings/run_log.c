/* run_log.c - a line becomes a frame at once; too many and too long ones are cut with a note. */
#include "bindings/run_log.h"

#include <lauxlib.h>

#include "core/base/clock.h"
#include "core/base/text.h"

#include "bindings/json.h"
#include "bindings/runs.h"

#define LINES_MAX   1000u
#define MESSAGE_MAX ((size_t)8 << 10)
#define FIELDS_MAX  ((size_t)8 << 10)

static int write_line(lua_State *L, enum log_level level);
static void add_fields(lua_State *L, struct buffer *out);
static void put(struct run *r, enum log_level level, struct slice message, struct slice fields);

int bind_log_debug(lua_State *L)
{
    return write_line(L, LOG_DEBUG);
}

int bind_log_info(lua_State *L)
{
    return write_line(L, LOG_INFO);
}

int bind_log_warn(lua_State *L)
{
    return write_line(L, LOG_WARN);
}

int bind_log_error(lua_State *L)
{
    return write_line(L, LOG_ERROR);
}

void run_log_finish(struct run *r)
{
    if (r->lines > LINES_MAX) {
        char note[64];
        (void)snprintf(note, sizeof(note), "%u more lines dropped", r->lines - LINES_MAX);
        put(r, LOG_WARN, slice_of(note), (struct slice){NULL, 0});
    }
}

static int write_line(lua_State *L, enum log_level level)
{
    struct buffer *scratch = &vm_of(L)->scratch;
    struct run *r = run_check(L);
    size_t size;

    if (!lua_istable(L, 1)) {
        return luaL_error(L, "a log line has no text\nhint: write job.log:info(...) with a colon");
    }
    lua_settop(L, 3);
    const char *message = luaL_tolstring(L, 2, &size);
    if (!lua_isnil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
    }
    r->lines++;
    if (r->lines > LINES_MAX) {
        return 0;
    }
    buffer_clear(scratch);
    add_fields(L, scratch);
    secrets_mask(&vm_of(L)->secrets, scratch, 0);
    size_t split = scratch->size;
    text_add_clean(scratch, (struct slice){message, size}, MESSAGE_MAX);
    secrets_mask(&vm_of(L)->secrets, scratch, split);
    put(r,
        level,
        (struct slice){scratch->data + split, scratch->size - split},
        (struct slice){scratch->data, split});
    return 0;
}

/* Half a JSON object is none: fields that are too long or no JSON are replaced by a note. */
static void add_fields(lua_State *L, struct buffer *out)
{
    if (lua_isnil(L, 3)) {
        return;
    }
    lua_pushnil(L);
    if (lua_next(L, 3) == 0) {
        return; /* an empty table would be written as an array */
    }
    lua_pop(L, 2);
    if (json_write(L, 3, out) != 0) {
        buffer_add_text(out, "{\"note\": \"fields dropped: they are no JSON\"}");
        return;
    }
    if (out->data[0] != '{') {
        buffer_clear(out);
        buffer_add_text(out, "{\"note\": \"fields dropped: expected names and values\"}");
    }
    if (out->size > FIELDS_MAX) {
        size_t size = out->size;
        buffer_clear(out);
        buffer_printf(out, "{\"note\": \"fields dropped: %zu bytes\"}", size);
    }
}

static void put(struct run *r, enum log_level level, struct slice message, struct slice fields)
{
    wire_put_log(channel_out(r->runs->channel),
                 &(struct wire_log){
                     .run = r->job.run,
                     .at_us = (int64_t)clock_now_us(),
                     .level = (uint8_t)level,
                     .message = message,
                     .fields = fields,
                 });
    channel_send(r->runs->channel);
}
