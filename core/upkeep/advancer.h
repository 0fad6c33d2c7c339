/*
 * advancer.h - has the database do what must happen by itself: schedules, limits, parked jobs.
 *
 * The database says when it wants to be asked again (sql/migrations/0012_follow_up.sql); with nothing to
 * come that is when a notification says so, and once a minute in case one got lost.
 */
#ifndef CORE_UPKEEP_ADVANCER_H
#define CORE_UPKEEP_ADVANCER_H

#include <uv.h>

#include "core/db/link.h"

struct advancer;

struct advancer *advancer_open(uv_loop_t *loop, struct link *upkeep);

/* The connection is up, or the notification has come: asks now, or as soon as the last answer is there. */
void advancer_poke(struct advancer *a);

void advancer_close(struct advancer *a);

#endif
