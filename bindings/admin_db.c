/* admin_db.c - core/db/migrate.h and core/db/embedded.h as Lua functions. */
#include "bindings/admin_db.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "core/base/buffer.h"
#include "core/db/embedded.h"
#include "core/db/migrate.h"

#define SERVER_TYPE "jobq.pg.server"
#define TEXT_TYPE   "jobq.pg.text"

struct server {
    struct embedded *embedded; /* owned; NULL once closed */
    bool created;
};

static struct buffer *new_buffer(lua_State *L);
static const char *code_of(int err);
static int push_error(lua_State *L, int err, const struct buffer *error);
static void on_applied(void *arg, const struct migration *m);
static struct server *check_server(lua_State *L);

/* dsn -> applied */
static int pg_migrate_up(lua_State *L)
{
    const char *dsn = luaL_checkstring(L, 1);
    struct buffer *error = new_buffer(L);

    lua_newtable(L);
    int err = migrate_up(dsn, on_applied, L, error);
    return err < 0 ? push_error(L, err, error) : 1;
}

/* dsn -> state */
static int pg_migrate_state(lua_State *L)
{
    const char *dsn = luaL_checkstring(L, 1);
    struct buffer *error = new_buffer(L);
    struct schema_state state = {0};

    int err = migrate_state(dsn, &state, error);
    if (err < 0) {
        return push_error(L, err, error);
    }
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, state.version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, state.min_worker);
    lua_setfield(L, -2, "min_worker");
    return 1;
}

/* from [0] -> SQL */
static int pg_migrate_print(lua_State *L)
{
    int from = (int)luaL_optinteger(L, 1, 0);
    struct buffer *out = new_buffer(L);

    migrate_print(from, out);
    lua_pushlstring(L, buffer_text(out), out->size);
    return 1;
}

/* version, min_worker -> true, or nil, message, "schema", hint: whether this program fits */
static int pg_judge(lua_State *L)
{
    struct schema_state state = {.version = (int)luaL_checkinteger(L, 1)};
    const char *min_worker = luaL_optstring(L, 2, "");
    struct buffer *error = new_buffer(L);

    (void)snprintf(state.min_worker, sizeof(state.min_worker), "%s", min_worker);
    int err = migrate_judge(&state, error);
    if (err < 0) {
        return push_error(L, err, error);
    }
    lua_pushboolean(L, true);
    return 1;
}

static int pg_newest(lua_State *L)
{
    lua_pushinteger(L, migrate_newest());
    return 1;
}

/* dir -> server */
static int pg_embedded_open(lua_State *L)
{
    const char *dir = luaL_checkstring(L, 1);
    struct buffer *error = new_buffer(L);
    struct server *server = lua_newuserdatauv(L, sizeof(*server), 0);

    *server = (struct server){0};
    luaL_setmetatable(L, SERVER_TYPE);
    int err = embedded_open(dir, &server->embedded, &server->created, error);
    return err < 0 ? push_error(L, err, error) : 1;
}

/* dir -> "absent" | "stopped" | "running", conninfo. Makes and starts nothing. */
static int pg_embedded_state(lua_State *L)
{
    static const char *const names[] = {[EMBEDDED_ABSENT] = "absent",
                                        [EMBEDDED_STOPPED] = "stopped",
                                        [EMBEDDED_RUNNING] = "running"};
    const char *dir = luaL_checkstring(L, 1);
    struct buffer *error = new_buffer(L);
    struct buffer *conninfo = new_buffer(L);
    enum embedded_state state;

    int err = embedded_look(dir, &state, conninfo, error);
    if (err < 0) {
        return push_error(L, err, error);
    }
    lua_pushstring(L, names[state]);
    lua_pushstring(L, buffer_text(conninfo));
    return 2;
}

/* dir -> true */
static int pg_embedded_stop(lua_State *L)
{
    const char *dir = luaL_checkstring(L, 1);
    struct buffer *error = new_buffer(L);

    int err = embedded_stop(dir, error);
    if (err < 0) {
        return push_error(L, err, error);
    }
    lua_pushboolean(L, true);
    return 1;
}

