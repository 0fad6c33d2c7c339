/*
 * dispatcher.c - a waiting line a priority, a table of runs, a tick while anything runs.
 */
#include "core/flow/dispatcher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/flow/waiting.h"
#include "core/job/pulse.h"

/* Work ahead: enough that executors do not wait for the next claim. */
#define AHEAD_S    0.1
#define AHEAD_JOBS 2000

/* After a stop was asked for, then the executor is killed: all is over within a second. */
#define STOP_GRACE_US 800000u

/* Jobs that have waited so long here while others run on are given back beyond the work ahead. */
#define GIVE_BACK_AFTER_US 1000000u

#define TICK_MS         50u
#define RATE_WINDOW_US  50000u
#define STALE_RATE_US   1000000u
#define LONGEST_MESSAGE 200

struct dispatcher {
    size_t concurrency;
    struct settler *settler;
    const struct executor_ops *ops;
    void *pool;
    const struct kind_list *kinds; /* borrowed */
    struct waiting waiting;
    struct job **runs; /* owned table: run -> job, or NULL */
    uint32_t *spare;   /* owned stack of unused run names */
    size_t spare_count;
    size_t table_size;
    size_t running;
    uv_timer_t tick;
    bool stopped;
    bool held;
    double rate; /* runs that ended a second, lately */
    uint64_t rate_from_us;
    size_t rate_count;
};

static void run_line(struct dispatcher *d, struct waiting_line *line, bool alone);
static void start(struct dispatcher *d, struct job *j, const struct kind *k, struct executor *e);
static int on_started(struct dispatcher *d, struct executor *e, struct frame *f);
static int on_log(struct dispatcher *d, struct executor *e, struct frame *f);
static int on_outcome(struct dispatcher *d, struct executor *e, struct frame *f);
static void on_tick(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);
static void check_run(struct dispatcher *d, struct job *j, uint64_t now_us);
static void ask_stop(struct dispatcher *d, struct job *j, enum stop_reason reason);
static void give_back_surplus(struct dispatcher *d, uint64_t now_us);
static bool has_overstayed(const struct job *j);
static void log_failure(const struct job *j,
                        const char *kind,
                        struct slice error,
                        enum outcome outcome);
static void release_run(struct dispatcher *d, struct job *j);
static void settle_plain(struct dispatcher *d, struct job *j, enum outcome outcome);
static bool settle_unwanted(struct dispatcher *d, struct job *j);
static const struct kind *kind_of(const struct dispatcher *d, const struct job *j);

struct dispatcher *dispatcher_open(uv_loop_t *loop,
                                   size_t concurrency,
                                   struct settler *settler,
                                   const struct executor_ops *ops,
                                   void *pool)
{
    struct dispatcher *d = mem_zalloc(sizeof(*d));

    d->concurrency = concurrency;
    d->settler = settler;
    d->ops = ops;
    d->pool = pool;
    d->table_size = concurrency;
    d->runs = mem_zalloc(concurrency * sizeof(struct job *));
    d->spare = mem_zalloc(concurrency * sizeof(*d->spare));
    for (size_t i = 0; i < concurrency; i++) {
        d->spare[d->spare_count++] = (uint32_t)(concurrency - 1 - i);
    }
    uv_timer_init(loop, &d->tick);
    d->tick.data = d;
    return d;
}

void dispatcher_set_kinds(struct dispatcher *d, const struct kind_list *kinds)
{
    d->kinds = kinds;
}

static size_t ahead(const struct dispatcher *d)
{
    double jobs = d->rate * AHEAD_S;

    return jobs < AHEAD_JOBS ? (size_t)jobs : AHEAD_JOBS;
}

/* Half of the work ahead is used up before more is fetched: claims of a few jobs cost as much. */
size_t dispatcher_room(const struct dispatcher *d)
{
    size_t most = d->concurrency + ahead(d);
    size_t held = d->running + d->waiting.count;
    bool enough = d->waiting.count > 0 && d->waiting.count > ahead(d) / 2;

    return d->stopped || enough || held >= most ? 0 : most - held;
}

