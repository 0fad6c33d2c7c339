/*
 * engine.c - the parts of a worker and what they say to each other.
 *
 *   claimer --jobs--> dispatcher --runs--> pool of executors
 *                         |  <--outcomes, logs--  |
 *                      settler                 kinds --> registration --lanes--> claimer
 *
 * It knows no protocol itself: each function here passes one event on. Ending is in ending.c.
 */
#include "core/app/engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/app/engine_parts.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/db/migrate.h"
#include "core/db/result.h"

/* A database that stays away is mentioned so often. */
#define MENTION_MS 60000u

/* Bytes of a load error that others get to see. */
#define LONGEST_REPORT 2000

static void open_parts(struct engine *e, const char *conninfo);
static void close_parts(struct engine *e);
static void on_signal(uv_signal_t *signal, int signum);

/* ---- work connection ---- */

static void on_work_up(void *owner)
{
    struct engine *e = owner;

    if (e->work_was_up) {
        log_info("database back");
    }
    e->work_was_up = true;
    settler_flush(e->settler);
    claimer_work_up(e->claimer);
}

static void on_work_down(void *owner, const char *why)
{
    (void)owner;
    log_warn("database lost", LOG_TEXT("error", why));
}

/* Before the first success a refusal is a mistake in the DSN, later it is an outage like any other. */
static void on_link_failed(void *owner, enum link_failure failure, const char *why)
{
    struct engine *e = owner;
    uint64_t now_ms = clock_now_ms();
    const char *line_end = strchr(why, '\n');
    int size = line_end == NULL ? (int)strlen(why) : (int)(line_end - why);

    if (failure != LINK_UNREACHABLE && !e->was_connected && e->phase == PHASE_RUNNING) {
        (void)fprintf(stderr,
                      "jobq-run: cannot use the database: %.*s\nhint: the dsn is from %s; "
                      "jobq doctor checks it step by step\n",
                      size,
                      why,
                      e->config->dsn_source);
        ending_leave(e, failure == LINK_BAD_DSN ? EXIT_USAGE : EXIT_NO_DATABASE);
    } else if (e->mentioned_ms == 0 || now_ms - e->mentioned_ms >= MENTION_MS) {
        e->mentioned_ms = now_ms;
        log_warn("cannot reach the database, trying again",
                 LOG_SLICE("error", ((struct slice){why, (size_t)size})));
    }
}

static const struct link_events work_events = {
    .up = on_work_up,
    .down = on_work_down,
    .failed = on_link_failed,
};

/* ---- upkeep connection ---- */

static void on_schema(void *arg, const struct db_reply *reply);

static void on_upkeep_up(void *owner)
{
    struct engine *e = owner;

    if (link_query(e->upkeep, SQL_SCHEMA_STATE, NULL, on_schema, e) < 0) {
        log_debug("lost again"); /* on_upkeep_up() will be told again */
    }
}

static void refuse(struct engine *e, int status, const char *line, const char *hint)
{
    (void)fprintf(stderr, "jobq-run: %s\nhint: %s\n", line, hint);
    ending_leave(e, status);
}

static void refuse_error(struct engine *e, const char *sqlstate, const char *message)
{
    char line[512];

    if (strcmp(sqlstate, "42501") == 0) {
        (void)snprintf(line, sizeof(line), "the role may not do this: %s", message);
        refuse(e, EXIT_REFUSED, line, "grant jobq_worker to the role, as the owner of the schema");
    } else if (strncmp(sqlstate, "3F", 2) == 0 || strncmp(sqlstate, "42", 2) == 0) {
        refuse(e, EXIT_SCHEMA, "the database has no jobq schema", "jobq migrate");
    } else {
        log_warn("cannot register", LOG_TEXT("error", message));
    }
}

