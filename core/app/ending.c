/*
 * ending.c - how a worker ends.
 *
 * RUNNING --signal, drained--> FINISHING --grace over, second signal--> STOPPING
 *                                  |  nothing runs, all settled             |
 *                                  +--------------> LEAVING <---------------+ --answered--> GONE
 *
 * Without a database the way ends after the grace and a little patience: the leases are left to
 * recovery, and the exit status says so.
 */
#include "core/app/engine_parts.h"
#include "core/base/log.h"
#include "core/db/result.h"

#define PATIENCE_MS 5000u
#define REDRAIN_MS  500u

/* What leaving itself may take, once patience is over. */
#define LEAVING_MS 5000u

static void give_grace(struct engine *e, uint64_t grace_ms);
static void stop_runs(struct engine *e);
static void on_grace_over(uv_timer_t *timer);
static void on_patience_over(uv_timer_t *timer);
static void on_redrain(uv_timer_t *timer);
static void on_drained(void *arg, const struct db_reply *reply);
static void on_stopped(void *arg, const struct db_reply *reply);

void ending_open(struct engine *e)
{
    uv_timer_init(&e->loop, &e->grace);
    uv_timer_init(&e->loop, &e->patience);
    uv_timer_init(&e->loop, &e->redrain);
    e->grace.data = e->patience.data = e->redrain.data = e;
}

void ending_close(struct engine *e)
{
    uv_close((uv_handle_t *)&e->grace, NULL);
    uv_close((uv_handle_t *)&e->patience, NULL);
    uv_close((uv_handle_t *)&e->redrain, NULL);
}

void ending_begin(struct engine *e, int exit_status)
{
    if (e->phase == PHASE_FINISHING) {
        stop_runs(e);
        ending_advance(e);
    } else {
        ending_begin_within(e, exit_status, e->config->shutdown_grace_ms);
    }
}

void ending_begin_within(struct engine *e, int exit_status, uint64_t grace_ms)
{
    if (e->phase == PHASE_FINISHING) {
        give_grace(e, grace_ms);
    } else if (e->phase == PHASE_RUNNING) {
        e->phase = PHASE_FINISHING;
        e->exit_status = exit_status;
        log_info("stopping", LOG_INT("running", dispatcher_running(e->dispatcher)));
        claimer_stop(e->claimer);
        dispatcher_stop(e->dispatcher);
        give_grace(e, grace_ms);
    }
    ending_advance(e);
}

void ending_advance(struct engine *e)
{
    if (e->phase != PHASE_FINISHING && e->phase != PHASE_STOPPING) {
        return;
    }
    int64_t worker_id = registration_worker_id(e->registration);
    if (worker_id == 0 && !claimer_is_asking(e->claimer)) {
        ending_leave(e, e->exit_status); /* never registered: nobody is to be told */
        return;
    }
    if (dispatcher_running(e->dispatcher) > 0 || claimer_is_asking(e->claimer) ||
        !settler_is_empty(e->settler)) {
        return;
    }
    struct db_params params = {0};
    heartbeat_beat(e->heartbeat); /* the last counters */
    db_add_int8(&params, worker_id);
    if (link_query(e->upkeep, SQL_STOP, &params, on_stopped, e) == 0) {
        e->phase = PHASE_LEAVING;
    }
    db_params_fini(&params);
}

void ending_ask_drained(struct engine *e)
{
    bool idle = dispatcher_running(e->dispatcher) + dispatcher_waiting(e->dispatcher) == 0 &&
                settler_is_empty(e->settler) && !claimer_is_asking(e->claimer);

    if (!e->config->drain || e->phase != PHASE_RUNNING || !idle || e->asking_drained) {
        return;
    }
    struct db_params params = {0};
    db_add_int8(&params, registration_worker_id(e->registration));
    e->asking_drained = link_query(e->upkeep, SQL_DRAINED, &params, on_drained, e) == 0;
    db_params_fini(&params);
}

void ending_leave(struct engine *e, int exit_status)
{
    if (e->phase == PHASE_GONE) {
        return; /* the first reason counts */
    }
    e->phase = PHASE_GONE;
    e->exit_status = exit_status;
    uv_stop(&e->loop);
}

static void give_grace(struct engine *e, uint64_t grace_ms)
{
    uv_timer_start(&e->grace, on_grace_over, grace_ms, 0);
    uv_timer_start(&e->patience, on_patience_over, grace_ms + PATIENCE_MS, 0);
    notifier_stopping(e->notifier, grace_ms + PATIENCE_MS + LEAVING_MS);
}

static void stop_runs(struct engine *e)
{
    e->phase = PHASE_STOPPING;
    dispatcher_stop_runs(e->dispatcher);
}

static void on_grace_over(uv_timer_t *timer)
{
    struct engine *e = timer->data;

    if (e->phase == PHASE_FINISHING) {
        log_warn("the grace is over, stopping runs",
                 LOG_INT("running", dispatcher_running(e->dispatcher)));
        stop_runs(e);
        ending_advance(e);
    }
}

static void on_patience_over(uv_timer_t *timer)
{
    struct engine *e = timer->data;

    log_error("leaving without the database: jobs in hand are left to recovery");
    ending_leave(e, EXIT_DATABASE_AWAY);
}

static void on_redrain(uv_timer_t *timer)
{
    ending_ask_drained(timer->data);
}

static void on_drained(void *arg, const struct db_reply *reply)
{
    struct engine *e = arg;

    e->asking_drained = false;
    if (!reply->lost && reply->error == NULL && db_get_bool(reply->results[0], 0, 0)) {
        ending_begin(e, EXIT_DONE);
    } else {
        uv_timer_start(&e->redrain, on_redrain, REDRAIN_MS, 0);
    }
}

static void on_stopped(void *arg, const struct db_reply *reply)
{
    struct engine *e = arg;

    if (reply->lost) {
        e->phase = PHASE_STOPPING; /* told again when the connection is back, or patience ends */
        return;
    }
    log_info("worker stopped", LOG_INT("worker_id", registration_worker_id(e->registration)));
    ending_leave(e, e->exit_status);
}
