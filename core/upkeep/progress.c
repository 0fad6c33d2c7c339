/*
 * progress.c - a note a run, a list of those that the database does not have yet.
 *
 * Settling knows nothing of it: what is written for a job that has ended by then shows nowhere, as its
 * lease no longer holds it, and is swept some time later.
 */
#include "core/upkeep/progress.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/db/result.h"

#define INTERVAL_MS       1000u
#define SWEEP_INTERVAL_MS 30000u

struct note {
    int64_t seq;
    int16_t slot;
    bool is_new; /* in the list of what is to be told */
    double fraction;
    int64_t at_us;
    struct buffer message;
};

struct progress {
    struct link *upkeep;
    int64_t worker_id;
    struct note *notes; /* owned; by the name of the run, which a later run may take over */
    size_t size;
    uint32_t *told_next; /* owned; names of the runs with a new note */
    size_t count;
    bool in_flight;
    bool has_failed;  /* and that was said */
    uint64_t sent_ms; /* when it last told something */
    uint64_t swept_ms;
    uv_timer_t timer; /* until it tells again; runs only if there is something new */
    struct db_params write;
    struct db_params sweep;
};

static void schedule(struct progress *p);
static void on_timer(uv_timer_t *timer);
static void fill_write(struct progress *p);
static void on_written(void *arg, const struct db_reply *reply);
static void on_closed(uv_handle_t *handle);

struct progress *progress_open(uv_loop_t *loop, struct link *upkeep, size_t runs)
{
    struct progress *p = mem_zalloc(sizeof(*p));

    p->upkeep = upkeep;
    p->size = runs;
    p->notes = mem_zalloc(runs * sizeof(*p->notes));
    p->told_next = mem_zalloc(runs * sizeof(*p->told_next));
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    return p;
}

static void forget(struct progress *p)
{
    for (size_t i = 0; i < p->count; i++) {
        p->notes[p->told_next[i]].is_new = false;
    }
    p->count = 0;
}

void progress_set_worker(struct progress *p, int64_t worker_id)
{
    forget(p);
    p->worker_id = worker_id;
}

void progress_note(struct progress *p, const struct job *j, const struct wire_progress *m)
{
    if (j->run >= p->size || !(m->fraction >= 0 && m->fraction <= 1)) {
        return;
    }
    struct note *n = &p->notes[j->run];
    n->seq = j->lease->seq;
    n->slot = j->slot;
    n->fraction = m->fraction;
    n->at_us = m->at_us;
    buffer_clear(&n->message);
    buffer_add_slice(&n->message, m->message);
    if (!n->is_new) {
        n->is_new = true;
        p->told_next[p->count++] = j->run;
    }
    schedule(p);
}

void progress_close(struct progress *p)
{
    for (size_t i = 0; i < p->size; i++) {
        buffer_fini(&p->notes[i].message);
    }
    free(p->notes);
    free(p->told_next);
    db_params_fini(&p->write);
    db_params_fini(&p->sweep);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

/* The first word after a quiet time goes when this turn of the loop is over, with those beside it. */
static void schedule(struct progress *p)
{
    if (p->in_flight || uv_is_active((uv_handle_t *)&p->timer)) {
        return;
    }
    uint64_t quiet_ms = clock_now_ms() - p->sent_ms;
    uv_timer_start(&p->timer, on_timer, quiet_ms < INTERVAL_MS ? INTERVAL_MS - quiet_ms : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct progress *p = timer->data;
    struct db_statement statements[2] = {{SQL_WRITE_PROGRESS, &p->write}};
    size_t count = 1;

    if (p->count == 0 || p->worker_id == 0) {
        return;
    }
    fill_write(p);
    p->sent_ms = clock_now_ms();
    if (p->sent_ms - p->swept_ms >= SWEEP_INTERVAL_MS) {
        p->swept_ms = p->sent_ms;
        db_params_clear(&p->sweep);
        db_add_int8(&p->sweep, p->worker_id);
        statements[count++] = (struct db_statement){SQL_SWEEP_PROGRESS, &p->sweep};
    }
    p->in_flight = link_send(p->upkeep, statements, count, on_written, p) == 0;
    if (p->in_flight) {
        forget(p);
    } else {
        schedule(p); /* no connection: the last word is told when there is one */
    }
}

static void fill_write(struct progress *p)
{
    struct db_params *w = &p->write;
    int64_t now_us = (int64_t)clock_now_us();

    db_params_clear(w);
    db_add_int8(w, p->worker_id);
    db_array_begin(w, DB_INT8);
    for (size_t i = 0; i < p->count; i++) {
        db_array_int8(w, p->notes[p->told_next[i]].seq);
    }
    db_array_end(w);
    db_array_begin(w, DB_INT2);
    for (size_t i = 0; i < p->count; i++) {
        db_array_int2(w, p->notes[p->told_next[i]].slot);
    }
    db_array_end(w);
    db_array_begin(w, DB_FLOAT8);
    for (size_t i = 0; i < p->count; i++) {
        db_array_float8(w, p->notes[p->told_next[i]].fraction);
    }
    db_array_end(w);
    db_array_begin(w, DB_INT8);
    for (size_t i = 0; i < p->count; i++) {
        db_array_int8(w, now_us - p->notes[p->told_next[i]].at_us);
    }
    db_array_end(w);
    db_array_begin(w, DB_TEXT);
    for (size_t i = 0; i < p->count; i++) {
        db_array_text(w, buffer_slice(&p->notes[p->told_next[i]].message));
    }
    db_array_end(w);
}

/* What was lost or refused is not repeated: a newer word comes. */
static void on_written(void *arg, const struct db_reply *reply)
{
    struct progress *p = arg;

    p->in_flight = false;
    if (reply->error != NULL && !p->has_failed) {
        log_warn("progress of jobs is not kept", LOG_TEXT("error", db_message(reply->error)));
    }
    p->has_failed = reply->error != NULL;
    if (p->count > 0) {
        schedule(p);
    }
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
