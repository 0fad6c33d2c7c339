/*
 * conn.c - drives libpq's pipeline mode from uv_poll.
 *
 * State    event      next
 * OPEN     send       OPEN | BROKEN
 * OPEN     io         OPEN | LOST
 * BROKEN   timer      LOST
 * LOST     close      (freed by on_closed)
 *
 * libpq answers a pipeline strictly in order: for each statement (and each hidden PREPARE) its
 * results and a NULL, for each Sync one PGRES_PIPELINE_SYNC. `steps` is that order.
 */
#include "core/db/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/db/cancel.h"
#include "core/db/result.h"

enum step_type {
    STEP_PREPARE,
    STEP_EXECUTE,
    STEP_SYNC,
};

struct step {
    enum step_type type;
    enum sql_query query; /* PREPARE, EXECUTE; SQL_QUERY_COUNT: a text */
    PGresult *result;     /* owned; the last one that came for this step */
    db_done_fn done;      /* SYNC */
    void *arg;            /* SYNC */
    uint64_t sent_us;     /* SYNC */
};

struct db_conn {
    bool broken;     /* found while sending; the owner learns it from the loop */
    uv_loop_t *loop; /* borrowed */
    bool lost;
    bool telling; /* inside a callback: db_close() leaves the memory to us */
    bool closed;
    PGconn *pg;       /* owned */
    uv_poll_t *poll;  /* owned by the loop once closing; NULL when not watching */
    uv_timer_t *news; /* as poll; NULL unless BROKEN */
    const struct db_events *events;
    void *owner;
    bool prepared[SQL_QUERY_COUNT];
    struct step *steps; /* owned; a queue */
    size_t first;       /* the step that libpq answers next */
    size_t length;      /* end of the queue in steps */
    size_t capacity;
    uint64_t answered_us;
    struct buffer farewell; /* owned; what the server said before it closed the connection */
};

static void on_notice(void *arg, const PGresult *notice);
static bool note_farewell(struct db_conn *c, const PGresult *res);
static void hear_farewell(struct db_conn *c);
static void on_io(uv_poll_t *poll, int status, int revents);
static void on_closed(uv_handle_t *handle);
static struct step *add_step(struct db_conn *c, enum step_type type);
static int prepare(struct db_conn *c, enum sql_query q);
static int execute(struct db_conn *c, const struct db_statement *s);
static int finish_sending(struct db_conn *c, int rc, db_done_fn done, void *arg);
static void advance(struct db_conn *c);
static void collect(struct db_conn *c);
static bool take_result(struct db_conn *c, struct step *s);
static void finish_transaction(struct db_conn *c);
static void deliver_notifications(struct db_conn *c);
static void watch(struct db_conn *c, int uv_events);
static void unwatch(struct db_conn *c);
static void break_off(struct db_conn *c);
static void on_news(uv_timer_t *timer);
static void lose(struct db_conn *c, const char *why);
static void dispose(struct db_conn *c);

struct db_conn *db_open(uv_loop_t *loop, PGconn *pg, const struct db_events *events, void *owner)
{
    struct db_conn *c = mem_zalloc(sizeof(*c));

    c->loop = loop;
    c->pg = pg;
    c->events = events;
    c->owner = owner;
    c->poll = mem_zalloc(sizeof(*c->poll));
    c->poll->data = c;
    PQsetnonblocking(pg, 1);
    PQenterPipelineMode(pg);
    PQsetNoticeReceiver(pg, on_notice, c);
    uv_poll_init(loop, c->poll, PQsocket(pg));
    watch(c, UV_READABLE);
    return c;
}

int db_send(struct db_conn *c,
            const struct db_statement *statements,
            size_t count,
            db_done_fn done,
            void *arg)
{
    if (c->broken || c->lost || c->closed) {
        return -ENOTCONN;
    }
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = prepare(c, statements[i].query);
        rc = rc == 0 ? execute(c, &statements[i]) : rc;
    }
    return finish_sending(c, rc, done, arg);
}

