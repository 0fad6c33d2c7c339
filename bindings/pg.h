/*
 * pg.h - PostgreSQL for Lua outside of jobs: blocking, for the admin command and for specs.
 *
 *   local pg = require("jobq.core").pg
 *   local conn, message, sqlstate = pg.connect(dsn)
 *   local rows, message, sqlstate, detail, hint = conn:query("select $1::bigint as id", 42)
 *   rows[1].id --> 42
 *
 * Parameters: nil (null), boolean, number, string, and a sequence of these as an array. Results: null
 * is nil; bool, integers, floats and numeric are Lua's; arrays of these and of text are sequences
 * (null in them is jobq.null); everything else, json included, is text. A statement without columns
 * answers { affected = n }. Several statements in one string are allowed without parameters.
 */
#ifndef BINDINGS_PG_H
#define BINDINGS_PG_H

#include <lua.h>

/* Leaves the module table: connect, and the functions of bindings/admin_db.h. */
int luaopen_jobq_pg(lua_State *L);

#endif
