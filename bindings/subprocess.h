/*
 * subprocess.h - one program under a guard: its pipes, its end, on the loop. Knows no Lua.
 *
 *   started --> output, output... --> over
 *      +--> stopping (time, too much output, terminate) --> over
 *
 * Over is when nothing of the program is left and its pipes are at their end.
 */
#ifndef BINDINGS_SUBPROCESS_H
#define BINDINGS_SUBPROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"

#include "bindings/guard.h"

/* What becomes of an output. */
enum output_mode {
    OUTPUT_CAPTURE, /* kept until the end; more than max stops the program */
    OUTPUT_PIECES,  /* kept until it is taken; the program waits meanwhile */
    OUTPUT_FILE,    /* the guard sees to it */
};

struct output {
    enum output_mode mode;
    size_t max;         /* bytes */
    struct buffer data; /* what came in and was not taken */

    /* private */
    uv_pipe_t pipe;
    bool is_paused;
    bool is_ended;
};

struct subprocess {
    void (*changed)(struct subprocess *s); /* a piece came in, or it is over; may close s */
    void *owner;

    struct output out; /* set mode and max before the start */
    struct output err;

    bool is_over;
    bool timed_out;
    const struct output *too_large; /* the output that was, or NULL */
    bool has_report;                /* else the guard itself was killed */
    struct guard_report report;
    uint64_t started_us;
    uint64_t ended_us;

    /* private */
    uv_process_t guard;
    uv_pipe_t control;
    uv_pipe_t in;
    uv_write_t write;
    uv_timer_t timer;
    struct buffer input;
    size_t reported; /* bytes of report */
    int handles;     /* open */
    bool is_spawned; /* guard is one of them */
    bool is_stopping;
    bool guard_ended;
    bool control_ended;
    bool is_closed; /* by its owner */
};

struct subprocess_plan {
    char **args;         /* "jobq-run", "--guard", what guard.h says; ends with NULL */
    char **env;          /* ends with NULL */
    struct buffer input; /* for stdin; all are borrowed but this one, which is taken */
    uint64_t timeout_ms; /* 0 for none */
};

/* s is zeroed. 0 or -errno of the guard's start; close it in both cases. The loop owns s then. */
MUST_USE int subprocess_start(struct subprocess *s,
                              uv_loop_t *loop,
                              const char *guard,
                              const struct subprocess_plan *plan);

/* SIGTERM, and SIGKILL after the grace; the second time SIGKILL at once. */
void subprocess_terminate(struct subprocess *s);

/* The piece was taken: further ones may come. */
void subprocess_go_on(struct output *o);

/* The owner leaves; what still runs is killed, changed() is not called any more. */
void subprocess_close(struct subprocess *s);

#endif
