/*
 * levels.h - where a claim looks: one level for each lane and priority, each with a cursor.
 *
 * The cursor is the last key taken from the level. Going on behind it keeps a claim from reading the
 * dead index entries of jobs that are gone. It is a hint: a row that was committed late with an
 * earlier key is behind it, so now and then a sweep starts from the beginning.
 */
#ifndef CORE_FLOW_LEVELS_H
#define CORE_FLOW_LEVELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/db/params.h"

#define PRIORITY_COUNT 10u /* priorities 0 to 9 */

struct level {
    int32_t lane_id;
    uint32_t priority;
    int64_t run_at; /* cursor, as PostgreSQL counts; INT64_MIN, its -infinity: from the beginning */
    int64_t id;
    uint64_t hit_ms; /* when a claim last found something here; 0: never */
    bool woken;      /* somebody said that there is something new */
    bool asked;      /* the claim in flight looks here because of that */
};

/* All zero is valid and empty. Ordered by priority, then lane. */
struct levels {
    struct level *items; /* owned */
    size_t count;
    size_t turn; /* which lane comes first within a priority, moves with each claim */
};

enum level_choice {
    LEVELS_ALL,   /* every level from the beginning */
    LEVELS_HOT,   /* levels that had jobs lately, behind their cursors */
    LEVELS_WOKEN, /* the woken ones from the beginning, and the hot ones */
};

/* Makes levels for these lanes; what is known of lanes that stay is kept. */
void levels_set_lanes(struct levels *l, const int32_t *lanes, size_t count);

bool levels_has_lane(const struct levels *l, int32_t lane_id);

/* Marks the levels of a lane; false if it is not one of ours. */
bool levels_wake(struct levels *l, int32_t lane_id);

/* The lanes, for statements that want them: appends one int4[] to p. */
void levels_add_lanes(const struct levels *l, struct db_params *p);

/* Appends the four arrays of claim: lane, priority, run_at, id. Returns how many levels were chosen. */
size_t levels_add_choice(struct levels *l,
                         enum level_choice choice,
                         uint64_t now_ms,
                         struct db_params *p);

/* The claim was answered. If it came back short it has seen all that woke us before. */
void levels_answered(struct levels *l, bool was_short);

/* The last claim took this job: moves the cursor of its level. run_at as PostgreSQL counts. */
void levels_took(struct levels *l, int32_t lane_id, uint32_t priority, int64_t run_at, int64_t id);

void levels_fini(struct levels *l);

#endif