void dispatcher_add(struct dispatcher *d, struct job *job)
{
    if (settle_unwanted(d, job)) {
        return;
    }
    if (d->stopped || kind_of(d, job) == NULL) {
        settle_plain(d, job, OUTCOME_RETURN);
    } else {
        job->sent_us = clock_now_us();
        waiting_add(&d->waiting, job);
    }
}

void dispatcher_hold(struct dispatcher *d, bool hold)
{
    d->held = hold;
    dispatcher_run(d);
}

void dispatcher_run(struct dispatcher *d)
{
    run_line(d, &d->waiting.apart, true);
    for (size_t p = 0; p < WAITING_PRIORITIES; p++) {
        run_line(d, &d->waiting.lines[p], false);
    }
    if (d->running > 0 && !uv_is_active((uv_handle_t *)&d->tick)) {
        uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
    }
}

/* A job whose kind a reload has removed goes back; another worker may know it. */
static void run_line(struct dispatcher *d, struct waiting_line *line, bool alone)
{
    while (line->first != NULL && d->running < d->concurrency && !d->held) {
        const struct kind *k = kind_of(d, line->first);
        struct executor *e = k == NULL ? NULL : d->ops->pick(d->pool, alone);
        if (k != NULL && e == NULL) {
            return;
        }
        struct job *j = waiting_take(&d->waiting, line);
        if (k == NULL) {
            settle_plain(d, j, OUTCOME_RETURN);
        } else {
            start(d, j, k, e);
        }
    }
}

int dispatcher_told(struct dispatcher *d, struct executor *e, struct frame *f)
{
    switch (f->type) {
    case WIRE_STARTED: return on_started(d, e, f);
    case WIRE_LOG: return on_log(d, e, f);
    case WIRE_OUTCOME: return on_outcome(d, e, f);
    default: return -EBADMSG;
    }
}

/* A run that has brought its executor down, by dying in it or by not stopping. */
static void settle_guilty(struct dispatcher *d, struct job *j, const char *why)
{
    const struct kind *k = kind_of(d, j);
    struct settlement what = {
        .outcome = outcome_of(VERDICT_STOPPED, j->stop_reason, j->attempt, j->max_attempts),
        .ran_us = j->started_us == 0 ? 0 : (int64_t)(clock_now_us() - j->started_us),
        .delay_ms = (int64_t)(retry_delay_s(j->attempt) * 1000),
    };
    struct buffer error = {0};

    if (j->stop_reason == STOP_NONE) {
        buffer_printf(&error, "its executor died while it ran: %s", why);
        what.outcome = what.outcome == OUTCOME_RETRY ? OUTCOME_CRASH : what.outcome;
    } else if (j->stop_reason == STOP_DEADLINE) {
        buffer_printf(&error, "killed: it ran on after its timeout of %g s", j->timeout_s);
    }
    if (error.size > 0) {
        what.error = buffer_slice(&error);
        log_failure(j, k == NULL ? "" : k->name, what.error, what.outcome);
    }
    settler_add(d->settler, j, &what);
    buffer_fini(&error);
}

/* The supervisor has killed its executor, or is about to, because it did not stop in time. */
static bool has_overstayed(const struct job *j)
{
    return j->stop_asked_us != 0 && clock_now_us() - j->stop_asked_us >= STOP_GRACE_US;
}

static bool anyone_overstayed(const struct dispatcher *d, const struct executor *e)
{
    for (uint32_t i = 0; i < d->table_size; i++) {
        if (d->runs[i] != NULL && d->runs[i]->executor == e && has_overstayed(d->runs[i])) {
            return true;
        }
    }
    return false;
}

/*
 * If a run overstayed, its executor was killed for it, and nobody else is to blame; but the run that
 * computed may have kept it from hearing the stop, so that one is alone next. Else a lone run, or the
 * one that computed, is to blame. If there is none, the executor died between runs, and any of those
 * that waited may be the reason: each runs alone next.
 */
