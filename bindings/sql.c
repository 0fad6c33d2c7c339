/* sql.c - pools and sessions as Lua objects, and the wait in a pool's line. */
#include "bindings/sql.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "core/db/query.h"
#include "core/db/rows.h"

#include "bindings/sql_session.h"

#define POOL_TYPE    "jobq.sql.pool"
#define SESSION_TYPE "jobq.sql.session"

/* A connection that nobody wanted for so long is closed. */
#define IDLE_MS 30000

/* As many as anybody could want; each costs the server a process. */
#define CONNECTIONS_MAX 1000

/* The longest wait in a line. */
#define LONGEST_S 86400

struct pool {
    struct db_pool *pool; /* owned */
};

/* ---- pools ---- */

static int pool_gc(lua_State *L)
{
    struct pool *p = luaL_checkudata(L, 1, POOL_TYPE);

    if (p->pool != NULL) {
        db_pool_close(p->pool);
        p->pool = NULL;
    }
    return 0;
}

int bind_sql_pool(lua_State *L)
{
    const char *dsn = luaL_checkstring(L, 1);
    lua_Integer most = luaL_checkinteger(L, 2);

    luaL_argcheck(L, most >= 1 && most <= CONNECTIONS_MAX, 2, "1 to 1000 connections expected");
    (void)task_check(L); /* only there a loop turns */
    struct pool *p = lua_newuserdatauv(L, sizeof(*p), 0);
    p->pool = NULL;
    if (luaL_newmetatable(L, POOL_TYPE)) {
        lua_pushcfunction(L, pool_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    struct db_pool_options options = {
        .conninfo = dsn,
        .name = "jobq-run job",
        .most = (size_t)most,
        .idle_ms = IDLE_MS,
    };
    p->pool = db_pool_open(vm_of(L)->loop, &options);
    return 1;
}

/* ---- sessions ---- */

void sql_session_release(struct sql_session *s)
{
    struct db_session *lent = s->session;

    s->session = NULL;
    if (s->result != NULL) {
        rows_free(s->result);
        s->result = NULL;
    }
    if (lent != NULL) {
        db_session_give(lent);
    }
}

int bind_sql_release(lua_State *L)
{
    sql_session_release(luaL_checkudata(L, 1, SESSION_TYPE));
    return 0;
}

int bind_sql_session(lua_State *L)
{
    const struct pool *p = luaL_checkudata(L, 1, POOL_TYPE);
    struct sql_session *s = lua_newuserdatauv(L, sizeof(*s), 1);

    *s = (struct sql_session){.pool = p->pool};
    if (luaL_newmetatable(L, SESSION_TYPE)) {
        lua_pushcfunction(L, bind_sql_release);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, bind_sql_release);
        lua_setfield(L, -2, "__close");
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

struct sql_session *sql_check_session(lua_State *L, int arg)
{
    struct sql_session *s = luaL_checkudata(L, arg, SESSION_TYPE);

    luaL_argcheck(L, s->session != NULL, arg, "the transaction is over");
    luaL_argcheck(L,
                  !db_session_is_busy(s->session),
                  arg,
                  "another statement of the transaction is under way");
    return s;
}

int bind_sql_statement(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    for (int q = 0; q < SQL_QUERY_COUNT; q++) {
        if (strcmp(sql_query_name((enum sql_query)q), name) == 0) {
            lua_pushstring(L, sql_query_text((enum sql_query)q));
            return 1;
        }
    }
    return luaL_argerror(L, 1, "no such statement");
}

/* ---- the line ---- */

struct turn {
    struct wait wait; /* first member */
    struct db_turn turn;
    uv_timer_t timer;
    struct sql_session *s; /* borrowed: it stands on the run's stack */
    double seconds;
};

static void on_told(struct db_turn *turn, struct db_session *session, const char *why);
static void on_timeout(uv_timer_t *timer);
static void on_cancel(struct wait *w);
static void on_closed(uv_handle_t *handle);

int bind_sql_connect(lua_State *L)
{
    struct sql_session *s = luaL_checkudata(L, 1, SESSION_TYPE);
    lua_Number seconds = luaL_checknumber(L, 2);

    luaL_argcheck(L, seconds > 0 && seconds <= LONGEST_S, 2, "0 to 86400 seconds expected");
    luaL_argcheck(L, s->session == NULL, 1, "it is connected");
    struct task *task = task_check(L);
    uv_loop_t *loop = task->vm->loop;

    s->session = db_pool_take(s->pool);
    if (s->session != NULL) {
        lua_pushboolean(L, true);
        return 1;
    }
    struct turn *t = mem_zalloc(sizeof(*t)); /* from here to the yield nothing may raise */
    t->wait.cancel = on_cancel;
    t->turn.told = on_told;
    t->turn.owner = t;
    t->s = s;
    t->seconds = seconds;
    t->timer.data = t;
    uv_update_time(loop); /* the run may have computed since the loop last looked */
    uv_timer_init(loop, &t->timer);
    uv_timer_start(&t->timer, on_timeout, (uint64_t)ceil(seconds * 1000), 0);
    db_pool_wait(s->pool, &t->turn);
    return task_wait(task, &t->wait); /* the loop owns t until on_closed */
}

/* libpq's first line says enough, and the others are hints for people at a prompt. */
static int push_connect_failure(lua_State *L, const char *why)
{
    luaL_pushfail(L);
    lua_pushlstring(L, why, strcspn(why, "\n"));
    lua_pushliteral(L, "connect");
    return 3;
}

static void on_told(struct db_turn *turn, struct db_session *session, const char *why)
{
    struct turn *t = turn->owner;
    lua_State *co = t->wait.task->co;
    int pushed = 1;

    uv_close((uv_handle_t *)&t->timer, on_closed);
    t->s->session = session;
    if (session != NULL) {
        lua_pushboolean(co, true);
    } else {
        pushed = push_connect_failure(co, why);
    }
    task_wake(&t->wait, pushed);
}

static void on_timeout(uv_timer_t *timer)
{
    struct turn *t = timer->data;
    lua_State *co = t->wait.task->co;

    db_pool_leave(t->s->pool, &t->turn);
    uv_close((uv_handle_t *)timer, on_closed);
    luaL_pushfail(co);
    lua_pushfstring(co, "no connection was free for %f s", t->seconds);
    lua_pushliteral(co, "pool_timeout");
    task_wake(&t->wait, 3);
}

static void on_cancel(struct wait *w)
{
    struct turn *t = (struct turn *)w;

    db_pool_leave(t->s->pool, &t->turn);
    uv_close((uv_handle_t *)&t->timer, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
