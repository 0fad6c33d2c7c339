/* parallel.h - several functions of one run at a time; the Lua half is bindings/lua/jobq/parallel.lua. */
#ifndef BINDINGS_PARALLEL_H
#define BINDINGS_PARALLEL_H

#include <lua.h>

/*
 * Waits. body, count, limit -> nothing, or a message: calls body(1) to body(count), each in a task of
 * its own, at most limit at a time, started in order. A body that does not return true cancels the
 * others. The message is of one that could not tell by itself; all have ended in any case.
 */
int bind_parallel(lua_State *L);

#endif
