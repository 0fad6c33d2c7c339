/*
 * task.c - resumes handler coroutines and decides what a yield, an error and a stop mean.
 *
 * The VM's allocator refuses memory only inside lua_resume (a run above its own limit), so the Lua
 * calls made from here, outside of it, do not raise.
 */
#include "bindings/task.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

#include "bindings/trace.h"

static void mark_up_to(struct task *running, const struct task *t, const char *why);
static struct task *root_of(struct task *t);
static void resume(struct task *t, int nargs);
static void enter(struct task *t);
static void leave(struct task *t);
static int on_woken(lua_State *L, int status, lua_KContext context);
static void on_signal(int signum);
static void on_hook(lua_State *L, lua_Debug *ar);
static void yielded(struct task *t, int nresults);
static void failed(struct task *t);
static void finish(struct task *t, enum task_result result, const char *error);
static void close_variables(struct task *t);

static struct vm *signalled_vm; /* a signal handler has no other way to find it */

void task_init(struct task *t, struct vm *vm, int64_t limit)
{
    t->state = TASK_READY;
    t->vm = vm;
    t->parent = NULL;
    t->is_leaving = false;
    t->is_cut = false;
    LIST_INIT(&t->holds);
    t->number = vm_take_coroutine(vm, limit);
    t->account = t->number;
    t->co = vm->coroutines[t->number];
}

void task_init_child(struct task *t, struct task *parent)
{
    task_init(t, parent->vm, 0); /* its own account stays empty */
    t->parent = parent;
    t->account = parent->account;
    t->name = parent->name;
}

void task_start(struct task *t, int nargs, task_done_fn done)
{
    t->done = done;
    resume(t, nargs);
}

void task_stop(struct task *t, const char *why)
{
    struct task *running = t->vm->running;

    if (t->state == TASK_DONE) {
        return;
    }
    t->stop_reason = why;
    if (running != NULL) {
        mark_up_to(running, t, why);
    } else if (t->state == TASK_WAITING && t->wait->stop != NULL) {
        t->wait->stop(t->wait, why);
    } else if (t->state == TASK_WAITING) {
        struct wait *w = t->wait;
        t->wait = NULL;
        w->cancel(w);
        resume(t, 0); /* on_woken raises */
    }
}

/* When t waits for the task that computes: that one and all in between end first. */
static void mark_up_to(struct task *running, const struct task *t, const char *why)
{
    struct task *up = running;

    while (up != NULL && up != t) {
        up = up->parent;
    }
    for (; up == t && running != t; running = running->parent) {
        running->stop_reason = why;
    }
}

void task_listen(struct vm *vm, int signum)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    signalled_vm = vm;
    sigaction(signum, &action, NULL);
}

int task_wait(struct task *t, struct wait *w)
{
    assert(t->wait == NULL);
    w->task = t;
    t->wait = w;
    return lua_yieldk(t->co, 0, 0, on_woken);
}

void task_wake(struct wait *w, int nresults)
{
    struct task *t = w->task;

    assert(t->state == TASK_WAITING && t->wait == w);
    t->wait = NULL;
    t->nresults = nresults;
    resume(t, nresults);
}

int task_leave(struct task *t)
{
    assert(t->wait == NULL && t->parent == NULL);
    t->is_leaving = true;
    return lua_yield(t->co, 0);
}

struct task *task_check(lua_State *L)
{
    struct task *t = vm_of(L)->running;

    if (t == NULL || t->co != L || !lua_isyieldable(L)) {
        trace_push_place(L);
        const char *place = lua_tostring(L, -1);
        trace_push_function_name(L);
        lua_pushfstring(
            L,
            t == NULL ? "%s%s can only wait inside run"
                      : "%s%s can only wait inside run itself, not in a coroutine or callback",
            place,
            lua_tostring(L, -1));
        lua_error(L);
    }
    return t;
}

static struct task *root_of(struct task *t)
{
    while (t->parent != NULL) {
        t = t->parent;
    }
    return t;
}

int task_cut(struct task *t)
{
    assert(t->wait == NULL);
    root_of(t)->is_cut = true;
    return lua_yield(t->co, 0);
}

