/*
 * claimer.h - takes jobs out of ready, as many as there is room for, and knows when to rest.
 *
 * It claims while the last claim was full or something said that there is work: a notification, the
 * next scheduled job, the poll, a retry of our own. A claim that comes back short after the worker has
 * fallen asleep in the database (sleeper.h) ends the round.
 */
#ifndef CORE_FLOW_CLAIMER_H
#define CORE_FLOW_CLAIMER_H

#include <uv.h>

#include "core/db/link.h"
#include "core/job/job.h"
#include "core/job/kind.h"

struct claimer;

struct claimer_options {
    uint64_t poll_interval_ms;
};

struct claimer_events {
    /* How many jobs may be claimed now; 0: none. */
    size_t (*room)(void *owner);
    /* One claimed job, in the order in which they should run. Takes job. */
    void (*claimed)(void *owner, struct job *job);
    /* A claim is answered and all its jobs, perhaps none, were told. */
    void (*batch)(void *owner);
    /* Nothing is due: the worker rests until it is woken. */
    void (*resting)(void *owner);
    /* A lane was made that is perhaps ours: ask the database, then claimer_set_lanes(). */
    void (*lanes_changed)(void *owner);
};

/* leases is borrowed: the worker's list, which grows here. */
struct claimer *claimer_open(uv_loop_t *loop,
                             struct link *work,
                             struct link *upkeep,
                             const struct claimer_options *options,
                             struct lease_list *leases);
void claimer_set_events(struct claimer *c, const struct claimer_events *events, void *owner);

/* A new identity: lease numbers start at 1. */
void claimer_set_worker(struct claimer *c, int64_t worker_id);

/* The lanes of a worker that is registered and holds its lock. */
void claimer_set_lanes(struct claimer *c, const int32_t *lanes, size_t count);
void claimer_set_kinds(struct claimer *c,
                       const struct kind_list *kinds); /* borrowed until the next */

/* Looks whether to claim now; call when there is room again. */
void claimer_poke(struct claimer *c);

/* What a notification on channel jobq said: 'lane ID' or 'lanes'. */
void claimer_notified(struct claimer *c, const char *body);

/* Something of ours is due in delay_ms. */
void claimer_due_in(struct claimer *c, uint64_t delay_ms);

/* The work connection is back: asks what a claim took whose reply was lost, then goes on. */
void claimer_work_up(struct claimer *c);

/* The upkeep connection is gone, and with it the ear for notifications. */
void claimer_upkeep_down(struct claimer *c);

/* No claim any more, but an answer that is still to come is taken. */
void claimer_stop(struct claimer *c);

/* True while a claim was sent and not yet answered (or its fate not yet asked). */
bool claimer_is_asking(const struct claimer *c);

/* Lease numbers from here on are not known to be ours yet: the first of the claim in flight. */
int64_t claimer_below(const struct claimer *c);

void claimer_close(struct claimer *c);

#endif
