/*
 * pool.c - keeps `current` full, moves generations on.
 *
 * An executor is in exactly one list: coming (a new generation that loads), current (the one that
 * serves, some of it perhaps still starting), apart (kept for runs that must be alone) or leaving
 * (told to finish).
 */
#include "core/pool/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"

/* Generations that serve no more, but still run jobs, when another one may start. */
#define MAX_LEAVING_GENERATIONS 1

/* An executor that dies while it starts is tried again after this pause. */
#define RESTART_PAUSE_MS 1000

/* So many executors may die while a generation loads: handlers do not load, or somebody kills them. */
#define LOAD_DEATHS 3

struct executor_list {
    struct executor **items; /* owned array of borrowed executors */
    size_t count;
};

struct pool {
    uv_loop_t *loop;
    struct pool_options options;
    const struct pool_events *events;
    void *owner;
    struct executor_list coming;
    struct executor_list current;
    struct executor_list leaving;
    struct executor_list apart; /* at most one */
    unsigned generation;
    unsigned load_deaths; /* of executors of the coming generation */
    bool reload_again;
    bool is_delayed; /* reload_again waits for old runs, and delayed() has told so */
    bool quitting;
    bool closed;
    uv_timer_t restart;
};

static void start_generation(struct pool *p);
static struct executor *spawn(struct pool *p);
static void fail_load(struct pool *p, struct slice message);
static struct executor *pick_apart(struct pool *p);
static void on_loaded(void *owner, struct executor *e);
static void on_load_failed(void *owner, struct executor *e, struct slice message);
static void on_told(void *owner, struct executor *e, struct frame *f);
static void on_drained(void *owner, struct executor *e);
static void on_died(void *owner, struct executor *e, uint32_t culprit, const char *why);
static void on_restart(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);
static void switch_generation(struct pool *p);
static void give_up_coming(struct pool *p);
static void replace_coming(struct pool *p, const char *why);
static void refill(struct pool *p);
static void retire(struct pool *p, struct executor *e);
static void retire_all(struct pool *p, struct executor_list *list);
static void release(struct pool *p);

static const struct executor_events executor_events = {on_loaded,
                                                       on_load_failed,
                                                       on_told,
                                                       on_drained,
                                                       on_died};

static void list_add(struct executor_list *list, struct executor *e)
{
    list->items = mem_resize(list->items, list->count + 1, sizeof(struct executor *));
    list->items[list->count++] = e;
}

static bool list_remove(struct executor_list *list, const struct executor *e)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == e) {
            list->items[i] = list->items[--list->count];
            return true;
        }
    }
    return false;
}

static bool list_has(const struct executor_list *list, const struct executor *e)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == e) {
            return true;
        }
    }
    return false;
}

struct pool *pool_open(uv_loop_t *loop,
                       const struct pool_options *options,
                       const struct pool_events *events,
                       void *owner)
{
    struct pool *p = mem_zalloc(sizeof(*p));

    p->loop = loop;
    p->options = *options;
    p->events = events;
    p->owner = owner;
    uv_timer_init(loop, &p->restart);
    p->restart.data = p;
    start_generation(p);
    return p;
}

static size_t count_busy(const struct executor_list *list)
{
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++) {
        count += executor_load(list->items[i]) > 0 ? 1 : 0;
    }
    return count;
}

void pool_reload(struct pool *p)
{
    size_t busy = count_busy(&p->leaving);
    bool too_many = busy > MAX_LEAVING_GENERATIONS * p->options.executors;

    if (p->coming.count > 0 || too_many) {
        if (p->coming.count == 0 && !p->is_delayed) {
            p->is_delayed = true;
            p->events->delayed(p->owner, busy);
        }
        p->reload_again = true;
    } else if (!p->quitting) {
        p->is_delayed = false;
        p->reload_again = false;
        start_generation(p);
    }
}

bool pool_is_reloading(const struct pool *p)
{
    return p->coming.count > 0 || p->reload_again;
}

struct executor *pool_pick(struct pool *p, bool alone)
{
    struct executor *best = NULL;