struct task *task_running_root(const struct vm *vm)
{
    return vm->running == NULL ? NULL : root_of(vm->running);
}

void task_hold(struct task *t, struct hold *h)
{
    LIST_INSERT_HEAD(&root_of(t)->holds, h, link);
}

void task_let_go(struct hold *h)
{
    LIST_REMOVE(h, link);
}

bool task_is_own_code(const lua_Debug *ar)
{
    return strncmp(ar->source, "=jobq", 5) == 0;
}

static void resume(struct task *t, int nargs)
{
    struct vm *vm = t->vm;
    uint64_t now_us = clock_now_us();
    int nresults = 0;

    if (root_of(t)->is_cut) {
        finish(t, TASK_LEFT, NULL);
        return;
    }
    if (vm->before_resume != NULL) {
        vm->before_resume(vm, now_us);
    }
    atomic_store_explicit(&vm->pulse->since_us, now_us, memory_order_relaxed);
    vm->refused_at[0] = 0;
    t->resumed_us = now_us;
    atomic_store_explicit(&vm->pulse->line, 0, memory_order_relaxed);
    if (t->state == TASK_WAITING) {
        trace_note_place(vm->pulse, t->co);
    }
    enter(t);
    int status = lua_resume(t->co, vm->L, nargs, &nresults);
    leave(t);

    switch (status) {
    case LUA_OK:
        t->nresults = nresults;
        finish(t, TASK_OK, NULL);
        break;
    case LUA_YIELD: yielded(t, nresults); break;
    default: failed(t); break;
    }
}

static void enter(struct task *t)
{
    struct vm *vm = t->vm;

    t->state = TASK_RUNNING;
    vm->innermost = t->co;
    vm->running = t;
    vm->memory.payer = t->account;
    atomic_store_explicit(&vm->pulse->run, t->name, memory_order_release);
}

static void leave(struct task *t)
{
    struct vm *vm = t->vm;

    vm->running = NULL;
    vm->memory.payer = MEMORY_NOBODY;
    atomic_store_explicit(&vm->pulse->run, PULSE_NO_RUN, memory_order_release);
    atomic_store_explicit(&vm->pulse->lua_bytes, (uint64_t)vm->memory.bytes, memory_order_relaxed);
}

/* Runs inside the handler's call, as the second half of the function that returned task_wait(). */
static int on_woken(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    struct task *t = vm_of(L)->running;
    const char *why = t->stop_reason;

    if (why != NULL) {
        t->stop_reason = NULL; /* delivered: what the handler does to clean up may wait again */
        t->stopped = true;
        lua_pushcfunction(L, bind_raise);
        lua_pushstring(L, why);
        lua_call(L, 1, 0);
    }
    return t->nresults;
}

/* A task waits for one thing; a yield without one leaves, or came from the hook or the handler. */
static void yielded(struct task *t, int nresults)
{
    lua_pop(t->co, nresults);
    if (t->wait != NULL) {
        t->state = TASK_WAITING;
        return;
    }
    if (root_of(t)->is_cut || (t->is_leaving && t->stop_reason == NULL)) {
        finish(t, TASK_LEFT, NULL);
        return;
    }
    struct buffer error = {0};
    enum task_result result = t->stop_reason != NULL ? TASK_STOPPED : TASK_FAILED;
    trace_add_place(&error, t->co);
    buffer_add_text(&error,
                    result == TASK_STOPPED ? t->stop_reason
                                           : "coroutine.yield outside of a coroutine of its own\n"
                                             "hint: to let other jobs run, call jobq.sleep(0)");
    trace_add_stack(&error, t->co, 0);
    finish(t, result, buffer_text(&error));
    buffer_fini(&error);
}

/* lua_sethook is one of the few calls that Lua allows from a signal handler, on Lua's own thread. */
static void on_signal(int signum)
{
    struct vm *vm = signalled_vm;

    if (!pthread_equal(pthread_self(), vm->thread)) {
        pthread_kill(vm->thread, signum);
    } else if (vm->running != NULL) {
        lua_sethook(vm->innermost, on_hook, LUA_MASKCOUNT, 1);
    }
}

