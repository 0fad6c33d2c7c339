/* once.c - a pool of one executor, its only run, and the end of both. */
#include "core/app/once.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/app/engine_parts.h"
#include "core/app/run_lines.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/text.h"

/* An executor that does not end a run when asked is killed: as the dispatcher does. */
#define KILL_AFTER_MS 800u

#define ARGS_MAX ((size_t)16 << 20)

struct once {
    const struct config *config; /* borrowed */
    uv_loop_t loop;
    struct pool *pool;
    uv_timer_t deadline;
    struct executor *executor; /* NULL before the run, and when it is gone */
    struct buffer args;
    double timeout_s;
    bool is_stopping;
    int exit_status;
};

static const struct kind *find_kind(struct once *o, const struct kind_list *kinds);
static void start(struct once *o, const struct kind *kind);
static void on_deadline(uv_timer_t *timer);
static void tell_progress(struct frame *f);
static void tell_outcome(struct once *o, struct frame *f);
static void tell_field(const char *name, struct slice text);
static void end(struct once *o, int exit_status);

static void on_loaded(void *owner, const struct kind_list *kinds, unsigned generation)
{
    struct once *o = owner;
    const struct kind *kind = find_kind(o, kinds);

    (void)generation;
    if (kind == NULL) {
        end(o, EXIT_NO_HANDLERS);
    } else {
        start(o, kind);
    }
}

static void on_load_failed(void *owner, struct slice message, unsigned serving)
{
    (void)serving;
    (void)fprintf(stderr, "jobq-run: %.*s\n", (int)message.size, message.data);
    end(owner, EXIT_NO_HANDLERS);
}

static void on_delayed(void *owner, size_t busy)
{
    (void)owner;
    (void)busy;
}

static void on_told(void *owner, struct executor *e, struct frame *f)
{
    struct once *o = owner;

    (void)e;
    if (f->type == WIRE_LOG) {
        run_lines_tell(f);
    } else if (f->type == WIRE_PROGRESS) {
        tell_progress(f);
    } else if (f->type == WIRE_OUTCOME) {
        tell_outcome(o, f);
    }
}

static void on_drained(void *owner)
{
    (void)owner;
}

static void on_died(void *owner, struct executor *e, uint32_t culprit, const char *why)
{
    struct once *o = owner;
    struct buffer error = {0};

    (void)culprit;
    if (e != o->executor) {
        return;
    }
    o->executor = NULL;
    if (o->is_stopping) {
        buffer_printf(&error, "killed: it ran on after its timeout of %g s", o->timeout_s);
    } else {
        buffer_printf(&error, "its executor died while it ran: %s", why);
    }
    (void)printf("verdict failed\n");
    tell_field("error", buffer_slice(&error));
    buffer_fini(&error);
    end(o, EXIT_FAILED);
}

static void on_ready(void *owner)
{
    (void)owner;
}

static const struct pool_events pool_events =
    {on_loaded, on_load_failed, on_delayed, on_told, on_drained, on_died, on_ready};

static bool read_args(struct buffer *args)
{
    char piece[4096];
    size_t size;

    while ((size = fread(piece, 1, sizeof(piece), stdin)) > 0 && args->size <= ARGS_MAX) {
        buffer_add(args, piece, size);
    }
    if (args->size > ARGS_MAX) {
        (void)fprintf(stderr, "jobq-run: the arguments are longer than %zu bytes\n", ARGS_MAX);
        return false;
    }
    return true;
}

int once_run(const struct config *config)
{
    struct once o = {.config = config, .exit_status = EXIT_FAILED};
    struct pool_options options = engine_pool_options(config, config->conninfo);

    options.executors = 1;
    if (!read_args(&o.args)) {
        buffer_fini(&o.args);
        return EXIT_USAGE;
    }
    uv_loop_init(&o.loop);
    uv_timer_init(&o.loop, &o.deadline);
    o.deadline.data = &o;
    o.pool = pool_open(&o.loop, &options, &pool_events, &o);
    uv_run(&o.loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&o.deadline, NULL);
    pool_close(o.pool);
    uv_run(&o.loop, UV_RUN_DEFAULT);
    uv_loop_close(&o.loop);
    buffer_fini(&o.args);
    return o.exit_status;
}

