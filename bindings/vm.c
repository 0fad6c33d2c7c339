/* vm.c - opens the state; keeps coroutines, since a fresh one costs more than a small run. */
#include "bindings/vm.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "core/base/mem.h"

#include "bindings/sandbox.h"
#include "bindings/task.h"

/* Idle coroutines kept for the next run; a peak of waiting runs should not hold memory for ever. */
#define SPARE_COROUTINES_MAX 512u

/*
 * What ended runs leave behind waits for the collector's next cycle, and that may be far: after a
 * hog it begins when the heap has doubled once more. Beyond this it is collected at once.
 */
#define LEFT_BYTES_MAX ((int64_t)16 << 20)
#define LEFT_FILES_MAX 64

#define THREADS_KEY "jobq.coroutines"

static void on_refused(struct memory *m);
static void release(struct vm *vm);
static int on_adopted_closed(lua_State *L);
static uint32_t take_number(struct vm *vm);
static void collect_left(struct vm *vm);
static int on_panic(lua_State *L);

bool vm_open(struct vm *vm, uv_loop_t *loop, struct pulse *pulse)
{
    *vm = (struct vm){.loop = loop, .pulse = pulse, .thread = pthread_self()};
    vm->program = mem_strdup("/proc/self/exe");
    memory_init(&vm->memory, on_refused);
    vm->L = lua_newstate(memory_allocate, &vm->memory);
    if (vm->L == NULL) {
        release(vm);
        return false;
    }
    *(struct vm **)lua_getextraspace(vm->L) = vm;
    lua_atpanic(vm->L, on_panic);
    luaL_openlibs(vm->L);
    lua_newtable(vm->L);
    lua_setfield(vm->L, LUA_REGISTRYINDEX, THREADS_KEY);
    sandbox_close(vm->L);
    return true;
}

void vm_close(struct vm *vm)
{
    lua_close(vm->L);
    release(vm);
}

void vm_adopt(lua_State *L)
{
    struct vm *vm = lua_newuserdatauv(L, sizeof(*vm), 0);

    *vm = (struct vm){.thread = pthread_self()};
    lua_createtable(L, 0, 1); /* vm metatable */
    lua_pushcfunction(L, on_adopted_closed);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, "jobq.vm");
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, THREADS_KEY);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    vm->L = lua_tothread(L, -1);
    lua_pop(L, 1);
    *(struct vm **)lua_getextraspace(vm->L) = vm;
    *(struct vm **)lua_getextraspace(L) = vm;
}

uint32_t vm_take_coroutine(struct vm *vm, int64_t limit)
{
    uint32_t number = take_number(vm);

    if (vm->coroutines[number] == NULL) {
        lua_getfield(vm->L, LUA_REGISTRYINDEX, THREADS_KEY); /* threads */
        vm->coroutines[number] = lua_newthread(vm->L);       /* threads thread */
        lua_rawseti(vm->L, -2, number);                      /* threads */
        lua_pop(vm->L, 1);
    }
    memory_open_account(&vm->memory, number, limit);
    return number;
}

void vm_give_coroutine(struct vm *vm, uint32_t number, bool is_clean)
{
    memory_close_account(&vm->memory, number);
    if (is_clean && vm->nspare < SPARE_COROUTINES_MAX) {
        lua_settop(vm->coroutines[number], 0);
    } else {
        lua_getfield(vm->L, LUA_REGISTRYINDEX, THREADS_KEY); /* threads */
        lua_pushnil(vm->L);
        lua_rawseti(vm->L, -2, number);
        lua_pop(vm->L, 1);
        vm->coroutines[number] = NULL;
    }
    vm->spare[vm->nspare] = number;
    vm->nspare++;
    if (vm->memory.left_bytes - vm->kept_bytes > LEFT_BYTES_MAX ||
        vm->memory.left_files - vm->kept_files > LEFT_FILES_MAX) {
        collect_left(vm);
    }
}

static void release(struct vm *vm)
{
    memory_fini(&vm->memory);
    buffer_fini(&vm->scratch);
    buffer_fini(&vm->result);
    secrets_fini(&vm->secrets);
    free(vm->program);
    free(vm->coroutines);
    free(vm->spare);
}

static int on_adopted_closed(lua_State *L)
{
    release(lua_touserdata(L, 1));
    return 0;
}

static uint32_t take_number(struct vm *vm)
{
    if (vm->nspare > 0) {
        vm->nspare--;
        return vm->spare[vm->nspare];
    }
    uint32_t number = ++vm->ncoroutines; /* 0 is MEMORY_NOBODY */
    if ((number & (number - 1)) == 0) {  /* room for as many again at each power of two */
        size_t room = (size_t)number * 2;
        vm->coroutines = mem_resize(vm->coroutines, room, sizeof(lua_State *));
        vm->spare = mem_resize(vm->spare, room, sizeof(*vm->spare));
    }
    vm->coroutines[number] = NULL;
    return number;
}

static void collect_left(struct vm *vm)
{
    lua_gc(vm->L, LUA_GCCOLLECT);
    malloc_trim(0); /* the C library would keep what is free for later */
    vm->kept_bytes = vm->memory.left_bytes;
    vm->kept_files = vm->memory.left_files;
}

/* Called by the allocator: reads the call stack, which needs no memory. */
static void on_refused(struct memory *m)
{
    struct vm *vm = (struct vm *)((char *)m - offsetof(struct vm, memory));
    lua_Debug ar;

    for (int level = 0; lua_getstack(vm->innermost, level, &ar) != 0; level++) {
        lua_getinfo(vm->innermost, "Sl", &ar);
        if (ar.currentline > 0 && !task_is_own_code(&ar)) {
            (void)snprintf(vm->refused_at, VM_PLACE_BYTES, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
}

/* Only a bug of ours gets here: handlers run inside lua_resume. */
static int on_panic(lua_State *L)
{
    (void)fprintf(stderr, "jobq: lua error outside of a run: %s\n", lua_tostring(L, -1));
    abort();
}
