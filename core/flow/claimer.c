/*
 * claimer.c - one claim in flight at a time.
 *
 * `more` is the whole memory: something may be due that we have not seen. Notifications, timers, full
 * claims and reconnects set it; only a short claim that looked everywhere clears it, and only if the
 * worker was asleep in the database before that claim was sent.
 */
#include "core/flow/claimer.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/defect.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/db/result.h"
#include "core/flow/levels.h"
#include "core/flow/sleeper.h"

/* Settling a lease in parts copies its row each time: 32 to 128 jobs measure alike. */
#define JOBS_A_LEASE 64

/* All levels are looked at from the beginning at least so often. */
#define SWEEP_MS 1000u

/* A worker that is woken more often than this stops listening and looks by itself. */
#define WAKES_A_SECOND   100u
#define RESTLESS_POLL_MS 5u
#define RESTLESS_MS      1000u

/* A claim that failed for reasons of the server is repeated after this pause. */
#define FAILED_PAUSE_MS 500u

/* The columns of claim.sql and claimed.sql. */
enum claim_column {
    COL_SEQ,
    COL_SLOT,
    COL_ID,
    COL_KIND_ID,
    COL_LANE_ID,
    COL_PRIORITY,
    COL_RUN_AT,
    COL_CREATED_AT,
    COL_ATTEMPT,
    COL_MAX_ATTEMPTS,
    COL_TIMEOUT_S,
    COL_ARGS,
    COL_META,
    COL_CANCELLED,
    COL_EXPIRES_S,
};

struct claimer {
    struct link *work;
    struct link *upkeep;
    struct claimer_options options;
    struct lease_list *leases;
    const struct claimer_events *events;
    void *owner;

    int64_t worker_id; /* 0: not registered */
    int64_t next_seq;  /* the number of the next lease */
    struct levels levels;
    const struct kind_list *kinds; /* borrowed */
    struct sleeper *sleeper;
    uv_timer_t alarm;  /* looks again: poll, next scheduled job, retry, restless poll */
    uint64_t alarm_ms; /* clock_now_ms() at which alarm goes off; 0: not set */

    bool more;
    bool stopped;
    bool in_flight;
    bool foreign;             /* the claim in flight was sent under an identity that we have lost */
    bool reply_lost;          /* the fate of the claim with next_seq is not known */
    size_t asked;             /* how many jobs the claim in flight may take */
    enum level_choice choice; /* where it looks */
    uint64_t sent_ms;
    uint64_t swept_ms;       /* when the last sweep of all levels was sent */
    uint64_t full_since_ms;  /* since when claims have come back full; 0: the last did not */
    uint64_t wake_second_ms; /* wakes are counted from here */
    unsigned wakes;
    uint64_t restless_until_ms;
    struct db_params params;
    struct job **batch; /* owned; room to sort the jobs of a claim */
    size_t batch_capacity;
};

static void send_claim(struct claimer *c, size_t room);
static enum level_choice choose(const struct claimer *c, uint64_t now_ms);
static void on_claimed(void *arg, const struct db_reply *reply);
static void take_rows(struct claimer *c, const PGresult *res);
static struct job *take_row(struct claimer *c, const PGresult *res, int row);
static void came_short(struct claimer *c);
static void on_next_due(void *arg, const struct db_reply *reply);
static void rest(struct claimer *c);
static void on_asleep(void *owner);
static void on_recalled(void *arg, const struct db_reply *reply);
static void set_alarm(struct claimer *c, uint64_t delay_ms);
static void on_alarm(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);

struct claimer *claimer_open(uv_loop_t *loop,
                             struct link *work,
                             struct link *upkeep,
                             const struct claimer_options *options,
                             struct lease_list *leases)
{
    struct claimer *c = mem_zalloc(sizeof(*c));

    c->work = work;
    c->upkeep = upkeep;
    c->options = *options;
    c->leases = leases;
    c->more = true;
    c->sleeper = sleeper_open(loop, upkeep, on_asleep, c);
    uv_timer_init(loop, &c->alarm);
    c->alarm.data = c;
    return c;
}

void claimer_set_events(struct claimer *c, const struct claimer_events *events, void *owner)
{
    c->events = events;
    c->owner = owner;
}

