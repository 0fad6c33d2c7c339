/* pg.c - core/db/client.h as a Lua object. */
#include "bindings/pg.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "core/db/client.h"

#include "bindings/admin_db.h"
#include "bindings/sql_values.h"

#define CONN_TYPE "jobq.pg.conn"

struct conn {
    struct client *client; /* owned; NULL once closed */
};

static struct client *check_client(lua_State *L);
static int push_failure(lua_State *L, const struct client *c);
static int push_answer(lua_State *L, struct client *c, int err);
static void push_row(lua_State *L, const struct client *c, int row);
static bool read_params(lua_State *L, struct client_query *q);

/* dsn -> conn | nil, message, sqlstate */
static int pg_connect(lua_State *L)
{
    const char *dsn = luaL_optstring(L, 1, "");
    struct conn *conn = lua_newuserdatauv(L, sizeof(*conn), 0);

    conn->client = NULL;
    luaL_setmetatable(L, CONN_TYPE);
    return client_open(dsn, &conn->client) < 0 ? push_failure(L, conn->client) : 1;
}

/* conn, sql, ... -> rows | nil, message, sqlstate, detail, hint */
static int conn_query(lua_State *L)
{
    struct client *c = check_client(L);
    struct client_query q;

    if (!read_params(L, &q)) {
        return 3;
    }
    return push_answer(L, c, client_query(c, &q));
}

/* conn, sql, ... -> true | nil, message, sqlstate, detail, hint */
static int conn_send(lua_State *L)
{
    struct client *c = check_client(L);
    struct client_query q;

    if (!read_params(L, &q)) {
        return 3;
    }
    if (client_send(c, &q) < 0) {
        return push_failure(L, c);
    }
    lua_pushboolean(L, true);
    return 1;
}

/* conn -> as query, for what was sent */
static int conn_result(lua_State *L)
{
    struct client *c = check_client(L);

    return push_answer(L, c, client_receive(c));
}

/* conn -> true while result() would wait */
static int conn_is_busy(lua_State *L)
{
    lua_pushboolean(L, client_is_busy(check_client(L)));
    return 1;
}

/* conn, seconds to wait for the first one [0] -> { { channel, payload, pid }, ... } */
static int conn_notifications(lua_State *L)
{
    struct client *c = check_client(L);
    int timeout_ms = (int)(luaL_optnumber(L, 2, 0) * 1000);
    struct client_notification n;

    lua_newtable(L);
    for (int i = 1; client_notification(c, i == 1 ? timeout_ms : 0, &n); i++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, n.channel);
        lua_setfield(L, -2, "channel");
        lua_pushstring(L, n.payload);
        lua_setfield(L, -2, "payload");
        lua_pushinteger(L, n.pid);
        lua_setfield(L, -2, "pid");
        lua_rawseti(L, -2, i);
    }
    return 1;
}

/* conn -> the texts of the notices that came since the last call */
static int conn_notices(lua_State *L)
{
    struct client *c = check_client(L);
    const char *notice;

    lua_newtable(L);
    while ((notice = client_notice(c)) != NULL) {
        lua_pushstring(L, notice);
        lua_rawseti(L, -2, luaL_len(L, -2) + 1);
    }
    return 1;
}

/* conn -> the pid of its server process */
static int conn_backend_pid(lua_State *L)
{
    lua_pushinteger(L, client_backend_pid(check_client(L)));
    return 1;
}

static int conn_close(lua_State *L)
{
    struct conn *conn = luaL_checkudata(L, 1, CONN_TYPE);

    if (conn->client != NULL) {
        client_close(conn->client);
        conn->client = NULL;
    }
    return 0;
}

static const luaL_Reg conn_functions[] = {
    {"query", conn_query},
    {"send", conn_send},
    {"result", conn_result},
    {"is_busy", conn_is_busy},
    {"notifications", conn_notifications},
    {"notices", conn_notices},
    {"backend_pid", conn_backend_pid},
    {"close", conn_close},
    {NULL, NULL},
};

static const luaL_Reg pg_functions[] = {
    {"connect", pg_connect},
    {NULL, NULL},
};

int luaopen_jobq_pg(lua_State *L)
{
    if (luaL_newmetatable(L, CONN_TYPE)) {
        luaL_newlib(L, conn_functions);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, conn_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, conn_close);
        lua_setfield(L, -2, "__close");
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
    }
    lua_pop(L, 1);
    luaL_newlib(L, pg_functions);
    admin_db_register(L);
    return 1;
}

static struct client *check_client(lua_State *L)
{
    struct conn *conn = luaL_checkudata(L, 1, CONN_TYPE);

    luaL_argcheck(L, conn->client != NULL, 1, "the connection is closed");
    return conn->client;
}

/* -> nil, message, sqlstate, detail or nil, hint or nil */
static int push_failure(lua_State *L, const struct client *c)
{
    const struct client_failure *f = client_failure(c);

    lua_pushnil(L);
    lua_pushstring(L, f->message);
    lua_pushstring(L, f->sqlstate);
    lua_pushstring(L, f->detail[0] == 0 ? NULL : f->detail);
    lua_pushstring(L, f->hint[0] == 0 ? NULL : f->hint);
    return 5;
}

static int push_answer(lua_State *L, struct client *c, int err)
{
    if (err < 0) {
        return push_failure(L, c);
    }
    int rows = client_rows(c);
    int columns = client_columns(c);
    lua_createtable(L, rows, columns == 0);
    if (columns == 0) {
        lua_pushinteger(L, client_affected(c));
        lua_setfield(L, -2, "affected");
    }
    for (int row = 0; row < rows; row++) {
        push_row(L, c, row);
        lua_rawseti(L, -2, row + 1);
    }
    return 1;
}

/* Columns that are null are left out. */
static void push_row(lua_State *L, const struct client *c, int row)
{
    int columns = client_columns(c);

    lua_createtable(L, 0, columns);
    for (int column = 0; column < columns; column++) {
        struct slice text;
        if (client_value(c, row, column, &text)) {
            sql_push_value(L, client_column_type(c, column), text, false);
            lua_setfield(L, -2, client_column_name(c, column));
        }
    }
}

/*
 * The parameters become text in place on the stack, which keeps them alive; the array of pointers is a
 * userdata on top. False with nil, message, sqlstate pushed for what PostgreSQL cannot be told.
 */
static bool read_params(lua_State *L, struct client_query *q)
{
    int top = lua_gettop(L);

    q->sql = luaL_checkstring(L, 2);
    q->nparams = top - 2;
    luaL_checkstack(L, 16, NULL);
    for (int i = 3; i <= top; i++) {
        const char *problem = sql_value_to_text(L, i);
        luaL_argcheck(L, problem == NULL, i, problem);
    }
    const char **params = lua_newuserdatauv(L, (size_t)(q->nparams + 1) * sizeof(*params), 0);
    q->params = params;
    for (int i = 3; i <= top; i++) {
        size_t size = 0;
        params[i - 3] = lua_tolstring(L, i, &size);
        if (params[i - 3] != NULL && strlen(params[i - 3]) != size) {
            lua_pushnil(L);
            lua_pushfstring(L,
                            "parameter $%d holds a NUL byte, which PostgreSQL does not store",
                            i - 2);
            lua_pushliteral(L, "22021");
            return false;
        }
    }
    return true;
}
