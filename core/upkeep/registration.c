/* registration.c - one statement after another; a lost connection starts the chain again. */
#include "core/upkeep/registration.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/db/result.h"

/* A predecessor's session may take a moment to be noticed as gone: its lock is tried again. */
#define LOCK_PAUSE_MS 500u

/* So often until a name is taken for good. Who was killed on a living machine is gone by then. */
#define NAME_TRIES 6u

#define LONGEST_NAME 256

enum registration_step {
    STEP_IDLE, /* done, or waiting for kinds or a connection */
    STEP_NAME,
    STEP_REGISTER,
    STEP_LOCK,
    STEP_LIMITS,
    STEP_DECLARE,
    STEP_SCHEDULES,
    STEP_SORT,
    STEP_LANES,
};

struct registration {
    enum registration_step step; /* under way */
    struct link *upkeep;
    struct registration_options options;
    const struct registration_events *events;
    void *owner;
    int64_t worker_id;
    bool was_registered; /* under this or an earlier id: its name is not asked for again */
    unsigned name_tries; /* in vain, on this connection */
    bool welcome;        /* the database of this connection was found to fit */
    bool locked;
    bool again; /* something changed while a chain was under way */
    struct kind_list *kinds;
    unsigned generation;
    struct db_params params;
    uv_timer_t pause;
};

static void send_step(struct registration *r,
                      enum registration_step step,
                      enum sql_query query,
                      db_done_fn done);
static void advance(struct registration *r);
static void take_name(struct registration *r);
static void on_name(void *arg, const struct db_reply *reply);
static void register_worker(struct registration *r);
static void on_register(void *arg, const struct db_reply *reply);
static void take_lock(struct registration *r);
static void on_lock(void *arg, const struct db_reply *reply);
static void log_refusals(const char *message, const struct db_reply *reply);
static void declare_limits(struct registration *r);
static void on_limits(void *arg, const struct db_reply *reply);
static void declare(struct registration *r);
static void on_declared(void *arg, const struct db_reply *reply);
static void declare_schedules(struct registration *r);
static void on_schedules(void *arg, const struct db_reply *reply);
static void on_sorted(void *arg, const struct db_reply *reply);
static void ask_lanes(struct registration *r);
static void on_lanes(void *arg, const struct db_reply *reply);
static void on_pause(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);

struct registration *registration_open(uv_loop_t *loop,
                                       struct link *upkeep,
                                       const struct registration_options *options,
                                       const struct registration_events *events,
                                       void *owner)
{
    struct registration *r = mem_zalloc(sizeof(*r));

    r->upkeep = upkeep;
    r->options = *options;
    r->events = events;
    r->owner = owner;
    uv_timer_init(loop, &r->pause);
    r->pause.data = r;
    return r;
}

void registration_set_kinds(struct registration *r, struct kind_list *kinds, unsigned generation)
{
    r->kinds = kinds;
    r->generation = generation;
    r->again = true;
    advance(r);
}

/* A step may be under way already: handlers that load while the connection comes up start one. */
void registration_up(struct registration *r)
{
    r->welcome = true;
    r->name_tries = 0;
    r->locked = false;
    r->again = true;
    advance(r);
}

void registration_down(struct registration *r)
{
    r->welcome = false;
}

void registration_refresh(struct registration *r)
{
    r->again = true;
    advance(r);
}

void registration_renew(struct registration *r)
{
    r->worker_id = 0;
    r->locked = false;
    r->again = true;
    link_reset(r->upkeep, "declared dead: starting over"); /* the old lock goes with the session */
}

int64_t registration_worker_id(const struct registration *r)
{
    return r->worker_id;
}

void registration_close(struct registration *r)
{
    db_params_fini(&r->params);
    uv_close((uv_handle_t *)&r->pause, on_closed);
}

/* What is due next, decided from what is there. */
static void advance(struct registration *r)
{
    if (!r->again || !r->welcome || r->step != STEP_IDLE || r->kinds == NULL ||
        !link_is_up(r->upkeep)) {
        return;
    }
    if (r->worker_id == 0 && r->options.name_is_given && !r->was_registered) {
        take_name(r);
    } else if (r->worker_id == 0) {
        register_worker(r);
    } else if (!r->locked) {
        take_lock(r);
    } else {
        r->again = false;
        declare_limits(r);
    }
}

static void send_step(struct registration *r,
                      enum registration_step step,
                      enum sql_query query,
                      db_done_fn done)
{
    r->step = link_query(r->upkeep, query, &r->params, done, r) == 0 ? step : STEP_IDLE;
}

