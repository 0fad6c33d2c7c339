/*
 * vm.h - one Lua state with what belongs to it, and the coroutines that runs borrow from it.
 *
 * Its address lives in the extra space of the state, which new coroutines inherit.
 */
#ifndef BINDINGS_VM_H
#define BINDINGS_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <lua.h>
#include <uv.h>

#include "core/base/buffer.h"
#include "core/job/pulse.h"

#include "bindings/memory.h"
#include "bindings/secrets.h"

struct task;

#define VM_PLACE_BYTES 96

/* What Lua says when memory is refused. */
#define VM_MEMORY_ERROR "not enough memory"

struct vm {
    lua_State *L;         /* owned */
    uv_loop_t *loop;      /* borrowed; NULL in a state that cannot wait */
    struct pulse *pulse;  /* borrowed: where it says what computes */
    pthread_t thread;     /* the one that runs Lua */
    struct memory memory; /* accounts and coroutines have the same numbers, from 1 */
    struct task *running; /* the task inside lua_resume right now, or NULL */
    lua_State *innermost; /* the coroutine that executes right now; valid while running */
    char refused_at[VM_PLACE_BYTES]; /* "file:line: " where memory was last refused in this turn */

    struct secrets secrets; /* what nothing that is told may contain */

    char *program; /* owned; the path of jobq-run, which guards subprocesses */

    void *owner;
    void (*read_mail)(struct vm *vm); /* takes in the supervisor's frames; calls task_stop() */
    void (*before_resume)(struct vm *vm, uint64_t now_us);

    /* Bytes on their way out of Lua. They hang here because Lua may raise at any time. */
    struct buffer scratch; /* valid until the next use, or the next wait */
    struct buffer result;  /* JSON of the run that is about to end */

    /* private */
    lua_State **coroutines; /* by number; NULL where there is none. Anchored in the registry */
    uint32_t *spare;        /* numbers that are free, as a stack */
    uint32_t nspare;
    uint32_t ncoroutines;
    int64_t kept_bytes; /* of runs that are over, which the last collection found in use */
    int64_t kept_files;
};

static inline struct vm *vm_of(lua_State *L)
{
    return *(struct vm **)lua_getextraspace(L);
}

/* Opens a sandboxed state in vm, which stays where it is; false when there is no memory for it. */
bool vm_open(struct vm *vm, uv_loop_t *loop, struct pulse *pulse);
void vm_close(struct vm *vm);

/* Gives a plain lua5.4 that loads the bindings a vm of its own: nothing runs, nothing can wait. */
void vm_adopt(lua_State *L);

/* A coroutine with an empty stack whose allocations are charged under limit bytes; its number. */
uint32_t vm_take_coroutine(struct vm *vm, int64_t limit);

/* is_clean: it has returned, so that the next run may have it. */
void vm_give_coroutine(struct vm *vm, uint32_t number, bool is_clean);

#endif
