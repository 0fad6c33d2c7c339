/*
 * connect.h - one try to connect, in libuv's thread pool: names, TLS and passwords take their time
 * there, not on the loop.
 */
#ifndef CORE_DB_CONNECT_H
#define CORE_DB_CONNECT_H

#include <libpq-fe.h>
#include <uv.h>

#include "core/db/refusal.h"

struct db_connecting;

/* pg is the receiver's: connected, or with an error message, and failure says what kind it is of. */
typedef void (*db_connected_fn)(void *arg, PGconn *pg, enum link_failure failure);

/* name shows in pg_stat_activity, unless conninfo says otherwise; both are copied. */
struct db_connecting *db_connect(uv_loop_t *loop,
                                 const char *conninfo,
                                 const char *name,
                                 db_connected_fn done,
                                 void *arg);

/* done is not called any more; what comes of it is closed. */
void db_connect_drop(struct db_connecting *c);

#endif
