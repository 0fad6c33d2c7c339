/* run_progress.h - job:progress. The last word of each run travels, at most once a second. */
#ifndef BINDINGS_RUN_PROGRESS_H
#define BINDINGS_RUN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <lua.h>
#include <uv.h>

#include "core/base/channel.h"

struct run;
struct run_progress;

/* Tells what was said too soon after the word before, once its time has come. */
struct progress_teller {
    struct channel *channel; /* borrowed */
    uv_timer_t timer;
    TAILQ_HEAD(, run_progress) waiting; /* the oldest first */
};

void progress_teller_init(struct progress_teller *t, uv_loop_t *loop, struct channel *channel);

/* Before the loop is closed. */
void progress_teller_close(struct progress_teller *t);

/* fraction, message or nil -> nothing. jobq.job has looked at them. */
int bind_run_progress(lua_State *L);

/* The run is over: what it has not told is of no interest any more. */
void run_progress_forget(struct run *r);

#endif
