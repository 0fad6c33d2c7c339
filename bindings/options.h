/*
 * options.h - the table of options that a function takes last. Tables are closed: a name that the
 * function does not know raises, with a suggestion. All of these raise on misuse.
 */
#ifndef BINDINGS_OPTIONS_H
#define BINDINGS_OPTIONS_H

#include <stdbool.h>

#include <lua.h>

/* Argument arg: nothing, nil or a table with no other names than these; they end with NULL. */
void options_check(lua_State *L, int arg, const char *const *names);

/* The value under name, or absent when there is none. Ask after options_check(). */
lua_Integer options_integer(lua_State *L, int arg, const char *name, lua_Integer absent);
bool options_boolean(lua_State *L, int arg, const char *name, bool absent);

/* Borrowed from the table. */
const char *options_text(lua_State *L, int arg, const char *name, const char *absent);

#endif
