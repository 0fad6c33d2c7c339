/*
 * wire.h - what a supervisor and its executors say to each other. One struct, one pair of functions
 * a message; the fields are in the order in which they travel.
 *
 *   supervisor -> executor   config, then any number of run, stop and look, at the end quit
 *   executor -> supervisor   kind ..., loaded | load_failed, then started, log, progress, sight and
 *                            outcome
 *
 * Slices are borrowed: from the caller when writing, from the frame when reading. A read function
 * answers 0, or -EBADMSG for a frame that is too short; the peer is then broken.
 */
#ifndef CORE_JOB_WIRE_H
#define CORE_JOB_WIRE_H

#include <stdint.h>

#include "core/base/frame.h"
#include "core/base/mem.h"
#include "core/job/outcome.h"

enum wire_type {
    WIRE_CONFIG = 1,
    WIRE_RUN,
    WIRE_STOP,
    WIRE_QUIT, /* no fields: finish what runs, then exit */
    WIRE_KIND,
    WIRE_LOADED, /* no fields: all kinds were told */
    WIRE_LOAD_FAILED,
    WIRE_STARTED,
    WIRE_LOG,
    WIRE_OUTCOME,
    WIRE_PROGRESS,
    WIRE_LOOK,
    WIRE_SIGHT,
};

/* The first frame: all that an executor needs to know. */
struct wire_config {
    int64_t worker_id;
    uint8_t log_level;     /* enum log_level: what goes to stderr */
    uint8_t log_format;    /* enum log_format */
    int64_t job_memory;    /* bytes of Lua memory a run may hold, unless its kind says otherwise */
    int64_t load_memory;   /* bytes of Lua memory that the handlers may take before they run */
    struct slice handlers; /* folders and files, each followed by a newline */
    struct slice settings; /* NAME=VALUE of --set and [settings], each followed by a newline */
    struct slice conninfo; /* of the queue's database; may be empty, and then it is PG*'s */
};

/* One job to run now. */
struct wire_run {
    uint32_t run; /* names the run until its outcome: an index of the supervisor's */
    int64_t job_id;
    int64_t worker_id; /* with seq and slot the job's place in its lease: who knows it can settle */
    int64_t seq;
    uint32_t slot;
    int64_t created_us; /* Unix time, microseconds */
    int64_t run_at_us;
    uint32_t attempt; /* 1 for the first */
    uint32_t max_attempts;
    uint32_t priority;
    double timeout_s;
    struct slice kind;
    struct slice queue;
    struct slice args; /* JSON text, not looked at by the supervisor */
    struct slice meta; /* JSON text of jobq.ready.meta, or empty */
};

/* Ends one run. See core/job/outcome.h for the reasons. */
struct wire_stop {
    uint32_t run;
    uint8_t reason; /* enum stop_reason */
};

/* Where is a run? Answered by a sight with the same ticket, unless the run is over. */
struct wire_look {
    uint32_t run;
    uint32_t ticket;
};

/* A kind that the handlers define; sent once each before loaded. */
struct wire_kind {
    struct slice name;
    struct slice queue;
    struct slice summary;
    struct slice schema;   /* JSON Schema of the arguments, or empty */
    struct slice source;   /* file:line of the handler */
    struct slice schedule; /* JSON of its schedule, or empty */
    struct slice limits;   /* JSON array of its limits, or empty */
    uint32_t max_attempts;
    uint32_t priority;
    double timeout_s;
};

/* The folder does not load; message is for people: file, line, what is wrong, a hint line. */
struct wire_load_failed {
    struct slice message;
};

/* A run that is still alive when its frames leave: its deadline counts from here. */
struct wire_started {
    uint32_t run;
    int64_t started_us; /* clock_now_us() */
};

/* A line of job.log. */
struct wire_log {
    uint32_t run;
    int64_t at_us; /* clock_now_us(); its age is what the database is told */
    uint8_t level; /* enum log_level */
    struct slice message;
    struct slice fields; /* JSON object, or empty */
};

/* How far a run is; each replaces the one before. */
struct wire_progress {
    uint32_t run;
    int64_t at_us;        /* clock_now_us() */
    double fraction;      /* 0 to 1 */
    struct slice message; /* clean UTF-8, or empty */
};

/* Where a run is, in the lines of bindings/run_look.h. */
struct wire_sight {
    uint32_t ticket;
    struct slice text; /* clean UTF-8 */
};

/* The last frame of a run. */
struct wire_outcome {
    uint32_t run;
    uint8_t verdict; /* enum verdict */
    int64_t ran_us;
    double delay_s;      /* before the next attempt or after a snooze; negative: the default */
    struct slice error;  /* message, then "\nstack traceback:..."; empty unless it failed */
    struct slice result; /* JSON text, or empty */
};

void wire_put_config(struct buffer *out, const struct wire_config *m);
void wire_put_run(struct buffer *out, const struct wire_run *m);
void wire_put_stop(struct buffer *out, const struct wire_stop *m);
void wire_put_look(struct buffer *out, const struct wire_look *m);
void wire_put_sight(struct buffer *out, const struct wire_sight *m);
void wire_put_kind(struct buffer *out, const struct wire_kind *m);
void wire_put_load_failed(struct buffer *out, const struct wire_load_failed *m);
void wire_put_started(struct buffer *out, const struct wire_started *m);
void wire_put_log(struct buffer *out, const struct wire_log *m);
void wire_put_progress(struct buffer *out, const struct wire_progress *m);
void wire_put_outcome(struct buffer *out, const struct wire_outcome *m);
void wire_put_plain(struct buffer *out, enum wire_type type); /* quit, loaded */

MUST_USE int wire_get_config(struct frame *f, struct wire_config *m);
MUST_USE int wire_get_run(struct frame *f, struct wire_run *m);
MUST_USE int wire_get_stop(struct frame *f, struct wire_stop *m);
MUST_USE int wire_get_look(struct frame *f, struct wire_look *m);
MUST_USE int wire_get_sight(struct frame *f, struct wire_sight *m);
MUST_USE int wire_get_kind(struct frame *f, struct wire_kind *m);
MUST_USE int wire_get_load_failed(struct frame *f, struct wire_load_failed *m);
MUST_USE int wire_get_started(struct frame *f, struct wire_started *m);
MUST_USE int wire_get_log(struct frame *f, struct wire_log *m);
MUST_USE int wire_get_progress(struct frame *f, struct wire_progress *m);
MUST_USE int wire_get_outcome(struct frame *f, struct wire_outcome *m);

#endif
