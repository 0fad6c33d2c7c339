/* smtp.h - one mail over SMTP; what it consists of is made in bindings/lua/jobq/smtp.lua. */
#ifndef BINDINGS_SMTP_H
#define BINDINGS_SMTP_H

#include <lua.h>

/*
 * Waits. {host, port, tls, username, password, from, to, message, timeout, idle} -> the server's reply;
 * or nil, message, code: "smtp_550" as the server said, else "connect", "tls", "login", "timeout", "closed".
 * message is an array of texts, which nothing stands between.
 */
int bind_smtp_deliver(lua_State *L);

#endif
