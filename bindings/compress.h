/*
 * compress.h - jobq.compress: files through zstd, a block at a time, in libuv's thread pool.
 *
 * Both wait, and answer {bytes_in, bytes_out} or nil, message, code. `to` appears whole or not at
 * all. Codes are names of errno, "corrupt" and "too_large".
 */
#ifndef BINDINGS_COMPRESS_H
#define BINDINGS_COMPRESS_H

#include <lua.h>

int bind_compress_file(lua_State *L);   /* from, to [, {format, level}] */
int bind_decompress_file(lua_State *L); /* from, to [, {format, max_bytes}] */

#endif