/* True when the chain may go on with this reply. */
static bool may_go_on(struct registration *r, const struct db_reply *reply)
{
    r->step = STEP_IDLE;
    if (reply->lost) {
        return false; /* registration_up() starts again */
    }
    if (reply->error != NULL) {
        r->again = true;
        r->events->refused(r->owner, db_sqlstate(reply->error), db_message(reply->error));
        uv_timer_start(&r->pause, on_pause, LOCK_PAUSE_MS, 0);
        return false;
    }
    return true;
}

static void take_name(struct registration *r)
{
    db_params_clear(&r->params);
    db_add_text(&r->params, slice_of(r->options.name));
    send_step(r, STEP_NAME, SQL_TAKE_NAME, on_name);
}

static void on_name(void *arg, const struct db_reply *reply)
{
    struct registration *r = arg;

    if (!may_go_on(r, reply)) {
        return;
    }
    if (db_get_bool(reply->results[0], 0, 0)) {
        register_worker(r);
    } else if (++r->name_tries < NAME_TRIES) {
        uv_timer_start(&r->pause, on_pause, LOCK_PAUSE_MS, 0);
    } else {
        struct slice holder = db_get_text(reply->results[0], 0, 1);
        char *text = mem_copy(holder.data, holder.size);
        r->events->name_taken(r->owner, text);
        free(text);
    }
}

static void register_worker(struct registration *r)
{
    struct db_params *p = &r->params;
    char host[LONGEST_NAME] = "?";

    gethostname(host, sizeof(host) - 1);
    db_params_clear(p);
    db_add_int4(p, (int32_t)getpid());
    db_add_text(p, slice_of(host));
    db_add_text(p, slice_of(r->options.name));
    db_add_text(p, slice_of(r->options.version));
    if (r->options.queues == NULL) {
        db_add_null(p);
    } else {
        db_array_begin(p, DB_TEXT);
        for (char **q = r->options.queues; *q != NULL; q++) {
            db_array_text(p, slice_of(*q));
        }
        db_array_end(p);
    }
    db_add_int4(p, (int32_t)r->options.concurrency);
    if (r->options.socket == NULL) {
        db_add_null(p);
    } else {
        db_add_text(p, slice_of(r->options.socket));
    }
    send_step(r, STEP_REGISTER, SQL_REGISTER, on_register);
}

static void on_register(void *arg, const struct db_reply *reply)
{
    struct registration *r = arg;

    if (may_go_on(r, reply)) {
        r->worker_id = db_get_int(reply->results[0], 0, 0);
        r->was_registered = true;
        r->events->identified(r->owner, r->worker_id);
        take_lock(r);
    }
}

static void take_lock(struct registration *r)
{
    db_params_clear(&r->params);
    db_add_int8(&r->params, r->worker_id);
    if (r->options.name_is_given) {
        db_add_text(&r->params, slice_of(r->options.name));
    } else {
        db_add_null(&r->params);
    }
    send_step(r, STEP_LOCK, SQL_TAKE_LOCK, on_lock);
}

static void on_lock(void *arg, const struct db_reply *reply)
{
    struct registration *r = arg;

    if (!may_go_on(r, reply)) {
        return;
    }
    r->locked = db_get_bool(reply->results[0], 0, 0);
    if (r->locked) {
        r->events->locked(r->owner);
        advance(r);
    } else {
        uv_timer_start(&r->pause, on_pause, LOCK_PAUSE_MS, 0);
    }
}

static void add_texts(struct registration *r, size_t offset)
{
    db_array_begin(&r->params, DB_TEXT);
    for (size_t i = 0; i < r->kinds->count; i++) {
        char *const *field =
            (char *const *)(const void *)((const char *)&r->kinds->items[i] + offset);
        db_array_text(&r->params, slice_of(*field));
    }
    db_array_end(&r->params);
}

/* What the database refuses of a limit or a schedule is for people: the worker goes on, and shows it. */
static void log_refusals(const char *message, const struct db_reply *reply)
{
    for (int i = 0; i < db_rows(reply->results[0]); i++) {
        log_error(message, LOG_SLICE("error", db_get_text(reply->results[0], i, 0)));
    }
}

