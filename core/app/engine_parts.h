/* engine_parts.h - struct engine, shared by the files of this room that connect its parts. */
#ifndef CORE_APP_ENGINE_PARTS_H
#define CORE_APP_ENGINE_PARTS_H

#include <uv.h>

#include "core/app/config.h"
#include "core/app/engine.h"
#include "core/app/looking.h"
#include "core/app/notifier.h"
#include "core/app/private_socket.h"
#include "core/app/watch.h"
#include "core/db/link.h"
#include "core/flow/claimer.h"
#include "core/flow/dispatcher.h"
#include "core/flow/settler.h"
#include "core/job/job.h"
#include "core/job/kind.h"
#include "core/pool/pool.h"
#include "core/upkeep/advancer.h"
#include "core/upkeep/heartbeat.h"
#include "core/upkeep/progress.h"
#include "core/upkeep/registration.h"
#include "core/upkeep/rescuer.h"
#include "core/upkeep/tender.h"

enum phase {
    PHASE_RUNNING,
    PHASE_FINISHING, /* nothing new starts, runs may finish within the grace */
    PHASE_STOPPING,  /* runs are being stopped */
    PHASE_LEAVING,   /* all is settled: the worker's row is told */
    PHASE_GONE,
};

struct engine {
    const struct config *config; /* borrowed */
    uv_loop_t loop;
    struct link *work;   /* claim, settle */
    struct link *upkeep; /* registration, heartbeat, sleep, rescue, notifications */
    struct lease_list leases;
    struct kind_list *kinds; /* owned; of the generation that serves; NULL before the first */
    struct claimer *claimer;
    struct dispatcher *dispatcher;
    struct settler *settler;
    struct registration *registration;
    struct heartbeat *heartbeat;
    struct rescuer *rescuer;
    struct tender *tender;
    struct advancer *advancer;
    struct progress *progress;
    struct pool *pool;
    struct watch *watch; /* NULL without --watch */
    struct notifier *notifier;
    struct private_socket *socket; /* NULL if there can be none */
    struct looking *looking;
    uv_signal_t signals[4];
    uv_timer_t grace;    /* until runs are stopped */
    uv_timer_t patience; /* until we leave without the database */
    uv_timer_t fence;    /* looks how long the database has been silent */
    uv_timer_t redrain;  /* until the database is asked again whether the queue is drained */
    enum phase phase;
    int exit_status;
    struct buffer load_error; /* owned; why the handlers do not load now; empty when they do */
    bool report_due;          /* load_error is not in the worker's row yet */
    bool work_was_up;
    bool was_connected;
    bool clock_was_told; /* that ours is far from the database's */
    bool announced;
    bool asking_drained;
    bool held;             /* nothing is started while the database is silent */
    uint64_t mentioned_ms; /* when an absent database was last mentioned; 0: not yet */
};

/* How executors are started, and what every one of them is told. Borrows both; conninfo may be NULL. */
struct pool_options engine_pool_options(const struct config *config, const char *conninfo);

/* Starts a new generation of executors, unless the worker is about to end. */
void engine_reload(struct engine *e);

/* ---- connections.c ---- */

extern const struct link_events connections_work_events;
extern const struct link_events connections_upkeep_events;

/* The database refused: ends the worker if that will not go away, else says so. */
void connections_refuse(struct engine *e, const char *sqlstate, const char *message);

/* A living worker has our name: ends this one. */
void connections_refuse_name(struct engine *e, const char *holder);

/* ---- executors.c ---- */

extern const struct pool_events executors_pool_events;
extern const struct executor_ops executors_ops;

/* Tells others whether the handlers load, if they do not know yet. */
void executors_report(struct engine *e);

/* ---- fencing.c ---- */

void fencing_open(struct engine *e);
void fencing_close(struct engine *e);

/* The worker is known to others from here on, who may declare it dead. */
void fencing_start(struct engine *e);

/* ---- ending.c ---- */

void ending_open(struct engine *e);
void ending_close(struct engine *e);

/* Ends the worker in order; a second call stops the runs at once. */
void ending_begin(struct engine *e, int exit_status);

/* The same with a grace of its own; a second call gives the runs that long from then on. */
void ending_begin_within(struct engine *e, int exit_status, uint64_t grace_ms);

/* Goes on with the end if what it waits for has come; call after anything has finished. */
void ending_advance(struct engine *e);

/* With --drain: ends the worker if nothing is left for it. */
void ending_ask_drained(struct engine *e);

/* Leaves now, whatever is under way. */
void ending_leave(struct engine *e, int exit_status);

#endif
