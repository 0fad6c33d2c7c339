/*
 * rescuer.c - looks at all locks every few seconds and remembers since when each has been free.
 *
 * After an outage all workers have been silent for as long as it took, and who is back first must not
 * take the others for dead: who was away himself for long declares nobody dead before all had time to
 * be back. Who was cut off for a moment goes on at once, or under many cuts nobody would ever look.
 */
#include "core/upkeep/rescuer.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/defect.h"
#include "core/base/log.h"
#include "core/db/result.h"

#define LOOK_MS  5000u
#define GRACE_MS 15000u

/* One worker as this connection has seen it. */
struct sighting {
    int64_t worker_id;
    int64_t beat_us;        /* its latest heartbeat, by the server's clock */
    uint64_t free_since_ms; /* without a heartbeat since; 0: its lock is held */
    bool seen_held;
    bool listed; /* it is in the latest list */
};

struct rescuer {
    struct link *upkeep;
    uint64_t dead_after_ms;
    uint64_t answered_ms;       /* the latest look that was answered, 0: none yet */
    uint64_t patient_until_ms;  /* declares nobody dead before */
    struct sighting *sightings; /* owned */
    size_t count;
    struct db_params params;
    uv_timer_t timer;
};

static void on_timer(uv_timer_t *timer);
static void look(struct rescuer *r);
static void on_look(void *arg, const struct db_reply *reply);
static bool note_all(struct rescuer *r, const struct db_reply *reply);
static struct sighting *find(struct rescuer *r, int64_t worker_id);
static void note(struct sighting *s, bool held, int64_t beat_us);
static void forget_unlisted(struct rescuer *r);
static void recover(struct rescuer *r);
static void on_recovered(void *arg, const struct db_reply *reply);
static uint64_t least(uint64_t a, uint64_t b);
static void on_closed(uv_handle_t *handle);

struct rescuer *rescuer_open(uv_loop_t *loop, struct link *upkeep, uint64_t dead_after_ms)
{
    struct rescuer *r = mem_zalloc(sizeof(*r));

    r->upkeep = upkeep;
    r->dead_after_ms = dead_after_ms;
    uv_timer_init(loop, &r->timer);
    r->timer.data = r;
    return r;
}

void rescuer_up(struct rescuer *r)
{
    uint64_t look_ms = least(LOOK_MS, r->dead_after_ms / 4);
    uint64_t now_ms = clock_now_ms();

    r->count = 0;
    if (r->answered_ms == 0 || now_ms - r->answered_ms >= r->dead_after_ms / 2) {
        r->patient_until_ms = now_ms + least(GRACE_MS, r->dead_after_ms);
    }
    look_ms = look_ms > 0 ? look_ms : 1;
    uv_timer_start(&r->timer, on_timer, look_ms, look_ms);
    look(r); /* at once, so that a worker that dies soon was seen alive */
}

void rescuer_close(struct rescuer *r)
{
    free(r->sightings);
    db_params_fini(&r->params);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
    look(timer->data);
}

static void look(struct rescuer *r)
{
    if (link_query(r->upkeep, SQL_WORKER_LOCKS, NULL, on_look, r) < 0) {
        uv_timer_stop(&r->timer); /* rescuer_up() starts it again */
    }
}

static void on_look(void *arg, const struct db_reply *reply)
{
    struct rescuer *r = arg;

    if (note_all(r, reply) && clock_now_ms() >= r->patient_until_ms) {
        recover(r);
    }
}

static bool note_all(struct rescuer *r, const struct db_reply *reply)
{
    if (reply->lost || reply->error != NULL) {
        return false;
    }
    for (size_t i = 0; i < r->count; i++) {
        r->sightings[i].listed = false;
    }
    const PGresult *res = reply->results[0];
    for (int i = 0; i < db_rows(res); i++) {
        note(find(r, db_get_int(res, i, 0)), db_get_bool(res, i, 1), db_get_time_us(res, i, 2));
    }
    forget_unlisted(r);
    r->answered_ms = clock_now_ms();
    return true;
}

static struct sighting *find(struct rescuer *r, int64_t worker_id)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->sightings[i].worker_id == worker_id) {
            return &r->sightings[i];
        }
    }
    r->sightings = mem_resize(r->sightings, r->count + 1, sizeof(*r->sightings));
    r->sightings[r->count] = (struct sighting){.worker_id = worker_id};
    return &r->sightings[r->count++];
}

/*
 * A heartbeat is a sign of life like a held lock: of a worker that is cut off twice, we may only ever
 * see the moments in which its lock is free.
 */
static void note(struct sighting *s, bool held, int64_t beat_us)
{
    bool beat = beat_us != s->beat_us;

    s->listed = true;
    s->beat_us = beat_us;
    s->seen_held = s->seen_held || held;
    if (held) {
        s->free_since_ms = 0;
    } else if (s->free_since_ms == 0 || beat) {
        s->free_since_ms = clock_now_ms();
    }
}

static void forget_unlisted(struct rescuer *r)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->count; i++) {
        if (r->sightings[i].listed) {
            r->sightings[kept++] = r->sightings[i];
        }
    }
    r->count = kept;
}

static void recover(struct rescuer *r)
{
    uint64_t now_ms = clock_now_ms();

    db_params_clear(&r->params);
    db_add_int8(&r->params, (int64_t)r->dead_after_ms);
    db_array_begin(&r->params, DB_INT8);
    for (size_t i = 0; i < r->count; i++) {
        const struct sighting *s = &r->sightings[i];
        bool early = has_defect("early_lock_death");
        if ((early || (s->seen_held && now_ms - s->free_since_ms >= GRACE_MS)) &&
            s->free_since_ms != 0) {
            db_array_int8(&r->params, s->worker_id);
        }
    }
    db_array_end(&r->params);
    if (link_query(r->upkeep, SQL_RECOVER, &r->params, on_recovered, r) < 0) {
        log_debug("cannot recover now");
    }
}

static void on_recovered(void *arg, const struct db_reply *reply)
{
    (void)arg;
    if (reply->lost) {
        return;
    }
    if (reply->error != NULL) {
        log_warn("recovery failed", LOG_TEXT("error", db_message(reply->error)));
        return;
    }
    for (int i = 0; i < db_rows(reply->results[0]); i++) {
        log_warn("recovered the jobs of a dead worker",
                 LOG_INT("worker_id", db_get_int(reply->results[0], i, 0)),
                 LOG_INT("jobs", db_get_int(reply->results[0], i, 1)));
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
