/*
 * json.h - JSON to Lua values and back, exact.
 *
 * Integers within int64 and doubles survive the round trip; null is jobq.null, a light userdata of
 * NULL; decoded arrays share the metatable "jobq.array" (getmetatable() answers that name), so an
 * empty array stays one. Of equal keys the last one counts. Objects are written with sorted keys.
 */
#ifndef BINDINGS_JSON_H
#define BINDINGS_JSON_H

#include <stdbool.h>

#include <lua.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"
#include "core/base/slice.h"

/* Levels of arrays and objects, both ways. */
#define JSON_DEPTH_MAX 200

/*
 * Pushes the value of text, which must stay put meanwhile, and returns 0; or pushes a message that
 * names line and column and returns -EINVAL. Raises only when memory ends, and leaks nothing then.
 */
MUST_USE int json_push(lua_State *L, struct slice text);

/*
 * Appends the value at index as PostgreSQL takes it: NUL bytes are dropped, invalid UTF-8 becomes
 * U+FFFD. Returns 0; or pushes a message that names the place in the value, leaves out as it was
 * and returns -EINVAL. May raise when memory ends: out must hang where somebody frees it.
 * Tables are read raw: no metamethod runs.
 */
MUST_USE int json_write(lua_State *L, int index, struct buffer *out);

/* True for a table that is a sequence or is marked as an array; an empty one only if it is marked. */
bool json_is_array(lua_State *L, int index);

/* Marks the table on top of the stack as an array. */
void json_mark_array(lua_State *L);

/* Pushes jobq.json: encode, decode, array, null. */
void json_open(lua_State *L);

/* value -> text; raises when the value has no JSON. NUL bytes stay, as \u0000. */
int bind_json_encode(lua_State *L);

/* text -> value, or nil, message, "json_invalid" */
int bind_json_decode(lua_State *L);

/* [table] -> the same table (or a new one), marked as an array */
int bind_json_array(lua_State *L);

#endif
