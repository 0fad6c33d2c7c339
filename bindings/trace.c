/* trace.c - walks the stack, leaves out frames of jobq and of C. */
#include "bindings/trace.h"

#include <stdbool.h>
#include <string.h>

#include <lauxlib.h>

#include "core/base/text.h"

#include "bindings/task.h"

/* Enough to see a recursion for what it is. */
#define FRAMES_MAX 20

#define MIB (1 << 20)

static bool is_handler_frame(lua_State *co, lua_Debug *ar);
static void add_frame(struct buffer *out, const lua_Debug *ar);
static int to_text(lua_State *L);
static void push_explained(lua_State *L, int index);
static bool find_in(lua_State *L, int function, const char *prefix);

void trace_add_place(struct buffer *out, lua_State *co)
{
    lua_Debug ar;

    for (int level = 0; lua_getstack(co, level, &ar) != 0; level++) {
        if (is_handler_frame(co, &ar)) {
            buffer_printf(out, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
}

void trace_push_place(lua_State *L)
{
    lua_Debug ar;

    for (int level = 0; lua_getstack(L, level, &ar) != 0; level++) {
        if (is_handler_frame(L, &ar)) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

void trace_add_stack(struct buffer *out, lua_State *co, int level)
{
    buffer_add_text(out, "\nstack traceback:");
    trace_add_frames(out, co, level);
}

void trace_add_frames(struct buffer *out, lua_State *co, int level)
{
    lua_Debug ar;
    int frames = 0;

    for (; lua_getstack(co, level, &ar) != 0; level++) {
        if (!is_handler_frame(co, &ar)) {
            continue;
        }
        if (frames == FRAMES_MAX) {
            buffer_add_text(out, "\n\t...");
            return;
        }
        add_frame(out, &ar);
        frames++;
    }
}

void trace_add_memory_error(struct buffer *out, const struct vm *vm, uint32_t account)
{
    double mib = (double)vm->memory.accounts[account].limit / MIB;

    buffer_printf(out,
                  "%sthis run is at its memory limit of %g MiB\n"
                  "hint: read in pages, or raise the kind's memory option",
                  vm->refused_at,
                  mib);
}

/* function, as an index -> pushes "jobq.sleep" or "jobq.fs.read" if it is part of the API. */
static bool push_public_name(lua_State *L, int function)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "jobq") != LUA_TTABLE) {
        return false;
    }
    if (find_in(L, function, "jobq")) {
        return true;
    }
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) { /* name, module */
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        lua_pushfstring(L, "jobq.%s", name);
        lua_insert(L, -2);
        if (lua_istable(L, -1) && find_in(L, function, lua_tostring(L, -2))) {
            return true;
        }
        lua_pop(L, 2);
    }
    return false;
}

/*
 * Texts that are made on the way are nobody's, and nothing is collected meanwhile: co may be suspended,
 * and where another run computes an error would be that one's.
 */
void trace_add_wait(struct buffer *out, lua_State *co)
{
    struct memory *memory = &vm_of(co)->memory;
    uint32_t payer = memory->payer;
    bool collects = lua_gc(co, LUA_GCISRUNNING) != 0;
    int top = lua_gettop(co);

    memory->payer = MEMORY_NOBODY;
    lua_gc(co, LUA_GCSTOP);
    if (lua_checkstack(co, LUA_MINSTACK)) {
        trace_push_function_name(co);
        buffer_add_text(out, lua_tostring(co, -1));
        lua_settop(co, top);
    }
    if (collects) {
        lua_gc(co, LUA_GCRESTART);
    }
    memory->payer = payer;
}

void trace_note_place(struct pulse *pulse, lua_State *co)
{
    lua_Debug ar;

    for (int level = 0; lua_getstack(co, level, &ar) != 0; level++) {
        lua_getinfo(co, "Sl", &ar);
        if (ar.currentline > 0 && !task_is_own_code(&ar)) {
            memcpy(pulse->source, ar.short_src, sizeof(pulse->source) - 1);
            atomic_store_explicit(&pulse->line, ar.currentline, memory_order_release);
            return;
        }
    }
}

/* Functions with a Lua half are known by the name of that: the API's function nearest to the C one. */
void trace_push_function_name(lua_State *L)
{
    lua_Debug ar;
    int top = lua_gettop(L);

    for (int level = 0; lua_getstack(L, level, &ar) != 0; level++) {
        if (level > 0 && is_handler_frame(L, &ar)) {
            break;
        }
        lua_getinfo(L, "f", &ar);
        if (push_public_name(L, top + 1)) {
            return;
        }
        lua_settop(L, top);
    }
    bool has_name = lua_getstack(L, 0, &ar) != 0 && lua_getinfo(L, "n", &ar) && ar.name != NULL;
    lua_pushfstring(L, "'%s'", has_name ? ar.name : "this function");
}

int bind_explain(lua_State *L)
{
    push_explained(L, 1);
    return 1;
}

int bind_memory_error(lua_State *L)
{
    struct vm *vm = vm_of(L);

    buffer_clear(&vm->scratch);
    trace_add_memory_error(&vm->scratch, vm, vm->running->account);
    lua_pushlstring(L, vm->scratch.data, vm->scratch.size);
    return 1;
}

int bind_raise(lua_State *L)
{
    luaL_checkstring(L, 1);
    trace_push_place(L);
    lua_pushvalue(L, 1);
    lua_concat(L, 2);
    return lua_error(L);
}

int bind_place(lua_State *L)
{
    trace_push_place(L);
    return 1;
}

int bind_traceback(lua_State *L)
{
    struct vm *vm = vm_of(L);
    size_t size;

    push_explained(L, 1);
    const char *message = lua_tolstring(L, -1, &size);
    buffer_clear(&vm->scratch);
    text_add_clean(&vm->scratch, (struct slice){message, size}, TRACE_MESSAGE_MAX);
    trace_add_stack(&vm->scratch, L, 1);
    lua_pushlstring(L, vm->scratch.data, vm->scratch.size);
    return 1;
}

static bool is_handler_frame(lua_State *co, lua_Debug *ar)
{
    lua_getinfo(co, "Slnt", ar);
    return ar->currentline > 0 && !task_is_own_code(ar);
}

static void add_frame(struct buffer *out, const lua_Debug *ar)
{
    buffer_printf(out, "\n\t%s:%d: in ", ar->short_src, ar->currentline);
    if (strcmp(ar->what, "main") == 0) {
        buffer_add_text(out, "main chunk");
    } else if (ar->name != NULL) {
        buffer_add_text(out, ar->name);
    } else {
        buffer_printf(out, "function <%s:%d>", ar->short_src, ar->linedefined);
    }
}

static int to_text(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

/* Structured errors have a message and perhaps a code; others may know how to print themselves. */
static void push_explained(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TSTRING) {
        lua_pushvalue(L, index);
        return;
    }
    if (lua_istable(L, index)) {
        lua_pushliteral(L, "message");
        lua_rawget(L, index);
        lua_pushliteral(L, "code");
        lua_rawget(L, index);
        if (lua_isstring(L, -2)) {
            const char *code = lua_tostring(L, -1); /* NULL unless a string or number */
            lua_pushfstring(L,
                            "%s%s%s%s",
                            lua_tostring(L, -2),
                            code ? " (" : "",
                            code ? code : "",
                            code ? ")" : "");
            return;
        }
        lua_pop(L, 2);
    }
    lua_pushcfunction(L, to_text);
    lua_pushvalue(L, index);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK || lua_type(L, -1) != LUA_TSTRING) {
        lua_pop(L, 1);
        lua_pushfstring(L, "error value is a %s that has no text", luaL_typename(L, index));
    }
}

/* module on top: pushes "prefix.field" if a field of it is the function at that index. */
static bool find_in(lua_State *L, int function, const char *prefix)
{
    int module = lua_gettop(L);

    lua_pushnil(L);
    while (lua_next(L, module) != 0) {
        if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, function)) {
            lua_pushfstring(L, "%s.%s", prefix, lua_tostring(L, -2));
            return true;
        }
        lua_pop(L, 1);
    }
    return false;
}
