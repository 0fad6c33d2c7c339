/*
 * api.h - everything that C gives to Lua, as the module "jobq.core". Handlers do not see it; the Lua
 * half of the API (bindings/lua/jobq) makes "jobq" of it.
 */
#ifndef BINDINGS_API_H
#define BINDINGS_API_H

#include <lua.h>

/* Makes require find "jobq.core" and the embedded modules "jobq", "jobq.loader"... */
void api_open(lua_State *L);

/* Pushes the table of jobq.core. */
int api_push_core(lua_State *L);

#endif
