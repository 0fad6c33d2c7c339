/*
 * link.h - a connection that comes back: connects in libuv's thread pool (names, TLS and passwords
 * take their time there, not on the loop), reconnects with backoff and jitter, notices a server that
 * does not answer.
 */
#ifndef CORE_DB_LINK_H
#define CORE_DB_LINK_H

#include <stdbool.h>

#include "core/db/conn.h"

struct link;

enum link_failure {
    LINK_UNREACHABLE, /* nobody there, or not yet: worth trying again */
    LINK_REFUSED,     /* a server answered and will not have us: password, database, role */
    LINK_BAD_DSN,     /* cannot be parsed, or has a value that libpq does not know */
    LINK_STANDBY, /* a server let us in that can only be read; worth trying again after a failover */
};

struct link_events {
    /* Connected, the session is set up, statements may be sent. Also after each reconnect. */
    void (*up)(void *owner);
    /* An established connection is gone; all its transactions were told. It reconnects by itself. */
    void (*down)(void *owner, const char *why);
    /* A try to connect failed; the next follows by itself. why is borrowed, one line. */
    void (*failed)(void *owner, enum link_failure failure, const char *why);
    void (*notified)(void *owner, const char *channel, const char *body); /* may be NULL */
};

/* name is static and shows in pg_stat_activity; listen: also LISTEN for jobs and control. */
struct link_options {
    const char *conninfo; /* borrowed for good */
    const char *name;
    bool listen;
};

/* Starts connecting. Owned by the caller until link_close(). */
struct link *link_open(uv_loop_t *loop,
                       const struct link_options *options,
                       const struct link_events *events,
                       void *owner);

bool link_is_up(const struct link *l);

/* db_send() on the connection of the moment; -ENOTCONN while there is none. */
MUST_USE int link_send(struct link *l,
                       const struct db_statement *statements,
                       size_t count,
                       db_done_fn done,
                       void *arg);

/* The usual case: one statement. params may be NULL. */
MUST_USE int link_query(struct link *l,
                        enum sql_query query,
                        const struct db_params *params,
                        db_done_fn done,
                        void *arg);

/* For how long the server has not answered, in milliseconds; an idle connection counts as silent. */
uint64_t link_silent_ms(const struct link *l);

/* Drops the connection, e.g. because the session lost something that a new one gets back. */
void link_reset(struct link *l, const char *why);

/* Closes without further events; memory goes when the loop has closed the handles. */
void link_close(struct link *l);

#endif
