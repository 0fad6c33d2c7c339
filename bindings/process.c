/* process.c - a userdata that owns a subprocess, and the wait for it. */
#include "bindings/process.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <lauxlib.h>

#include "bindings/offload.h"
#include "bindings/options.h"
#include "bindings/subprocess.h"
#include "bindings/task.h"

#define TYPE_NAME "jobq.process"

/* Output that a handler takes piece by piece: what may wait for it. */
#define PIECES_MAX ((size_t)256 << 10)

#define WORDS 1
#define SPEC  2

struct process {
    struct wait wait;       /* first member */
    struct subprocess *sub; /* NULL once closed */
    bool is_waited_for;
    bool is_stopped; /* who waits hears of the end only */
};

/* ---- the environment ---- */

/* What a worker knows and programs need not: how to reach the databases. */
static bool is_private(const char *variable)
{
    return strncmp(variable, "JOBQ_", 5) == 0 || strncmp(variable, "PG", 2) == 0 ||
           strncmp(variable, "DATABASE_URL=", 13) == 0;
}

static bool is_changed(lua_State *L, int changes, const char *variable)
{
    size_t size = strcspn(variable, "=");

    if (!lua_istable(L, changes)) {
        return false;
    }
    lua_pushlstring(L, variable, size);
    bool found = lua_rawget(L, changes) != LUA_TNIL;
    lua_pop(L, 1);
    return found;
}

/* Leaves on the stack an array of "NAME=VALUE"; changes is an index, perhaps of nil. */
static lua_Integer push_env(lua_State *L, int changes)
{
    lua_Integer count = 0;

    lua_newtable(L);
    for (char **variable = environ; *variable != NULL; variable++) {
        if (!is_private(*variable) && !is_changed(L, changes, *variable)) {
            lua_pushstring(L, *variable);
            lua_rawseti(L, -2, ++count);
        }
    }
    if (!lua_istable(L, changes)) {
        return count;
    }
    lua_pushnil(L);
    while (lua_next(L, changes) != 0) {
        if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING) {
            lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), lua_tostring(L, -1));
            lua_rawseti(L, -4, ++count);
        }
        lua_pop(L, 1);
    }
    return count;
}

/* ---- arguments ---- */

