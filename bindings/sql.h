/*
 * sql.h - PostgreSQL for handlers: pools of connections, and sessions that are lent to runs. What
 * handlers see of it is made in bindings/lua/jobq/sql.lua.
 *
 *   local s <close> = session(pool)         holds nothing yet
 *   connect(s, seconds)                     waits in line
 *   query(s, seconds, sql, params, n)       waits; then rows(s) takes what came
 *   finish(s, completes, result, ...)       waits: COMMIT, perhaps with the end of the job
 *
 * When a session closes, or its run ends in whatever way, an open transaction is rolled back and a
 * statement that still runs is stopped on the server. At a stop nothing is waited for.
 */
#ifndef BINDINGS_SQL_H
#define BINDINGS_SQL_H

#include <lua.h>

/* dsn, connections at most -> pool */
int bind_sql_pool(lua_State *L);

/* pool -> session */
int bind_sql_session(lua_State *L);

/* Waits. session, seconds -> true, or nil, message, "connect" or "pool_timeout" */
int bind_sql_connect(lua_State *L);

/*
 * Waits. session, seconds or nil, sql, params, their number -> true; or nil, message, SQLSTATE or
 * "connection_lost", detail, hint. seconds: how long the statement may take; never longer than the run.
 */
int bind_sql_query(lua_State *L);

/* session -> rows of the last query, { affected, columns } */
int bind_sql_rows(lua_State *L);

/* session, sql: sent, but not waited for */
int bind_sql_post(lua_State *L);

/*
 * Waits. session, whether to complete the job of this run [, its result [, sql, params, their number]]
 * -> true; or nil, message, code as from query, or "commit_unknown": the answer was lost, so nobody
 * knows. sql goes before, in the same batch.
 */
int bind_sql_finish(lua_State *L);

/* session: back to its pool */
int bind_sql_release(lua_State *L);

/* The text of a statement of sql/queries, by its name. */
int bind_sql_statement(lua_State *L);

#endif
