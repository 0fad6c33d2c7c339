/* session.c - statements of a lent connection: prepared once, remembered, told when answered. */
#include "core/db/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/db/result.h"

/* A longer text is not worth to be kept. */
#define KEPT_SQL_MAX ((size_t)16 << 10)

#define NAME_BYTES 16

/* A limit of idling is a net: a little more does not matter, and saves a statement. */
#define IDLE_SLACK_MS 5000

static void on_reply(void *arg, const struct db_reply *reply);
static void on_posted(void *arg, const struct db_reply *reply);
static void on_cleaned(void *arg, const struct db_reply *reply);
static void on_lost(void *owner, const char *why);
static void forget(struct db_session *s, struct kept *k, bool is_prepared);
static void forget_limits(struct db_session *s);

static const struct db_events events = {.lost = on_lost};

struct db_session *session_new(struct db_pool *p, uv_loop_t *loop, PGconn *pg)
{
    struct db_session *s = mem_zalloc(sizeof(*s));

    s->pool = p;
    forget_limits(s);
    s->conn = db_open(loop, pg, &events, s);
    return s;
}

void session_free(struct db_session *s)
{
    db_close(s->conn);
    for (size_t i = 0; i < SESSION_KEPT; i++) {
        free(s->kept[i].sql);
    }
    free(s);
}

/* ---- prepared statements ---- */

static void write_name(char *name, const struct kept *k)
{
    (void)snprintf(name, NAME_BYTES, "s%u", (unsigned)k->number);
}

static struct kept *find(struct db_session *s, const char *sql)
{
    for (size_t i = 0; i < SESSION_KEPT; i++) {
        if (s->kept[i].sql != NULL && strcmp(s->kept[i].sql, sql) == 0) {
            s->kept[i].used = ++s->uses;
            return &s->kept[i];
        }
    }
    return NULL;
}

/* A free place, or that of the statement that was not used for longest. Its number is a new one. */
static struct kept *keep(struct db_session *s, const char *sql)
{
    struct kept *k = &s->kept[0];

    for (size_t i = 1; i < SESSION_KEPT && k->sql != NULL; i++) {
        if (s->kept[i].sql == NULL || s->kept[i].used < k->used) {
            k = &s->kept[i];
        }
    }
    if (k->sql != NULL) {
        forget(s, k, true);
    }
    *k = (struct kept){.sql = mem_strdup(sql), .number = ++s->last_number, .used = ++s->uses};
    return k;
}

static void forget(struct db_session *s, struct kept *k, bool is_prepared)
{
    char sql[NAME_BYTES + 16] = "deallocate ";

    if (is_prepared) {
        write_name(sql + strlen(sql), k);
        db_session_post(s, sql);
    }
    free(k->sql);
    k->sql = NULL;
}

/* ---- running ---- */

struct batch {
    struct db_text texts[2 * REQUESTS_MAX];
    char names[REQUESTS_MAX][NAME_BYTES];
    size_t count;
};

static void add(struct db_session *s, struct batch *b, const struct db_request *r)
{
    struct use *use = &s->uses_of_run[s->nuses];
    char *name = b->names[s->nuses];

    *use = (struct use){.kept = find(s, r->sql)};
    bool is_known = use->kept != NULL;
    if (!is_known && strlen(r->sql) <= KEPT_SQL_MAX) {
        use->kept = keep(s, r->sql);
        use->is_fresh = true;
        use->prepare = b->count;
    }
    name[0] = 0;
    if (use->kept != NULL) {
        write_name(name, use->kept);
    }
    if (!is_known) {
        b->texts[b->count++] = (struct db_text){.name = name, .sql = r->sql};
    }
    b->texts[b->count++] =
        (struct db_text){.name = name, .nparams = r->nparams, .values = r->values};
    s->nuses++;
}

int db_session_run(struct db_session *s,
                   const struct db_request *requests,
                   size_t count,
                   db_answer_fn told,
                   void *arg)
{
    struct batch b = {0};

    if (s->state == SESSION_BROKEN) {
        return -ENOTCONN;
    }
    s->nuses = 0;
    for (size_t i = 0; i < count; i++) {
        add(s, &b, &requests[i]);
    }
    if (db_send_texts(s->conn, b.texts, b.count, on_reply, s) < 0) {
        s->state = SESSION_BROKEN;
        return -EPIPE;
    }
    s->told = told;
    s->arg = arg;
    return 0;
}

/* A rollback takes settings along. */
static void forget_limits(struct db_session *s)
{
    s->statement_ms = s->in_transaction_ms = -1;
}

/* What a failed run says of the statements that it wanted to use. */
static void review(struct db_session *s, const struct db_reply *reply)
{
    const char *sqlstate = db_sqlstate(reply->error);
    bool is_stale = strcmp(sqlstate, "0A000") == 0; /* "cached plan must not change result type" */
    bool is_unknown = strcmp(sqlstate, "26000") == 0;

    forget_limits(s);
    for (size_t i = 0; i < s->nuses; i++) {
        const struct use *use = &s->uses_of_run[i];
        bool not_prepared =
            use->is_fresh && PQresultStatus(reply->results[use->prepare]) != PGRES_COMMAND_OK;
        if (use->kept != NULL && (not_prepared || is_stale || is_unknown)) {
            forget(s, use->kept, is_stale && !not_prepared);
        }
    }
}