void claimer_set_worker(struct claimer *c, int64_t worker_id)
{
    c->worker_id = worker_id;
    c->next_seq = 1;
    c->reply_lost = false;
    c->foreign = c->in_flight;
    sleeper_set_worker(c->sleeper, 0);
}

void claimer_set_lanes(struct claimer *c, const int32_t *lanes, size_t count)
{
    levels_set_lanes(&c->levels, lanes, count);
    sleeper_set_worker(c->sleeper, c->worker_id);
    c->more = true;
    claimer_poke(c);
    if (count == 0) {
        c->events->resting(c->owner); /* all is paused: no claim will find that out */
    }
}

void claimer_set_kinds(struct claimer *c, const struct kind_list *kinds)
{
    c->kinds = kinds;
    c->swept_ms = 0;
    c->more = true;
}

void claimer_poke(struct claimer *c)
{
    if (!c->more || c->stopped || c->in_flight || c->reply_lost || c->worker_id == 0 ||
        c->levels.count == 0 || c->kinds == NULL || c->kinds->count == 0) {
        return;
    }
    size_t room = c->events->room(c->owner);
    if (room > 0) {
        send_claim(c, room);
    }
}

void claimer_notified(struct claimer *c, const char *body)
{
    int64_t lane_id;
    uint64_t now_ms = clock_now_ms();

    if (strcmp(body, "lanes") == 0) {
        c->events->lanes_changed(c->owner);
        return;
    }
    if (strncmp(body, "lane ", 5) != 0 || !text_integer(body + 5, 1, INT32_MAX, &lane_id) ||
        !levels_wake(&c->levels, (int32_t)lane_id)) {
        return;
    }
    if (now_ms - c->wake_second_ms >= 1000) {
        c->wake_second_ms = now_ms;
        c->wakes = 0;
    }
    if (++c->wakes > WAKES_A_SECOND) {
        c->restless_until_ms = now_ms + RESTLESS_MS;
        sleeper_withdraw(c->sleeper);
    }
    c->more = true;
    claimer_poke(c);
}

void claimer_due_in(struct claimer *c, uint64_t delay_ms)
{
    set_alarm(c, delay_ms);
}

void claimer_work_up(struct claimer *c)
{
    c->more = true;
    c->swept_ms = 0;
    if (has_defect("repeated_leases")) {
        c->next_seq = c->next_seq > 3 ? c->next_seq - 3 : 1;
    }
    if (!c->reply_lost) {
        claimer_poke(c);
        return;
    }
    db_params_clear(&c->params);
    db_add_int8(&c->params, c->worker_id);
    db_add_int8(&c->params, c->next_seq);
    c->in_flight = link_query(c->work, SQL_CLAIMED, &c->params, on_recalled, c) == 0;
}

void claimer_upkeep_down(struct claimer *c)
{
    sleeper_set_worker(c->sleeper, 0);
    c->more = true;
    set_alarm(c, c->options.poll_interval_ms);
}

void claimer_stop(struct claimer *c)
{
    c->stopped = true;
    uv_timer_stop(&c->alarm);
    c->alarm_ms = 0;
}

bool claimer_is_asking(const struct claimer *c)
{
    return c->in_flight || c->reply_lost;
}

int64_t claimer_below(const struct claimer *c)
{
    return c->next_seq;
}

void claimer_close(struct claimer *c)
{
    sleeper_close(c->sleeper);
    levels_fini(&c->levels);
    db_params_fini(&c->params);
    free(c->batch);
    uv_close((uv_handle_t *)&c->alarm, on_closed);
}

static void send_claim(struct claimer *c, size_t room)
{
    struct db_params *p = &c->params;
    uint64_t now_ms = clock_now_ms();

    c->choice = choose(c, now_ms);
    c->asked = room;
    c->sent_ms = now_ms;
    db_params_clear(p);
    db_add_int8(p, c->worker_id);
    db_add_int8(p, c->next_seq);
    db_add_int4(p, (int32_t)room);
    db_add_int4(p, JOBS_A_LEASE);
    levels_add_choice(&c->levels, c->choice, now_ms, p);
    db_array_begin(p, DB_INT4);
    for (size_t i = 0; i < c->kinds->count; i++) {
        if (!c->kinds->items[i].paused) {
            db_array_int4(p, c->kinds->items[i].id);
        }
    }
    db_array_end(p);
    if (c->choice == LEVELS_ALL) {
        c->swept_ms = now_ms;
    }
    c->in_flight = link_query(c->work, SQL_CLAIM, p, on_claimed, c) == 0;
}

