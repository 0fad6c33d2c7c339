/* offload.c - the stop of a run and the end of its work may come in either order. */
#include "bindings/offload.h"

#include <assert.h>

#include <lauxlib.h>

static void on_work(uv_work_t *work);
static void on_done(uv_work_t *work, int status);
static void on_cancel(struct wait *w);

int offload_start(lua_State *L, struct offload *o, const struct offload_steps *steps)
{
    struct task *task = vm_of(L)->running;

    o->steps = steps;
    o->wait.cancel = on_cancel;
    o->work.data = o;
    int status = uv_queue_work(task->vm->loop, &o->work, on_work, on_done);
    assert(status == 0); /* it only fails without a work function */
    (void)status;
    return task_wait(task, &o->wait); /* the loop owns o until on_done */
}

bool offload_dropped(struct offload *o)
{
    return atomic_load_explicit(&o->dropped, memory_order_relaxed);
}

static void on_work(uv_work_t *work)
{
    struct offload *o = work->data;

    if (!offload_dropped(o)) {
        o->steps->work(o);
    }
}

/* push() leaves nothing large behind: finish() has to wait until the run waits again, or is over. */
static void on_done(uv_work_t *work, int status)
{
    struct offload *o = work->data;
    (void)status;

    if (!offload_dropped(o)) {
        task_wake(&o->wait, o->steps->push(o, o->wait.task->co));
    }
    o->steps->finish(o);
}

static void on_cancel(struct wait *w)
{
    struct offload *o = (struct offload *)w;

    atomic_store_explicit(&o->dropped, true, memory_order_relaxed);
    (void)uv_cancel((uv_req_t *)&o->work); /* if it has not begun; on_done comes in any case */
}

int push_failure(lua_State *L, const char *message, const char *code)
{
    luaL_pushfail(L);
    lua_pushstring(L, message);
    lua_pushstring(L, code);
    return 3;
}

int push_errno(lua_State *L, const char *subject, int error)
{
    luaL_pushfail(L);
    if (subject == NULL) {
        lua_pushstring(L, uv_strerror(error));
    } else {
        lua_pushfstring(L, "%s: %s", subject, uv_strerror(error));
    }
    lua_pushstring(L, uv_err_name(error));
    return 3;
}