/*
 * The signal only says that there is mail; the hook reads it, in the open. A yield cannot be
 * swallowed by the handler's pcall, an error can; but inside a C callback that cannot yield
 * (table.sort, string.gsub) raising is all that is left. The hook stays on with a count of 1, so a
 * pcall around it gains nothing.
 */
static void on_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct vm *vm = vm_of(L);

    lua_sethook(L,
                NULL,
                0,
                0); /* first: a signal that comes while the mail is read sets it again */
    trace_note_place(vm->pulse, L);
    vm->read_mail(vm);
    if (vm->running == NULL || vm->running->stop_reason == NULL) {
        return;
    }
    lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
    if (lua_isyieldable(L)) {
        lua_yield(L, 0);
    } else {
        luaL_error(L, "%s", vm->running->stop_reason);
    }
}

/* The error is on top of co: a text from the runner, or from Lua itself when memory is short. */
static void failed(struct task *t)
{
    bool was_stopped = t->stopped || t->stop_reason != NULL;
    size_t size = 0;
    const char *message = lua_type(t->co, -1) == LUA_TSTRING ? lua_tolstring(t->co, -1, &size) : "";
    char *error = mem_copy(message, size); /* closing its variables empties co */

    finish(t, was_stopped ? TASK_STOPPED : TASK_FAILED, error);
    free(error);
}

/* done() may free t, and with it nothing that is needed here afterwards. */
static void finish(struct task *t, enum task_result result, const char *error)
{
    struct vm *vm = t->vm;
    lua_State *co = t->co;
    uint32_t number = t->number;

    if (result != TASK_OK && !root_of(t)->is_cut) {
        close_variables(t);
    }
    if (lua_gethook(co) != NULL) {
        lua_sethook(co, NULL, 0, 0);
    }
    while (!LIST_EMPTY(&t->holds)) {
        struct hold *h = LIST_FIRST(&t->holds);
        h->release(h);
    }
    t->state = TASK_DONE;
    t->done(t, result, error);
    vm_give_coroutine(vm, number, result == TASK_OK);
}

/* What the handler left open is closed by its own code, which a signal must reach as well. */
static void close_variables(struct task *t)
{
    t->stop_reason = NULL;
    enter(t);
    lua_resetthread(t->co);
    leave(t);
}

static bool is_stopping(const struct vm *vm)
{
    return vm->running != NULL && vm->running->stop_reason != NULL;
}

/* The hook has ended a coroutine of L: L is next. */
static int pass_stop_on(lua_State *L)
{
    lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
    return lua_isyieldable(L) ? lua_yield(L, 0)
                              : luaL_error(L, "%s", vm_of(L)->running->stop_reason);
}

/* co, ... -> true, results of co | false, error */
int bind_resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co != NULL, 1, "coroutine");
    struct vm *vm = vm_of(L);
    int nargs = lua_gettop(L) - 1;
    int nresults = 0;

    if (!lua_checkstack(co, nargs)) {
        return luaL_error(L, "too many arguments to resume");
    }
    lua_xmove(L, co, nargs);
    vm->innermost = co;
    int status = lua_resume(co, L, nargs, &nresults);
    vm->innermost = L;
    if (is_stopping(vm)) {
        return pass_stop_on(L);
    }
    bool ok = status == LUA_OK || status == LUA_YIELD;
    nresults = ok ? nresults : 1; /* or the error value */
    luaL_checkstack(L, nresults + 1, "too many results to resume");
    lua_pushboolean(L, ok);
    lua_xmove(co, L, nresults);
    return nresults + 1;
}

/* co -> true | false, error */
int bind_close(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co != NULL, 1, "coroutine");
    struct vm *vm = vm_of(L);
    lua_Debug ar;

    if (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar) != 0) {
        return luaL_error(L, "cannot close a coroutine that runs");
    }
    vm->innermost = co;
    int status = lua_resetthread(co);
    vm->innermost = L;
    if (is_stopping(vm)) {
        return pass_stop_on(L);
    }
    lua_pushboolean(L, status == LUA_OK);
    if (status == LUA_OK) {
        return 1;
    }
    lua_xmove(co, L, 1); /* the error */
    return 2;
}
