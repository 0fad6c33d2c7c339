/* sleep.h - jobq.sleep(seconds): the smallest waiting binding, and the pattern for all others. */
#ifndef BINDINGS_SLEEP_H
#define BINDINGS_SLEEP_H

#include <lua.h>

/* seconds -> nothing. 0 lets the others have a turn. */
int bind_sleep(lua_State *L);

#endif