int db_send_texts(struct db_conn *c,
                  const struct db_text *texts,
                  size_t count,
                  db_done_fn done,
                  void *arg)
{
    int sent = !c->broken && !c->lost && !c->closed;

    for (size_t i = 0; i < count && sent; i++) {
        const struct db_text *t = &texts[i];
        sent = t->sql != NULL
                   ? PQsendPrepare(c->pg, t->name, t->sql, 0, NULL)
                   : PQsendQueryPrepared(c->pg, t->name, t->nparams, t->values, NULL, NULL, 0);
        if (sent) {
            add_step(c, STEP_EXECUTE)->query = SQL_QUERY_COUNT;
        }
    }
    return finish_sending(c, sent ? 0 : -ENOTCONN, done, arg);
}

static int finish_sending(struct db_conn *c, int rc, db_done_fn done, void *arg)
{
    if (rc < 0 || !PQpipelineSync(c->pg)) {
        break_off(c);
        return -ENOTCONN;
    }
    struct step *s = add_step(c, STEP_SYNC);
    s->done = done;
    s->arg = arg;
    s->sent_us = clock_now_us();
    int unsent = PQflush(c->pg);
    if (unsent < 0 || PQstatus(c->pg) == CONNECTION_BAD) {
        break_off(c);
        return 0;
    }
    /* A send that would have blocked reads what has come: that is no event of the socket any more. */
    bool turn = unsent > 0 || !PQisBusy(c->pg);
    watch(c, turn ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    return 0;
}

PGresult *db_take_result(const struct db_reply *reply, size_t i)
{
    PGresult *result = reply->owned[i];

    reply->owned[i] = NULL;
    return result;
}

PGTransactionStatusType db_transaction(const struct db_conn *c)
{
    return PQtransactionStatus(c->pg);
}

void db_cancel(struct db_conn *c)
{
    if (!c->lost && !c->broken) {
        cancel_start(c->loop, PQgetCancel(c->pg));
    }
}

void db_hold_loop(struct db_conn *c, bool hold)
{
    if (c->poll != NULL && hold) {
        uv_ref((uv_handle_t *)c->poll);
    } else if (c->poll != NULL) {
        uv_unref((uv_handle_t *)c->poll);
    }
}

uint64_t db_waiting_us(const struct db_conn *c)
{
    for (size_t i = c->first; i < c->length; i++) {
        if (c->steps[i].type == STEP_SYNC) {
            return clock_now_us() - c->steps[i].sent_us;
        }
    }
    return 0;
}

uint64_t db_answered_us(const struct db_conn *c)
{
    return c->answered_us;
}

void db_give_up(struct db_conn *c, const char *why)
{
    lose(c, why);
}

void db_close(struct db_conn *c)
{
    c->closed = true;
    if (!c->telling) {
        dispose(c);
    }
}

static struct step *add_step(struct db_conn *c, enum step_type type)
{
    if (c->length == c->capacity) {
        c->capacity = c->capacity == 0 ? 16 : c->capacity * 2;
        c->steps = mem_resize(c->steps, c->capacity, sizeof(*c->steps));
    }
    struct step *s = &c->steps[c->length++];
    *s = (struct step){.type = type};
    return s;
}

static int prepare(struct db_conn *c, enum sql_query q)
{
    if (c->prepared[q]) {
        return 0;
    }
    if (!PQsendPrepare(c->pg, sql_query_name(q), sql_query_text(q), 0, NULL)) {
        return -ENOTCONN;
    }
    c->prepared[q] = true;
    add_step(c, STEP_PREPARE)->query = q;
    return 0;
}

static int execute(struct db_conn *c, const struct db_statement *s)
{
    static const int formats[DB_MAX_PARAMS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const char *values[DB_MAX_PARAMS];
    int count = s->params == NULL ? 0 : s->params->count;

    for (int i = 0; i < count; i++) {
        bool null = s->params->size[i] < 0;
        values[i] = null ? NULL : buffer_text(&s->params->bytes) + s->params->at[i];
    }
    const int *sizes = count == 0 ? NULL : s->params->size;
    if (!PQsendQueryPrepared(c->pg, sql_query_name(s->query), count, values, sizes, formats, 1)) {
        return -ENOTCONN;
    }
    add_step(c, STEP_EXECUTE)->query = s->query;
    return 0;
}

/* What the server says unasked; libpq would print it. */
static void on_notice(void *arg, const PGresult *notice)
{
    struct db_conn *c = arg;

    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);

    if (note_farewell(c, notice)) {
        return;
    }
    if (severity != NULL && strcmp(severity, "WARNING") == 0) {
        log_warn("the database warns", LOG_TEXT("message", db_message(notice)));
    } else {
        log_debug("notice", LOG_TEXT("message", db_message(notice)));
    }
}

/* Whether the server will close the connection after this. */
static bool note_farewell(struct db_conn *c, const PGresult *res)
{
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

    if (severity == NULL || strcmp(severity, "FATAL") != 0) {
        return false;
    }
    buffer_clear(&c->farewell);
    buffer_add_text(&c->farewell, db_message(res));
    return true;
}

/*
 * The reason that the server gave may be unread yet, as an error of the statement that it did not finish;
 * what stands before it is lost all the same.
 */
static void hear_farewell(struct db_conn *c)
{
    size_t most =
        2 * (c->length - c->first) + 2; /* results, and a NULL behind those of each step */

    (void)PQconsumeInput(c->pg);
    for (size_t i = 0; i < most && c->farewell.size == 0 && !PQisBusy(c->pg); i++) {
        PGresult *res = PQgetResult(c->pg);
        (void)note_farewell(c, res);
        PQclear(res);
    }
}

static void on_io(uv_poll_t *poll, int status, int revents)
{
    struct db_conn *c = poll->data;

    (void)revents; /* libpq finds out by itself what it can do */
    if (status < 0) {
        lose(c, PQconsumeInput(c->pg) ? uv_strerror(status) : PQerrorMessage(c->pg));
    } else {
        advance(c);
    }
}

static void advance(struct db_conn *c)
{
    int unsent = PQflush(c->pg);

    if (unsent < 0 || !PQconsumeInput(c->pg)) {
        lose(c, PQerrorMessage(c->pg));
        return;
    }
    watch(c, unsent ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    c->telling = true;
    collect(c);
    c->telling = false;
    if (c->closed) {
        dispose(c);
    } else if (!c->lost && PQstatus(c->pg) == CONNECTION_BAD) {
        lose(c, PQerrorMessage(c->pg));
    }
}

static bool is_alive(const struct db_conn *c)
{
    return !c->closed && !c->lost && !c->broken && PQstatus(c->pg) != CONNECTION_BAD;
}

/*
 * Asking for a result while PQisBusy would block the loop, and of a connection that is gone libpq says
 * for ever that there is none. libpq reads no further than to the end of a result: notifications that
 * came with the bytes of an answer are found only behind it, and no event would tell of them.
 */
static void collect(struct db_conn *c)
{
    deliver_notifications(c);
    while (is_alive(c) && c->first < c->length && !PQisBusy(c->pg)) {
        if (take_result(c, &c->steps[c->first])) {
            c->first++;
        }
        if (c->first > 0 && c->steps[c->first - 1].type == STEP_SYNC) {
            finish_transaction(c);
            deliver_notifications(c);
        }
    }
}

static bool is_copy(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* True when the step is over. */
static bool take_result(struct db_conn *c, struct step *s)
{
    PGresult *res = PQgetResult(c->pg);

    if (res == NULL) {
        return s->type != STEP_SYNC && s->result != NULL;
    }
    if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
        assert(s->type == STEP_SYNC);
        PQclear(res);
        return true;
    }
    (void)note_farewell(c, res);
    PQclear(s->result); /* the last result wins: an error always comes last */
    s->result = res;
    if (is_copy(res)) {
        lose(c, "COPY is not possible here"); /* libpq would repeat this result for ever */
    }
    return false;
}

static bool has_failed(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK;
}

/* A PREPARE that failed takes statements along that were sent in the belief that it would not. */
static bool is_unprepared(const struct step *s)
{
    return s->query != SQL_QUERY_COUNT &&
           (s->type == STEP_PREPARE || strcmp(db_sqlstate(s->result), "26000") == 0);
}

/* The Sync at first - 1 was answered: tells the transaction before it, then forgets its steps. */
static void finish_transaction(struct db_conn *c)
{
    struct step *steps = c->steps;
    size_t end = c->first;
    struct step sync = steps[end - 1];
    PGresult **results = mem_zalloc(sizeof(PGresult *) * end);
    struct db_reply reply = {.owned = results,
                             .results = (const PGresult *const *)results,
                             .error = sync.result};

    for (size_t i = 0; i + 1 < end; i++) {
        bool failed = has_failed(steps[i].result);
        if (failed && reply.error == NULL) {
            reply.error = steps[i].result;
        }
        if (failed && is_unprepared(&steps[i])) {
            c->prepared[steps[i].query] = false;
        }
        if (steps[i].type == STEP_EXECUTE) {
            results[reply.count++] = steps[i].result;
            steps[i].result = NULL;
        }
    }
    /* the queue must be in order before done() sends again */
    struct step *over = mem_zalloc(sizeof(*over) * end);
    memcpy(over, steps, sizeof(*over) * end);
    memmove(steps, steps + end, sizeof(*steps) * (c->length - end));
    c->length -= end;
    c->first = 0;
    c->answered_us = clock_now_us();
    sync.done(sync.arg, &reply);
    for (size_t i = 0; i < end; i++) {
        PQclear(over[i].result);
        PQclear(results[i]);
    }
    free(over);
    free(results);
}

static void deliver_notifications(struct db_conn *c)
{
    PGnotify *n;

    while (!c->closed && !c->lost && (n = PQnotifies(c->pg)) != NULL) {
        if (c->events->notified != NULL) {
            c->events->notified(c->owner, n->relname, n->extra);
        }
        PQfreemem(n);
    }
}

static void watch(struct db_conn *c, int uv_events)
{
    if (c->poll != NULL) {
        uv_poll_start(c->poll, uv_events, on_io);
    }
}

/* Events of the connection come no more. */
static void unwatch(struct db_conn *c)
{
    if (c->poll != NULL) {
        uv_close((uv_handle_t *)c->poll, on_closed);
        c->poll = NULL;
    }
    if (c->news != NULL) {
        uv_close((uv_handle_t *)c->news, on_closed);
        c->news = NULL;
    }
}

/*
 * Who sends may be the first to meet the end of the connection, and libpq closes the socket then: no
 * event would ever come from it, and its number may soon be another's.
 */
static void break_off(struct db_conn *c)
{
    if (c->broken || c->poll == NULL) {
        return;
    }
    c->broken = true;
    unwatch(c);
    c->news = mem_zalloc(sizeof(*c->news));
    c->news->data = c;
    uv_timer_init(c->loop, c->news);
    uv_timer_start(c->news, on_news, 0, 0);
}

static void on_news(uv_timer_t *timer)
{
    struct db_conn *c = timer->data;

    lose(c, PQerrorMessage(c->pg));
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

/* Everybody who waits is told, then the owner; it closes. */
static void lose(struct db_conn *c, const char *why)
{
    struct buffer reason = {0}; /* why may be libpq's own, and change */

    if (c->lost) {
        return;
    }
    c->lost = true;
    unwatch(c);
    buffer_add_text(&reason, why);
    hear_farewell(c);
    if (c->farewell.size > 0) {
        buffer_clear(&reason);
        buffer_add_text(&reason, buffer_text(&c->farewell));
    }
    bool was_telling = c->telling;
    c->telling = true;
    for (size_t i = 0; i < c->length && !c->closed; i++) {
        if (c->steps[i].type == STEP_SYNC) {
            c->steps[i].done(c->steps[i].arg,
                             &(struct db_reply){.lost = true, .why = buffer_text(&reason)});
        }
    }
    if (!c->closed) {
        c->events->lost(c->owner, buffer_text(&reason));
    }
    c->telling = was_telling;
    buffer_fini(&reason);
    if (c->closed && !was_telling) {
        dispose(c);
    }
}

static void dispose(struct db_conn *c)
{
    unwatch(c);
    for (size_t i = 0; i < c->length; i++) {
        PQclear(c->steps[i].result);
    }
    free(c->steps);
    PQfinish(c->pg);
    buffer_fini(&c->farewell);
    free(c);
}