static void on_schema(void *arg, const struct db_reply *reply)
{
    struct engine *e = arg;
    char line[512];

    if (reply->lost) {
        return;
    }
    if (reply->error != NULL) {
        refuse_error(e, db_sqlstate(reply->error), db_message(reply->error));
        return;
    }
    int version = (int)db_get_int(reply->results[0], 0, 0);
    struct slice min_worker = db_get_text(reply->results[0], 0, 1);
    char *least = mem_copy(min_worker.data, min_worker.size);
    if (version < migrate_newest()) {
        (void)snprintf(line,
                       sizeof(line),
                       "database schema is %d, at least %d is needed",
                       version,
                       migrate_newest());
        refuse(e, EXIT_SCHEMA, line, "jobq migrate");
    } else if (version_compare(JOBQ_VERSION, least) < 0) {
        (void)snprintf(line,
                       sizeof(line),
                       "database schema %d needs version %s or later, this is %s",
                       version,
                       least,
                       JOBQ_VERSION);
        refuse(e, EXIT_SCHEMA, line, "upgrade jobq-run on this machine");
    } else {
        e->was_connected = true;
        e->mentioned_ms = 0;
        registration_up(e->registration);
        heartbeat_beat(e->heartbeat);
        rescuer_up(e->rescuer);
        tender_up(e->tender);
    }
    free(least);
}

static void on_upkeep_down(void *owner, const char *why)
{
    struct engine *e = owner;

    log_debug("upkeep connection lost", LOG_TEXT("error", why));
    registration_down(e->registration);
    claimer_upkeep_down(e->claimer);
    ending_advance(e);
}

static void on_notified(void *owner, const char *channel, const char *body)
{
    struct engine *e = owner;
    int64_t id;

    if (strcmp(channel, "jobq") == 0) {
        claimer_notified(e->claimer, body);
    } else if (strncmp(body, "cancel ", 7) == 0 && text_integer(body + 7, 1, INT64_MAX, &id)) {
        dispatcher_cancel(e->dispatcher, id);
    } else if (strcmp(body, "reload") == 0) {
        pool_reload(e->pool);
    }
}

static const struct link_events upkeep_events = {
    .up = on_upkeep_up,
    .down = on_upkeep_down,
    .failed = on_link_failed,
    .notified = on_notified,
};

/* ---- registration ---- */

static void on_identified(void *owner, int64_t worker_id)
{
    struct engine *e = owner;

    claimer_set_worker(e->claimer, worker_id);
    settler_set_worker(e->settler, worker_id);
    heartbeat_set_worker(e->heartbeat, worker_id);
    fencing_start(e);
}

static void on_registered(void *owner, const int32_t *lanes, size_t count)
{
    struct engine *e = owner;

    if (!e->announced) {
        e->announced = true;
        log_info("worker ready",
                 LOG_INT("worker_id", registration_worker_id(e->registration)),
                 LOG_TEXT("name", e->config->name),
                 LOG_INT("kinds", e->kinds->count),
                 LOG_INT("executors", e->config->executors));
    }
    claimer_set_lanes(e->claimer, lanes, count);
}

static void on_refused(void *owner, const char *sqlstate, const char *message)
{
    refuse_error(owner, sqlstate, message);
}

static const struct registration_events registration_events = {on_identified,
                                                               on_registered,
                                                               on_refused};

/* ---- heartbeat ---- */

static struct heartbeat_counts on_counts(void *owner)
{
    const struct engine *e = owner;
    struct settler_counts done = settler_counts(e->settler);

    return (struct heartbeat_counts){
        .succeeded = done.succeeded,
        .failed = done.failed,
        .running = (int32_t)dispatcher_running(e->dispatcher),
    };
}

static int64_t on_below(void *owner)
{
    const struct engine *e = owner;

    return claimer_below(e->claimer);
}

static void on_cancelled(void *owner, int64_t job_id)
{
    struct engine *e = owner;

    dispatcher_cancel(e->dispatcher, job_id);
}

/* Others have our jobs by now: whatever runs here must end, and its outcomes are worth nothing. */
static void on_declared_dead(void *owner)
{
    struct engine *e = owner;

    log_error("declared dead by another worker, starting over",
              LOG_INT("worker_id", registration_worker_id(e->registration)));
    heartbeat_set_worker(e->heartbeat, 0);
    claimer_set_worker(e->claimer, 0);
    dispatcher_forget(e->dispatcher);
    settler_forget(e->settler);
    lease_list_fini(&e->leases);
    e->announced = false;
    registration_renew(e->registration);
}

