/* secret.c - an empty userdata; name and text are its user values, which handlers cannot reach. */
#include "bindings/secret.h"

#include <lauxlib.h>

#include "bindings/secrets.h"
#include "bindings/vm.h"

#define SECRET_TYPE "jobq.secret"

enum {
    NAME = 1,
    TEXT = 2
}; /* user values */

static int secret_to_text(lua_State *L)
{
    luaL_checkudata(L, 1, SECRET_TYPE);
    lua_getiuservalue(L, 1, NAME);
    lua_pushfstring(L, "<secret %s>", lua_tostring(L, -1));
    return 1;
}

static int secret_concat(lua_State *L)
{
    lua_getiuservalue(L, luaL_testudata(L, 1, SECRET_TYPE) != NULL ? 1 : 2, NAME);
    return luaL_error(L,
                      "the secret %s cannot be part of a text\nhint: its reveal() gives a text",
                      lua_tostring(L, -1));
}

static int secret_equals(lua_State *L)
{
    bool both =
        luaL_testudata(L, 1, SECRET_TYPE) != NULL && luaL_testudata(L, 2, SECRET_TYPE) != NULL;

    if (both) {
        lua_getiuservalue(L, 1, TEXT);
        lua_getiuservalue(L, 2, TEXT);
    }
    lua_pushboolean(L, both && lua_rawequal(L, -1, -2));
    return 1;
}

static int secret_reveal(lua_State *L)
{
    luaL_checkudata(L, 1, SECRET_TYPE);
    lua_getiuservalue(L, 1, TEXT);
    return 1;
}

static const luaL_Reg metamethods[] = {
    {"__tostring", secret_to_text},
    {"__concat", secret_concat},
    {"__eq", secret_equals},
    {NULL, NULL},
};

static void push_metatable(lua_State *L)
{
    if (!luaL_newmetatable(L, SECRET_TYPE)) {
        return;
    }
    luaL_setfuncs(L, metamethods, 0);
    lua_createtable(L, 0, 1); /* metatable methods */
    lua_pushcfunction(L, secret_reveal);
    lua_setfield(L, -2, "reveal");
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
}

int bind_secret_new(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct slice text;

    text.data = luaL_checklstring(L, 2, &text.size);
    secrets_add(&vm_of(L)->secrets, name, text);
    lua_newuserdatauv(L, 0, 2);
    push_metatable(L);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, NAME);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, TEXT);
    return 1;
}

int bind_secret_open(lua_State *L)
{
    lua_settop(L, 1);
    if (luaL_testudata(L, 1, SECRET_TYPE) != NULL) {
        lua_getiuservalue(L, 1, TEXT);
    }
    return 1;
}
