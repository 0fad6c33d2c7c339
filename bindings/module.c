/*
 * module.c - the same bindings for a plain lua5.4: require "jobq.core", then require "jobq".
 *
 * JSON, texts and pg work as they are; what waits works inside jobq.core.task.run(f), which turns a
 * loop of its own until f is done. Specs and scripts use it; it is no executor: nothing is limited.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <uv.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"
#include "core/job/pulse.h"

#include "bindings/api.h"
#include "bindings/pg.h"
#include "bindings/task.h"
#include "bindings/vm.h"

static const char an_address = 0; /* in this module */

struct alone {
    uv_loop_t loop;
    struct pulse pulse;
};

struct alone_run {
    struct task task;
    lua_State *L; /* who asked, and gets the results */
    uv_timer_t timer;
    enum task_result result;
    bool over;
    bool closed;
    char why[64];
};

__attribute__((visibility("default"))) int luaopen_jobq_core(lua_State *L);

/* Whatever a stopped run left to the pool ends here. */
static int alone_gc(lua_State *L)
{
    struct alone *alone = lua_touserdata(L, 1);

    (void)uv_run(&alone->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&alone->loop);
    return 0;
}

/* The folder of this module, with a slash at its end. */
static void add_folder(struct buffer *path)
{
    Dl_info info;

    if (dladdr(&an_address, &info) != 0 && info.dli_fname != NULL) {
        const char *slash = strrchr(info.dli_fname, '/');
        buffer_add(path, info.dli_fname, slash == NULL ? 0 : (size_t)(slash + 1 - info.dli_fname));
    }
}

/* jobq-run, owned by the caller: in the build two folders above, or installed from lib/lua/5.4/jobq. */
static char *find_program(void)
{
    static const char *const places[] = {"../../../../bin/jobq-run", "../../jobq-run"};
    struct buffer path = {0};

    for (size_t i = 0; i < LENGTH_OF(places); i++) {
        buffer_clear(&path);
        add_folder(&path);
        buffer_add_text(&path, places[i]);
        if (access(buffer_text(&path), X_OK) == 0) {
            break;
        }
    }
    return path.data;
}

static void open_loop(lua_State *L)
{
    struct alone *alone = lua_newuserdatauv(L, sizeof(*alone), 0);

    *alone = (struct alone){0};
    (void)uv_loop_init(&alone->loop);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, alone_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, "jobq.alone");
    vm_of(L)->loop = &alone->loop;
    vm_of(L)->pulse = &alone->pulse;
    vm_of(L)->program = find_program();
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that leaves is an error of that write alone */
}

static void on_over(struct task *t, enum task_result result, const char *error)
{
    struct alone_run *run = (struct alone_run *)t;

    run->over = true;
    run->result = result;
    if (result == TASK_LEFT) {
        return; /* without results */
    }
    if (result != TASK_OK) {
        lua_pushstring(run->L, error);
    } else if (lua_checkstack(run->L, t->nresults)) {
        lua_xmove(t->co, run->L, t->nresults);
    }
}

static void on_stop(uv_timer_t *timer)
{
    struct alone_run *run = timer->data;

    task_stop(&run->task, run->why);
}

static void on_closed(uv_handle_t *handle)
{
    struct alone_run *run = handle->data;

    run->closed = true;
}

/* function [, seconds] -> its results; raises what it raises. After seconds it is stopped. */
static int run_alone(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct alone_run run = {.L = L};

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_Number seconds = luaL_optnumber(L, 2, 0);
    luaL_argcheck(L, vm->running == NULL, 1, "a run is going on");
    (void)snprintf(run.why, sizeof(run.why), "stopped after %g s", seconds);
    uv_timer_init(vm->loop, &run.timer);
    run.timer.data = &run;
    if (!lua_isnoneornil(L, 2)) {
        uv_update_time(vm->loop);
        uv_timer_start(&run.timer, on_stop, (uint64_t)(seconds * 1000), 0);
    }
    lua_settop(L, 1);
    task_init(&run.task, vm, INT64_MAX);
    lua_xmove(L, run.task.co, 1);
    task_start(&run.task, 0, on_over);
    while (!run.over) {
        (void)uv_run(vm->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&run.timer, on_closed);
    while (!run.closed) {
        (void)uv_run(vm->loop, UV_RUN_NOWAIT);
    }
    return run.result == TASK_OK || run.result == TASK_LEFT ? lua_gettop(L) : lua_error(L);
}

/* For specs: the run ends here as if the process were killed. */
static int cut(lua_State *L)
{
    return task_cut(task_check(L));
}

/* The table, as often as somebody empties package.loaded: busted does. */
static int push_module(lua_State *L)
{
    api_push_core(L);
    luaopen_jobq_pg(L);
    lua_setfield(L, -2, "pg");
    lua_getfield(L, -1, "task");
    lua_pushcfunction(L, run_alone);
    lua_setfield(L, -2, "run");
    lua_pushcfunction(L, cut);
    lua_setfield(L, -2, "cut");
    lua_pop(L, 1);
    return 1;
}

int luaopen_jobq_core(lua_State *L)
{
    vm_adopt(L);
    open_loop(L);
    api_open(L);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, push_module);
    lua_setfield(L, -2, "jobq.core");
    lua_pop(L, 1);
    return push_module(L);
}
