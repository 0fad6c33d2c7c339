/* sql_session.h - private to sql.c and sql_run.c: the userdata of a session. */
#ifndef BINDINGS_SQL_SESSION_H
#define BINDINGS_SQL_SESSION_H

#include <stdbool.h>

#include <lua.h>

#include "core/db/pool.h"

#include "bindings/task.h"

struct sql_session {
    struct db_pool *pool;       /* borrowed: the user value keeps it alive */
    struct db_session *session; /* lent; NULL before connect and after release */
    struct pg_result *result;   /* owned; of the last query, until rows() takes it */
    bool is_open;               /* an answer left it inside a transaction... */
    bool is_ended;              /* ...and a later one outside: what began has ended unasked */
};

/* The session at arg; raises when it is closed, or another statement of it is under way. */
struct sql_session *sql_check_session(lua_State *L, int arg);

/* Gives it back and forgets the result. */
void sql_session_release(struct sql_session *s);

#endif
