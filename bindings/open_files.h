/*
 * open_files.h - io.open and its kin for handlers, with a limit of open files a run.
 *
 * A process has only so many descriptors. A run that forgets to close its files is refused more, so
 * that its neighbours still get theirs.
 */
#ifndef BINDINGS_OPEN_FILES_H
#define BINDINGS_OPEN_FILES_H

#include <lua.h>

/* A run that leaks meets it before the process meets the usual limit of 1024. */
#define OPEN_FILES_MAX 256u

/* Puts them into io, in place of the standard ones. */
void open_files_install(lua_State *L);

#endif
