/* check.c - a pool of one executor that is closed as soon as it has answered. */
#include "core/app/check.h"

#include <stdio.h>

#include "core/app/engine_parts.h"

struct check {
    uv_loop_t loop;
    int exit_status;
};

static void on_loaded(void *owner, const struct kind_list *kinds, unsigned generation)
{
    struct check *c = owner;

    (void)generation;
    for (size_t i = 0; i < kinds->count; i++) {
        (void)printf("%-30s %s\n", kinds->items[i].name, kinds->items[i].source);
    }
    c->exit_status = EXIT_DONE;
    uv_stop(&c->loop);
}

static void on_load_failed(void *owner, struct slice message, unsigned serving)
{
    struct check *c = owner;

    (void)serving;
    (void)fprintf(stderr, "jobq-run: %.*s\n", (int)message.size, message.data);
    c->exit_status = EXIT_NO_HANDLERS;
    uv_stop(&c->loop);
}

static void on_delayed(void *owner, size_t busy)
{
    (void)owner;
    (void)busy;
}

static void on_told(void *owner, struct executor *e, struct frame *f)
{
    (void)owner;
    (void)e;
    (void)f;
}

static void on_drained(void *owner)
{
    (void)owner;
}

static void on_died(void *owner, struct executor *e, uint32_t culprit, const char *why)
{
    (void)owner;
    (void)e;
    (void)culprit;
    (void)why;
}

static void on_ready(void *owner)
{
    (void)owner;
}

static const struct pool_events pool_events =
    {on_loaded, on_load_failed, on_delayed, on_told, on_drained, on_died, on_ready};

int check_run(const struct config *config)
{
    struct check c = {.exit_status = EXIT_FAILED};
    struct pool_options options = engine_pool_options(config, NULL);

    options.executors = 1;
    uv_loop_init(&c.loop);
    struct pool *pool = pool_open(&c.loop, &options, &pool_events, &c);
    uv_run(&c.loop, UV_RUN_DEFAULT);
    pool_close(pool);
    uv_run(&c.loop, UV_RUN_DEFAULT);
    uv_loop_close(&c.loop);
    return c.exit_status;
}