    if (alone) {
        return pick_apart(p);
    }
    for (size_t i = 0; i < p->current.count; i++) {
        struct executor *e = p->current.items[i];
        if (executor_state(e) == EXECUTOR_READY &&
            (best == NULL || executor_load(e) < executor_load(best))) {
            best = e;
        }
    }
    return best;
}

static struct executor *pick_apart(struct pool *p)
{
    if (p->apart.count == 0 && p->generation > 0 && !p->quitting) {
        struct executor *e = spawn(p);
        if (e != NULL) {
            list_add(&p->apart, e);
        }
    }
    for (size_t i = 0; i < p->apart.count; i++) {
        struct executor *e = p->apart.items[i];
        if (executor_state(e) == EXECUTOR_READY && executor_load(e) == 0) {
            return e;
        }
    }
    return NULL;
}

void pool_tend(struct pool *p)
{
    for (size_t i = p->current.count; i > 0; i--) {
        struct executor *e = p->current.items[i - 1];
        bool is_large = executor_lua_bytes(e) > p->options.executor_memory;
        if (executor_state(e) == EXECUTOR_READY && (is_large || executor_is_worn(e))) {
            log_info("executor is replaced",
                     LOG_INT("pid", executor_pid(e)),
                     LOG_TEXT("why", is_large ? "too much memory" : "too many open files"),
                     LOG_INT("memory_bytes", executor_lua_bytes(e)));
            retire(p, e);
        }
    }
    refill(p);
}

unsigned pool_generation(const struct pool *p)
{
    return p->generation;
}

void pool_quit(struct pool *p)
{
    p->quitting = true;
    give_up_coming(p);
    retire_all(p, &p->current);
    retire_all(p, &p->apart);
}

bool pool_is_empty(const struct pool *p)
{
    return p->coming.count + p->current.count + p->apart.count + p->leaving.count == 0;
}

void pool_close(struct pool *p)
{
    pool_quit(p);
    p->closed = true;
    for (size_t i = 0; i < p->leaving.count; i++) {
        executor_kill(p->leaving.items[i]);
    }
    uv_close((uv_handle_t *)&p->restart, on_closed);
}

static void start_generation(struct pool *p)
{
    p->load_deaths = 0;
    for (size_t i = 0; i < p->options.executors; i++) {
        struct executor *e = spawn(p);
        if (e != NULL) {
            list_add(&p->coming, e);
        }
    }
    if (p->generation > 0 && p->coming.count < p->options.executors) {
        give_up_coming(p);
        fail_load(p, slice_of("an executor could not be started: the log says why"));
    } else if (p->coming.count == 0) {
        uv_timer_start(&p->restart, on_restart, RESTART_PAUSE_MS, 0);
    }
}

static struct executor *spawn(struct pool *p)
{
    return executor_spawn(p->loop,
                          &p->options.config,
                          p->options.load_timeout_ms,
                          &executor_events,
                          p);
}

static void fail_load(struct pool *p, struct slice message)
{
    p->events->load_failed(p->owner, message, p->generation);
}

static bool all_loaded(const struct executor_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (executor_state(list->items[i]) != EXECUTOR_READY) {
            return false;
        }
    }
    return true;
}

static void on_loaded(void *owner, struct executor *e)
{
    struct pool *p = owner;

    log_debug("executor started", LOG_INT("pid", executor_pid(e)));
    if (list_has(&p->current, e) || list_has(&p->apart, e)) {
        p->events->ready(p->owner);
    } else if (list_has(&p->coming, e) && all_loaded(&p->coming)) {
        switch_generation(p);
    }
}

static void switch_generation(struct pool *p)
{
    struct executor_list old = p->current;

    p->current = p->coming;
    p->coming = (struct executor_list){0};
    p->generation++;
    for (size_t i = 0; i < old.count; i++) {
        list_add(&p->leaving, old.items[i]);
        executor_quit(old.items[i]);
    }
    free(old.items);
    retire_all(p, &p->apart);
    p->events->loaded(p->owner, executor_kinds(p->current.items[0]), p->generation);
    p->events->ready(p->owner);
    if (p->reload_again) {
        pool_reload(p);
    }
}

