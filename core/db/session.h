/* session.h - private to pool.c and session.c: a connection of a pool. */
#ifndef CORE_DB_SESSION_H
#define CORE_DB_SESSION_H

#include "core/db/conn.h"
#include "core/db/pool.h"

#define SESSION_KEPT 64 /* statements that stay prepared */

#define REQUESTS_MAX 3

/* A prepared statement. */
struct kept {
    char *sql; /* owned; NULL: free */
    uint32_t number;
    uint64_t used; /* when, on the session's own clock */
};

/* What a request of the run that is under way executes. */
struct use {
    struct kept *kept; /* NULL: the unnamed statement */
    bool is_fresh;     /* prepared by this run, at `prepare` among its statements */
    size_t prepare;
};

TAILQ_HEAD(db_session_list, db_session);

enum session_state {
    SESSION_IDLE, /* in the pool */
    SESSION_LENT,
    SESSION_CLEANING, /* given back, its rollback is under way */
    SESSION_BROKEN,
};

struct db_session {
    enum session_state state;
    struct db_pool *pool;
    struct db_conn *conn; /* owned */
    TAILQ_ENTRY(db_session) link;
    uint64_t idle_since_ms;

    struct kept kept[SESSION_KEPT];
    uint32_t last_number;
    uint64_t uses;
    int64_t statement_ms; /* the limits the server knows; -1: it may not */
    int64_t in_transaction_ms;
    bool knows_limits; /* the statement that sets them is prepared */

    db_answer_fn told; /* of the run that is under way, or NULL */
    void *arg;
    struct use uses_of_run[REQUESTS_MAX];
    size_t nuses;
};

struct db_session *session_new(struct db_pool *p, uv_loop_t *loop, PGconn *pg);

/* Closes the connection. */
void session_free(struct db_session *s);

/* To those that idle, and from there to the next in line. */
void pool_put(struct db_pool *p, struct db_session *s);

/* Its rollback is under way; then it is clean, or gone. */
void pool_clean(struct db_pool *p, struct db_session *s);
void pool_cleaned(struct db_pool *p, struct db_session *s, bool is_clean);

/* It is gone: there is room for another. */
void pool_forget(struct db_pool *p, struct db_session *s);
void pool_idle_lost(struct db_pool *p, struct db_session *s);

#endif
