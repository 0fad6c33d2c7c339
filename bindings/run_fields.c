/* run_fields.c - the fields of a job that are made only when a handler asks for them. */
#include <inttypes.h>
#include <stdio.h>

#include <lauxlib.h>

#include "bindings/json.h"
#include "bindings/runs.h"

static int push_batch(lua_State *L);
static int push_created_at(lua_State *L);
static int push_idempotency_key(lua_State *L);
static int push_kind(lua_State *L);
static int push_late(lua_State *L);
static int push_max_attempts(lua_State *L);
static int push_priority(lua_State *L);
static int push_queue(lua_State *L);
static int push_run_at(lua_State *L);
static int push_tags(lua_State *L);
static int push_tick(lua_State *L);

static const luaL_Reg fields[] = {
    {"batch", push_batch},
    {"created_at", push_created_at},
    {"idempotency_key", push_idempotency_key},
    {"kind", push_kind},
    {"late", push_late},
    {"max_attempts", push_max_attempts},
    {"priority", push_priority},
    {"queue", push_queue},
    {"run_at", push_run_at},
    {"tags", push_tags},
    {"tick", push_tick},
    {NULL, NULL},
};

int bind_run_field(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    run_check(L);
    for (const luaL_Reg *field = fields; field->name != NULL; field++) {
        if (strcmp(field->name, name) == 0) {
            return field->func(L);
        }
    }
    return 0;
}

static int push_seconds(lua_State *L, int64_t us)
{
    lua_pushnumber(L, (lua_Number)us / 1e6);
    return 1;
}

static int push_slice(lua_State *L, struct slice s)
{
    lua_pushlstring(L, s.data, s.size);
    return 1;
}

/* The value of a key of meta, or nil. */
static int push_meta(lua_State *L, const char *key)
{
    struct slice meta = run_check(L)->job.meta;

    if (meta.size == 0 || json_push(L, meta) != 0 || !lua_istable(L, -1)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    return lua_getfield(L, -1, key);
}

static int push_batch(lua_State *L)
{
    (void)push_meta(L, "batch");
    return 1;
}

static int push_created_at(lua_State *L)
{
    return push_seconds(L, run_check(L)->job.created_us);
}

/* The same for all attempts, and another one in a database that counts from 1 again. */
static int push_idempotency_key(lua_State *L)
{
    const struct run *r = run_check(L);
    char key[64];

    (void)snprintf(key, sizeof(key), "jobq-%" PRId64 "-%" PRIx64, r->job.job_id, r->job.created_us);
    lua_pushstring(L, key);
    return 1;
}

static int push_kind(lua_State *L)
{
    return push_slice(L, run_check(L)->job.kind);
}

/* Nil, as its tick, where no schedule made the job. */
static int push_late(lua_State *L)
{
    (void)push_meta(L, "late");
    return 1;
}

static int push_max_attempts(lua_State *L)
{
    lua_pushinteger(L, run_check(L)->job.max_attempts);
    return 1;
}

static int push_priority(lua_State *L)
{
    lua_pushinteger(L, run_check(L)->job.priority);
    return 1;
}

static int push_queue(lua_State *L)
{
    return push_slice(L, run_check(L)->job.queue);
}

static int push_run_at(lua_State *L)
{
    return push_seconds(L, run_check(L)->job.run_at_us);
}

static int push_tags(lua_State *L)
{
    if (push_meta(L, "tags") != LUA_TTABLE) {
        lua_newtable(L);
    }
    return 1;
}

static int push_tick(lua_State *L)
{
    (void)push_meta(L, "tick");
    return 1;
}