static enum level_choice choose(const struct claimer *c, uint64_t now_ms)
{
    uint64_t asleep_since_ms;

    if (now_ms - c->swept_ms >= SWEEP_MS || c->swept_ms == 0) {
        return LEVELS_ALL;
    }
    return sleeper_is_asleep(c->sleeper, &asleep_since_ms) ? LEVELS_WOKEN : LEVELS_HOT;
}

static void on_claimed(void *arg, const struct db_reply *reply)
{
    struct claimer *c = arg;

    c->in_flight = false;
    if (c->foreign) {
        c->foreign = false; /* what it took is recovered like the rest of the dead */
        return;
    }
    if (reply->lost) {
        c->reply_lost = true; /* claimer_work_up() asks */
        return;
    }
    if (reply->error != NULL) {
        log_warn("claiming is repeated", LOG_TEXT("error", db_message(reply->error)));
        set_alarm(c, FAILED_PAUSE_MS);
        c->events->batch(c->owner);
        return;
    }
    size_t taken = (size_t)db_rows(reply->results[0]);
    bool was_short = taken < c->asked;
    levels_answered(&c->levels, was_short);
    take_rows(c, reply->results[0]);
    if (was_short) {
        came_short(c);
    } else if (c->full_since_ms == 0) {
        c->full_since_ms = c->sent_ms;
    } else if (clock_now_ms() - c->full_since_ms > SWEEP_MS) {
        sleeper_withdraw(c->sleeper); /* too busy to be woken */
    }
    claimer_poke(c);
}

static int compare(const void *a, const void *b)
{
    const struct job *const *left = a;
    const struct job *const *right = b;

    return job_compare(*left, *right);
}

/* Rows of one lease stand together; the jobs are told in the order in which they should run. */
static void take_rows(struct claimer *c, const PGresult *res)
{
    size_t count = (size_t)db_rows(res);
    struct lease *lease = NULL;

    if (count > c->batch_capacity) {
        c->batch_capacity = count;
        c->batch = mem_resize(c->batch, count, sizeof(struct job *));
    }
    for (size_t i = 0; i < count; i++) {
        int64_t seq = db_get_int(res, (int)i, COL_SEQ);
        if (lease == NULL || lease->seq != seq) {
            lease = lease_add(c->leases, seq);
        }
        if (seq >= c->next_seq) {
            c->next_seq = seq + 1;
        }
        c->batch[i] = take_row(c, res, (int)i);
        c->batch[i]->lease = lease;
        lease->open++;
    }
    if (count > 1) {
        qsort(c->batch, count, sizeof(struct job *), compare);
    }
    for (size_t i = 0; i < count; i++) {
        c->events->claimed(c->owner, c->batch[i]);
    }
    c->events->batch(c->owner);
}

/* meta is written by jobq's own functions; users' texts in it have their quotes escaped. */
static bool says_suspect(struct slice meta)
{
    static const char mark[] = "\"suspect\": true";

    return meta.size > 0 && memmem(meta.data, meta.size, mark, sizeof(mark) - 1) != NULL;
}

/* Told as seconds that are left, which may be none. */
static uint64_t expiry_us(const PGresult *res, int row)
{
    if (db_is_null(res, row, COL_EXPIRES_S)) {
        return 0;
    }
    double left_s = db_get_float8(res, row, COL_EXPIRES_S);
    return clock_now_us() + (left_s > 0 ? (uint64_t)(left_s * 1e6) : 0);
}

static struct job *take_row(struct claimer *c, const PGresult *res, int row)
{
    struct slice args = db_get_text(res, row, COL_ARGS);
    struct slice meta = db_get_text(res, row, COL_META);
    struct job *j = job_new(args, meta);

