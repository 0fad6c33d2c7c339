/*
 * fencing.c - a worker that cannot reach the database holds back, so that nobody else's run of the
 * same job meets its own.
 *
 * The others declare it dead after dead_after of silence. It starts nothing after 10 s of it, and stops
 * what runs shortly before they may take its jobs over. The rescuer asks every few seconds, so silence
 * means that nobody answers.
 */
#include "core/app/engine_parts.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define LOOK_MS 500u
#define HOLD_MS 10000u

/* What is left before dead_after for runs to stop in. */
#define MARGIN_MS 5000u

static void on_look(uv_timer_t *timer);
static uint64_t least(uint64_t a, uint64_t b);

void fencing_open(struct engine *e)
{
    uv_timer_init(&e->loop, &e->fence);
    e->fence.data = e;
}

void fencing_start(struct engine *e)
{
    if (!uv_is_active((uv_handle_t *)&e->fence)) {
        uv_timer_start(&e->fence, on_look, LOOK_MS, LOOK_MS);
    }
}

void fencing_close(struct engine *e)
{
    uv_close((uv_handle_t *)&e->fence, NULL);
}

static void on_look(uv_timer_t *timer)
{
    struct engine *e = timer->data;
    uint64_t dead_after_ms = e->config->dead_after_ms;
    uint64_t silent_ms = link_silent_ms(e->upkeep);
    bool hold = silent_ms >= least(HOLD_MS, dead_after_ms / 2);
    bool stop = silent_ms >= dead_after_ms - least(MARGIN_MS, dead_after_ms / 4);

    if (hold != e->held) {
        e->held = hold;
        log_warn(hold ? "no answer from the database, starting nothing" : "the database answers",
                 LOG_INT("silent_ms", silent_ms));
        dispatcher_hold(e->dispatcher, hold);
    }
    if (stop && dispatcher_running(e->dispatcher) > 0) {
        dispatcher_stop_runs(e->dispatcher);
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
