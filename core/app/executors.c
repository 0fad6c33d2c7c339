/*
 * executors.c - what the pool of executors says: a generation has loaded or has not, a run has something
 * to tell, a process has died. And what the dispatcher may ask of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/app/engine_parts.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/db/result.h"

/* Bytes of a load error that others get to see. */
#define LONGEST_REPORT 2000

static void on_reported(void *arg, const struct db_reply *reply)
{
    struct engine *e = arg;

    if (reply->lost) {
        e->report_due = true; /* again once the worker is registered */
    } else if (reply->error != NULL) {
        log_warn("cannot report a reload", LOG_TEXT("error", db_message(reply->error)));
    }
}

void executors_report(struct engine *e)
{
    struct db_params params = {0};
    int64_t worker_id = registration_worker_id(e->registration);

    if (!e->report_due || worker_id == 0) {
        return;
    }
    db_add_int8(&params, worker_id);
    db_add_text(&params, buffer_slice(&e->load_error));
    e->report_due = link_query(e->upkeep, SQL_REPORT_LOAD, &params, on_reported, e) < 0;
    db_params_fini(&params);
}

/* What `jobq workers` shows. message is empty when all is well. */
static void report_load(struct engine *e, struct slice message)
{
    buffer_clear(&e->load_error);
    text_add_clean(&e->load_error, message, LONGEST_REPORT);
    e->report_due = true;
    executors_report(e);
}

/* Not if another reload follows at once. */
static void told_reload(struct engine *e, struct slice status)
{
    if (!pool_is_reloading(e->pool)) {
        notifier_reloaded(e->notifier, status);
    }
}

static void on_loaded(void *owner, const struct kind_list *kinds, unsigned generation)
{
    struct engine *e = owner;
    struct kind_list *old = e->kinds;

    e->kinds = mem_zalloc(sizeof(*e->kinds));
    kind_list_copy(e->kinds, kinds, old);
    kind_list_filter(e->kinds, e->config->kinds);
    if (generation > 1) {
        log_info("reloaded", LOG_INT("generation", generation), LOG_INT("kinds", e->kinds->count));
        report_load(e, slice_of(""));
        told_reload(e, slice_of("working"));
    }
    if (e->kinds->count == 0 && generation == 1) {
        (void)fprintf(stderr,
                      "jobq-run: --kinds '%s' leaves none of the kinds that the handlers define\n",
                      e->config->kinds == NULL ? "" : e->config->kinds);
        ending_leave(e, EXIT_USAGE);
    }
    dispatcher_set_kinds(e->dispatcher, e->kinds);
    claimer_set_kinds(e->claimer, e->kinds);
    registration_set_kinds(e->registration, e->kinds, generation);
    if (old != NULL) {
        kind_list_fini(old);
        free(old);
    }
}

static void on_load_failed(void *owner, struct slice message, unsigned serving)
{
    struct engine *e = owner;

    if (serving == 0) {
        (void)fprintf(stderr, "jobq-run: %.*s\n", (int)message.size, message.data);
        ending_leave(e, EXIT_NO_HANDLERS);
    } else {
        log_error("reload failed",
                  LOG_SLICE("error", message),
                  LOG_INT("generation_kept", serving));
        report_load(e, message);
        told_reload(e, message);
    }
}

static void on_delayed(void *owner, size_t busy)
{
    char text[128];

    (void)snprintf(text,
                   sizeof(text),
                   "the reload waits: runs in %zu executors are on still older handlers",
                   busy);
    log_warn("reload waits", LOG_INT("executors", busy));
    report_load(owner, slice_of(text));
    notifier_reloaded(((struct engine *)owner)->notifier, slice_of(text));
}

static int on_progress(struct engine *e, struct executor *x, struct frame *f)
{
    struct wire_progress m;
    int rc = wire_get_progress(f, &m);
    const struct job *j = rc == 0 ? dispatcher_job(e->dispatcher, x, m.run) : NULL;

    if (j == NULL) {
        return -EBADMSG;
    }
    progress_note(e->progress, j, &m);
    return 0;
}

static int told(struct engine *e, struct executor *x, struct frame *f)
{
    switch (f->type) {
    case WIRE_PROGRESS: return on_progress(e, x, f);
    case WIRE_SIGHT: return looking_told(e->looking, f);
    default: return dispatcher_told(e->dispatcher, x, f);
    }
}

static void on_told(void *owner, struct executor *x, struct frame *f)
{
    struct engine *e = owner;

    if (told(e, x, f) < 0) {
        log_debug("frame for a run that is over", LOG_INT("type", f->type));
    }
}

static void on_drained(void *owner)
{
    struct engine *e = owner;

    settler_flush(e->settler);
    pool_tend(e->pool);
    dispatcher_run(e->dispatcher);
    claimer_poke(e->claimer);
    ending_advance(e);
}

static void on_died(void *owner, struct executor *x, uint32_t culprit, const char *why)
{
    struct engine *e = owner;

    dispatcher_lost(e->dispatcher, x, culprit, why);
    dispatcher_run(e->dispatcher);
    ending_advance(e);
}

static void on_ready(void *owner)
{
    struct engine *e = owner;

    dispatcher_run(e->dispatcher);
    claimer_poke(e->claimer);
}

const struct pool_events executors_pool_events =
    {on_loaded, on_load_failed, on_delayed, on_told, on_drained, on_died, on_ready};

static struct executor *pick(void *pool, bool alone)
{
    struct engine *e = pool;

    return pool_pick(e->pool, alone);
}

const struct executor_ops executors_ops = {
    .pick = pick,
    .run = executor_run,
    .stop = executor_stop,
    .kill = executor_kill,
    .add_load = executor_add_load,
    .load = executor_load,
    .computing = executor_computing,
};
