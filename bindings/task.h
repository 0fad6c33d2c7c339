/*
 * task.h - one handler run: a coroutine and what it waits for.
 *
 * States: READY -> RUNNING -> (WAITING -> RUNNING)* -> DONE. Only task.c changes them.
 *
 * Stopping a run takes three steps, each for what the one before cannot reach:
 *   task_stop()     the run waits: its wait raises, so it may clean up and even wait again
 *   task_listen()   the run computes: a signal sets a hook that ends it, past any pcall
 *   SIGKILL         the run sits in a C call or in __gc: the supervisor ends this process
 *
 * A task may have children (jobq.parallel): it waits for them, so that they end before it does. They
 * are charged to its account, and a stop is passed on to them.
 */
#ifndef BINDINGS_TASK_H
#define BINDINGS_TASK_H

#include <stdbool.h>
#include <sys/queue.h>

#include <lua.h>

#include "bindings/vm.h"

enum task_state {
    TASK_READY,
    TASK_RUNNING,
    TASK_WAITING,
    TASK_DONE,
};

enum task_result {
    TASK_OK,      /* its results are on co */
    TASK_FAILED,  /* it raised, or yielded without a wait */
    TASK_STOPPED, /* a stop ended it */
    TASK_LEFT,    /* it asked to end where it was */
};

/* error is borrowed and NULL for TASK_OK and TASK_LEFT; co is valid until the callback returns. May free t. */
typedef void (*task_done_fn)(struct task *t, enum task_result result, const char *error);

typedef void (*task_seen_fn)(struct task *t, void *arg);

/*
 * Something a task waits for. Embed it first in the struct of a waiting binding. A stop calls one of
 * these: cancel, or stop where what is waited for has to come to an end of its own.
 */
struct wait {
    struct task *task;
    void (*cancel)(struct wait *w); /* stops and frees the operation without resuming the task */
    void (*stop)(struct wait *w, const char *why); /* makes it wake the task soon, perhaps inside */
    /* Calls fn with each task that is waited for; NULL where it is none. */
    void (*each_task)(struct wait *w, task_seen_fn fn, void *arg);
};

/* What a run may not leave open, whether Lua has collected it or not. Embed it. */
struct hold {
    void (*release)(struct hold *h); /* the run is over; must call task_let_go() */
    LIST_ENTRY(hold) link;
};

struct task {
    enum task_state state;
    struct vm *vm;           /* borrowed */
    struct task *parent;     /* who waits for it; NULL for a run */
    lua_State *co;           /* its coroutine, lent by vm */
    uint32_t number;         /* of co in vm */
    uint32_t account;        /* of memory: of the run that it is, or is a part of */
    uint32_t name;           /* what vm->pulse says while it computes */
    uint64_t deadline_us;    /* clock_now_us() when it is stopped; 0: never */
    uint64_t resumed_us;     /* when it last got the processor */
    struct wait *wait;       /* what it waits for; NULL unless WAITING */
    int nresults;            /* values on top of co: of the wait that just ended, or of the task */
    const char *stop_reason; /* borrowed; set while a stop is asked for and not yet delivered */
    bool stopped;            /* a stop was delivered: whatever comes now is its result */
    bool is_leaving;         /* its next yield is its end */
    bool is_cut;             /* of a run: nothing of it runs any more */
    task_done_fn done;
    LIST_HEAD(, hold) holds; /* of a run; its children's are here too */
};

/* Lends t a coroutine, t->co, that may hold limit bytes. Push a function and its arguments... */
void task_init(struct task *t, struct vm *vm, int64_t limit);

/* The same of a part of parent, which must not end before it. */
void task_init_child(struct task *t, struct task *parent);

/* ...and start it. The result arrives through done(), perhaps before this returns. */
void task_start(struct task *t, int nargs, task_done_fn done);

/*
 * Asks a run to end; why must outlive it. No-op when it is over. Inside another run (from a hook)
 * a waiting task is only marked: call again from the loop.
 */
void task_stop(struct task *t, const char *why);

/* Makes signum set the hook in vm. One VM a process. */
void task_listen(struct vm *vm, int signum);

/* For bindings: a C function returns task_wait(t, &op->wait) to suspend its handler... */
int task_wait(struct task *t, struct wait *w);

/* ...and the operation's last callback wakes it, with nresults values pushed on t->co. */
void task_wake(struct wait *w, int nresults);

/*
 * For bindings: a C function returns task_leave(t) to end its run right here, past any pcall of the
 * handler; what it has to close is closed. Not for a task that has a parent.
 */
int task_leave(struct task *t);

/*
 * The same as if the process were killed: nothing of the run executes any more, neither what it has
 * to close nor its other tasks. For specs.
 */
int task_cut(struct task *t);

/* The task whose handler is calling. Raises anywhere else, and where the handler cannot yield. */
struct task *task_check(lua_State *L);

/* h is released when t's run ends, unless it was let go before. */
void task_hold(struct task *t, struct hold *h);
void task_let_go(struct hold *h);

/* The run that computes right now, whichever of its tasks does it; NULL if none. */
struct task *task_running_root(const struct vm *vm);

/* coroutine.resume and coroutine.close for handlers: as usual, and vm->innermost stays true. */
int bind_resume(lua_State *L);
int bind_close(lua_State *L);

/* True for a frame of jobq itself; ar needs "S". Handlers should see their own frames only. */
bool task_is_own_code(const lua_Debug *ar);

#endif