void dispatcher_lost(struct dispatcher *d, struct executor *e, uint32_t culprit, const char *why)
{
    bool killed = anyone_overstayed(d, e);
    bool alone = d->ops->load(e) == 1;
    enum outcome others = killed ? OUTCOME_RETURN : OUTCOME_SUSPECT;

    for (uint32_t i = 0; i < d->table_size; i++) {
        struct job *j = d->runs[i];
        if (j != NULL && j->executor == e && (killed ? has_overstayed(j) : alone || i == culprit)) {
            release_run(d, j);
            settle_guilty(d, j, why);
            others = OUTCOME_RETURN;
        }
    }
    for (uint32_t i = 0; i < d->table_size; i++) {
        struct job *j = d->runs[i];
        if (j != NULL && j->executor == e) {
            release_run(d, j);
            settle_plain(d, j, i == culprit ? OUTCOME_SUSPECT : others);
        }
    }
    settler_flush(d->settler);
}

static struct job *find(const struct dispatcher *d, int64_t job_id)
{
    for (size_t i = 0; i < d->table_size; i++) {
        if (d->runs[i] != NULL && d->runs[i]->id == job_id) {
            return d->runs[i];
        }
    }
    return NULL;
}

const struct job *dispatcher_find(const struct dispatcher *d, int64_t job_id)
{
    return find(d, job_id);
}

const char *dispatcher_kind_name(const struct dispatcher *d, const struct job *j)
{
    const struct kind *k = kind_of(d, j);

    return k == NULL ? "?" : k->name;
}

void dispatcher_cancel(struct dispatcher *d, int64_t job_id)
{
    struct job *j = find(d, job_id);

    if (j != NULL) {
        ask_stop(d, j, STOP_CANCEL);
    } else {
        waiting_cancel(&d->waiting, job_id); /* start() sees the mark */
    }
}

void dispatcher_stop(struct dispatcher *d)
{
    struct job *j;

    d->stopped = true;
    while ((j = waiting_pop(&d->waiting)) != NULL) {
        settle_plain(d, j, OUTCOME_RETURN);
    }
    settler_flush(d->settler);
}

void dispatcher_stop_runs(struct dispatcher *d)
{
    for (size_t i = 0; i < d->table_size; i++) {
        if (d->runs[i] != NULL) {
            ask_stop(d, d->runs[i], STOP_SHUTDOWN);
        }
    }
}

size_t dispatcher_running(const struct dispatcher *d)
{
    return d->running;
}

size_t dispatcher_waiting(const struct dispatcher *d)
{
    return d->waiting.count;
}

void dispatcher_forget(struct dispatcher *d)
{
    struct job *j;

    while ((j = waiting_pop(&d->waiting)) != NULL) {
        job_free(j);
    }
    for (size_t i = 0; i < d->table_size; i++) {
        j = d->runs[i];
        if (j != NULL) {
            struct executor *e = j->executor;
            release_run(d, j);
            job_free(j);
            d->ops->kill(e);
        }
    }
}

void dispatcher_each_run(const struct dispatcher *d,
                         void (*fn)(void *arg, const struct job *j, const struct kind *k),
                         void *arg)
{
    for (size_t i = 0; i < d->table_size; i++) {
        if (d->runs[i] != NULL) {
            fn(arg, d->runs[i], kind_of(d, d->runs[i]));
        }
    }
}

void dispatcher_close(struct dispatcher *d)
{
    struct job *j;

    while ((j = waiting_pop(&d->waiting)) != NULL) {
        job_free(j);
    }
    for (size_t i = 0; i < d->table_size; i++) {
        job_free(d->runs[i]);
    }
    free(d->runs);
    free(d->spare);
    uv_close((uv_handle_t *)&d->tick, on_closed);
}

