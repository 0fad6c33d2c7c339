/* embedded_lua.h - the Lua half of the API, bindings/lua, as it was at build time. */
#ifndef BINDINGS_EMBEDDED_LUA_H
#define BINDINGS_EMBEDDED_LUA_H

#include <stddef.h>

/* Ends with a null name. Names as require knows them: "jobq", "jobq.loader". */
struct embedded_lua {
    const char *name;
    const char *text;
};

extern const struct embedded_lua embedded_lua[];

#endif
