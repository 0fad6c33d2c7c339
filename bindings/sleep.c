/* sleep.c - a timer, and the task that it wakes. */
#include "bindings/sleep.h"

#include <math.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <uv.h>

#include "core/base/mem.h"

#include "bindings/task.h"

/* A hundred years: what is longer is a mistake, and would overflow the timer. */
#define LONGEST_SLEEP_S 3.2e9

struct sleep {
    struct wait wait; /* first member */
    uv_timer_t timer;
};

static uint64_t lateness_ms(const uv_loop_t *loop);
static void on_timer(uv_timer_t *timer);
static void on_cancel(struct wait *w);
static void on_closed(uv_handle_t *handle);

int bind_sleep(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, seconds >= 0, 1, "must not be negative");
    luaL_argcheck(L, seconds < LONGEST_SLEEP_S, 1, "is more than a hundred years");
    struct task *task = task_check(L);
    uv_loop_t *loop = task->vm->loop;

    struct sleep *s = mem_zalloc(sizeof(*s)); /* from here to the yield nothing may raise */
    s->wait.cancel = on_cancel;
    s->timer.data = s;
    uv_timer_init(loop, &s->timer);
    uv_timer_start(&s->timer, on_timer, lateness_ms(loop) + (uint64_t)ceil(seconds * 1000), 0);
    return task_wait(task, &s->wait); /* the loop owns s until on_closed */
}

/*
 * How long ago the loop last looked at the clock: the run may have computed since. Setting the loop's
 * clock instead would make timers due that its present round does not have yet, without an end to it:
 * it would never come to read mail.
 */
static uint64_t lateness_ms(const uv_loop_t *loop)
{
    uint64_t now_ms = uv_hrtime() / 1000000;

    return now_ms > uv_now(loop) ? now_ms - uv_now(loop) : 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct sleep *s = timer->data;

    uv_close((uv_handle_t *)timer, on_closed);
    task_wake(&s->wait, 0);
}

static void on_cancel(struct wait *w)
{
    struct sleep *s = (struct sleep *)w;

    uv_close((uv_handle_t *)&s->timer, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
