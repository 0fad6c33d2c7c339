/*
 * client.h - one blocking connection: for the admin command, migrations and specs, never for a loop.
 *
 * A client keeps its last result and its last failure; both are borrowed until the next call.
 */
#ifndef CORE_DB_CLIENT_H
#define CORE_DB_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/base/slice.h"

struct client;

/* Why the last call failed; the texts are never NULL, detail and hint may be empty. */
struct client_failure {
    const char *message;
    const char
        *sqlstate; /* "08001": could not connect, "08006": connection lost, else the server's */
    const char *detail;
    const char *hint;
};

struct client_query {
    const char *sql; /* several statements are allowed when there are no parameters */
    int nparams;
    const char *const *params; /* text; NULL is the SQL null */
};

/*
 * Connects. *c is owned by the caller in any case, also to ask it why it failed: 0, or -ENOTCONN.
 * Gives up after 10 s unless conninfo or PGCONNECT_TIMEOUT say otherwise.
 */
MUST_USE int client_open(const char *conninfo, struct client **c);
void client_close(struct client *c);

/* Runs q and waits: 0 with the rows of its last statement, -EIO for an SQL error, -ENOTCONN. */
MUST_USE int client_query(struct client *c, const struct client_query *q);

/* The same in two steps, for more than one connection at a time. -EBUSY: one is under way. */
MUST_USE int client_send(struct client *c, const struct client_query *q);
MUST_USE int client_receive(struct client *c);

/* True while the answer to client_send() would have to be waited for. */
bool client_is_busy(struct client *c);

const struct client_failure *client_failure(const struct client *c);

/* The last result. Types are PostgreSQL's oids. */
int client_rows(const struct client *c);
int client_columns(const struct client *c);
const char *client_column_name(const struct client *c, int column);
uint32_t client_column_type(const struct client *c, int column);
int64_t client_affected(const struct client *c);

/* False for the SQL null. */
bool client_value(const struct client *c, int row, int column, struct slice *value);

/* Waits up to timeout_ms for a notification, 0 looks without waiting. Texts as in client_failure. */
struct client_notification {
    const char *channel;
    const char *payload;
    int pid; /* of the session that sent it */
};

bool client_notification(struct client *c, int timeout_ms, struct client_notification *n);

/* The next notice that the server has sent ("job 7 already holds ..."), or NULL. */
const char *client_notice(struct client *c);

/* The server process of this connection, for pg_terminate_backend. */
int client_backend_pid(const struct client *c);

#endif
