/*
 * settler.c - a queue of outcomes, a queue of log lines, one transaction at a time from their heads.
 */
#include "core/flow/settler.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/db/result.h"

/* Outcomes and lines a flush at most; larger ones gain nothing and hold their locks longer. */
#define FLUSH_ITEMS 1000

/* A transaction that failed for reasons of the server is repeated after this pause. */
#define RETRY_PAUSE_MS 250

/* Sleeping workers hear of jobs that come back due within this time; their poll finds later ones. */
#define WAKE_WITHIN_MS 3600000

struct item {
    struct job *job; /* owned */
    enum outcome outcome;
    int64_t ran_us;
    int64_t delay_ms;
    char *error; /* owned, or NULL */
    size_t error_size;
    char *result; /* owned, or NULL */
    size_t result_size;
    bool replaced; /* it was rejected once: what goes now are our own words */
};

struct line {
    struct log_line what; /* its slices point into bytes */
    char *bytes;          /* owned */
};

struct settler {
    struct link *work;
    struct lease_list *leases;
    const struct settler_events *events;
    void *owner;
    int64_t worker_id;
    struct item *items; /* owned; the oldest first */
    size_t item_count;
    size_t item_capacity;
    struct line *lines; /* owned; the oldest first */
    size_t line_count;
    size_t line_capacity;
    size_t sent_items; /* of the flush in flight, from the heads */
    size_t sent_lines;
    bool in_flight;
    bool careful;      /* something was rejected: outcomes and lines go apart */
    size_t item_limit; /* smaller while a rejected one is looked for */
    size_t line_limit;
    struct settler_counts counts;
    uv_timer_t retry; /* runs while a flush waits to be repeated */
    struct db_params settle;
    struct db_params wake;
    struct db_params log;
};

static void on_flushed(void *arg, const struct db_reply *reply);
static void on_retry(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);
static void fill_settle(struct settler *s);
static bool fill_wake(struct settler *s);
static void fill_log(struct settler *s);
static void committed(struct settler *s, const struct db_reply *reply);
static void rejected(struct settler *s, const PGresult *error);
static bool can_be_narrowed(const struct settler *s);
static void drop_items(struct settler *s, size_t n);
static void drop_lines(struct settler *s, size_t n);

static bool goes_back(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_COMPLETED:
    case OUTCOME_FAILED:
    case OUTCOME_CANCELLED: return false;
    case OUTCOME_RETRY:
    case OUTCOME_SNOOZE:
    case OUTCOME_RETURN:
    case OUTCOME_SUSPECT:
    case OUTCOME_CRASH:
    case OUTCOME_PARK: break;
    }
    return true;
}

struct settler *settler_open(uv_loop_t *loop,
                             struct link *work,
                             struct lease_list *leases,
                             const struct settler_events *events,
                             void *owner)
{
    struct settler *s = mem_zalloc(sizeof(*s));

    s->work = work;
    s->leases = leases;
    s->events = events;
    s->owner = owner;
    s->item_limit = FLUSH_ITEMS;
    s->line_limit = FLUSH_ITEMS;
    uv_timer_init(loop, &s->retry);
    s->retry.data = s;
    return s;
}

void settler_set_worker(struct settler *s, int64_t worker_id)
{
    s->worker_id = worker_id;
}

int64_t settler_worker(const struct settler *s)
{
    return s->worker_id;
}

void settler_forgo(struct settler *s, struct job *job)
{
    s->counts.succeeded++;
    lease_settle(s->leases, job->lease);
    job_free(job);
}

void settler_add(struct settler *s, struct job *job, const struct settlement *what)
{
    if (s->item_count == s->item_capacity) {
        s->item_capacity = s->item_capacity == 0 ? 256 : s->item_capacity * 2;
        s->items = mem_resize(s->items, s->item_capacity, sizeof(*s->items));
    }
    struct item *i = &s->items[s->item_count++];
    *i = (struct item){
        .job = job,
        .outcome = what->outcome,
        .ran_us = what->ran_us,
        .delay_ms = what->delay_ms,
    };
    if (what->error.size > 0) {
        i->error = mem_copy(what->error.data, what->error.size);
        i->error_size = what->error.size;
    }
    if (what->result.size > 0) {
        i->result = mem_copy(what->result.data, what->result.size);
        i->result_size = what->result.size;
    }
}

