/* handlers.h - the kinds that the handler files define, as Lua tables and as what C needs of them. */
#ifndef BINDINGS_HANDLERS_H
#define BINDINGS_HANDLERS_H

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"
#include "core/job/wire.h"

struct vm;

struct handler {
    int ref;        /* the table that jobq.loader made */
    int64_t memory; /* bytes that a run may hold */
};

/* All zero is valid and empty. */
struct handlers {
    struct handler *items; /* owned */
    size_t count;
    int index_ref;  /* table: kind -> position in items, from 1 */
    int runner_ref; /* jobq.runner's main: what the coroutine of a run executes */
};

/*
 * Loads the files of config and puts a kind frame for each kind into out. 0, or -EINVAL with
 * a text for people in error.
 */
MUST_USE int handlers_load(struct handlers *h,
                           struct vm *vm,
                           const struct wire_config *config,
                           struct buffer *out,
                           struct buffer *error);
void handlers_fini(struct handlers *h);

/* The handler of kind, or NULL. */
const struct handler *handlers_find(const struct handlers *h, lua_State *L, struct slice kind);

/* Pushes the function that runs a job of this handler, and its argument. */
void handlers_push(const struct handlers *h, lua_State *co, const struct handler *handler);

#endif