static void start(struct dispatcher *d, struct job *j, const struct kind *k, struct executor *e)
{
    if (settle_unwanted(d, j)) {
        return;
    }
    j->max_attempts = j->max_attempts == 0 ? k->max_attempts : j->max_attempts;
    j->timeout_s = j->timeout_s > 0 ? j->timeout_s : k->timeout_s;
    j->run = d->spare[--d->spare_count];
    j->executor = e;
    j->sent_us = clock_now_us();
    d->runs[j->run] = j;
    d->running++;
    d->ops->add_load(e, 1);
    struct wire_run run = {
        .run = j->run,
        .job_id = j->id,
        .worker_id = settler_worker(d->settler),
        .seq = j->lease->seq,
        .slot = (uint32_t)j->slot,
        .created_us = j->created_us,
        .run_at_us = j->run_at_us,
        .attempt = j->attempt,
        .max_attempts = j->max_attempts,
        .priority = j->priority,
        .timeout_s = j->timeout_s,
        .kind = slice_of(k->name),
        .queue = slice_of(k->queue),
        .args = j->args,
        .meta = j->meta,
    };
    d->ops->run(e, &run);
}

/* The job that e may speak of, or NULL: it speaks of its own runs only. */
static struct job *run_of(const struct dispatcher *d, const struct executor *e, uint32_t run)
{
    struct job *j = run < d->table_size ? d->runs[run] : NULL;

    return j != NULL && j->executor == e ? j : NULL;
}

const struct job *dispatcher_job(const struct dispatcher *d, const struct executor *e, uint32_t run)
{
    return run_of(d, e, run);
}

static int on_started(struct dispatcher *d, struct executor *e, struct frame *f)
{
    struct wire_started m;
    int rc = wire_get_started(f, &m);
    struct job *j = rc == 0 ? run_of(d, e, m.run) : NULL;

    if (j == NULL) {
        return -EBADMSG;
    }
    j->started_us = (uint64_t)m.started_us;
    return 0;
}

static int on_log(struct dispatcher *d, struct executor *e, struct frame *f)
{
    struct wire_log m;
    int rc = wire_get_log(f, &m);
    const struct job *j = rc == 0 ? run_of(d, e, m.run) : NULL;

    if (j == NULL) {
        return -EBADMSG;
    }
    settler_log(d->settler,
                &(struct log_line){
                    .job_id = j->id,
                    .attempt = j->attempt,
                    .at_us = m.at_us,
                    .level = m.level,
                    .message = m.message,
                    .fields = m.fields,
                });
    return 0;
}

static struct slice first_line(struct slice text)
{
    const char *end = text.size == 0 ? NULL : memchr(text.data, '\n', text.size);
    size_t size = end == NULL ? text.size : (size_t)(end - text.data);

    return (struct slice){text.data, size < LONGEST_MESSAGE ? size : LONGEST_MESSAGE};
}

static void log_failure(const struct job *j,
                        const char *kind,
                        struct slice error,
                        enum outcome outcome)
{
    if (outcome == OUTCOME_RETRY || outcome == OUTCOME_CRASH) {
        log_warn("job failed",
                 LOG_INT("job_id", j->id),
                 LOG_TEXT("kind", kind),
                 LOG_INT("attempt", j->attempt),
                 LOG_INT("max_attempts", j->max_attempts),
                 LOG_SLICE("error", first_line(error)));
    } else if (outcome == OUTCOME_FAILED) {
        log_error("job failed for good",
                  LOG_INT("job_id", j->id),
                  LOG_TEXT("kind", kind),
                  LOG_INT("attempt", j->attempt),
                  LOG_SLICE("error", first_line(error)));
    }
}

static void count_rate(struct dispatcher *d)
{
    uint64_t now_us = clock_now_us();
    uint64_t window_us = now_us - d->rate_from_us;

    d->rate_count++;
    if (window_us >= RATE_WINDOW_US) {
        double now = (double)d->rate_count * 1e6 / (double)window_us;
        d->rate = window_us > STALE_RATE_US ? now : (d->rate + now) / 2;
        d->rate_from_us = now_us;
        d->rate_count = 0;
    }
}

