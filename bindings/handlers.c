/* handlers.c - asks jobq.loader for the kinds and keeps them. */
#include "bindings/handlers.h"

#include <errno.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "bindings/api.h"
#include "bindings/trace.h"
#include "bindings/vm.h"

static int load(lua_State *L);
static void explain_memory(struct buffer *error, const struct vm *vm, int64_t limit);
static void require(lua_State *L, const char *module, const char *field);
static void add(struct handlers *h, lua_State *L, int64_t memory, struct buffer *out);
static struct slice text_field(lua_State *L, int table, const char *name);
static double number_field(lua_State *L, int table, const char *name);

/* What load() works on; a light userdata takes it through lua_pcall. */
struct loading {
    struct handlers *handlers;
    const struct wire_config *config;
    struct buffer *out;
};

int handlers_load(struct handlers *h,
                  struct vm *vm,
                  const struct wire_config *config,
                  struct buffer *out,
                  struct buffer *error)
{
    lua_State *L = vm->L;
    struct loading loading = {h, config, out};
    size_t before = out->size;

    lua_pushcfunction(L, bind_explain);
    lua_pushcfunction(L, load);
    lua_pushlightuserdata(L, &loading);
    vm->innermost = L;
    memory_set_limit(&vm->memory, MEMORY_NOBODY, config->load_memory);
    int status = lua_pcall(L, 1, 0, -3);
    memory_set_limit(&vm->memory, MEMORY_NOBODY, INT64_MAX);
    if (status != LUA_OK) {
        out->size = before;
        buffer_add_text(error, lua_tostring(L, -1));
        secrets_mask(&vm->secrets, error, 0);
        if (slice_is(buffer_slice(error), VM_MEMORY_ERROR)) {
            explain_memory(error, vm, config->load_memory);
        }
    }
    lua_settop(L, 0);
    return status == LUA_OK ? 0 : -EINVAL;
}

static void explain_memory(struct buffer *error, const struct vm *vm, int64_t limit)
{
    buffer_clear(error);
    buffer_printf(error,
                  "%sthe handlers take more than %g MiB of memory to load\n"
                  "hint: raise --executor-memory if they need it",
                  vm->refused_at,
                  (double)limit / (1 << 20));
}

void handlers_fini(struct handlers *h)
{
    free(h->items);
    *h = (struct handlers){0};
}

const struct handler *handlers_find(const struct handlers *h, lua_State *L, struct slice kind)
{
    if (h->count == 0) {
        return NULL; /* not loaded */
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->index_ref);
    lua_pushlstring(L, kind.data, kind.size);
    lua_rawget(L, -2);
    size_t position = (size_t)lua_tointeger(L, -1);
    lua_pop(L, 2);
    return position == 0 ? NULL : &h->items[position - 1];
}

void handlers_push(const struct handlers *h, lua_State *co, const struct handler *handler)
{
    lua_rawgeti(co, LUA_REGISTRYINDEX, h->runner_ref);
    lua_rawgeti(co, LUA_REGISTRYINDEX, handler->ref);
}

static int load(lua_State *L)
{
    struct loading *loading = lua_touserdata(L, 1);
    struct handlers *h = loading->handlers;
    const struct wire_config *config = loading->config;

    api_open(L);
    require(L, "jobq.settings", "load");
    lua_pushlstring(L, config->settings.data, config->settings.size);
    lua_pushlstring(L, config->conninfo.data, config->conninfo.size);
    lua_call(L, 2, 0);
    require(L, "jobq.runner", "main");
    h->runner_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    h->index_ref = luaL_ref(L, LUA_REGISTRYINDEX);

    require(L, "jobq.loader", "load");
    lua_pushlstring(L, config->handlers.data, config->handlers.size);
    lua_call(L, 1, 2); /* kinds, or nil and a message */
    if (lua_isnil(L, -2)) {
        return lua_error(L);
    }
    lua_pop(L, 1);
    lua_Integer count = luaL_len(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        add(h, L, config->job_memory, loading->out);
    }
    return 0;
}

/* Pushes a field of a module. */
static void require(lua_State *L, const char *module, const char *field)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, field);
    lua_remove(L, -2);
}

/* kind -> nothing */
static void add(struct handlers *h, lua_State *L, int64_t memory, struct buffer *out)
{
    int kind = lua_gettop(L);
    double own_memory = number_field(L, kind, "memory");
    struct slice name = text_field(L, kind, "name");

    wire_put_kind(out,
                  &(struct wire_kind){
                      .name = name,
                      .queue = text_field(L, kind, "queue"),
                      .summary = text_field(L, kind, "summary"),
                      .schema = text_field(L, kind, "schema"),
                      .source = text_field(L, kind, "source"),
                      .schedule = text_field(L, kind, "schedule"),
                      .limits = text_field(L, kind, "limits"),
                      .max_attempts = (uint32_t)number_field(L, kind, "max_attempts"),
                      .priority = (uint32_t)number_field(L, kind, "priority"),
                      .timeout_s = number_field(L, kind, "timeout"),
                  });
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->index_ref); /* kind index */
    lua_pushlstring(L, name.data, name.size);
    lua_pushinteger(L, (lua_Integer)h->count + 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    h->items = mem_resize(h->items, h->count + 1, sizeof(*h->items));
    h->items[h->count] = (struct handler){
        .ref = luaL_ref(L, LUA_REGISTRYINDEX),
        .memory = own_memory > 0 ? (int64_t)own_memory : memory,
    };
    h->count++;
}

/* Borrowed from the table. */
static struct slice text_field(lua_State *L, int table, const char *name)
{
    struct slice text = {"", 0};

    lua_getfield(L, table, name);
    if (lua_type(L, -1) == LUA_TSTRING) {
        text.data = lua_tolstring(L, -1, &text.size);
    }
    lua_pop(L, 1);
    return text;
}

static double number_field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}
