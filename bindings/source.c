/* source.c - folders through libuv, files through Lua's own loader. */
#include "bindings/source.h"

#include <stdbool.h>
#include <sys/stat.h>

#include <lauxlib.h>
#include <uv.h>

struct dump {
    luaL_Buffer *text;
    bool is_begun;
};

static int add_piece(lua_State *L, const void *data, size_t size, void *arg);
static bool is_folder(const char *folder, const uv_dirent_t *entry);

int bind_source_list(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    uv_fs_t scan;
    uv_dirent_t entry;

    int status = uv_fs_scandir(NULL, &scan, path, 0, NULL);
    if (status < 0) {
        uv_fs_req_cleanup(&scan);
        lua_pushnil(L);
        lua_pushstring(L, uv_strerror(status));
        return 2;
    }
    lua_createtable(L, status, 0); /* load time: memory is never refused, nothing leaks */
    for (lua_Integer i = 1; uv_fs_scandir_next(&scan, &entry) == 0; i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, entry.name);
        lua_setfield(L, -2, "name");
        lua_pushboolean(L, is_folder(path, &entry));
        lua_setfield(L, -2, "is_folder");
        lua_rawseti(L, -2, i);
    }
    uv_fs_req_cleanup(&scan);
    return 1;
}

int bind_source_type(lua_State *L)
{
    struct stat status;

    if (stat(luaL_checkstring(L, 1), &status) != 0) {
        return 0;
    }
    lua_pushstring(L, S_ISDIR(status.st_mode) ? "folder" : "file");
    return 1;
}

int bind_source_load(lua_State *L)
{
    if (luaL_loadfilex(L, luaL_checkstring(L, 1), "t") == LUA_OK) {
        return 1;
    }
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

int bind_source_line(lua_State *L)
{
    lua_Debug ar;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_getinfo(L, ">S", &ar);
    lua_pushinteger(L, ar.linedefined > 0 ? ar.linedefined : 1); /* a C function has none */
    return 1;
}

int bind_source_dump(lua_State *L)
{
    luaL_Buffer text;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_argcheck(L, !lua_iscfunction(L, 1), 1, "expected a Lua function");
    lua_settop(L, 1);
    struct dump dump = {.text = &text};
    (void)lua_dump(L, add_piece, &dump, 0);
    if (!dump.is_begun) {
        luaL_buffinit(L, &text);
    }
    luaL_pushresult(&text);
    return 1;
}

/* The buffer may not be begun before: lua_dump wants the function on top. */
static int add_piece(lua_State *L, const void *data, size_t size, void *arg)
{
    struct dump *dump = arg;

    if (!dump->is_begun) {
        dump->is_begun = true;
        luaL_buffinit(L, dump->text);
    }
    luaL_addlstring(dump->text, data, size);
    return 0;
}

static bool is_folder(const char *folder, const uv_dirent_t *entry)
{
    char path[4096];
    struct stat status;

    if (entry->type != UV_DIRENT_LINK && entry->type != UV_DIRENT_UNKNOWN) {
        return entry->type == UV_DIRENT_DIR;
    }
    (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->name);
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}
