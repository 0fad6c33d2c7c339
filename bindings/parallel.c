/*
 * parallel.c - a task waits for children, each with a coroutine and a wait of its own.
 *
 *   parent waits --> on_turn: children start --> each ends: the next one starts
 *                                            --> one fails, or the parent is stopped: all are stopped
 *                                            --> none is left: the parent wakes
 *
 * Children start from the loop, never inside the parent, so that one lua_resume is on the C stack.
 * Their results stay in Lua, where they are charged to the run.
 */
#include "bindings/parallel.h"

#include <stdlib.h>
#include <sys/queue.h>

#include <lauxlib.h>
#include <uv.h>

#include "core/base/mem.h"

#include "bindings/task.h"

/* What the waits of the others raise when one has failed. */
#define CANCELLED "cancelled: another function of jobq.parallel failed"

#define BODY 1 /* its index in the parent's stack */

struct child {
    struct task task; /* first member */
    struct parallel *parallel;
    LIST_ENTRY(child) link;
};

struct parallel {
    struct wait wait; /* first member */
    uv_idle_t turn;
    LIST_HEAD(, child) children; /* started and not over */
    lua_Integer alive;           /* how many they are */
    lua_Integer started;
    lua_Integer count;
    lua_Integer limit;
    bool is_ending; /* no further child starts */
    bool is_busy; /* inside advance() or stop_children(): what ends meanwhile is seen to by them */
    char *error;  /* owned; of the first child that could not tell by itself */
};

static void on_turn(uv_idle_t *turn);
static void on_stop(struct wait *w, const char *why);
static void each_child(struct wait *w, task_seen_fn fn, void *arg);
static void on_child_done(struct task *task, enum task_result result, const char *error);
static void advance(struct parallel *p);
static void start_child(struct parallel *p);
static void stop_children(struct parallel *p, const char *why);
static void finish(struct parallel *p);
static void on_closed(uv_handle_t *handle);

int bind_parallel(lua_State *L)
{
    luaL_checktype(L, BODY, LUA_TFUNCTION);
    lua_Integer count = luaL_checkinteger(L, 2);
    lua_Integer limit = luaL_checkinteger(L, 3);
    luaL_argcheck(L, count >= 0, 2, "must not be negative");
    luaL_argcheck(L, limit >= 1, 3, "must be positive");
    struct task *task = task_check(L);

    struct parallel *p = mem_zalloc(sizeof(*p)); /* from here to the yield nothing may raise */
    p->wait.stop = on_stop;
    p->wait.each_task = each_child;
    p->count = count;
    p->limit = limit;
    p->turn.data = p;
    LIST_INIT(&p->children);
    uv_idle_init(task->vm->loop, &p->turn);
    uv_idle_start(&p->turn, on_turn);
    return task_wait(task, &p->wait); /* the loop owns p until on_closed */
}

static void on_turn(uv_idle_t *turn)
{
    uv_idle_stop(turn);
    advance(turn->data);
}

static void on_stop(struct wait *w, const char *why)
{
    struct parallel *p = (struct parallel *)w;

    p->is_ending = true;
    stop_children(p, why);
    advance(p);
}

static void each_child(struct wait *w, task_seen_fn fn, void *arg)
{
    struct parallel *p = (struct parallel *)w;

    for (struct child *c = LIST_FIRST(&p->children); c != NULL; c = LIST_NEXT(c, link)) {
        fn(&c->task, arg);
    }
}

/* Frees the child. */
static void on_child_done(struct task *task, enum task_result result, const char *error)
{
    struct child *c = (struct child *)task;
    struct parallel *p = c->parallel;
    bool ok = result == TASK_OK && task->nresults > 0 && lua_toboolean(task->co, -task->nresults);

    if (error != NULL && p->error == NULL) {
        p->error = mem_strdup(error);
    }
    LIST_REMOVE(c, link);
    p->alive--;
    free(c);
    /* A parent with a stop to come: the hook has ended this child for it. */
    const char *why = p->wait.task->stop_reason;
    if ((!ok || why != NULL) && !p->is_ending) {
        p->is_ending = true;
        stop_children(p, why != NULL ? why : CANCELLED);
    }
    advance(p);
}

/* May free p. */
static void advance(struct parallel *p)
{
    if (p->is_busy) {
        return;
    }
    p->is_busy = true;
    while (!p->is_ending && p->alive < p->limit && p->started < p->count) {
        start_child(p);
    }
    p->is_busy = false;
    if (p->alive == 0) {
        finish(p);
    }
}

/* The parent is suspended in bind_parallel, whose arguments are still there. */
static void start_child(struct parallel *p)
{
    struct task *parent = p->wait.task;
    struct child *c = mem_zalloc(sizeof(*c));

    c->parallel = p;
    LIST_INSERT_HEAD(&p->children, c, link);
    p->alive++;
    p->started++;
    task_init_child(&c->task, parent);
    lua_pushvalue(parent->co, BODY);
    lua_xmove(parent->co, c->task.co, 1);
    lua_pushinteger(c->task.co, p->started);
    task_start(&c->task, 1, on_child_done);
}

/* A stop ends one child at most, and none that comes later: each is over, or waits again. */
static void stop_children(struct parallel *p, const char *why)
{
    bool was_busy = p->is_busy;
    struct child *next;

    p->is_busy = true;
    for (struct child *c = LIST_FIRST(&p->children); c != NULL; c = next) {
        next = LIST_NEXT(c, link);
        task_stop(&c->task, why);
    }
    p->is_busy = was_busy;
}

static void finish(struct parallel *p)
{
    int nresults = 0;

    if (p->error != NULL) {
        lua_pushstring(p->wait.task->co, p->error);
        nresults = 1;
    }
    uv_close((uv_handle_t *)&p->turn, on_closed);
    task_wake(&p->wait, nresults);
}

static void on_closed(uv_handle_t *handle)
{
    struct parallel *p = handle->data;

    free(p->error);
    free(p);
}
