/*
 * secret.h - a secret as Lua sees it: it prints as "<secret NAME>", and is no part of a text or JSON.
 * Its value comes out by secret:reveal(), or by open() for the functions of the API that take one.
 */
#ifndef BINDINGS_SECRET_H
#define BINDINGS_SECRET_H

#include <lua.h>

/* name, text -> secret. From here on the text is masked in all that the process tells. */
int bind_secret_new(lua_State *L);

/* value -> its text if it is a secret, else the value */
int bind_secret_open(lua_State *L);

#endif
