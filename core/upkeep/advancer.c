/* advancer.c - one statement, asked again when its answer says so. */
#include "core/upkeep/advancer.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/db/result.h"

#define SOONEST_MS 50u    /* so often at most, whatever is notified */
#define LATEST_MS  60000u /* a notification may be lost */

struct advancer {
    struct link *upkeep;
    uv_timer_t timer;
    bool in_flight;
    bool poked; /* since that was asked */
};

static void on_timer(uv_timer_t *timer);
static void on_advanced(void *arg, const struct db_reply *reply);
static uint64_t pause_ms(const struct advancer *a, const struct db_reply *reply);
static void on_closed(uv_handle_t *handle);

struct advancer *advancer_open(uv_loop_t *loop, struct link *upkeep)
{
    struct advancer *a = mem_zalloc(sizeof(*a));

    a->upkeep = upkeep;
    uv_timer_init(loop, &a->timer);
    a->timer.data = a;
    return a;
}

void advancer_poke(struct advancer *a)
{
    a->poked = true;
    if (!a->in_flight) {
        uint64_t due_ms = uv_timer_get_due_in(&a->timer);
        bool soon = uv_is_active((uv_handle_t *)&a->timer) && due_ms <= SOONEST_MS;
        if (!soon) {
            uv_timer_start(&a->timer, on_timer, SOONEST_MS, 0);
        }
    }
}

void advancer_close(struct advancer *a)
{
    uv_close((uv_handle_t *)&a->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
    struct advancer *a = timer->data;

    /* Refused: the connection is down, and its coming up pokes. */
    if (link_query(a->upkeep, SQL_ADVANCE, NULL, on_advanced, a) == 0) {
        a->in_flight = true;
        a->poked = false;
    }
}

static void on_advanced(void *arg, const struct db_reply *reply)
{
    struct advancer *a = arg;

    a->in_flight = false;
    if (reply->lost || uv_is_closing((uv_handle_t *)&a->timer)) {
        return;
    }
    if (reply->error != NULL) {
        log_warn("cannot advance what waits", LOG_TEXT("error", db_message(reply->error)));
    }
    uv_timer_start(&a->timer, on_timer, pause_ms(a, reply), 0);
}

static uint64_t pause_ms(const struct advancer *a, const struct db_reply *reply)
{
    if (a->poked) {
        return SOONEST_MS;
    }
    if (reply->error != NULL || db_is_null(reply->results[0], 0, 0)) {
        return LATEST_MS;
    }
    double ms = ceil(db_get_float8(reply->results[0], 0, 0) * 1000);
    return ms < SOONEST_MS ? SOONEST_MS : ms > LATEST_MS ? LATEST_MS : (uint64_t)ms;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
