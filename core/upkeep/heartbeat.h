/*
 * heartbeat.h - tells the database that the worker lives and what it has done, hears of jobs that were
 * cancelled, and gives back leases that the worker does not know.
 */
#ifndef CORE_UPKEEP_HEARTBEAT_H
#define CORE_UPKEEP_HEARTBEAT_H

#include <uv.h>

#include "core/db/link.h"
#include "core/job/job.h"

struct heartbeat;

/* What the row of the worker says. */
struct heartbeat_counts {
    int64_t succeeded;
    int64_t failed;
    int32_t running;
};

struct heartbeat_events {
    struct heartbeat_counts (*counts)(void *owner);
    /* Leases that are known: all below this number that are not in the list are strangers. */
    int64_t (*below)(void *owner);
    void (*cancelled)(void *owner, int64_t job_id);
    /* There is no living worker of our id: others have our jobs by now. */
    void (*declared_dead)(void *owner);
};

/* leases is borrowed: the worker's list. */
struct heartbeat *heartbeat_open(uv_loop_t *loop,
                                 struct link *upkeep,
                                 uint64_t interval_ms,
                                 const struct lease_list *leases);
void heartbeat_set_events(struct heartbeat *h, const struct heartbeat_events *events, void *owner);

/* Beats at once, then at the interval. 0: stops beating. */
void heartbeat_set_worker(struct heartbeat *h, int64_t worker_id);

/* One beat now, e.g. after a reconnect or before the end. */
void heartbeat_beat(struct heartbeat *h);

/* clock_now_ms() of the last beat that was answered; 0: none was. */
uint64_t heartbeat_answered_ms(const struct heartbeat *h);

void heartbeat_close(struct heartbeat *h);

#endif