/* The array on top of the stack as strings behind the first ones; nothing here raises. */
static char **copy_words(lua_State *L, int index, size_t first, size_t count)
{
    char **words = mem_zalloc((first + count + 1) * sizeof(*words));

    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        words[first + i] = mem_strdup(lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    return words;
}

static void free_words(char **words)
{
    for (char **word = words; *word != NULL; word++) {
        free(*word);
    }
    free(words);
}

static size_t check_words(lua_State *L)
{
    luaL_checktype(L, WORDS, LUA_TTABLE);
    lua_Integer count = luaL_len(L, WORDS);
    luaL_argcheck(L, count > GUARD_PROGRAM - GUARD_GRACE_MS, WORDS, "program expected");
    for (lua_Integer i = 1; i <= count; i++) {
        luaL_argcheck(L, lua_rawgeti(L, WORDS, i) == LUA_TSTRING, WORDS, "strings expected");
        lua_pop(L, 1);
    }
    return (size_t)count;
}

static void check_output(lua_State *L, struct output *o, const char *name, size_t max)
{
    const char *mode = options_text(L, SPEC, name, "capture");

    o->mode = strcmp(mode, "pieces") == 0 ? OUTPUT_PIECES
              : strcmp(mode, "file") == 0 ? OUTPUT_FILE
                                          : OUTPUT_CAPTURE;
    o->max = o->mode == OUTPUT_PIECES ? PIECES_MAX : max;
}

/* ---- the userdata ---- */

static struct process *check_process(lua_State *L)
{
    return luaL_checkudata(L, 1, TYPE_NAME);
}

static int process_close(lua_State *L)
{
    struct process *p = check_process(L);

    if (p->sub != NULL) {
        subprocess_close(p->sub);
        p->sub = NULL;
    }
    return 0;
}

static struct process *push_process(lua_State *L)
{
    struct process *p = lua_newuserdatauv(L, sizeof(*p), 0);

    *p = (struct process){0};
    if (luaL_newmetatable(L, TYPE_NAME)) {
        lua_pushcfunction(L, process_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, process_close);
        lua_setfield(L, -2, "__close");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    return p;
}

static void on_changed(struct subprocess *s)
{
    struct process *p = s->owner;

    if (!p->is_waited_for || (p->is_stopped && !s->is_over)) {
        return;
    }
    p->is_waited_for = false;
    lua_pushboolean(p->wait.task->co, s->is_over);
    task_wake(&p->wait, 1);
}

/* It raises in the handler once nothing is left of the program. */
static void on_stop(struct wait *w, const char *why)
{
    struct process *p = (struct process *)w;
    (void)why;

    p->is_stopped = true;
    subprocess_terminate(p->sub);
}

/* ---- for Lua ---- */

int bind_process_start(lua_State *L)
{
    static const char *const names[] =
        {"env", "input", "timeout", "max_output", "stdout", "stderr", NULL};
    size_t count = check_words(L);
    size_t input_size = 0;

    options_check(L, SPEC, names);
    lua_Integer max = options_integer(L, SPEC, "max_output", 1);
    lua_getfield(L, SPEC, "timeout");
    lua_Number timeout_s = luaL_optnumber(L, -1, 0);
    lua_getfield(L, SPEC, "input");
    const char *input = luaL_optlstring(L, -1, "", &input_size);
    lua_getfield(L, SPEC, "env");
    lua_Integer variables = push_env(L, lua_gettop(L));
    struct vm *vm = task_check(L)->vm;
    struct process *p = push_process(L);
    struct output out = {0};
    struct output err = {0};
    check_output(L, &out, "stdout", (size_t)max);
    check_output(L, &err, "stderr", (size_t)max);

    p->sub = mem_zalloc(sizeof(*p->sub)); /* from here to its start nothing may raise */
    p->sub->owner = p;
    p->sub->changed = on_changed;
    p->sub->out = out;
    p->sub->err = err;
    struct subprocess_plan plan = {
        .args = copy_words(L, WORDS, GUARD_GRACE_MS, count),
        .env = copy_words(L, lua_gettop(L) - 1, 0, (size_t)variables),
        .timeout_ms = (uint64_t)ceil(timeout_s * 1000),
    };
    plan.args[0] = mem_strdup("jobq-run");
    plan.args[1] = mem_strdup("--guard");
    buffer_add(&plan.input, input, input_size);
    int error = subprocess_start(p->sub, vm->loop, vm->program, &plan);
    free_words(plan.args);
    free_words(plan.env);
    if (error != 0) {
        subprocess_close(p->sub);
        p->sub = NULL;
        return push_errno(L, vm->program, error);
    }
    return 1;
}

int bind_process_wait(lua_State *L)
{
    struct process *p = check_process(L);
    struct task *task = task_check(L);

    luaL_argcheck(L, p->sub != NULL, 1, "is closed");
    luaL_argcheck(L, !p->is_waited_for, 1, "another function waits for it");
    bool has_piece = (p->sub->out.mode == OUTPUT_PIECES && p->sub->out.data.size > 0) ||
                     (p->sub->err.mode == OUTPUT_PIECES && p->sub->err.data.size > 0);
    if (p->sub->is_over || has_piece) {
        lua_pushboolean(L, p->sub->is_over);
        return 1;
    }
    p->is_waited_for = true;
    p->is_stopped = false;
    p->wait.stop = on_stop;
    return task_wait(task, &p->wait);
}

int bind_process_take(lua_State *L)
{
    static const char *const names[] = {"stdout", "stderr", NULL};
    struct process *p = check_process(L);
    bool is_out = luaL_checkoption(L, 2, NULL, names) == 0;

    luaL_argcheck(L, p->sub != NULL, 1, "is closed");
    struct output *o = is_out ? &p->sub->out : &p->sub->err;
    lua_pushlstring(L, buffer_text(&o->data), o->data.size);
    subprocess_go_on(o);
    return 1;
}

static void set_number(lua_State *L, const char *name, lua_Number value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

int bind_process_result(lua_State *L)
{
    struct process *p = check_process(L);
    luaL_argcheck(L, p->sub != NULL && p->sub->is_over, 1, "is not over");
    const struct subprocess *s = p->sub;
    const struct guard_report *r = &s->report;

    if (!s->has_report) {
        return push_failure(L, "the guard of the program was killed", "guard");
    }
    if (r->error != 0) {
        luaL_pushfail(L);
        lua_pushstring(L, uv_strerror(-r->error));
        lua_pushstring(L, uv_err_name(-r->error));
        lua_pushinteger(L, r->subject - GUARD_GRACE_MS + 1);
        return 4;
    }
    lua_createtable(L, 0, 8);
    if (r->status >= 0) {
        set_integer(L, "status", r->status);
    } else {
        set_integer(L, "signal", r->signal);
    }
    set_number(L, "seconds", (lua_Number)(s->ended_us - s->started_us) / 1e6);
    set_number(L, "cpu_seconds", (lua_Number)r->cpu_us / 1e6);
    set_integer(L, "peak_memory", (lua_Integer)r->peak_bytes);
    lua_pushboolean(L, s->timed_out);
    lua_setfield(L, -2, "timed_out");
    if (s->too_large != NULL) {
        lua_pushstring(L, s->too_large == &s->out ? "stdout" : "stderr");
        lua_setfield(L, -2, "too_large");
    }
    return 1;
}
