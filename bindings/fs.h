/*
 * fs.h - jobq.fs: files, in libuv's thread pool, so that a slow disk stalls no other job.
 *
 * All of these wait. They answer nil, "PATH: why", "ENOENT" (the name of errno) on failure.
 */
#ifndef BINDINGS_FS_H
#define BINDINGS_FS_H

#include <lua.h>

/* A path: not empty, no NUL bytes. For other bindings too. */
const char *check_path(lua_State *L, int arg);

int bind_fs_read(lua_State *L);     /* path [, {max_bytes}] -> text; "EFBIG" above max_bytes */
int bind_fs_write(lua_State *L);    /* path, text -> true; nobody ever sees half of it */
int bind_fs_append(lua_State *L);   /* path, text -> true */
int bind_fs_stat(lua_State *L);     /* path -> {size, type, mtime}; follows links */
int bind_fs_list(lua_State *L);     /* path -> sorted array of names */
int bind_fs_make_dir(lua_State *L); /* path -> true; parents too, there already is fine */
int bind_fs_remove(lua_State *L);   /* path [, {recursive}] -> true, also when it was not there */
int bind_fs_rename(lua_State *L);   /* from, to -> true */
int bind_fs_copy(lua_State *L);     /* from, to -> bytes; to appears whole or not at all */
int bind_fs_exists(lua_State *L);   /* path -> boolean */

/*
 * root, path -> the absolute path of `path` in root, links followed; its last part need not exist.
 * "outside" when that is not below root.
 */
int bind_fs_below(lua_State *L);

/* root, path -> sorted array of {name, type, size, mtime}; follows no link below root */
int bind_fs_entries(lua_State *L);
int bind_fs_unlink(lua_State *L);   /* root, path -> true; a file, a link or an empty folder */
int bind_fs_temp_dir(lua_State *L); /* -> path of a new folder, mode 0700; the caller removes it */

#endif
