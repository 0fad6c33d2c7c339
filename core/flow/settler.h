/*
 * settler.h - brings outcomes and log lines to the database, in batches.
 *
 * One flush is in flight at a time; what comes meanwhile goes with the next one, so a flush holds one
 * outcome when the worker is quiet and hundreds under load. A flush is one durable transaction. It is
 * repeated until it was answered: settling twice writes once. An outcome that PostgreSQL rejects is
 * found by halving and ends as a failed job; its neighbours do not notice.
 */
#ifndef CORE_FLOW_SETTLER_H
#define CORE_FLOW_SETTLER_H

#include <uv.h>

#include "core/db/link.h"
#include "core/job/job.h"
#include "core/job/outcome.h"

struct settler;

struct settler_events {
    /* Jobs went back to ready; the earliest is due in delay_ms. */
    void (*returned)(void *owner, uint64_t delay_ms);
    /* A flush was answered: a moment to look whether anything is left. */
    void (*flushed)(void *owner);
};

/* What became of a run. Slices are copied. */
struct settlement {
    enum outcome outcome;
    int64_t ran_us;
    int64_t delay_ms;    /* retry, snooze, crash */
    struct slice error;  /* clean UTF-8, or empty */
    struct slice result; /* JSON, or empty */
};

/* A line for jobq.job_log. Slices are copied. */
struct log_line {
    int64_t job_id;
    uint32_t attempt;
    int64_t at_us; /* clock_now_us() */
    uint8_t level;
    struct slice message;
    struct slice fields; /* JSON, or empty */
};

/* Since the worker started; runs that went back without counting are in none of them. */
struct settler_counts {
    int64_t succeeded;
    int64_t failed;  /* runs, also those that will be tried again */
    int64_t refused; /* outcomes of jobs that were no longer ours */
};

/* leases is borrowed: the worker's list, which shrinks here. */
struct settler *settler_open(uv_loop_t *loop,
                             struct link *work,
                             struct lease_list *leases,
                             const struct settler_events *events,
                             void *owner);

/* The id under which leases are held from now on. */
void settler_set_worker(struct settler *s, int64_t worker_id);

int64_t settler_worker(const struct settler *s);

/* Takes a job that a transaction of its handler has completed: nothing is left to be told. */
void settler_forgo(struct settler *s, struct job *job);

/* Takes job, which is freed once the database has the outcome. */
void settler_add(struct settler *s, struct job *job, const struct settlement *what);

void settler_log(struct settler *s, const struct log_line *line);

/* Sends what has gathered, unless a flush is in flight; then it follows. */
void settler_flush(struct settler *s);

/* True when nothing waits to be told or answered. */
bool settler_is_empty(const struct settler *s);

struct settler_counts settler_counts(const struct settler *s);

/* Drops everything that waits: the worker was declared dead, so none of it is ours any more. */
void settler_forget(struct settler *s);

/* Frees all; what was not told is left to recovery. */
void settler_close(struct settler *s);

#endif
