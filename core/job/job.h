/*
 * job.h - a claimed job in the memory of its worker, and the lease that it came in.
 *
 *   claimed --> waiting --> running --> settling --> (freed, and the lease after its last job)
 *                  |                       ^
 *                  +---- returned ---------+
 *
 * The claimer makes it, the dispatcher holds it while it waits and runs, the settler takes it.
 */
#ifndef CORE_JOB_JOB_H
#define CORE_JOB_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/job/outcome.h"

/* One row of jobq.lease. Known to its worker until every job was settled or refused. */
struct lease {
    int64_t seq;
    size_t open;        /* jobs not yet settled */
    struct lease *prev; /* in the worker's list of leases */
    struct lease *next;
};

struct job {
    /* from the database */
    int64_t id;
    int16_t slot; /* in its lease, from 1 */
    int32_t kind_id;
    int32_t lane_id;
    uint32_t priority;
    uint32_t attempt;      /* the number of this run, from 1 */
    uint32_t max_attempts; /* 0: as its kind says */
    double timeout_s;      /* 0: as its kind says */
    int64_t run_at_us;     /* Unix time */
    int64_t created_us;
    uint64_t expires_us; /* clock_now_us() before which it has to begin; 0: none */
    bool cancelled;      /* somebody asked for it */
    bool suspect;        /* its worker died while it may have run; runs in a lease of its own */
    struct slice args;
    struct slice meta; /* JSON, or empty */

    /* bookkeeping */
    struct lease *lease;
    struct job *next;             /* in the queue that holds it */
    uint32_t run;                 /* while it runs: its name towards the executor */
    void *executor;               /* while it runs: where; borrowed */
    uint64_t sent_us;             /* clock_now_us() when it went to the executor */
    uint64_t started_us;          /* when the executor began; 0: not known to have begun */
    uint64_t stop_asked_us;       /* when a stop was asked for; 0: never */
    enum stop_reason stop_reason; /* the first reason stays */
    char bytes[];                 /* args and meta */
};

/* A job with room for args and meta, which are copied in. Owned by the caller until job_free(). */
struct job *job_new(struct slice args, struct slice meta);
void job_free(struct job *j);

/* <0, 0, >0: the order in which waiting jobs run. */
int job_compare(const struct job *a, const struct job *b);

/* Whether it is too late to begin it. */
bool job_has_expired(const struct job *j, uint64_t now_us);

/* The leases of a worker, oldest first. All zero is valid and empty. */
struct lease_list {
    struct lease *first;
    struct lease *last;
    size_t count;
};

/* A lease with no open job yet, at the end of the list, which owns it. */
struct lease *lease_add(struct lease_list *list, int64_t seq);

/* One job of it is settled; the last one frees it. */
void lease_settle(struct lease_list *list, struct lease *l);

/* Frees all leases; their jobs must be gone. */
void lease_list_fini(struct lease_list *list);

#endif
