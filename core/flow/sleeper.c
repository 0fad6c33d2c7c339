/* sleeper.c - one statement after another on the upkeep connection, each its own transaction. */
#include "core/flow/sleeper.h"

#include <stdlib.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/defect.h"
#include "core/base/log.h"
#include "core/db/result.h"

#define FIRST_PAUSE_MS 2u
#define LAST_PAUSE_MS  1000u

enum sleeper_state {
    SLEEPER_AWAKE,
    SLEEPER_ROWS,   /* fall_asleep is sent, then mark */
    SLEEPER_MARKED, /* may_sleep is asked until it says yes */
    SLEEPER_ASLEEP,
};

struct sleeper {
    enum sleeper_state state;
    int64_t worker_id; /* 0: no lock is held here */
    unsigned asked;    /* questions that will be answered, in order */
    unsigned stale;    /* how many of the next answers belong to questions that were forgotten */
    struct link *upkeep;
    sleeper_asleep_fn asleep;
    void *owner;
    struct buffer mark;
    struct db_params params;
    uint64_t since_ms;
    uint64_t pause_ms;
    bool rows_exist;
    uv_timer_t pause;
};

static void forget(struct sleeper *s);
static void ask(struct sleeper *s, const struct db_statement *statement, db_done_fn done);
static void on_rows(void *arg, const struct db_reply *reply);
static void on_mark(void *arg, const struct db_reply *reply);
static void on_answer(void *arg, const struct db_reply *reply);
static void ask_may_sleep(struct sleeper *s);
static void fell_asleep(struct sleeper *s);
static void on_pause(uv_timer_t *timer);
static void on_withdrawn(void *arg, const struct db_reply *reply);
static void on_closed(uv_handle_t *handle);

struct sleeper *sleeper_open(uv_loop_t *loop,
                             struct link *upkeep,
                             sleeper_asleep_fn asleep,
                             void *owner)
{
    struct sleeper *s = mem_zalloc(sizeof(*s));

    s->upkeep = upkeep;
    s->asleep = asleep;
    s->owner = owner;
    uv_timer_init(loop, &s->pause);
    s->pause.data = s;
    return s;
}

void sleeper_set_worker(struct sleeper *s, int64_t worker_id)
{
    s->worker_id = worker_id;
    forget(s);
}

void sleeper_lie_down(struct sleeper *s, const struct levels *levels)
{
    if (s->state != SLEEPER_AWAKE || s->worker_id == 0 || !link_is_up(s->upkeep)) {
        return;
    }
    s->state = SLEEPER_ROWS;
    s->rows_exist = true;
    db_params_clear(&s->params);
    db_add_int8(&s->params, s->worker_id);
    levels_add_lanes(levels, &s->params);
    ask(s, &(struct db_statement){SQL_FALL_ASLEEP, &s->params}, on_rows);
}

bool sleeper_is_asleep(const struct sleeper *s, uint64_t *since_ms)
{
    *since_ms = s->since_ms;
    return s->state == SLEEPER_ASLEEP;
}

void sleeper_withdraw(struct sleeper *s)
{
    forget(s);
    if (!s->rows_exist || s->worker_id == 0) {
        return;
    }
    db_params_clear(&s->params);
    db_add_int8(&s->params, s->worker_id);
    s->rows_exist = link_query(s->upkeep, SQL_WITHDRAW, &s->params, on_withdrawn, NULL) < 0;
}

void sleeper_close(struct sleeper *s)
{
    buffer_fini(&s->mark);
    db_params_fini(&s->params);
    uv_close((uv_handle_t *)&s->pause, on_closed);
}

/* Back to AWAKE without touching the rows. */
static void forget(struct sleeper *s)
{
    s->state = SLEEPER_AWAKE;
    s->stale = s->asked;
    uv_timer_stop(&s->pause);
}

static void ask(struct sleeper *s, const struct db_statement *statement, db_done_fn done)
{
    if (link_send(s->upkeep, statement, 1, done, s) == 0) {
        s->asked++;
    } else {
        forget(s);
    }
}

/* The sleeper, or NULL when this answer is of no use. */
static struct sleeper *answered(void *arg, const struct db_reply *reply)
{
    struct sleeper *s = arg;

    s->asked--;
    if (s->stale > 0) {
        s->stale--;
        return NULL;
    }
    if (reply->lost || reply->error != NULL) {
        if (reply->error != NULL) {
            log_warn("cannot fall asleep", LOG_TEXT("error", db_message(reply->error)));
        }
        forget(s);
        return NULL;
    }
    return s;
}

static void on_rows(void *arg, const struct db_reply *reply)
{
    struct sleeper *s = answered(arg, reply);

    if (s != NULL && has_defect("lost_wakeup")) {
        fell_asleep(s);
    } else if (s != NULL) {
        ask(s, &(struct db_statement){SQL_MARK, NULL}, on_mark);
    }
}

static void on_mark(void *arg, const struct db_reply *reply)
{
    struct sleeper *s = answered(arg, reply);

    if (s != NULL) {
        s->state = SLEEPER_MARKED;
        s->pause_ms = FIRST_PAUSE_MS;
        buffer_clear(&s->mark);
        buffer_add_slice(&s->mark, db_get_text(reply->results[0], 0, 0));
        ask_may_sleep(s);
    }
}

static void ask_may_sleep(struct sleeper *s)
{
    db_params_clear(&s->params);
    db_add_text(&s->params, buffer_slice(&s->mark));
    ask(s, &(struct db_statement){SQL_MAY_SLEEP, &s->params}, on_answer);
}

static void on_answer(void *arg, const struct db_reply *reply)
{
    struct sleeper *s = answered(arg, reply);

    if (s == NULL) {
        return;
    }
    if (db_get_bool(reply->results[0], 0, 0)) {
        fell_asleep(s);
    } else {
        uv_timer_start(&s->pause, on_pause, s->pause_ms, 0);
        s->pause_ms = s->pause_ms * 2 < LAST_PAUSE_MS ? s->pause_ms * 2 : LAST_PAUSE_MS;
    }
}

static void fell_asleep(struct sleeper *s)
{
    s->state = SLEEPER_ASLEEP;
    s->since_ms = clock_now_ms();
    s->asleep(s->owner);
}

static void on_pause(uv_timer_t *timer)
{
    ask_may_sleep(timer->data);
}

static void on_withdrawn(void *arg, const struct db_reply *reply)
{
    (void)arg;
    if (reply->error != NULL) {
        log_warn("cannot withdraw from sleep", LOG_TEXT("error", db_message(reply->error)));
    }
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
