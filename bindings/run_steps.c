/* run_steps.c - the C half of durable steps; what they are is in bindings/lua/jobq/steps.lua. */
#include "bindings/run_steps.h"

#include <lauxlib.h>

#include "core/base/clock.h"

#include "bindings/runs.h"
#include "bindings/task.h"

int bind_run_memo(lua_State *L)
{
    (void)task_check(L);
    struct run *r = run_check(L);

    if (r->memo == 0) {
        lua_newtable(L);
        r->memo = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->memo);
    return 1;
}

int bind_check(lua_State *L)
{
    (void)task_check(L);
    return 0;
}

static struct task *check_leaver(lua_State *L)
{
    struct task *t = task_check(L);

    if (t->parent != NULL) {
        luaL_error(L, "only run itself can wait for so long, not a part of jobq.parallel");
    }
    return t;
}

int bind_leave(lua_State *L)
{
    return task_leave(check_leaver(L));
}

int bind_run_place(lua_State *L)
{
    const struct run *r = run_check(L);

    lua_pushinteger(L, (lua_Integer)(clock_now_us() - r->started_us));
    if (r->job.worker_id == 0) { /* as every worker's is not */
        return 1;
    }
    lua_pushinteger(L, r->job.worker_id);
    lua_pushinteger(L, r->job.seq);
    lua_pushinteger(L, r->job.slot);
    lua_pushinteger(L, r->job.job_id);
    return 5;
}

int bind_run_park(lua_State *L)
{
    struct task *t = check_leaver(L);
    struct run *r = run_check(L);

    if (lua_isnoneornil(L, 1)) {
        return 0;
    }
    r->park_s = luaL_checknumber(L, 1);
    luaL_argcheck(L, r->park_s >= 0, 1, "must not be negative");
    return task_leave(t);
}

void run_steps_forget(struct run *r)
{
    if (r->memo != 0) {
        luaL_unref(r->runs->vm->L, LUA_REGISTRYINDEX, r->memo);
        r->memo = 0;
    }
}
