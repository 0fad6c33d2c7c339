/*
 * conn.h - one PostgreSQL connection on the event loop.
 *
 * Nothing here waits. Transactions queue up in libpq's pipeline mode: each has its own Sync, so an
 * error in one does not touch the next, and all that was sent together costs one round trip.
 * Statements are those of sql/queries, prepared on first use. Callbacks never run from inside the
 * call that caused them.
 */
#ifndef CORE_DB_CONN_H
#define CORE_DB_CONN_H

#include <libpq-fe.h>
#include <uv.h>

#include "core/base/mem.h"
#include "core/db/params.h"
#include "core/db/query.h"

struct db_conn;

/* One statement of a transaction; params may be NULL when it has none. */
struct db_statement {
    enum sql_query query;
    const struct db_params *params; /* borrowed until db_send() returns */
};

/*
 * A statement that is none of ours: text in, text out. It is prepared under its name (with sql), or
 * executed (without); the name "" holds until the next one is prepared.
 */
struct db_text {
    const char *name;
    const char *sql; /* NULL: execute */
    int nparams;
    const char *const *values; /* NULL stands for null */
};

/* What became of a transaction. Everything is borrowed until the callback returns. */
struct db_reply {
    const PGresult *const *results; /* one a statement; meaningless unless it committed */
    size_t count;
    const PGresult *error; /* the first statement that failed; NULL: committed, or lost */
    bool lost;             /* the connection went before the answer: it may have committed or not */
    const char *why;       /* it was lost; NULL unless it was */
    PGresult **owned;      /* private: the results */
};

/* May send again, or close. */
typedef void (*db_done_fn)(void *arg, const struct db_reply *reply);

struct db_events {
    /* The connection is gone; all pending done() were told. Only db_close() is allowed. */
    void (*lost)(void *owner, const char *why);                           /* why: borrowed */
    void (*notified)(void *owner, const char *channel, const char *body); /* may be NULL */
};

/* Takes pg, an established connection. */
struct db_conn *db_open(uv_loop_t *loop, PGconn *pg, const struct db_events *events, void *owner);

/*
 * Sends count statements as one transaction; done() is told once it is over. 0, or -ENOTCONN
 * without a call of done().
 */
MUST_USE int db_send(struct db_conn *c,
                     const struct db_statement *statements,
                     size_t count,
                     db_done_fn done,
                     void *arg);

/* The same for texts, which are borrowed until it returns. */
MUST_USE int db_send_texts(struct db_conn *c,
                           const struct db_text *texts,
                           size_t count,
                           db_done_fn done,
                           void *arg);

/* Inside of done(): the i-th result, for keeps. */
PGresult *db_take_result(const struct db_reply *reply, size_t i);

/* Whether statements outside of db_send() have opened a transaction; unknown while any is pending. */
PGTransactionStatusType db_transaction(const struct db_conn *c);

/* An idle connection need not keep the loop running. */
void db_hold_loop(struct db_conn *c, bool hold);

/* Asks the server, from the thread pool, to stop what it does for c. Then close it. */
void db_cancel(struct db_conn *c);

/* Microseconds since the oldest unanswered transaction was sent; 0 when nothing is pending. */
uint64_t db_waiting_us(const struct db_conn *c);

/* clock_now_us() of the last answer; 0: none yet. */
uint64_t db_answered_us(const struct db_conn *c);

/* Gives a connection up that does not answer: lost() follows, as if the socket had failed. */
void db_give_up(struct db_conn *c, const char *why);

/* Closes and frees. Pending transactions get no callback. c is invalid afterwards. */
void db_close(struct db_conn *c);

#endif
