/*
 * rescuer.h - finds dead workers and has their jobs put back. Every worker does this, none leads.
 *
 * A worker is dead when it was silent for dead_after. A crash shows sooner: its session's advisory
 * lock is free. We believe that only after having seen, on one and the same connection, the lock held
 * and then free, without a heartbeat, for 15 s: after a failover all locks are free, and nobody is dead.
 * spec/model/death.pml.
 */
#ifndef CORE_UPKEEP_RESCUER_H
#define CORE_UPKEEP_RESCUER_H

#include <uv.h>

#include "core/db/link.h"

struct rescuer;

struct rescuer *rescuer_open(uv_loop_t *loop, struct link *upkeep, uint64_t dead_after_ms);

/*
 * A new connection: the locks seen on the one before count no more. If no look was answered for half of
 * dead_after, nobody is declared dead for 15 s, dead_after at most.
 */
void rescuer_up(struct rescuer *r);

void rescuer_close(struct rescuer *r);

#endif
