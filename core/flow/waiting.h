/*
 * waiting.h - claimed jobs that have not started: a line a priority, and one for suspects, which need an
 * executor of their own and must not hold up the others.
 */
#ifndef CORE_FLOW_WAITING_H
#define CORE_FLOW_WAITING_H

#include "core/job/job.h"

#define WAITING_PRIORITIES 10u

struct waiting_line {
    struct job *first; /* linked by job.next */
    struct job *last;
};

/* All zero is valid and empty. Owns its jobs. */
struct waiting {
    struct waiting_line lines[WAITING_PRIORITIES]; /* 0 runs first */
    struct waiting_line apart;                     /* suspects */
    size_t count;                                  /* of all lines */
};

/* Takes job, behind those of its priority. */
void waiting_add(struct waiting *w, struct job *job);

/* The first job of a line that is not empty. Owned by the caller. */
struct job *waiting_take(struct waiting *w, struct waiting_line *line);

/* The next of all, suspects first; NULL if none waits. Owned by the caller. */
struct job *waiting_pop(struct waiting *w);

/* Marks a job as cancelled, if it is here. */
void waiting_cancel(struct waiting *w, int64_t job_id);

/* When the job that has waited longest came (its sent_us); UINT64_MAX if none waits. */
uint64_t waiting_since_us(const struct waiting *w);

#endif