void settler_log(struct settler *s, const struct log_line *line)
{
    if (s->line_count == s->line_capacity) {
        s->line_capacity = s->line_capacity == 0 ? 64 : s->line_capacity * 2;
        s->lines = mem_resize(s->lines, s->line_capacity, sizeof(*s->lines));
    }
    struct line *l = &s->lines[s->line_count++];
    l->what = *line;
    l->bytes = mem_zalloc(line->message.size + line->fields.size + 1);
    if (line->message.size > 0) {
        memcpy(l->bytes, line->message.data, line->message.size);
    }
    if (line->fields.size > 0) {
        memcpy(l->bytes + line->message.size, line->fields.data, line->fields.size);
    }
    l->what.message.data = l->bytes;
    l->what.fields.data = l->bytes + line->message.size;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void settler_flush(struct settler *s)
{
    struct db_statement statements[3];
    size_t count = 0;

    if (s->in_flight || uv_is_active((uv_handle_t *)&s->retry)) {
        return;
    }
    s->sent_items = smaller(s->item_count, s->item_limit);
    s->sent_lines = smaller(s->line_count, s->line_limit);
    s->sent_lines = s->careful && s->sent_items > 0 ? 0 : s->sent_lines;
    if (s->sent_items > 0) {
        fill_settle(s);
        statements[count++] = (struct db_statement){SQL_SETTLE, &s->settle};
        if (fill_wake(s)) {
            statements[count++] = (struct db_statement){SQL_WAKE_LANES, &s->wake};
        }
    }
    if (s->sent_lines > 0) {
        fill_log(s);
        statements[count++] = (struct db_statement){SQL_WRITE_LOGS, &s->log};
    }
    /* without a connection it stays queued: the next flush comes when the link is up again */
    s->in_flight = count > 0 && link_send(s->work, statements, count, on_flushed, s) == 0;
}

bool settler_is_empty(const struct settler *s)
{
    return s->item_count == 0 && s->line_count == 0;
}

struct settler_counts settler_counts(const struct settler *s)
{
    return s->counts;
}

void settler_forget(struct settler *s)
{
    drop_items(s, s->item_count);
    drop_lines(s, s->line_count);
    s->sent_items = 0; /* the flush in flight is answered to nobody */
    s->sent_lines = 0;
}

void settler_close(struct settler *s)
{
    settler_forget(s);
    db_params_fini(&s->settle);
    db_params_fini(&s->wake);
    db_params_fini(&s->log);
    free(s->items);
    free(s->lines);
    uv_close((uv_handle_t *)&s->retry, on_closed);
}

static void add_texts(struct settler *s, bool results)
{
    struct db_params *p = &s->settle;
    size_t present = 0;

    for (size_t i = 0; i < s->sent_items; i++) {
        present += (results ? s->items[i].result : s->items[i].error) != NULL;
    }
    if (present == 0) {
        db_add_null(p);
        return;
    }
    db_array_begin(p, DB_TEXT);
    for (size_t i = 0; i < s->sent_items; i++) {
        const struct item *item = &s->items[i];
        const char *text = results ? item->result : item->error;
        if (text == NULL) {
            db_array_null(p);
        } else {
            db_array_text(p, (struct slice){text, results ? item->result_size : item->error_size});
        }
    }
    db_array_end(p);
}

/* Where the jobs are: two columns, lease and slot. */
static void add_places(struct settler *s)
{
    struct db_params *p = &s->settle;

    db_array_begin(p, DB_INT8);
    for (size_t i = 0; i < s->sent_items; i++) {
        db_array_int8(p, s->items[i].job->lease->seq);
    }
    db_array_end(p);
    db_array_begin(p, DB_INT2);
    for (size_t i = 0; i < s->sent_items; i++) {
        db_array_int2(p, s->items[i].job->slot);
    }
    db_array_end(p);
}

/* Only outcomes that go back have a delay: most flushes have none at all. */
static void add_delays(struct settler *s)
{
    struct db_params *p = &s->settle;
    bool any = false;

    for (size_t i = 0; i < s->sent_items; i++) {
        any = any || goes_back(s->items[i].outcome);
    }
    if (!any) {
        db_add_null(p);
        return;
    }
    db_array_begin(p, DB_INT8);
    for (size_t i = 0; i < s->sent_items; i++) {
        db_array_int8(p, s->items[i].delay_ms);
    }
    db_array_end(p);
}

static void fill_settle(struct settler *s)
{
    struct db_params *p = &s->settle;

    db_params_clear(p);
    db_add_int8(p, s->worker_id);
    add_places(s);
    db_array_begin(p, DB_TEXT);
    for (size_t i = 0; i < s->sent_items; i++) {
        db_array_text(p, slice_of(outcome_word(s->items[i].outcome)));
    }
    db_array_end(p);
    db_array_begin(p, DB_INT8);
    for (size_t i = 0; i < s->sent_items; i++) {
        db_array_int8(p, s->items[i].ran_us);
    }
    db_array_end(p);
    add_delays(s);
    add_texts(s, false);
    add_texts(s, true);
}

/* The lanes that get due jobs back, so that whoever sleeps there looks; false if there are none. */
static bool fill_wake(struct settler *s)
{
    struct db_params *p = &s->wake;
    size_t lanes = 0;

    db_params_clear(p);
    db_array_begin(p, DB_INT4);
    for (size_t i = 0; i < s->sent_items; i++) {
        const struct item *item = &s->items[i];
        if (goes_back(item->outcome) && item->delay_ms <= WAKE_WITHIN_MS) {
            db_array_int4(p, item->job->lane_id);
            lanes++;
        }
    }
    db_array_end(p);
    return lanes > 0;
}

/* Points in time are the database's: a line tells its age. */
static void add_ages(struct settler *s)
{
    struct db_params *p = &s->log;
    int64_t now_us = (int64_t)clock_now_us();

    db_array_begin(p, DB_INT8);
    for (size_t i = 0; i < s->sent_lines; i++) {
        db_array_int8(p, now_us - s->lines[i].what.at_us);
    }
    db_array_end(p);
}

static void add_line_texts(struct settler *s)
{
    struct db_params *p = &s->log;

    db_array_begin(p, DB_TEXT);
    for (size_t i = 0; i < s->sent_lines; i++) {
        db_array_text(p, s->lines[i].what.message);
    }
    db_array_end(p);
    db_array_begin(p, DB_TEXT);
    for (size_t i = 0; i < s->sent_lines; i++) {
        db_array_text(p, s->lines[i].what.fields);
    }
    db_array_end(p);
}

static void fill_log(struct settler *s)
{
    struct db_params *p = &s->log;

    db_params_clear(p);
    db_array_begin(p, DB_INT8);
    for (size_t i = 0; i < s->sent_lines; i++) {
        db_array_int8(p, s->lines[i].what.job_id);
    }
    db_array_end(p);
    db_array_begin(p, DB_INT2);
    for (size_t i = 0; i < s->sent_lines; i++) {
        db_array_int2(p, (int16_t)s->lines[i].what.attempt);
    }
    db_array_end(p);
    add_ages(s);
    db_array_begin(p, DB_INT2);
    for (size_t i = 0; i < s->sent_lines; i++) {
        db_array_int2(p, s->lines[i].what.level);
    }
    db_array_end(p);
    add_line_texts(s);
}

/* Lost: nobody knows whether it committed, so the same goes again when the link is back. */
static void on_flushed(void *arg, const struct db_reply *reply)
{
    struct settler *s = arg;

    s->in_flight = false;
    if (reply->lost) {
        return;
    }
    if (reply->error == NULL) {
        committed(s, reply);
        settler_flush(s);
    } else if (db_is_about_data(reply->error) && can_be_narrowed(s)) {
        rejected(s, reply->error);
        settler_flush(s);
    } else {
        log_warn("settling is repeated", LOG_TEXT("error", db_message(reply->error)));
        uv_timer_start(&s->retry, on_retry, RETRY_PAUSE_MS, 0);
    }
    s->events->flushed(s->owner);
}

static void on_retry(uv_timer_t *timer)
{
    struct settler *s = timer->data;

    settler_flush(s);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void count(struct settler *s, enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_COMPLETED: s->counts.succeeded++; break;
    case OUTCOME_FAILED:
    case OUTCOME_RETRY:
    case OUTCOME_CRASH: s->counts.failed++; break;
    case OUTCOME_CANCELLED:
    case OUTCOME_SNOOZE:
    case OUTCOME_RETURN:
    case OUTCOME_SUSPECT:
    case OUTCOME_PARK: break;
    }
}

static void committed(struct settler *s, const struct db_reply *reply)
{
    int64_t soonest_ms = -1;

    for (size_t i = 0; i < s->sent_items; i++) {
        const struct item *item = &s->items[i];
        count(s, item->outcome);
        if (goes_back(item->outcome) && (soonest_ms < 0 || item->delay_ms < soonest_ms)) {
            soonest_ms = item->delay_ms;
        }
    }
    if (s->sent_items > 0 && db_rows(reply->results[0]) > 0) {
        s->counts.refused += db_rows(reply->results[0]);
        log_warn("outcomes came too late: the jobs were no longer ours",
                 LOG_INT("jobs", db_rows(reply->results[0])));
    }
    drop_items(s, s->sent_items);
    drop_lines(s, s->sent_lines);
    s->item_limit = smaller(s->item_limit * 2, FLUSH_ITEMS);
    s->line_limit = smaller(s->line_limit * 2, FLUSH_ITEMS);
    s->careful = s->careful && (s->item_limit < FLUSH_ITEMS || s->line_limit < FLUSH_ITEMS);
    if (soonest_ms >= 0) {
        s->events->returned(s->owner, (uint64_t)soonest_ms);
    }
}

/* One that stands alone and is still rejected becomes a failed job that says so, in plain words. */
static void replace(struct item *item, const char *why)
{
    struct buffer text = {0};

    log_error("an outcome was rejected by the database",
              LOG_INT("job_id", item->job->id),
              LOG_TEXT("error", why));
    buffer_printf(&text, "the outcome could not be stored: %s", why);
    free(item->error);
    free(item->result);
    item->result = NULL;
    item->error = mem_copy(text.data, text.size);
    item->error_size = text.size;
    item->outcome = OUTCOME_FAILED;
    item->replaced = true;
    buffer_fini(&text);
}

static bool can_be_narrowed(const struct settler *s)
{
    return s->sent_items != 1 || s->sent_lines > 0 || !s->items[0].replaced;
}

static void rejected(struct settler *s, const PGresult *error)
{
    if (s->sent_items > 0 && s->sent_lines > 0) {
        s->careful = true;
    } else if (s->sent_items > 1) {
        s->item_limit = s->sent_items / 2;
    } else if (s->sent_items == 1) {
        replace(&s->items[0], db_message(error));
    } else if (s->sent_lines > 1) {
        s->line_limit = s->sent_lines / 2;
    } else {
        log_error("a log line was rejected by the database",
                  LOG_INT("job_id", s->lines[0].what.job_id),
                  LOG_TEXT("error", db_message(error)));
        drop_lines(s, 1);
    }
}

static void drop_items(struct settler *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        lease_settle(s->leases, s->items[i].job->lease);
        job_free(s->items[i].job);
        free(s->items[i].error);
        free(s->items[i].result);
    }
    s->item_count -= n;
    if (s->item_count > 0) {
        memmove(s->items, s->items + n, s->item_count * sizeof(*s->items));
    }
}

static void drop_lines(struct settler *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(s->lines[i].bytes);
    }
    s->line_count -= n;
    if (s->line_count > 0) {
        memmove(s->lines, s->lines + n, s->line_count * sizeof(*s->lines));
    }
}
