/* admin_ask.h - a question to the private socket of a worker (core/app/private_socket.h). */
#ifndef BINDINGS_ADMIN_ASK_H
#define BINDINGS_ADMIN_ASK_H

#include <lua.h>

/*
 * path, line, seconds -> the answer | nil, message, code: "gone" (nobody listens there), "denied",
 * "timeout", "closed"
 */
int host_ask(lua_State *L);

#endif