static const struct heartbeat_events heartbeat_events = {on_counts,
                                                         on_below,
                                                         on_cancelled,
                                                         on_declared_dead};

/* ---- claimer and settler ---- */

static size_t on_room(void *owner)
{
    const struct engine *e = owner;

    return dispatcher_room(e->dispatcher);
}

static void on_claimed(void *owner, struct job *job)
{
    struct engine *e = owner;

    dispatcher_add(e->dispatcher, job);
}

static void on_batch(void *owner)
{
    struct engine *e = owner;

    dispatcher_run(e->dispatcher);
    settler_flush(e->settler);
    ending_advance(e);
}

static void on_resting(void *owner)
{
    ending_ask_drained(owner);
}

static void on_lanes_changed(void *owner)
{
    struct engine *e = owner;

    registration_refresh(e->registration);
}

static const struct claimer_events claimer_events = {on_room,
                                                     on_claimed,
                                                     on_batch,
                                                     on_resting,
                                                     on_lanes_changed};

static void on_returned(void *owner, uint64_t delay_ms)
{
    struct engine *e = owner;

    claimer_due_in(e->claimer, delay_ms);
}

static void on_flushed(void *owner)
{
    struct engine *e = owner;

    claimer_poke(e->claimer);
    ending_advance(e);
    ending_ask_drained(e);
}

static const struct settler_events settler_events = {on_returned, on_flushed};

/* ---- pool ---- */

static void on_reported(void *arg, const struct db_reply *reply)
{
    (void)arg;
    if (reply->error != NULL) {
        log_warn("cannot report a reload", LOG_TEXT("error", db_message(reply->error)));
    }
}

/* What `jobq workers` shows. message is empty when all is well. */
static void report_load(struct engine *e, struct slice message)
{
    struct db_params params = {0};
    struct buffer text = {0};

    text_add_clean(&text, message, LONGEST_REPORT);
    db_add_int8(&params, registration_worker_id(e->registration));
    db_add_text(&params, buffer_slice(&text));
    if (link_query(e->upkeep, SQL_REPORT_LOAD, &params, on_reported, NULL) < 0) {
        log_debug("cannot report a reload now");
    }
    db_params_fini(&params);
    buffer_fini(&text);
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
    }
}

