/*
 * runs.h - the jobs that an executor runs at this moment.
 *
 *   run frame --> queued --> running <-> waiting --> outcome frame
 *                    |                      |
 *   stop frame ------+----------------------+
 *
 * Frames only queue and mark; runs_act() does it, from the loop, never inside a run.
 */
#ifndef BINDINGS_RUNS_H
#define BINDINGS_RUNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <lua.h>

#include "core/base/channel.h"
#include "core/base/mem.h"
#include "core/job/wire.h"

#include "bindings/handlers.h"
#include "bindings/run_progress.h"
#include "bindings/task.h"

struct runs;

TAILQ_HEAD(run_list, run);

/* What became of the job in a transaction of the handler's own. */
enum run_fate {
    FATE_OPEN,    /* it is for the outcome to say */
    FATE_SETTLED, /* completed there */
    FATE_UNKNOWN, /* the COMMIT went out, and no answer came back */
};

struct run {
    struct task task; /* first member */
    struct runs *runs;
    const struct handler *handler;
    struct wire_run job; /* its slices point into bytes; args into args */
    char *args;          /* owned; NULL once decoded */
    char *stop_text;     /* owned; what the handler is told; NULL unless a stop was asked for */
    uint64_t started_us;
    uint32_t lines;                /* of its log */
    struct run_progress *progress; /* owned; NULL until it tells some */
    enum run_fate fate;
    int memo;                   /* of its steps, in the registry; 0: it has none */
    double park_s;              /* when it left to come back: after so long at most */
    bool is_told;               /* the supervisor knows that it runs */
    bool is_stopping;           /* in runs->stopping */
    TAILQ_ENTRY(run) link;      /* in queued, then in untold until it is told */
    TAILQ_ENTRY(run) stop_link; /* in stopping */
    char bytes[];
};

struct runs {
    void (*emptied)(struct runs *rs); /* the last run is over */
    struct vm *vm;                    /* borrowed */
    struct channel *channel;          /* borrowed */
    const struct handlers *handlers;  /* borrowed */
    struct run **by_name;             /* owned: wire_run.run -> run or NULL */
    uint32_t names;
    size_t count;
    uint64_t now_us;          /* when a run last started or ended */
    struct run_list queued;   /* not started */
    struct run_list untold;   /* started, the supervisor does not know */
    struct run_list stopping; /* to be stopped at the next runs_act() */
    struct progress_teller teller;
};

void runs_init(struct runs *rs,
               struct vm *vm,
               struct channel *channel,
               const struct handlers *handlers);

/* Before the loop is closed, and after. */
void runs_close(struct runs *rs);
void runs_fini(struct runs *rs);

/* Takes in a frame; -EBADMSG when it makes no sense. Callable inside a run. */
MUST_USE int runs_add(struct runs *rs, const struct wire_run *m);
MUST_USE int runs_stop(struct runs *rs, const struct wire_stop *m);

/* Answers at once, also inside a run. */
void runs_look(struct runs *rs, const struct wire_look *m);

/* Does what the frames asked for; true if it is not done yet. Only from the loop. */
MUST_USE bool runs_act(struct runs *rs);

/* Puts a started frame for each run that the supervisor does not know to run. */
void runs_tell_started(struct runs *rs);

/* The run whose handler is calling; raises anywhere else. */
struct run *run_check(lua_State *L);

/* -> job, with id, attempt and decoded args; the rest comes on demand. */
int bind_run_begin(lua_State *L);

/* value -> true, or nil, message: keeps the value's JSON as the result of this run. */
int bind_run_keep_result(lua_State *L);

/* name -> value of that field of the job, or nothing */
int bind_run_field(lua_State *L);

#endif
