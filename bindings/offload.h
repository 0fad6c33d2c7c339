/*
 * offload.h - a waiting binding whose work blocks: it runs in libuv's thread pool.
 *
 *   struct shout { struct offload offload; char *text; };      offload first
 *
 *   check arguments; struct shout *s = mem_zalloc(sizeof(*s)); s->text = mem_strdup(...);
 *   return offload_start(L, &s->offload, &shout_steps);        nothing may raise in between
 *
 * When the run is stopped meanwhile, the work goes on with its own memory and nobody hears of it:
 * finish() is called all the same, push() is not.
 */
#ifndef BINDINGS_OFFLOAD_H
#define BINDINGS_OFFLOAD_H

#include <stdatomic.h>
#include <stdbool.h>

#include <lua.h>
#include <uv.h>

#include "bindings/task.h"

struct offload;

struct offload_steps {
    void (*work)(struct offload *o);              /* in a pool thread: no Lua, no loop */
    int (*push)(struct offload *o, lua_State *L); /* in the loop: pushes results, says how many */
    void (*finish)(struct offload *o);            /* in the loop, last: frees everything */
};

struct offload {
    struct wait wait; /* first member */
    uv_work_t work;
    const struct offload_steps *steps; /* borrowed, static */
    atomic_bool dropped;               /* the run is over; long work looks at it and gives up */
};

/* Returns what the binding must return. Takes o. */
int offload_start(lua_State *L, struct offload *o, const struct offload_steps *steps);

/* True once nobody waits any more. From any thread. */
bool offload_dropped(struct offload *o);

/* Pushes nil, "subject: why", "ENOENT" for a negative errno; subject may be NULL. Returns 3. */
int push_errno(lua_State *L, const char *subject, int error);

/* Pushes nil, message, code. Returns 3. */
int push_failure(lua_State *L, const char *message, const char *code);

#endif
