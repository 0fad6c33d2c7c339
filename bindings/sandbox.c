/* sandbox.c - removes some standard functions and replaces others. */
#include "bindings/sandbox.h"

#include <stddef.h>

#include <lauxlib.h>

#include "core/base/mem.h"

#include "bindings/open_files.h"
#include "bindings/task.h"

struct removal {
    const char *library;
    const char *name;
};

static const struct removal removals[] = {
    {LUA_GNAME, "debug"},
    {LUA_GNAME, "dofile"},
    {LUA_GNAME, "loadfile"},
    {"io", "popen"},
    {"os", "execute"},
    {"os", "exit"},
    {"os", "setlocale"}, /* of the whole process: numbers in JSON would have commas */
    {"package", "loadlib"},
    {"string", "dump"},
};

static void replace(lua_State *L, const char *library, const char *name, lua_CFunction function);
static int load_text(lua_State *L);
static int set_metatable(lua_State *L);
static int collect_garbage(lua_State *L);
static int wrap(lua_State *L);
static int call_wrapped(lua_State *L);
static int refuse_global(lua_State *L);

void sandbox_close(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE); /* loaded */
    lua_pushnil(L);
    lua_setfield(L, -2, "debug");
    for (size_t i = 0; i < LENGTH_OF(removals); i++) {
        lua_getfield(L, -1, removals[i].library);
        lua_pushnil(L);
        lua_setfield(L, -2, removals[i].name);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    replace(L, LUA_GNAME, "load", load_text);
    replace(L, LUA_GNAME, "setmetatable", set_metatable);
    replace(L, LUA_GNAME, "collectgarbage", collect_garbage);
    replace(L, "coroutine", "resume", bind_resume);
    replace(L, "coroutine", "close", bind_close);
    replace(L, "coroutine", "wrap", wrap);
    open_files_install(L);

    lua_pushglobaltable(L);
    lua_createtable(L, 0, 2); /* globals metatable */
    lua_pushcfunction(L, refuse_global);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* The new function has the old one as its upvalue. */
static void replace(lua_State *L, const char *library, const char *name, lua_CFunction function)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, library);
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}

/* load with mode "t": bytecode is not checked by Lua and can crash the process. */
static int load_text(lua_State *L)
{
    if (lua_gettop(L) < 3) {
        lua_settop(L, 3); /* a fourth argument that is absent is not the same as nil */
    }
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int set_metatable(lua_State *L)
{
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        luaL_argcheck(L,
                      lua_rawget(L, 2) == LUA_TNIL,
                      2,
                      "has __gc, which handlers may not use\nhint: use a <close> variable");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* Looking and collecting is fine; stopping the collector would starve the neighbours. */
static int collect_garbage(lua_State *L)
{
    static const char *const allowed[] = {"collect", "count", "step", "isrunning", NULL};

    luaL_checkoption(L, 1, "collect", allowed);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

static int call_wrapped(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    int count = bind_resume(L);
    if (!lua_toboolean(L, -count)) {
        return lua_error(L); /* the value on top */
    }
    return count - 1;
}

static int refuse_global(lua_State *L)
{
    const char *name = luaL_tolstring(L, 2, NULL);

    return luaL_error(L, "assignment to global '%s'\nhint: write local %s", name, name);
}