static void declare_limits(struct registration *r)
{
    db_params_clear(&r->params);
    db_add_int8(&r->params, r->worker_id);
    add_texts(r, offsetof(struct kind, name));
    add_texts(r, offsetof(struct kind, limits));
    add_texts(r, offsetof(struct kind, source));
    send_step(r, STEP_LIMITS, SQL_DECLARE_LIMITS, on_limits);
}

static void on_limits(void *arg, const struct db_reply *reply)
{
    struct registration *r = arg;

    if (may_go_on(r, reply)) {
        log_refusals("limit refused", reply);
        declare(r);
    }
}

static void declare(struct registration *r)
{
    struct db_params *p = &r->params;
    char generation[16];

    db_params_clear(p);
    db_add_int8(p, r->worker_id);
    add_texts(r, offsetof(struct kind, name));
    add_texts(r, offsetof(struct kind, queue));
    db_array_begin(p, DB_INT4);
    for (size_t i = 0; i < r->kinds->count; i++) {
        db_array_int4(p, (int32_t)r->kinds->items[i].max_attempts);
    }
    db_array_end(p);
    db_array_begin(p, DB_INT4);
    for (size_t i = 0; i < r->kinds->count; i++) {
        db_array_int4(p, (int32_t)r->kinds->items[i].priority);
    }
    db_array_end(p);
    db_array_begin(p, DB_FLOAT8);
    for (size_t i = 0; i < r->kinds->count; i++) {
        db_array_float8(p, r->kinds->items[i].timeout_s);
    }
    db_array_end(p);
    add_texts(r, offsetof(struct kind, summary));
    add_texts(r, offsetof(struct kind, schema));
    add_texts(r, offsetof(struct kind, source));
    (void)snprintf(generation, sizeof(generation), "%u", r->generation);
    db_add_text(p, slice_of(generation));
    send_step(r, STEP_DECLARE, SQL_DECLARE_KINDS, on_declared);
}

static void on_declared(void *arg, const struct db_reply *reply)
{
    struct registration *r = arg;

    if (!may_go_on(r, reply)) {
        return;
    }
    const PGresult *res = reply->results[0];
    for (int i = 0; i < db_rows(res); i++) {
        struct kind *k = kind_by_name(r->kinds, db_get_text(res, i, 0));
        if (k != NULL) {
            k->id = (int32_t)db_get_int(res, i, 1);
            k->paused = db_get_bool(res, i, 2);
        }
    }
    declare_schedules(r);
}

static void declare_schedules(struct registration *r)
{
    db_params_clear(&r->params);
    db_add_int8(&r->params, r->worker_id);
    add_texts(r, offsetof(struct kind, name));
    add_texts(r, offsetof(struct kind, schedule));
    add_texts(r, offsetof(struct kind, source));
    send_step(r, STEP_SCHEDULES, SQL_DECLARE_SCHEDULES, on_schedules);
}

static void on_schedules(void *arg, const struct db_reply *reply)
{
    struct registration *r = arg;

    if (!may_go_on(r, reply)) {
        return;
    }
    log_refusals("schedule refused", reply);
    db_params_clear(&r->params);
    send_step(r, STEP_SORT, SQL_SORT_LANES, on_sorted);
}

/* Lanes are only for speed, so claiming does not wait until a large backlog has moved. */

static void on_sorted(void *arg, const struct db_reply *reply)
{
    struct registration *r = arg;

    if (may_go_on(r, reply)) {
        if (db_rows(reply->results[0]) > 0 && db_get_int(reply->results[0], 0, 0) > 0) {
            r->again = true;
            uv_timer_start(&r->pause, on_pause, LOCK_PAUSE_MS, 0);
        }
        ask_lanes(r);
    }
}

static void ask_lanes(struct registration *r)
{
    db_params_clear(&r->params);
    db_add_int8(&r->params, r->worker_id);
    send_step(r, STEP_LANES, SQL_LANES, on_lanes);
}

static void on_lanes(void *arg, const struct db_reply *reply)
{
    struct registration *r = arg;

    if (!may_go_on(r, reply)) {
        return;
    }
    size_t count = (size_t)db_rows(reply->results[0]);
    int32_t *lanes = mem_zalloc((count + 1) * sizeof(*lanes));
    for (size_t i = 0; i < count; i++) {
        lanes[i] = (int32_t)db_get_int(reply->results[0], (int)i, 0);
    }
    r->events->registered(r->owner, lanes, count);
    free(lanes);
    if (!uv_is_active((uv_handle_t *)&r->pause)) {
        advance(r);
    }
}

static void on_pause(uv_timer_t *timer)
{
    advance(timer->data);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
