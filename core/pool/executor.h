/*
 * executor.h - one executor process, seen from its supervisor: spawned, spoken to, buried.
 *
 *   STARTING --loaded--> READY --executor_quit--> LEAVING --exit--> (died)
 *       |                  |                         |
 *       +------------------+------- exit, kill ------+
 */
#ifndef CORE_POOL_EXECUTOR_H
#define CORE_POOL_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "core/base/frame.h"
#include "core/base/mem.h"
#include "core/job/kind.h"
#include "core/job/wire.h"

enum executor_state {
    EXECUTOR_STARTING, /* loads its handlers */
    EXECUTOR_READY,
    EXECUTOR_LEAVING, /* told to finish; takes no new runs */
    EXECUTOR_DEAD,
};

struct executor;

struct executor_events {
    /* All its kinds are known: executor_kinds(). */
    void (*loaded)(void *owner, struct executor *e);
    /* Its handlers do not load: it waits for executor_quit(). message is borrowed. */
    void (*load_failed)(void *owner, struct executor *e, struct slice message);
    /* A started, log, progress, sight or outcome frame, borrowed. */
    void (*told)(void *owner, struct executor *e, struct frame *f);
    /* All frames that came together were told. */
    void (*drained)(void *owner, struct executor *e);
    /*
     * The process is gone, and everything it said before was told. culprit is the run that computed
     * at that moment, or PULSE_NO_RUN. e is freed when this returns.
     */
    void (*died)(void *owner, struct executor *e, uint32_t culprit, const char *why);
};

/*
 * Starts a process and sends it config; it is killed if it has not loaded after load_timeout_ms. NULL,
 * after logging why, if it cannot be started. The loop owns it until died().
 */
struct executor *executor_spawn(uv_loop_t *loop,
                                const struct wire_config *config,
                                uint64_t load_timeout_ms,
                                const struct executor_events *events,
                                void *owner);

enum executor_state executor_state(const struct executor *e);
const struct kind_list *executor_kinds(const struct executor *e); /* borrowed */
int executor_pid(const struct executor *e);

/* Runs sent and not yet settled; kept by the dispatcher. */
size_t executor_load(const struct executor *e);
void executor_add_load(struct executor *e, int change);

/* Sends one run. */
void executor_run(struct executor *e, const struct wire_run *run);

/* Asks where a run is; a sight frame comes, once the executor listens. */
void executor_look(struct executor *e, const struct wire_look *look);

/* Has it read its mail, also while it computes. */
void executor_ring(struct executor *e);

/* Adds "last FILE:LINE\n", where the run that computes was last seen, if it was. */
void executor_add_place(const struct executor *e, struct buffer *out);

/* Asks for the end of one run; the first two steps of stopping, together. */
void executor_stop(struct executor *e, uint32_t run, enum stop_reason reason);

/* The third step: SIGKILL. died() follows. */
void executor_kill(struct executor *e);

/* Finish what runs, then exit. */
void executor_quit(struct executor *e);

/* The run that computes right now, or PULSE_NO_RUN, and since when (clock_now_us). */
uint32_t executor_computing(const struct executor *e, uint64_t *since_us);

/* True once it has run out of descriptors that nothing will give back. */
bool executor_is_worn(const struct executor *e);

/* Bytes that its Lua state holds. */
uint64_t executor_lua_bytes(const struct executor *e);

#endif
