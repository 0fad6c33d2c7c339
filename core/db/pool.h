/*
 * pool.h - a few connections to one database, lent to whoever asks first.
 *
 *   take --> (idle one) | wait --> told --> run ... run --> give
 *
 * A connection is made when somebody waits and there is room, and closed when nobody wanted it for a
 * while. Statements are text; each connection remembers the last ones as prepared.
 */
#ifndef CORE_DB_POOL_H
#define CORE_DB_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <uv.h>

#include "core/base/mem.h"

struct db_pool;
struct db_session; /* a connection that is lent */
struct pg_result;

struct db_pool_options {
    const char *conninfo; /* copied */
    const char *name;     /* static; shows in pg_stat_activity */
    size_t most;          /* connections */
    uint64_t idle_ms;     /* before one is closed */
};

struct db_pool *db_pool_open(uv_loop_t *loop, const struct db_pool_options *options);

/* No session may be lent and nobody wait. The loop must turn once more to free the rest. */
void db_pool_close(struct db_pool *p);

/* An idle session, or NULL: then wait. */
struct db_session *db_pool_take(struct db_pool *p);

/* A place in the line; embed it. */
struct db_turn {
    /* Once, never from inside a call: a session, or NULL and why no connection could be made. */
    void (*told)(struct db_turn *t, struct db_session *s, const char *why);
    void *owner;
    TAILQ_ENTRY(db_turn) link; /* private */
};

void db_pool_wait(struct db_pool *p, struct db_turn *t);

/* Gives the place up. told() is not called. */
void db_pool_leave(struct db_pool *p, struct db_turn *t);

/* One statement; values are text, NULL for null. */
struct db_request {
    const char *sql;
    int nparams;
    const char *const *values;
};

/* Borrowed until told() returns. */
struct db_answer {
    struct pg_result
        *result;          /* of the last statement, now owned by the receiver; NULL: it failed */
    const char *message;  /* why; never NULL then, nor are the next three */
    const char *sqlstate; /* "" if the connection was lost */
    const char *detail;
    const char *hint;
    bool lost; /* nobody knows how far it came */
};

typedef void (*db_answer_fn)(void *arg, const struct db_answer *answer);

/*
 * Sends one or two requests that succeed or fail together; told() is never called from inside, and not
 * at all after -ENOTCONN (nothing was sent) or -EPIPE (it broke while sending). One call at a time.
 * requests are borrowed until it returns.
 */
MUST_USE int db_session_run(struct db_session *s,
                            const struct db_request *requests,
                            size_t count,
                            db_answer_fn told,
                            void *arg);

/* Sends a statement whose answer nobody waits for. Before or between runs. */
void db_session_post(struct db_session *s, const char *sql);

/*
 * From here on the server ends statements after statement_ms, and the session if it idles in a
 * transaction for idle_ms; 0: never. Costs no round trip, and nothing when little has changed.
 */
void db_session_limit(struct db_session *s, int64_t statement_ms, int64_t idle_ms);

bool db_session_is_busy(const struct db_session *s);

/* True inside a transaction, also one that has failed; for when no answer is awaited. */
bool db_session_is_in_transaction(const struct db_session *s);

/*
 * Back to the pool. An open transaction is rolled back, without waiting here; while a statement is
 * still running, the server is asked to stop it, and the connection is closed.
 */
void db_session_give(struct db_session *s);

#endif
