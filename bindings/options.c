/* options.c - reads a table of options raw, so that nothing of the caller's runs in between. */
#include "bindings/options.h"

#include <string.h>

#include <lauxlib.h>

#include "core/base/text.h"

static bool is_known(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

static void refuse(lua_State *L, int arg, const char *name, const char *const *names)
{
    const char *near = text_nearest(name, names);

    if (near != NULL) {
        lua_pushfstring(L, "unknown option '%s'\nhint: did you mean '%s'?", name, near);
    } else {
        lua_pushfstring(L, "unknown option '%s'", name);
    }
    luaL_argerror(L, arg, lua_tostring(L, -1));
}

void options_check(lua_State *L, int arg, const char *const *names)
{
    if (lua_isnoneornil(L, arg)) {
        return;
    }
    luaL_checktype(L, arg, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, arg) != 0) {
        lua_pop(L, 1);
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, arg, "option names are strings");
        if (!is_known(lua_tostring(L, -1), names)) {
            refuse(L, arg, lua_tostring(L, -1), names);
        }
    }
}

/* Pushes the option, which is nil or of the type; returns whether it is there. */
static bool push_option(lua_State *L, int arg, const char *name, int type)
{
    if (lua_isnoneornil(L, arg)) {
        lua_pushnil(L);
        return false;
    }
    lua_pushstring(L, name);
    lua_rawget(L, arg);
    int found = lua_type(L, -1);
    if (found != LUA_TNIL && found != type) {
        luaL_argerror(L,
                      arg,
                      lua_pushfstring(L,
                                      "%s: %s expected, got %s",
                                      name,
                                      lua_typename(L, type),
                                      lua_typename(L, found)));
    }
    return found != LUA_TNIL;
}

lua_Integer options_integer(lua_State *L, int arg, const char *name, lua_Integer absent)
{
    int is_integer = 1;
    lua_Integer value = absent;

    if (push_option(L, arg, name, LUA_TNUMBER)) {
        value = lua_tointegerx(L, -1, &is_integer);
    }
    if (!is_integer) {
        luaL_argerror(
            L,
            arg,
            lua_pushfstring(L, "%s: integer expected, got %f", name, lua_tonumber(L, -1)));
    }
    lua_pop(L, 1);
    return value;
}

bool options_boolean(lua_State *L, int arg, const char *name, bool absent)
{
    bool value = push_option(L, arg, name, LUA_TBOOLEAN) ? lua_toboolean(L, -1) : absent;

    lua_pop(L, 1);
    return value;
}

const char *options_text(lua_State *L, int arg, const char *name, const char *absent)
{
    const char *value = push_option(L, arg, name, LUA_TSTRING) ? lua_tostring(L, -1) : absent;

    lua_pop(L, 1);
    return value;
}