    j->id = db_get_int(res, row, COL_ID);
    j->slot = (int16_t)db_get_int(res, row, COL_SLOT);
    j->kind_id = (int32_t)db_get_int(res, row, COL_KIND_ID);
    j->lane_id = (int32_t)db_get_int(res, row, COL_LANE_ID);
    j->priority = (uint32_t)db_get_int(res, row, COL_PRIORITY);
    j->attempt = (uint32_t)db_get_int(res, row, COL_ATTEMPT) + 1;
    j->max_attempts = (uint32_t)db_get_int(res, row, COL_MAX_ATTEMPTS);
    j->timeout_s = db_get_float8(res, row, COL_TIMEOUT_S);
    j->run_at_us = db_get_time_us(res, row, COL_RUN_AT);
    j->created_us = db_get_time_us(res, row, COL_CREATED_AT);
    j->cancelled = db_get_bool(res, row, COL_CANCELLED);
    j->expires_us = expiry_us(res, row);
    j->suspect = says_suspect(j->meta);
    levels_took(&c->levels, j->lane_id, j->priority, db_pg_time(j->run_at_us), j->id);
    return j;
}

/* A hot claim proves little: sweep. A sweep proves all, if the database knew that we sleep. */
static void came_short(struct claimer *c)
{
    uint64_t asleep_since_ms;
    bool asleep = sleeper_is_asleep(c->sleeper, &asleep_since_ms);
    uint64_t now_ms = clock_now_ms();

    c->full_since_ms = 0;
    if (c->choice == LEVELS_HOT || (asleep && asleep_since_ms > c->sent_ms)) {
        c->swept_ms = 0; /* also if it fell asleep only meanwhile: one more look at everything */
    } else if (now_ms < c->restless_until_ms) {
        c->more = false;
        set_alarm(c, RESTLESS_POLL_MS);
    } else if (asleep) {
        c->more = false;
        rest(c);
    } else {
        c->more = false; /* on_asleep() looks again; the alarm is there if that fails */
        set_alarm(c, c->options.poll_interval_ms);
        sleeper_lie_down(c->sleeper, &c->levels);
    }
    for (size_t i = 0; i < c->levels.count && !c->more; i++) {
        c->more = c->levels.items[i].woken; /* a wake-up that came after the claim was sent */
    }
}

static void on_asleep(void *owner)
{
    struct claimer *c = owner;

    c->more = true;
    c->swept_ms = 0;
    claimer_poke(c);
}

/* Scheduled jobs wake nobody when their time comes: whoever rests sets an alarm for the next one. */
static void rest(struct claimer *c)
{
    set_alarm(c, c->options.poll_interval_ms);
    db_params_clear(&c->params);
    levels_add_lanes(&c->levels, &c->params);
    if (link_query(c->upkeep, SQL_NEXT_DUE, &c->params, on_next_due, c) == 0) {
        c->events->resting(c->owner);
    }
}

static void on_next_due(void *arg, const struct db_reply *reply)
{
    struct claimer *c = arg;

    if (reply->lost || reply->error != NULL || db_rows(reply->results[0]) == 0 ||
        db_is_null(reply->results[0], 0, 0)) {
        return;
    }
    double seconds = db_get_float8(reply->results[0], 0, 0);
    if (seconds * 1000 < (double)c->options.poll_interval_ms) {
        set_alarm(c, seconds > 0 ? (uint64_t)(seconds * 1000) + 1 : 0);
    }
}

/* Numbers that the lost claim can have used are not used again, whatever it took. */
static void on_recalled(void *arg, const struct db_reply *reply)
{
    struct claimer *c = arg;
    int64_t beyond = c->next_seq + (int64_t)c->asked;

    c->in_flight = false;
    if (reply->lost || c->foreign) {
        c->foreign = false;
        return;
    }
    if (reply->error != NULL) {
        link_reset(c->work, db_message(reply->error));
        return;
    }
    c->reply_lost = false;
    log_info("claim recalled after a lost reply", LOG_INT("jobs", db_rows(reply->results[0])));
    take_rows(c, reply->results[0]);
    c->next_seq = beyond;
    claimer_poke(c);
}

/* The earliest wish wins. */
static void set_alarm(struct claimer *c, uint64_t delay_ms)
{
    uint64_t at_ms = clock_now_ms() + delay_ms;

    if (c->stopped || (c->alarm_ms != 0 && c->alarm_ms <= at_ms)) {
        return;
    }
    c->alarm_ms = at_ms;
    uv_update_time(c->alarm.loop);
    uv_timer_start(&c->alarm, on_alarm, delay_ms, 0);
}

static void on_alarm(uv_timer_t *timer)
{
    struct claimer *c = timer->data;

    c->alarm_ms = 0;
    c->more = true;
    c->swept_ms = 0;
    claimer_poke(c);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