/* A replacement that does not load shows that the folder is broken by now: it is tried again. */
static void on_load_failed(void *owner, struct executor *e, struct slice message)
{
    struct pool *p = owner;
    bool is_new = list_has(&p->coming, e);
    bool was_serving = !is_new && (list_remove(&p->current, e) || list_remove(&p->apart, e));

    if (is_new) {
        give_up_coming(p);
    } else if (was_serving) {
        list_add(&p->leaving, e);
        executor_quit(e);
        uv_timer_start(&p->restart, on_restart, RESTART_PAUSE_MS, 0);
    }
    if (is_new || (was_serving && p->current.count == 0)) {
        fail_load(p, message);
    }
}

static void give_up_coming(struct pool *p)
{
    retire_all(p, &p->coming);
}

/* One that died while it loaded. The kernel kills, too, when memory is short: that is no load error. */
static void replace_coming(struct pool *p, const char *why)
{
    struct executor *e = ++p->load_deaths < LOAD_DEATHS ? spawn(p) : NULL;
    char message[192];

    if (e != NULL) {
        list_add(&p->coming, e);
        return;
    }
    (void)snprintf(message, sizeof(message), "an executor died: %s", why);
    give_up_coming(p);
    fail_load(p, slice_of(message));
}

static void on_told(void *owner, struct executor *e, struct frame *f)
{
    struct pool *p = owner;

    if (!p->closed) {
        p->events->told(p->owner, e, f);
    }
}

static void on_drained(void *owner, struct executor *e)
{
    struct pool *p = owner;

    (void)e;
    if (!p->closed) {
        p->events->drained(p->owner);
    }
}

static void on_died(void *owner, struct executor *e, uint32_t culprit, const char *why)
{
    struct pool *p = owner;
    bool was_leaving = list_remove(&p->leaving, e);
    bool was_coming = list_remove(&p->coming, e);
    bool was_ready = executor_kinds(e)->count > 0;

    bool was_apart = list_remove(&p->apart, e);

    list_remove(&p->current, e);
    if (!was_leaving || executor_load(e) > 0) {
        log_warn("executor died", LOG_INT("pid", executor_pid(e)), LOG_TEXT("why", why));
    }
    if (!p->closed) {
        p->events->died(p->owner, e, culprit, why);
    }
    if (was_coming && !p->closed) {
        replace_coming(p, why);
    } else if (was_apart && !p->closed) {
        p->events->ready(p->owner); /* the next wish starts another */
    } else if (!was_leaving && was_ready) {
        refill(p);
    } else if (!was_leaving) {
        uv_timer_start(&p->restart, on_restart, RESTART_PAUSE_MS, 0);
    }
    if (p->reload_again && p->coming.count == 0) {
        pool_reload(p);
    }
    release(p);
}

static void on_restart(uv_timer_t *timer)
{
    struct pool *p = timer->data;

    if (p->generation > 0) {
        refill(p);
    } else if (p->coming.count == 0 && !p->quitting) {
        start_generation(p);
    }
}

static void refill(struct pool *p)
{
    while (!p->quitting && p->generation > 0 && p->current.count < p->options.executors) {
        struct executor *e = spawn(p);
        if (e == NULL) {
            uv_timer_start(&p->restart, on_restart, RESTART_PAUSE_MS, 0);
            return;
        }
        list_add(&p->current, e);
    }
}

static void retire(struct pool *p, struct executor *e)
{
    list_remove(&p->current, e);
    list_add(&p->leaving, e);
    executor_quit(e);
}

static void retire_all(struct pool *p, struct executor_list *list)
{
    while (list->count > 0) {
        struct executor *e = list->items[--list->count];
        list_add(&p->leaving, e);
        executor_quit(e);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct pool *p = handle->data;

    p->restart.data = NULL;
    release(p);
}

static void release(struct pool *p)
{
    if (p->closed && p->restart.data == NULL && pool_is_empty(p)) {
        free(p->coming.items);
        free(p->current.items);
        free(p->leaving.items);
        free(p->apart.items);
        free(p);
    }
}
