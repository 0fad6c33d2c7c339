/*
 * open_files.c - file handles of the standard type, so that all its methods work; behind what the
 * standard library knows of them stands who opened them.
 */
#include "bindings/open_files.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "core/base/mem.h"

#include "bindings/vm.h"

struct open_file {
    luaL_Stream stream; /* first member, as LUA_FILEHANDLE demands */
    struct file_owner owner;
};

static int open_file(lua_State *L);
static int open_temporary(lua_State *L);
static int lines(lua_State *L);
static int next_line(lua_State *L);
static int set_default(lua_State *L);

void open_files_install(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"input", set_default},
        {"lines", lines},
        {"open", open_file},
        {"output", set_default},
        {"tmpfile", open_temporary},
    };

    luaL_getmetatable(L, LUA_FILEHANDLE);
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable"); /* its __gc is not for handlers to change */
    lua_getglobal(L, LUA_IOLIBNAME);
    for (size_t i = 0; i < LENGTH_OF(functions); i++) {
        lua_pushstring(L, functions[i].name);
        lua_getfield(L, -2, functions[i].name);
        lua_pushcclosure(L, functions[i].func, 2); /* its name, the standard one */
        lua_setfield(L, -2, functions[i].name);
    }
    lua_pop(L, 2);
}

static int close_file(lua_State *L)
{
    struct open_file *file = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    int status = fclose(file->stream.f);

    memory_remove_file(&vm_of(L)->memory, file->owner);
    return luaL_fileresult(L, status == 0, NULL);
}

/* What the payer has dropped, the collector may not have come to yet. */
static bool has_room(lua_State *L)
{
    const struct memory *m = &vm_of(L)->memory;

    if (m->payer != MEMORY_NOBODY && m->accounts[m->payer].files >= OPEN_FILES_MAX) {
        lua_gc(L, LUA_GCCOLLECT);
    }
    return m->payer == MEMORY_NOBODY || m->accounts[m->payer].files < OPEN_FILES_MAX;
}

/* NULL with errno set. path NULL: one without a name. */
static FILE *open_stream(const char *path, const char *mode)
{
    return path == NULL ? tmpfile() : fopen(path, mode);
}

/* -> the file | nil, message, errno: as the standard functions answer. */
static int push_file(lua_State *L, const char *path, const char *mode)
{
    if (!has_room(L)) {
        luaL_pushfail(L);
        lua_pushfstring(L,
                        "%s: this run has %d files open, and may not have more\n"
                        "hint: close them, say by local file <close> = io.open(...)",
                        path == NULL ? "temporary file" : path,
                        (int)OPEN_FILES_MAX);
        lua_pushinteger(L, EMFILE);
        return 3;
    }
    struct vm *vm = vm_of(L);
    struct open_file *file = lua_newuserdatauv(L, sizeof(*file), 0);
    file->stream.closef = NULL; /* closed, until it is open */
    luaL_setmetatable(L, LUA_FILEHANDLE);
    file->stream.f = open_stream(path, mode);
    if (file->stream.f == NULL && (errno == EMFILE || errno == ENFILE)) {
        lua_gc(L, LUA_GCCOLLECT);
        file->stream.f = open_stream(path, mode);
        if (file->stream.f == NULL) {
            atomic_store(&vm->pulse->is_worn, true);
        }
    }
    if (file->stream.f == NULL) {
        return luaL_fileresult(L, 0, path);
    }
    file->stream.closef = close_file;
    file->owner = memory_add_file(&vm->memory);
    return 1;
}

static int open_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    const char *mode = luaL_optstring(L, 2, "r");
    const char *rest = mode + 1 + (mode[0] != 0 && mode[1] == '+');

    luaL_argcheck(L,
                  mode[0] != 0 && strchr("rwa", mode[0]) != NULL &&
                      strspn(rest, "b") == strlen(rest),
                  2,
                  "invalid mode");
    return push_file(L, path, mode);
}

static int open_temporary(lua_State *L)
{
    return push_file(L, NULL, NULL);
}

/* Raises where the standard functions do. */
static void check_file(lua_State *L, const char *path, const char *mode)
{
    if (push_file(L, path, mode) != 1) {
        luaL_error(L, "%s", lua_tostring(L, -2));
    }
}

/* path, formats ... -> iterator, nil, nil, file, which a for loop closes at its end */
static int lines(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_insert(L, 1);
        lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
        return lua_gettop(L);
    }
    check_file(L, luaL_checkstring(L, 1), "r");
    lua_replace(L, 1); /* file formats ... */
    lua_pushvalue(L, 1);
    lua_insert(L, 1);
    lua_getfield(L, 1, "lines");
    lua_insert(L, 2); /* file file.lines file formats ... */
    lua_call(L, lua_gettop(L) - 2, 1);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, next_line, 2);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, 1);
    return 4;
}

/* The last line closes the file, for those who call it outside of a for loop. */
static int next_line(lua_State *L)
{
    const luaL_Stream *stream = lua_touserdata(L, lua_upvalueindex(2));

    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_call(L, 0, LUA_MULTRET);
    if (lua_isnoneornil(L, 1) && stream->closef != NULL) {
        lua_getfield(L, lua_upvalueindex(2), "close");
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_call(L, 1, 0);
    }
    return lua_gettop(L);
}

/* io.input and io.output: a path becomes a file of ours first. */
static int set_default(lua_State *L)
{
    bool is_input = strcmp(lua_tostring(L, lua_upvalueindex(1)), "input") == 0;

    if (lua_type(L, 1) == LUA_TSTRING) {
        check_file(L, lua_tostring(L, 1), is_input ? "r" : "w");
        lua_replace(L, 1);
    }
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}
