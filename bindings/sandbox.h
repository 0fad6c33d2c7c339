/*
 * sandbox.h - what handlers may not do: end the process, start others, load bytecode, look into
 * other runs, give tables a __gc (no stop can reach it), or make globals. Handlers are the
 * operator's code: this protects from accidents, not from malice.
 */
#ifndef BINDINGS_SANDBOX_H
#define BINDINGS_SANDBOX_H

#include <lua.h>

/* Takes these things out of a state with all standard libraries. Globals may not be made after it. */
void sandbox_close(lua_State *L);

#endif