static void on_told(void *owner, struct executor *x, struct frame *f)
{
    struct engine *e = owner;

    if (dispatcher_told(e->dispatcher, x, f) < 0) {
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

static const struct pool_events pool_events =
    {on_loaded, on_load_failed, on_told, on_drained, on_died, on_ready};

static struct executor *pick(void *pool, bool alone)
{
    struct engine *e = pool;

    return pool_pick(e->pool, alone);
}

static const struct executor_ops executor_ops = {
    .pick = pick,
    .run = executor_run,
    .stop = executor_stop,
    .kill = executor_kill,
    .add_load = executor_add_load,
    .load = executor_load,
    .computing = executor_computing,
};

static void on_files_changed(void *owner)
{
    struct engine *e = owner;

    pool_reload(e->pool);
}

/* ---- the whole ---- */

int engine_run(const struct config *config, const char *conninfo)
{
    struct engine e = {.config = config, .exit_status = EXIT_FAILED};

    (void)signal(SIGPIPE, SIG_IGN);
    srandom((unsigned)clock_now_us());
    uv_loop_init(&e.loop);
    open_parts(&e, conninfo);
    uv_run(&e.loop, UV_RUN_DEFAULT); /* until ending_leave() stops it */
    if (e.exit_status == EXIT_DATABASE_AWAY) {
        _exit(
            EXIT_DATABASE_AWAY); /* a try to connect may hang in a thread; executors die with us */
    }
    close_parts(&e);
    return e.exit_status;
}

struct wire_config engine_executor_config(const struct config *config)
{
    return (struct wire_config){
        .log_level = (uint8_t)config->log_level,
        .log_format = (uint8_t)config->log_format,
        .job_memory = (int64_t)config->job_memory_bytes,
        .handlers = buffer_slice(&config->handlers),
        .settings = buffer_slice(&config->settings),
    };
}

static void open_parts(struct engine *e, const char *conninfo)
{
    static const int signums[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    const struct config *c = e->config;
    struct link_options work = {conninfo, "jobq-run work", false};
    struct link_options upkeep = {conninfo, "jobq-run upkeep", true};
    struct claimer_options claiming = {c->poll_interval_ms};
    struct registration_options identity = {c->name, JOBQ_VERSION, c->queues, c->concurrency};
    struct pool_options pool = {
        .executors = c->executors,
        .executor_memory = c->executor_memory_bytes,
        .config = engine_executor_config(c),
    };

    for (size_t i = 0; i < LENGTH_OF(signums); i++) {
        uv_signal_init(&e->loop, &e->signals[i]);
        e->signals[i].data = e;
        uv_signal_start(&e->signals[i], on_signal, signums[i]);
    }
    ending_open(e);
    fencing_open(e);
    e->work = link_open(&e->loop, &work, &work_events, e);
    e->upkeep = link_open(&e->loop, &upkeep, &upkeep_events, e);
    e->settler = settler_open(&e->loop, e->work, &e->leases, &settler_events, e);
    e->claimer = claimer_open(&e->loop, e->work, e->upkeep, &claiming, &e->leases);
    claimer_set_events(e->claimer, &claimer_events, e);
    e->dispatcher = dispatcher_open(&e->loop, c->concurrency, e->settler, &executor_ops, e);
    e->registration = registration_open(&e->loop, e->upkeep, &identity, &registration_events, e);
    e->heartbeat = heartbeat_open(&e->loop, e->upkeep, c->heartbeat_interval_ms, &e->leases);
    heartbeat_set_events(e->heartbeat, &heartbeat_events, e);
    e->rescuer = rescuer_open(&e->loop, e->upkeep, c->dead_after_ms);
    e->tender = tender_open(&e->loop, e->upkeep);
    e->pool = pool_open(&e->loop, &pool, &pool_events, e);
    if (c->watch) {
        e->watch = watch_open(&e->loop, buffer_slice(&c->handlers), on_files_changed, e);
    }
}

static void close_parts(struct engine *e)
{
    link_close(e->work);
    link_close(e->upkeep);
    pool_close(e->pool);
    dispatcher_close(e->dispatcher);
    settler_close(e->settler);
    claimer_close(e->claimer);
    registration_close(e->registration);
    heartbeat_close(e->heartbeat);
    rescuer_close(e->rescuer);
    tender_close(e->tender);
    ending_close(e);
    fencing_close(e);
    if (e->watch != NULL) {
        watch_close(e->watch);
    }
    for (size_t i = 0; i < LENGTH_OF(e->signals); i++) {
        uv_close((uv_handle_t *)&e->signals[i], NULL);
    }
    uv_run(&e->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&e->loop) != 0) {
        log_error("handles are left open");
    }
    lease_list_fini(&e->leases);
    if (e->kinds != NULL) {
        kind_list_fini(e->kinds);
        free(e->kinds);
    }
}

static void show_run(void *arg, const struct job *j, const struct kind *k)
{
    uint64_t now_us = clock_now_us();

    (void)arg;
    log_info("running",
             LOG_INT("job_id", j->id),
             LOG_TEXT("kind", k == NULL ? "?" : k->name),
             LOG_INT("attempt", j->attempt),
             LOG_REAL("seconds", (double)(now_us - j->sent_us) / 1e6));
}

static void on_signal(uv_signal_t *signal, int signum)
{
    struct engine *e = signal->data;

    switch (signum) {
    case SIGHUP: pool_reload(e->pool); break;
    case SIGUSR1:
        log_info("state",
                 LOG_INT("running", dispatcher_running(e->dispatcher)),
                 LOG_INT("waiting", dispatcher_waiting(e->dispatcher)),
                 LOG_INT("generation", pool_generation(e->pool)));
        dispatcher_each_run(e->dispatcher, show_run, NULL);
        break;
    default: ending_begin(e, EXIT_DONE); break;
    }
}
