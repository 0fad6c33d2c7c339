/*
 * socket.h - byte streams over TCP and Unix sockets, for bindings/lua/jobq/socket.lua.
 *
 * All but take and close wait, timeout seconds at most, and answer nil, message, code on failure: an
 * errno, "timeout", "closed" or "too_large". A run's sockets are closed when it ends.
 */
#ifndef BINDINGS_SOCKET_H
#define BINDINGS_SOCKET_H

#include <lua.h>

int bind_socket_connect(lua_State *L); /* timeout, path | host, port -> socket */
int bind_socket_fill(lua_State *L);    /* timeout, socket, count | "line" | "all", limit -> bytes */
int bind_socket_take(lua_State *L);    /* socket, bytes that fill has told -> text */
int bind_socket_write(lua_State *L);   /* timeout, socket, text -> true */
int bind_socket_shutdown(lua_State *L); /* timeout, socket -> true: the peer sees the end */
int bind_socket_close(lua_State *L);    /* socket; once more is fine */

#endif
