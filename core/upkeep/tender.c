/* tender.c - one statement an hour. */
#include "core/upkeep/tender.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "core/db/result.h"

/* The first time comes soon, but not in the way of a worker that starts. */
#define SOON_MS 2000u
#define HOUR_MS 3600000u

struct tender {
    struct link *upkeep;
    uv_timer_t timer;
};

static void on_timer(uv_timer_t *timer);
static void on_tended(void *arg, const struct db_reply *reply);
static void on_closed(uv_handle_t *handle);

struct tender *tender_open(uv_loop_t *loop, struct link *upkeep)
{
    struct tender *t = mem_zalloc(sizeof(*t));

    t->upkeep = upkeep;
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    return t;
}

void tender_up(struct tender *t)
{
    if (!uv_is_active((uv_handle_t *)&t->timer)) {
        uv_timer_start(&t->timer, on_timer, SOON_MS, HOUR_MS);
    }
}

void tender_close(struct tender *t)
{
    uv_close((uv_handle_t *)&t->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
    struct tender *t = timer->data;

    if (link_query(t->upkeep, SQL_TEND, NULL, on_tended, t) < 0) {
        uv_timer_stop(&t->timer); /* tender_up() starts it again */
    }
}

static void on_tended(void *arg, const struct db_reply *reply)
{
    (void)arg;
    if (reply->error != NULL) {
        log_warn("cannot tend the tables", LOG_TEXT("error", db_message(reply->error)));
    }
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
