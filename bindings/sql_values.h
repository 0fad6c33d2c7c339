/* sql_values.h - Lua values to PostgreSQL's text form and back. */
#ifndef BINDINGS_SQL_VALUES_H
#define BINDINGS_SQL_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "core/base/slice.h"

/*
 * Replaces the value at index by its text, nil for null. An array (a sequence, or what jobq.json.array
 * has marked) becomes {1,"a b"}, any other table its JSON. Raises, naming argument arg, for values that
 * have no text.
 */
void sql_value_to_text(lua_State *L, int index, int arg);

/*
 * Pushes the value that text is in a column of this type (an oid). exact: numeric stays text, JSON is
 * decoded, bytea are bytes; else numeric is a number and the others are text. One-dimensional arrays
 * are tables with jobq.null for null; what has no counterpart in Lua stays text.
 */
void sql_push_value(lua_State *L, uint32_t type, struct slice text, bool exact);

#endif