static int on_outcome(struct dispatcher *d, struct executor *e, struct frame *f)
{
    struct wire_outcome m;
    int rc = wire_get_outcome(f, &m);
    struct job *j = rc == 0 ? run_of(d, e, m.run) : NULL;

    if (j == NULL || m.verdict > VERDICT_PARKED) {
        return -EBADMSG;
    }
    if (m.verdict == VERDICT_SETTLED) {
        release_run(d, j);
        count_rate(d);
        settler_forgo(d->settler, j);
        return 0;
    }
    const struct kind *k = kind_of(d, j);
    struct settlement what = {
        .outcome = outcome_of((enum verdict)m.verdict, j->stop_reason, j->attempt, j->max_attempts),
        .ran_us = m.ran_us,
        .error = m.error,
        .result = m.result,
    };
    double delay_s = m.delay_s >= 0 ? m.delay_s : retry_delay_s(j->attempt);
    what.delay_ms = what.outcome == OUTCOME_RETURN ? 0 : (int64_t)(delay_s * 1000);
    log_failure(j, k == NULL ? "" : k->name, m.error, what.outcome);
    release_run(d, j);
    count_rate(d);
    settler_add(d->settler, j, &what);
    return 0;
}

static void release_run(struct dispatcher *d, struct job *j)
{
    d->ops->add_load(j->executor, -1);
    d->runs[j->run] = NULL;
    d->spare[d->spare_count++] = j->run;
    d->running--;
}

static void on_tick(uv_timer_t *timer)
{
    struct dispatcher *d = timer->data;
    uint64_t now_us = clock_now_us();

    if (d->running == 0) {
        uv_timer_stop(timer);
        return;
    }
    for (size_t i = 0; i < d->table_size; i++) {
        if (d->runs[i] != NULL) {
            check_run(d, d->runs[i], now_us);
        }
    }
    give_back_surplus(d, now_us);
    dispatcher_run(d);
}

/* A run that computes without a break was never heard to start: its executor's pulse shows it. */
static void check_run(struct dispatcher *d, struct job *j, uint64_t now_us)
{
    uint64_t since_us;

    if (j->started_us == 0 && d->ops->computing(j->executor, &since_us) == j->run &&
        since_us >= j->sent_us) {
        j->started_us = since_us;
    }
    if (j->stop_asked_us != 0) {
        if (has_overstayed(j)) {
            d->ops->kill(j->executor);
        }
    } else if (j->started_us != 0 && now_us > j->started_us &&
               now_us - j->started_us >= (uint64_t)(j->timeout_s * 1e6)) {
        ask_stop(d, j, STOP_DEADLINE);
    }
}

static void ask_stop(struct dispatcher *d, struct job *j, enum stop_reason reason)
{
    if (j->stop_asked_us == 0) {
        j->stop_asked_us = clock_now_us();
        j->stop_reason = reason;
        d->ops->stop(j->executor, j->run, reason);
    }
}

/* A burst of quick jobs may have fetched more ahead than is due to slow ones: others may have it. */
static void give_back_surplus(struct dispatcher *d, uint64_t now_us)
{
    struct waiting kept = {0};
    struct job *j;

    d->rate = now_us - d->rate_from_us > STALE_RATE_US ? 0 : d->rate;
    size_t allowed = ahead(d) + (d->concurrency - d->running);
    if (d->waiting.count <= allowed ||
        now_us - waiting_since_us(&d->waiting) < GIVE_BACK_AFTER_US) {
        return;
    }
    while ((j = waiting_pop(&d->waiting)) != NULL) {
        if (kept.count < allowed) {
            waiting_add(&kept, j);
        } else {
            settle_plain(d, j, OUTCOME_RETURN);
        }
    }
    d->waiting = kept;
    settler_flush(d->settler);
}

static void settle_plain(struct dispatcher *d, struct job *j, enum outcome outcome)
{
    settler_add(d->settler, j, &(struct settlement){.outcome = outcome});
}

/* What must not begin any more: it was cancelled, or has expired. */
static bool settle_unwanted(struct dispatcher *d, struct job *j)
{
    struct settlement what = {.outcome = OUTCOME_CANCELLED};

    if (!j->cancelled) {
        if (j->expires_us == 0 || !job_has_expired(j, clock_now_us())) {
            return false;
        }
        what.error = slice_of("expired");
    }
    settler_add(d->settler, j, &what);
    return true;
}

static const struct kind *kind_of(const struct dispatcher *d, const struct job *j)
{
    return d->kinds == NULL ? NULL : kind_by_id(d->kinds, j->kind_id);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
