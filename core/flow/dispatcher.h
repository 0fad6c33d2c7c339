/*
 * dispatcher.h - holds claimed jobs, hands them to executors, turns what executors say into
 * settlements, and stops runs that must end.
 *
 * A stop asks first, by a frame and a signal (a waiting run may clean up, a computing one is ended by
 * a hook), and kills the executor a second later if the run is still there. Then the others that it
 * ran go back without a mark: it was not their fault.
 */
#ifndef CORE_FLOW_DISPATCHER_H
#define CORE_FLOW_DISPATCHER_H

#include <uv.h>

#include "core/flow/settler.h"
#include "core/job/job.h"
#include "core/job/kind.h"
#include "core/job/wire.h"

struct dispatcher;
struct executor;

/* The room core/pool, seen from here; app connects the two. */
struct executor_ops {
    /* The executor for the next run, or NULL; alone: one that gets no other run meanwhile. */
    struct executor *(*pick)(void *pool, bool alone);
    void (*run)(struct executor *e, const struct wire_run *run);
    void (*stop)(struct executor *e, uint32_t run, enum stop_reason reason);
    void (*kill)(struct executor *e);
    void (*add_load)(struct executor *e, int change);
    size_t (*load)(const struct executor *e);
    /* The run that computes right now, or PULSE_NO_RUN, and since when. */
    uint32_t (*computing)(const struct executor *e, uint64_t *since_us);
};

struct dispatcher *dispatcher_open(uv_loop_t *loop,
                                   size_t concurrency,
                                   struct settler *settler,
                                   const struct executor_ops *ops,
                                   void *pool);

void dispatcher_set_kinds(struct dispatcher *d, const struct kind_list *kinds); /* borrowed */

/* Jobs that may still be claimed: free slots, and about 100 ms of work ahead. */
size_t dispatcher_room(const struct dispatcher *d);

/* Takes job, in the order of its priority behind those that wait already. */
void dispatcher_add(struct dispatcher *d, struct job *job);

/* While held, nothing is started. */
void dispatcher_hold(struct dispatcher *d, bool hold);

/* Hands waiting jobs to executors while there are free slots. */
void dispatcher_run(struct dispatcher *d);

/* A started, log or outcome frame of e; -EBADMSG when it makes no sense. */
MUST_USE int dispatcher_told(struct dispatcher *d, struct executor *e, struct frame *f);

/* The job of a run that e may speak of, borrowed; NULL: it has none of that name. */
const struct job *dispatcher_job(const struct dispatcher *d,
                                 const struct executor *e,
                                 uint32_t run);

/* The running job of that id, borrowed, or NULL. */
const struct job *dispatcher_find(const struct dispatcher *d, int64_t job_id);

/* The kind of a job, or "?". Borrowed until the kinds change. */
const char *dispatcher_kind_name(const struct dispatcher *d, const struct job *j);

/* e is gone. culprit computed at that moment (or PULSE_NO_RUN); why is for people. */
void dispatcher_lost(struct dispatcher *d, struct executor *e, uint32_t culprit, const char *why);

/* Somebody cancelled a job; nothing happens if it is not here. */
void dispatcher_cancel(struct dispatcher *d, int64_t job_id);

/* Takes nothing on any more: what waits goes back, what runs may finish. */
void dispatcher_stop(struct dispatcher *d);

/* Ends all runs now; they go back without counting. */
void dispatcher_stop_runs(struct dispatcher *d);

size_t dispatcher_running(const struct dispatcher *d);
size_t dispatcher_waiting(const struct dispatcher *d);

/* Drops everything that is here: the worker was declared dead. Executors are killed. */
void dispatcher_forget(struct dispatcher *d);

/* Calls fn with each running job, borrowed. */
void dispatcher_each_run(const struct dispatcher *d,
                         void (*fn)(void *arg, const struct job *j, const struct kind *k),
                         void *arg);

void dispatcher_close(struct dispatcher *d);

#endif
