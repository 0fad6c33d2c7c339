/*
 * pool.h - the executors of a worker: a generation of equals, and the ones before it that finish.
 *
 * A reload starts a whole new generation beside the current one. When all of it has loaded, new jobs
 * go there and the old one finishes; if one of it does not load, the new one goes and the current one
 * stays. An executor that dies is replaced.
 *
 * At most three generations live at a time: the one that loads, the one that serves, and one whose
 * runs are not over. A reload that would make a fourth waits for them.
 */
#ifndef CORE_POOL_POOL_H
#define CORE_POOL_POOL_H

#include "core/pool/executor.h"

struct pool;

struct pool_options {
    size_t executors;
    uint64_t executor_memory;  /* bytes; a larger one is drained and replaced */
    uint64_t load_timeout_ms;  /* an executor that loads for longer is killed */
    struct wire_config config; /* what each executor is told; its slices borrowed for good */
};

struct pool_events {
    /* A generation serves from now on; its kinds are borrowed until it returns. */
    void (*loaded)(void *owner, const struct kind_list *kinds, unsigned generation);
    /* A generation did not load: the first one (generation 0 serves), or a reload. */
    void (*load_failed)(void *owner, struct slice message, unsigned serving);
    /* A reload waits, since runs in that many executors keep generations alive that are older still. */
    void (*delayed)(void *owner, size_t busy);
    void (*told)(void *owner, struct executor *e, struct frame *f);
    void (*drained)(void *owner);
    void (*died)(void *owner, struct executor *e, uint32_t culprit, const char *why);
    /* An executor is ready for runs. */
    void (*ready)(void *owner);
};

/* Starts the first generation. Owned by the caller until pool_close(). */
struct pool *pool_open(uv_loop_t *loop,
                       const struct pool_options *options,
                       const struct pool_events *events,
                       void *owner);

/*
 * Starts a new generation on the folder as it is now; once more afterwards if one is under way, however
 * often it is called meanwhile.
 */
void pool_reload(struct pool *p);

/* True while a reload is under way or waits. */
bool pool_is_reloading(const struct pool *p);

/*
 * The executor for the next run, least loaded first, or NULL. alone: the one that is kept for runs
 * which may bring their process down, if it runs nothing; it is started by the first such wish, and
 * ready() follows.
 */
struct executor *pool_pick(struct pool *p, bool alone);

/* Replaces executors that have grown too large or run out of descriptors; call now and then. */
void pool_tend(struct pool *p);

/* Number of the generation that serves, from 1; 0 before. */
unsigned pool_generation(const struct pool *p);

/* All executors are to finish and exit. */
void pool_quit(struct pool *p);

/* True when no process is left. */
bool pool_is_empty(const struct pool *p);

/* Kills what is left; memory goes with the last process. No events follow. */
void pool_close(struct pool *p);

#endif
