/*
 * engine.c - the parts of a worker and what they say to each other.
 *
 *   claimer --jobs--> dispatcher --runs--> pool of executors
 *                         |  <--outcomes, logs--  |
 *                      settler                 kinds --> registration --lanes--> claimer
 *
 * It knows no protocol itself: each function here passes one event on. What the connections say is in
 * connections.c, what the executors say in executors.c; ending.c ends it all.
 */
#include "core/app/engine.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/app/engine_parts.h"
#include "core/base/clock.h"
#include "core/base/log.h"

static void open_parts(struct engine *e, const char *conninfo);
static void close_parts(struct engine *e);
static void on_signal(uv_signal_t *signal, int signum);

/* ---- registration ---- */

static void on_identified(void *owner, int64_t worker_id)
{
    struct engine *e = owner;

    claimer_set_worker(e->claimer, worker_id);
    settler_set_worker(e->settler, worker_id);
    progress_set_worker(e->progress, worker_id);
    heartbeat_set_worker(e->heartbeat, worker_id);
    fencing_start(e);
}

/* Who saw the lock free for a while learns that we live. */
static void on_locked(void *owner)
{
    struct engine *e = owner;

    heartbeat_beat(e->heartbeat);
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
    executors_report(e);
}

static void on_name_taken(void *owner, const char *holder)
{
    connections_refuse_name(owner, holder);
}

static void on_refused(void *owner, const char *sqlstate, const char *message)
{
    connections_refuse(owner, sqlstate, message);
}

static const struct registration_events registration_events = {on_identified,
                                                               on_locked,
                                                               on_registered,
                                                               on_name_taken,
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
    progress_set_worker(e->progress, 0);
    lease_list_fini(&e->leases);
    e->announced = false;
    e->report_due = e->load_error.size > 0;
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

    notifier_ready(e->notifier, slice_of("working"));
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

/* ---- the private socket ---- */

static void on_asked(void *owner, struct asker *a, const char *line)
{
    struct engine *e = owner;

    looking_ask(e->looking, a, line);
}

/* ---- the whole ---- */

void engine_reload(struct engine *e)
{
    if (e->phase == PHASE_RUNNING) {
        notifier_reloading(e->notifier);
        pool_reload(e->pool);
    }
}

static void on_files_changed(void *owner)
{
    engine_reload(owner);
}

int engine_run(const struct config *config, const char *conninfo)
{
    struct engine e = {.config = config, .exit_status = EXIT_FAILED};

    srandom((unsigned)clock_now_us());
    uv_loop_init(&e.loop);
    open_parts(&e, conninfo);
    uv_run(&e.loop, UV_RUN_DEFAULT); /* until ending_leave() stops it */
    if (e.exit_status == EXIT_DATABASE_AWAY) {
        private_socket_unlink(e.socket);
        _exit(
            EXIT_DATABASE_AWAY); /* a try to connect may hang in a thread; executors die with us */
    }
    close_parts(&e);
    return e.exit_status;
}

struct pool_options engine_pool_options(const struct config *config, const char *conninfo)
{
    return (struct pool_options){
        .executors = config->executors,
        .executor_memory = config->executor_memory_bytes,
        .load_timeout_ms = config->load_timeout_ms,
        .config =
            {
                .log_level = (uint8_t)config->log_level,
                .log_format = (uint8_t)config->log_format,
                .job_memory = (int64_t)config->job_memory_bytes,
                .load_memory = (int64_t)config->executor_memory_bytes,
                .handlers = buffer_slice(&config->handlers),
                .settings = buffer_slice(&config->settings),
                .conninfo = slice_of(conninfo),
            },
    };
}

static void open_parts(struct engine *e, const char *conninfo)
{
    static const int signums[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    const struct config *c = e->config;
    struct link_options work = {conninfo, "jobq-run work", false};
    struct link_options upkeep = {conninfo, "jobq-run upkeep", true};
    struct claimer_options claiming = {c->poll_interval_ms};
    struct registration_options identity = {
        .name = c->name,
        .name_is_given = c->name_is_given,
        .version = JOBQ_VERSION,
        .queues = c->queues,
        .concurrency = c->concurrency,
    };
    struct pool_options pool = engine_pool_options(c, conninfo);

    for (size_t i = 0; i < LENGTH_OF(signums); i++) {
        uv_signal_init(&e->loop, &e->signals[i]);
        e->signals[i].data = e;
        uv_signal_start(&e->signals[i], on_signal, signums[i]);
    }
    e->notifier = notifier_open(&e->loop); /* before there are children */
    e->socket = private_socket_open(&e->loop, on_asked, e);
    identity.socket = e->socket == NULL ? NULL : private_socket_path(e->socket);
    ending_open(e);
    fencing_open(e);
    e->work = link_open(&e->loop, &work, &connections_work_events, e);
    e->upkeep = link_open(&e->loop, &upkeep, &connections_upkeep_events, e);
    e->settler = settler_open(&e->loop, e->work, &e->leases, &settler_events, e);
    e->claimer = claimer_open(&e->loop, e->work, e->upkeep, &claiming, &e->leases);
    claimer_set_events(e->claimer, &claimer_events, e);
    e->dispatcher = dispatcher_open(&e->loop, c->concurrency, e->settler, &executors_ops, e);
    e->looking = looking_open(&e->loop, e->dispatcher);
    e->registration = registration_open(&e->loop, e->upkeep, &identity, &registration_events, e);
    e->heartbeat = heartbeat_open(&e->loop, e->upkeep, c->heartbeat_interval_ms, &e->leases);
    heartbeat_set_events(e->heartbeat, &heartbeat_events, e);
    e->rescuer = rescuer_open(&e->loop, e->upkeep, c->dead_after_ms);
    e->tender = tender_open(&e->loop, e->upkeep);
    e->advancer = advancer_open(&e->loop, e->upkeep);
    e->progress = progress_open(&e->loop, e->upkeep, c->concurrency);
    e->pool = pool_open(&e->loop, &pool, &executors_pool_events, e);
    if (c->watch) {
        e->watch = watch_open(&e->loop, buffer_slice(&c->handlers), on_files_changed, e);
    }
}

static void close_parts(struct engine *e)
{
    looking_close(e->looking);
    private_socket_close(e->socket);
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
    advancer_close(e->advancer);
    progress_close(e->progress);
    ending_close(e);
    fencing_close(e);
    notifier_close(e->notifier);
    if (e->watch != NULL) {
        watch_close(e->watch);
    }
    for (size_t i = 0; i < LENGTH_OF(e->signals); i++) {
        uv_close((uv_handle_t *)&e->signals[i], NULL);
    }
    while (uv_run(&e->loop, UV_RUN_DEFAULT) != 0) {
        /* a late uv_stop() has interrupted it: handles must close all the same */
    }
    if (uv_loop_close(&e->loop) != 0) {
        log_error("handles are left open");
    }
    lease_list_fini(&e->leases);
    buffer_fini(&e->load_error);
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
    case SIGHUP: engine_reload(e); break;
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
