/*
 * admin_host.h - what the admin command asks the machine, and the standard library cannot tell.
 *
 *   host.is_tty(fd)         -> boolean
 *   host.columns()          -> how wide the terminal on stdout is; nil if there is none
 *   host.width(code_point)  -> columns that it takes: 0, 1 or 2
 *   host.list(folder)       -> names in it | nil, message
 *   host.sleep(seconds)     a signal ends it early
 *   host.time()             -> seconds since 1970, with fractions
 *   host.catch_interrupt()  the first Ctrl-C from here on does not end the program,
 *   host.interrupted()      -> boolean; but is told here
 *   host.disk(path)         -> bytes free, bytes in all | nil, message
 *   host.environment()      -> { NAME = value }
 *   host.version            "0.1.0"
 *   host.commit             "1a2b3c4", or nil
 *   host.libraries          { { name, version }, ... } of the build
 *   host.about              what --version prints
 */
#ifndef BINDINGS_ADMIN_HOST_H
#define BINDINGS_ADMIN_HOST_H

#include <lua.h>

int luaopen_jobq_host(lua_State *L);

#endif
