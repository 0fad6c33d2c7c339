/* source.h - how jobq.loader looks at handler files, while nothing else runs. */
#ifndef BINDINGS_SOURCE_H
#define BINDINGS_SOURCE_H

#include <lua.h>

/* path -> sorted array of {name, is_folder}; or nil, why */
int bind_source_list(lua_State *L);

/* path -> "folder", "file", or nothing when there is none */
int bind_source_type(lua_State *L);

/* path -> function; or nil, message. Texts only: bytecode can crash the process. */
int bind_source_load(lua_State *L);

/* Lua function -> its bytecode, with all names and lines */
int bind_source_dump(lua_State *L);

/* function -> line where it begins */
int bind_source_line(lua_State *L);

#endif
