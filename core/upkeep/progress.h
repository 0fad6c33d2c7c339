/*
 * progress.h - how far runs are, for people who look: the last word of each, told to the database once a
 * second. It may be lost at any time, and nothing waits for it.
 */
#ifndef CORE_UPKEEP_PROGRESS_H
#define CORE_UPKEEP_PROGRESS_H

#include <uv.h>

#include "core/db/link.h"
#include "core/job/job.h"
#include "core/job/wire.h"

struct progress;

/* For so many runs at a time. */
struct progress *progress_open(uv_loop_t *loop, struct link *upkeep, size_t runs);

/* The id under which leases are held from now on; 0: none. Forgets what was noted. */
void progress_set_worker(struct progress *p, int64_t worker_id);

/* The last word of a running job. A fraction that is none is passed over. */
void progress_note(struct progress *p, const struct job *j, const struct wire_progress *m);

void progress_close(struct progress *p);

#endif
