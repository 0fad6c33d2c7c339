/*
 * sleeper.h - the protocol by which a worker may stop looking for jobs and still miss none.
 *
 *   AWAKE --fall_asleep--> ROWS --mark--> MARKED --may_sleep: true--> ASLEEP
 *     ^                                     |  false: again after a pause  |
 *     +------- withdraw, new lanes, upkeep connection lost ----------------+
 *
 * While it is ASLEEP every enqueue into one of the lanes notifies, so a claim that was sent after that
 * and came back short has seen everything that nobody will tell. sql/queries/fall_asleep.sql and
 * may_sleep.sql say why it is exact.
 */
#ifndef CORE_FLOW_SLEEPER_H
#define CORE_FLOW_SLEEPER_H

#include <uv.h>

#include "core/db/link.h"
#include "core/flow/levels.h"

struct sleeper;

/* The worker fell asleep: one more claim, then it may rest. */
typedef void (*sleeper_asleep_fn)(void *owner);

struct sleeper *sleeper_open(uv_loop_t *loop,
                             struct link *upkeep,
                             sleeper_asleep_fn asleep,
                             void *owner);

/*
 * The worker that holds its lock on this upkeep connection, or 0: awake, and nothing is asked of the
 * database. Whoever holds the lock is the last: no earlier session of his can undo his sleep any more.
 */
void sleeper_set_worker(struct sleeper *s, int64_t worker_id);

/* Begins, or goes on, towards ASLEEP for these lanes. No-op while a step is under way. */
void sleeper_lie_down(struct sleeper *s, const struct levels *levels);

/* True while enqueues notify; *since_ms is the clock_now_ms() from which that holds. */
bool sleeper_is_asleep(const struct sleeper *s, uint64_t *since_ms);

/* Deletes the rows, so that enqueues stop notifying a busy worker. */
void sleeper_withdraw(struct sleeper *s);

void sleeper_close(struct sleeper *s);

#endif
