/* levels.c - a sorted array; workers serve few lanes, so it is searched from front to back. */
#include "core/flow/levels.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

/* A level is hot for so long after it had a job. */
#define HOT_MS 5000u

/* So few levels cost nothing: they are always looked at. */
#define ALWAYS_HOT_COUNT ((size_t)2 * PRIORITY_COUNT)

static size_t lane_count(const struct levels *l)
{
    return l->count / PRIORITY_COUNT;
}

static struct level *find(const struct levels *l, int32_t lane_id, uint32_t priority)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->items[i].lane_id == lane_id && l->items[i].priority == priority) {
            return &l->items[i];
        }
    }
    return NULL;
}

void levels_set_lanes(struct levels *l, const int32_t *lanes, size_t count)
{
    struct levels old = *l;

    *l = (struct levels){.count = count * PRIORITY_COUNT, .turn = old.turn};
    l->items = mem_zalloc((l->count + 1) * sizeof(*l->items));
    for (size_t i = 0; i < l->count; i++) {
        int32_t lane_id = lanes[i % count];
        uint32_t priority = (uint32_t)(i / count);
        const struct level *known = find(&old, lane_id, priority);
        l->items[i] = (struct level){.lane_id = lane_id, .priority = priority, .woken = true};
        l->items[i].run_at = INT64_MIN;
        if (known != NULL) {
            l->items[i] = *known;
        }
    }
    free(old.items);
}

bool levels_has_lane(const struct levels *l, int32_t lane_id)
{
    for (size_t i = 0; i < lane_count(l); i++) {
        if (l->items[i].lane_id == lane_id) {
            return true;
        }
    }
    return false;
}

bool levels_wake(struct levels *l, int32_t lane_id)
{
    bool ours = false;

    for (size_t i = 0; i < l->count; i++) {
        if (l->items[i].lane_id == lane_id) {
            l->items[i].woken = true;
            l->items[i].asked = false;
            ours = true;
        }
    }
    return ours;
}

void levels_add_lanes(const struct levels *l, struct db_params *p)
{
    db_array_begin(p, DB_INT4);
    for (size_t i = 0; i < lane_count(l); i++) {
        db_array_int4(p, l->items[i].lane_id);
    }
    db_array_end(p);
}

/* True if the choice takes the level; its cursor then says where to begin. */
static bool prepare(const struct levels *l,
                    struct level *level,
                    enum level_choice choice,
                    uint64_t now_ms)
{
    bool hot =
        l->count <= ALWAYS_HOT_COUNT || (level->hit_ms > 0 && now_ms - level->hit_ms < HOT_MS);
    bool from_start = choice == LEVELS_ALL || (choice == LEVELS_WOKEN && level->woken);

    if (from_start) {
        level->run_at = INT64_MIN;
        level->id = 0;
    }
    level->asked = level->woken && choice != LEVELS_HOT;
    return hot || from_start;
}

static void add_columns(struct level *const *picked, size_t count, struct db_params *p)
{
    db_array_begin(p, DB_INT4);
    for (size_t i = 0; i < count; i++) {
        db_array_int4(p, picked[i]->lane_id);
    }
    db_array_end(p);
    db_array_begin(p, DB_INT2);
    for (size_t i = 0; i < count; i++) {
        db_array_int2(p, (int16_t)picked[i]->priority);
    }
    db_array_end(p);
    db_array_begin(p, DB_TIMESTAMPTZ);
    for (size_t i = 0; i < count; i++) {
        db_array_int8(p, picked[i]->run_at);
    }
    db_array_end(p);
    db_array_begin(p, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_array_int8(p, picked[i]->id);
    }
    db_array_end(p);
}

/* The i-th level in today's order: priorities strictly, lanes in turn. */
static struct level *in_turn(const struct levels *l, size_t i)
{
    size_t lanes = lane_count(l);
    size_t first = i / lanes * lanes;

    return &l->items[first + (i % lanes + l->turn) % lanes];
}

size_t levels_add_choice(struct levels *l,
                         enum level_choice choice,
                         uint64_t now_ms,
                         struct db_params *p)
{
    struct level **picked = mem_zalloc((l->count + 1) * sizeof(struct level *));
    size_t count = 0;

    l->turn++;
    for (size_t i = 0; i < l->count; i++) {
        struct level *level = in_turn(l, i);
        if (prepare(l, level, choice, now_ms)) {
            picked[count++] = level;
        }
    }
    add_columns(picked, count, p);
    free(picked);
    return count;
}

void levels_answered(struct levels *l, bool was_short)
{
    for (size_t i = 0; i < l->count; i++) {
        struct level *level = &l->items[i];
        level->woken = level->woken && !(level->asked && was_short);
        level->asked = false;
    }
}

void levels_took(struct levels *l, int32_t lane_id, uint32_t priority, int64_t run_at, int64_t id)
{
    struct level *level = find(l, lane_id, priority);

    if (level == NULL) {
        return;
    }
    if (run_at > level->run_at || (run_at == level->run_at && id > level->id)) {
        level->run_at = run_at;
        level->id = id;
    }
    level->hit_ms = clock_now_ms();
}

void levels_fini(struct levels *l)
{
    free(l->items);
    *l = (struct levels){0};
}