static int server_conninfo(lua_State *L)
{
    lua_pushstring(L, embedded_conninfo(check_server(L)->embedded));
    return 1;
}

static int server_dir(lua_State *L)
{
    lua_pushstring(L, embedded_dir(check_server(L)->embedded));
    return 1;
}

static int server_created(lua_State *L)
{
    lua_pushboolean(L, check_server(L)->created);
    return 1;
}

static int server_keep(lua_State *L)
{
    struct buffer nothing = {0};
    int err = embedded_keep(check_server(L)->embedded);

    if (err < 0) {
        return push_error(L, err, &nothing);
    }
    lua_pushboolean(L, true);
    return 1;
}

static int server_close(lua_State *L)
{
    struct server *server = luaL_checkudata(L, 1, SERVER_TYPE);

    if (server->embedded != NULL) {
        embedded_close(server->embedded);
        server->embedded = NULL;
    }
    return 0;
}

static const luaL_Reg server_functions[] = {
    {"conninfo", server_conninfo},
    {"dir", server_dir},
    {"created", server_created},
    {"keep", server_keep},
    {"close", server_close},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"newest", pg_newest},
    {"judge", pg_judge},
    {"migrate_up", pg_migrate_up},
    {"migrate_state", pg_migrate_state},
    {"migrate_print", pg_migrate_print},
    {"embedded_open", pg_embedded_open},
    {"embedded_state", pg_embedded_state},
    {"embedded_stop", pg_embedded_stop},
    {NULL, NULL},
};

static int free_buffer(lua_State *L)
{
    buffer_fini(luaL_checkudata(L, 1, TEXT_TYPE));
    return 0;
}

void admin_db_register(lua_State *L)
{
    if (luaL_newmetatable(L, SERVER_TYPE)) {
        luaL_newlib(L, server_functions);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, server_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, server_close);
        lua_setfield(L, -2, "__close");
    }
    if (luaL_newmetatable(L, TEXT_TYPE)) {
        lua_pushcfunction(L, free_buffer);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 2);
    luaL_setfuncs(L, functions, 0);
}

/* A buffer that the collector frees, so that an error in between leaks nothing. */
static struct buffer *new_buffer(lua_State *L)
{
    struct buffer *b = lua_newuserdatauv(L, sizeof(*b), 0);

    *b = (struct buffer){0};
    luaL_setmetatable(L, TEXT_TYPE);
    return b;
}

/* The words of scripts/admin/_failure.lua. */
static const char *code_of(int err)
{
    switch (err) {
    case -EACCES: return "refused";
    case -ENOTCONN: return "no_database";
    case -EPROTO: return "schema";
    default: return "failed";
    }
}

/* -> nil, message, code, hint or nil. The hint is what follows the first line. */
static int push_error(lua_State *L, int err, const struct buffer *error)
{
    const char *text = error->size > 0 ? buffer_text(error) : strerror(-err);
    const char *end = strchr(text, '\n');

    lua_pushnil(L);
    lua_pushlstring(L, text, end == NULL ? strlen(text) : (size_t)(end - text));
    lua_pushstring(L, code_of(err));
    if (end != NULL && end[1] != 0) {
        end += 1;
        end += strncmp(end, "hint: ", 6) == 0 ? 6 : 0;
        size_t size = strlen(end);
        lua_pushlstring(L, end, end[size - 1] == '\n' ? size - 1 : size);
        return 4;
    }
    return 3;
}

static void on_applied(void *arg, const struct migration *m)
{
    lua_State *L = arg; /* the table of what was applied is on top */

    lua_createtable(L, 0, 2);
    lua_pushinteger(L, m->number);
    lua_setfield(L, -2, "number");
    lua_pushstring(L, m->name);
    lua_setfield(L, -2, "name");
    lua_rawseti(L, -2, luaL_len(L, -2) + 1);
}

static struct server *check_server(lua_State *L)
{
    struct server *server = luaL_checkudata(L, 1, SERVER_TYPE);

    luaL_argcheck(L, server->embedded != NULL, 1, "the server is closed");
    return server;
}
