/* heartbeat.c - two statements a beat, each its own transaction: the beat must not wait for leases. */
#include "core/upkeep/heartbeat.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/defect.h"
#include "core/base/log.h"
#include "core/db/result.h"

struct heartbeat {
    struct link *upkeep;
    uint64_t interval_ms;
    const struct lease_list *leases;
    const struct heartbeat_events *events;
    void *owner;
    int64_t worker_id;
    uint64_t answered_ms;
    struct db_params params;
    uv_timer_t timer;
};

static void reconcile(struct heartbeat *h);
static void on_beat(void *arg, const struct db_reply *reply);
static void on_reconciled(void *arg, const struct db_reply *reply);
static void on_timer(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);
static int64_t resident_kb(void);

struct heartbeat *heartbeat_open(uv_loop_t *loop,
                                 struct link *upkeep,
                                 uint64_t interval_ms,
                                 const struct lease_list *leases)
{
    struct heartbeat *h = mem_zalloc(sizeof(*h));

    h->upkeep = upkeep;
    h->interval_ms = interval_ms;
    h->leases = leases;
    uv_timer_init(loop, &h->timer);
    h->timer.data = h;
    return h;
}

void heartbeat_set_events(struct heartbeat *h, const struct heartbeat_events *events, void *owner)
{
    h->events = events;
    h->owner = owner;
}

void heartbeat_set_worker(struct heartbeat *h, int64_t worker_id)
{
    h->worker_id = worker_id;
    h->answered_ms = clock_now_ms();
    if (worker_id == 0) {
        uv_timer_stop(&h->timer);
    } else {
        uv_timer_start(&h->timer, on_timer, 0, h->interval_ms);
    }
}

void heartbeat_beat(struct heartbeat *h)
{
    struct db_params *p = &h->params;

    if (h->worker_id == 0) {
        return;
    }
    struct heartbeat_counts counts = h->events->counts(h->owner);
    db_params_clear(p);
    db_add_int8(p, h->worker_id);
    db_add_int8(p, counts.succeeded + counts.failed);
    db_add_int8(p, counts.succeeded);
    db_add_int8(p, counts.failed);
    db_add_int4(p, counts.running);
    db_add_int8(p, resident_kb());
    if (link_query(h->upkeep, SQL_HEARTBEAT, p, on_beat, h) == 0) {
        reconcile(h);
    }
}

uint64_t heartbeat_answered_ms(const struct heartbeat *h)
{
    return h->answered_ms;
}

void heartbeat_close(struct heartbeat *h)
{
    db_params_fini(&h->params);
    uv_close((uv_handle_t *)&h->timer, on_closed);
}

static void reconcile(struct heartbeat *h)
{
    struct db_params *p = &h->params;

    db_params_clear(p);
    db_add_int8(p, h->worker_id);
    db_array_begin(p, DB_INT8);
    for (const struct lease *l = h->leases->first; l != NULL; l = l->next) {
        db_array_int8(p, l->seq);
    }
    db_array_end(p);
    db_add_int8(p, has_defect("reconcile_in_flight") ? INT64_MAX : h->events->below(h->owner));
    if (link_query(h->upkeep, SQL_RECONCILE, p, on_reconciled, h) < 0) {
        log_debug("cannot reconcile now");
    }
}

static void on_beat(void *arg, const struct db_reply *reply)
{
    struct heartbeat *h = arg;

    if (reply->lost) {
        return;
    }
    if (reply->error != NULL) {
        log_warn("heartbeat failed", LOG_TEXT("error", db_message(reply->error)));
        return;
    }
    const PGresult *res = reply->results[0];
    h->answered_ms = clock_now_ms();
    if (db_rows(res) == 0 && h->worker_id != 0) {
        h->events->declared_dead(h->owner);
        return;
    }
    for (int i = 0; i < db_array_count(res, 0, 0); i++) {
        h->events->cancelled(h->owner, db_array_get(res, 0, 0, i));
    }
}

static void on_reconciled(void *arg, const struct db_reply *reply)
{
    (void)arg;
    if (reply->error != NULL) {
        log_warn("reconciliation failed", LOG_TEXT("error", db_message(reply->error)));
    } else if (!reply->lost && db_get_int(reply->results[0], 0, 0) > 0) {
        log_info("returned jobs of unknown leases",
                 LOG_INT("jobs", db_get_int(reply->results[0], 0, 0)));
    }
}

static void on_timer(uv_timer_t *timer)
{
    heartbeat_beat(timer->data);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* The second field of /proc/self/statm: resident pages. */
static int64_t resident_kb(void)
{
    long long resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f != NULL) {
        char line[128] = "";
        if (fgets(line, sizeof(line), f) != NULL) {
            char *end;
            (void)strtoll(line, &end, 10);
            resident = strtoll(end, NULL, 10);
        }
        (void)fclose(f);
    }
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}
