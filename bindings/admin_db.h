/*
 * admin_db.h - migrations and the embedded server for Lua; rows of the table that bindings/pg.h makes.
 *
 *   pg.newest()                 -> the schema version that this program knows
 *   pg.judge(version, min_worker) -> true | nil, message, code, hint
 *   pg.migrate_up(dsn)          -> { { number =, name = }, ... } applied | nil, message, code, hint
 *   pg.migrate_state(dsn)       -> { version =, min_worker = } | nil, message, code, hint
 *   pg.migrate_print(from)      -> SQL text of all migrations above from
 *   pg.embedded_open(dir)       -> server | nil, message, code, hint
 *   pg.embedded_state(dir)      -> "absent" | "stopped" | "running", conninfo
 *   pg.embedded_stop(dir)       -> true | nil, message, code, hint
 *   server:conninfo() server:dir() server:created() server:keep() server:close()
 */
#ifndef BINDINGS_ADMIN_DB_H
#define BINDINGS_ADMIN_DB_H

#include <lua.h>

/* Adds the functions to the table on top of the stack. */
void admin_db_register(lua_State *L);

#endif