static const char *field(const PGresult *error, int code)
{
    const char *text = PQresultErrorField(error, code);

    return text == NULL ? "" : text;
}

static void on_reply(void *arg, const struct db_reply *reply)
{
    struct db_session *s = arg;
    db_answer_fn told = s->told;
    struct db_answer answer = {.lost = reply->lost, .sqlstate = "", .detail = "", .hint = ""};

    s->told = NULL;
    if (reply->lost) {
        s->state = SESSION_BROKEN;
        answer.message = reply->why;
    } else if (reply->error != NULL) {
        review(s, reply);
        answer.message = db_message(reply->error);
        answer.sqlstate = db_sqlstate(reply->error);
        answer.detail = field(reply->error, PG_DIAG_MESSAGE_DETAIL);
        answer.hint = field(reply->error, PG_DIAG_MESSAGE_HINT);
    } else {
        answer.result = db_take_result(reply, reply->count - 1);
        if (strncmp(PQcmdStatus(answer.result), "ROLLBACK", 8) == 0) {
            forget_limits(s);
        }
    }
    told(s->arg, &answer); /* may give s back */
}

/* A session that cannot send any more is noticed by the next run. */
void db_session_post(struct db_session *s, const char *sql)
{
    const struct db_text texts[] = {{.name = "", .sql = sql}, {.name = ""}};

    forget_limits(s); /* it may be a rollback */
    if (s->state == SESSION_BROKEN ||
        db_send_texts(s->conn, texts, LENGTH_OF(texts), on_posted, s) < 0) {
        s->state = SESSION_BROKEN;
    }
}

static void on_posted(void *arg, const struct db_reply *reply)
{
    (void)arg;
    (void)reply;
}

static bool is_near(int64_t known_ms, int64_t wanted_ms)
{
    return known_ms >= wanted_ms && known_ms - wanted_ms <= IDLE_SLACK_MS;
}

void db_session_limit(struct db_session *s, int64_t statement_ms, int64_t idle_ms)
{
    char statement[24];
    char idle[24];
    const char *const values[] = {statement, idle};
    const char *name = sql_query_name(SQL_LIMIT_SESSION);

    if ((s->statement_ms == statement_ms && is_near(s->in_transaction_ms, idle_ms)) ||
        s->state == SESSION_BROKEN) {
        return;
    }
    (void)snprintf(statement, sizeof(statement), "%lld", (long long)statement_ms);
    (void)snprintf(idle, sizeof(idle), "%lld", (long long)idle_ms);
    const struct db_text texts[] = {
        {.name = name, .sql = sql_query_text(SQL_LIMIT_SESSION)},
        {.name = name, .nparams = LENGTH_OF(values), .values = values},
    };
    size_t first = s->knows_limits ? 1 : 0;
    s->knows_limits = true;
    s->statement_ms = statement_ms;
    s->in_transaction_ms = idle_ms;
    if (db_send_texts(s->conn, texts + first, LENGTH_OF(texts) - first, on_posted, s) < 0) {
        s->state = SESSION_BROKEN;
    }
}

bool db_session_is_busy(const struct db_session *s)
{
    return s->told != NULL;
}

bool db_session_is_in_transaction(const struct db_session *s)
{
    PGTransactionStatusType status = db_transaction(s->conn);

    return status != PQTRANS_IDLE;
}

/* ---- the end ---- */

void db_session_give(struct db_session *s)
{
    static const struct db_text rollback[] = {{.name = "", .sql = "rollback"}, {.name = ""}};

    if (s->told != NULL) {
        db_cancel(s->conn); /* it would compute on for nobody */
        pool_forget(s->pool, s);
    } else if (s->state == SESSION_BROKEN) {
        pool_forget(s->pool, s);
    } else if (!db_session_is_in_transaction(s)) {
        pool_put(s->pool, s);
    } else {
        forget_limits(s);
        pool_clean(s->pool, s);
        if (db_send_texts(s->conn, rollback, LENGTH_OF(rollback), on_cleaned, s) < 0) {
            pool_cleaned(s->pool, s, false);
        }
    }
}

static void on_cleaned(void *arg, const struct db_reply *reply)
{
    struct db_session *s = arg;

    pool_cleaned(s->pool, s, !reply->lost && !db_session_is_in_transaction(s));
}

/* Runs were told before. */
static void on_lost(void *owner, const char *why)
{
    struct db_session *s = owner;

    (void)why;
    if (s->state == SESSION_IDLE) {
        pool_idle_lost(s->pool, s);
    } else {
        s->state = SESSION_BROKEN; /* until it is given back */
    }
}
