/*
 * admin_main.c - the door of jobq, the admin command: a Lua state for scripts/admin/main.lua.
 *
 * The scripts are looked for beside the program (../scripts/admin in a source tree, then
 * ../share/jobq/admin); JOBQ_ADMIN_SCRIPTS names another folder.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"

#include "bindings/admin_host.h"
#include "bindings/crypto.h"
#include "bindings/embedded_lua.h"
#include "bindings/json.h"
#include "bindings/pg.h"
#include "bindings/vm.h"

#define EXIT_FAILED 1

/* The part of the handlers' API that needs nothing of a worker: types, and what config.lua declares. */
static const char *const shared[] = {
    "jobq.declarations",
    "jobq.fields",
    "jobq.formats",
    "jobq.lines",
    "jobq.nearest",
    "jobq.sorted_keys",
};

static int find_scripts(struct buffer *dir);
static void program_dir(struct buffer *out);
static int open_json(lua_State *L);
static int open_keys(lua_State *L);
static int open_shared(lua_State *L);
static void open_libraries(lua_State *L, const char *scripts);
static int run(lua_State *L);

int main(int argc, char **argv)
{
    struct buffer scripts = {0};

    if (find_scripts(&scripts) < 0) {
        (void)fprintf(stderr,
                      "jobq: its commands are missing, expected the folder '%s'\n"
                      "hint: JOBQ_ADMIN_SCRIPTS names another one\n",
                      buffer_text(&scripts));
        buffer_fini(&scripts);
        return EXIT_FAILED;
    }
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        abort();
    }
    lua_pushcfunction(L, run);
    lua_pushstring(L, buffer_text(&scripts));
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    int status = EXIT_FAILED;
    if (lua_pcall(L, 3, 1, 0) == LUA_OK) {
        status = (int)lua_tointeger(L, -1);
    } else {
        (void)fprintf(stderr, "jobq: %s\n", luaL_tolstring(L, -1, NULL));
    }
    lua_close(L);
    buffer_fini(&scripts);
    return status;
}

/* 0; or -ENOENT with the folder that was looked for last. */
static int find_scripts(struct buffer *dir)
{
    static const char *const places[] = {"/../scripts/admin", "/../share/jobq/admin"};
    const char *named = getenv("JOBQ_ADMIN_SCRIPTS");

    if (named != NULL) {
        buffer_add_text(dir, named);
        return access(named, R_OK) == 0 ? 0 : -ENOENT;
    }
    for (size_t i = 0; i < LENGTH_OF(places); i++) {
        buffer_clear(dir);
        program_dir(dir);
        buffer_add_text(dir, places[i]);
        if (access(buffer_text(dir), R_OK) == 0) {
            return 0;
        }
    }
    return -ENOENT;
}

static void program_dir(struct buffer *out)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path));

    while (size > 0 && path[size - 1] != '/') {
        size--;
    }
    if (size > 0) {
        buffer_add(out, path, (size_t)size - 1);
    }
}

/* scripts, argc, argv -> the exit status that main.lua returns */
static int run(lua_State *L)
{
    const char *scripts = luaL_checkstring(L, 1);
    int argc = (int)luaL_checkinteger(L, 2);
    char **argv = lua_touserdata(L, 3);

    open_libraries(L, scripts);
    lua_createtable(L, argc, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
    struct buffer dir = {0};
    program_dir(&dir);
    lua_pushlstring(L, dir.data, dir.size);
    buffer_fini(&dir);
    lua_setfield(L, -2, "dir"); /* where jobq-run is, too */
    lua_setglobal(L, "arg");
    lua_pushfstring(L, "%s/main.lua", scripts);
    if (luaL_loadfilex(L, lua_tostring(L, -1), "t") != LUA_OK) {
        return lua_error(L);
    }
    lua_pushstring(L, scripts);
    lua_call(L, 1, 1);
    return 1;
}

/* The standard library, the scripts' folder as the only place for Lua files, and our modules. */
static void open_libraries(lua_State *L, const char *scripts)
{
    luaL_openlibs(L);
    vm_adopt(L); /* arrays for SQL are written into its scratch buffer */
    lua_getglobal(L, "package");
    lua_pushfstring(L, "%s/?.lua", scripts);
    lua_setfield(L, -2, "path");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, luaopen_jobq_pg);
    lua_setfield(L, -2, "jobq.pg");
    lua_pushcfunction(L, open_json);
    lua_setfield(L, -2, "jobq.json");
    lua_pushcfunction(L, luaopen_jobq_host);
    lua_setfield(L, -2, "jobq.host");
    lua_pushcfunction(L, open_keys);
    lua_setfield(L, -2, "jobq.keys");
    for (size_t i = 0; i < LENGTH_OF(shared); i++) {
        lua_pushcfunction(L, open_shared);
        lua_setfield(L, -2, shared[i]);
    }
    lua_pop(L, 2);
}

static int open_json(lua_State *L)
{
    json_open(L);
    return 1;
}

/* What jobq.crypto knows of keys and does without waiting. */
static int open_keys(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"decode", bind_crypto_decode},
        {"encode", bind_crypto_encode},
        {"load_raw", bind_crypto_load_raw},
        {"public", bind_crypto_key_public},
        {"random", bind_crypto_random},
        {"raw", bind_crypto_key_raw},
        {NULL, NULL},
    };

    luaL_newlib(L, functions);
    return 1;
}

/* name -> the module. */
static int open_shared(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const struct embedded_lua *file = embedded_lua;

    while (file->name != NULL && strcmp(file->name, name) != 0) {
        file++;
    }
    if (file->name == NULL || luaL_loadbuffer(L, file->text, strlen(file->text), name) != LUA_OK) {
        return luaL_error(L, "module '%s' is missing", name);
    }
    lua_call(L, 0, 1);
    return 1;
}