/* NULL after a message, if the handlers do not define it. */
static const struct kind *find_kind(struct once *o, const struct kind_list *kinds)
{
    const char *wanted = o->config->run_once;
    const struct kind *kind = kind_by_name(kinds, slice_of(wanted));

    if (kind != NULL) {
        return kind;
    }
    const char **names = mem_zalloc((kinds->count + 1) * sizeof(*names));
    for (size_t i = 0; i < kinds->count; i++) {
        names[i] = kinds->items[i].name;
    }
    const char *nearest = text_nearest(wanted, names);
    (void)fprintf(stderr, "jobq-run: the handlers define no kind '%s'\n", wanted);
    if (nearest != NULL) {
        (void)fprintf(stderr, "hint: did you mean '%s'?\n", nearest);
    }
    free(names);
    return NULL;
}

static void start(struct once *o, const struct kind *kind)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    o->executor = pool_pick(o->pool, false);
    o->timeout_s = kind->timeout_s;
    executor_run(o->executor,
                 &(struct wire_run){
                     .job_id = 0,
                     .created_us = now_us,
                     .run_at_us = now_us,
                     .attempt = o->config->attempt,
                     .max_attempts = kind->max_attempts,
                     .priority = kind->priority,
                     .timeout_s = kind->timeout_s,
                     .kind = slice_of(kind->name),
                     .queue = slice_of(kind->queue),
                     .args = buffer_slice(&o->args),
                 });
    uv_timer_start(&o->deadline, on_deadline, (uint64_t)(kind->timeout_s * 1000), KILL_AFTER_MS);
}

static void on_deadline(uv_timer_t *timer)
{
    struct once *o = timer->data;

    if (o->is_stopping) {
        executor_kill(o->executor);
    } else {
        o->is_stopping = true;
        executor_stop(o->executor, 0, STOP_DEADLINE);
    }
}

static void tell_progress(struct frame *f)
{
    struct wire_progress m;

    if (wire_get_progress(f, &m) == 0) {
        log_info("progress", LOG_REAL("fraction", m.fraction), LOG_SLICE("message", m.message));
    }
}

static bool is_good(enum verdict verdict)
{
    return verdict == VERDICT_DONE || verdict == VERDICT_SNOOZED || verdict == VERDICT_SETTLED ||
           verdict == VERDICT_PARKED;
}

static void tell_outcome(struct once *o, struct frame *f)
{
    static const char *const words[] = {
        [VERDICT_DONE] = "done",
        [VERDICT_FAILED] = "failed",
        [VERDICT_DISCARDED] = "discarded",
        [VERDICT_SNOOZED] = "snoozed",
        [VERDICT_STOPPED] = "stopped",
        [VERDICT_SETTLED] = "done",
        [VERDICT_PARKED] = "parked",
    };
    struct wire_outcome m;

    if (wire_get_outcome(f, &m) != 0 || m.verdict >= LENGTH_OF(words)) {
        end(o, EXIT_FAILED);
        return;
    }
    (void)printf("verdict %s\nseconds %.3f\n", words[m.verdict], (double)m.ran_us / 1e6);
    if (m.delay_s >= 0) {
        (void)printf("delay %g\n", m.delay_s);
    }
    tell_field("error", m.error);
    tell_field("result", m.result);
    end(o, is_good((enum verdict)m.verdict) ? EXIT_DONE : EXIT_FAILED);
}

static void tell_field(const char *name, struct slice text)
{
    if (text.size > 0) {
        (void)printf("%s %zu\n%.*s\n", name, text.size, (int)text.size, text.data);
    }
}

static void end(struct once *o, int exit_status)
{
    o->exit_status = exit_status;
    o->executor = NULL;
    uv_timer_stop(&o->deadline);
    uv_stop(&o->loop);
}
