/* sql_values.h - Lua values to PostgreSQL's text form and back. */
#ifndef BINDINGS_SQL_VALUES_H
#define BINDINGS_SQL_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "core/base/slice.h"

/*
 * Replaces the value at index (from the bottom) by its text, nil for null. An array (a sequence, or what
 * jobq.json.array has marked) becomes {1,"a b"}, any other table its JSON. Returns NULL; or why it has no
 * text, borrowed until the stack is popped.
 */
const char *sql_value_to_text(lua_State *L, int index);

/*
 * Pushes the value that text is in a column of this type (an oid). exact: numeric stays text, JSON is
 * decoded, bytea are bytes; else numeric is a number and the others are text. One-dimensional arrays
 * are tables with jobq.null for null; what has no counterpart in Lua stays text.
 */
void sql_push_value(lua_State *L, uint32_t type, struct slice text, bool exact);

#endif
