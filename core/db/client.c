/* client.c - libpq's blocking half behind a struct, so that bindings need no libpq. */
#include "core/db/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"

struct client {
    PGconn *conn;          /* owned */
    PGresult *result;      /* owned: of the last query, NULL before the first */
    PGnotify *notify;      /* owned: the last one told */
    bool under_way;        /* sent and not yet received */
    struct buffer notices; /* each ends with a NUL */
    struct buffer notice;  /* the last one told */
    struct buffer message; /* of the last failure, without libpq's line end */
    struct client_failure failure;
};

static void fail(struct client *c, const char *message, const char *sqlstate);
static int judge(struct client *c);
static void end_copy(struct client *c, ExecStatusType status);
static void on_notice(void *arg, const PGresult *notice);
static const char *field(const PGresult *result, int code);
static bool wait_readable(struct client *c, uint64_t until_ms);

int client_open(const char *conninfo, struct client **out)
{
    const char *timeout = getenv("PGCONNECT_TIMEOUT") == NULL ? "10" : NULL;
    const char *keywords[] = {"connect_timeout",
                              "dbname",
                              "client_encoding",
                              "fallback_application_name",
                              NULL};
    const char *values[] = {timeout, conninfo, "UTF8", "jobq", NULL};
    struct client *c = mem_zalloc(sizeof(*c));

    *out = c;
    fail(c, "", "");
    c->conn = PQconnectdbParams(keywords, values, 1);
    if (PQstatus(c->conn) != CONNECTION_OK) {
        fail(c, PQerrorMessage(c->conn), "08001");
        return -ENOTCONN;
    }
    PQsetNoticeReceiver(c->conn, on_notice, c);
    return 0;
}

void client_close(struct client *c)
{
    PQclear(c->result);
    PQfreemem(c->notify);
    PQfinish(c->conn);
    buffer_fini(&c->notices);
    buffer_fini(&c->notice);
    buffer_fini(&c->message);
    free(c);
}

int client_query(struct client *c, const struct client_query *q)
{
    int err = client_send(c, q);

    return err < 0 ? err : client_receive(c);
}

int client_send(struct client *c, const struct client_query *q)
{
    if (c->under_way) {
        fail(c, "another query is under way on this connection", "08P01");
        return -EBUSY;
    }
    PQclear(c->result);
    c->result = NULL;
    int sent = q->nparams == 0
                   ? PQsendQuery(c->conn, q->sql)
                   : PQsendQueryParams(c->conn, q->sql, q->nparams, NULL, q->params, NULL, NULL, 0);
    if (sent == 0) {
        fail(c, PQerrorMessage(c->conn), "08006");
        return -ENOTCONN;
    }
    c->under_way = true;
    return 0;
}

/* Of several statements the last answers, or the one that failed: it ended the others. */
int client_receive(struct client *c)
{
    PGresult *next;

    while ((next = PQgetResult(c->conn)) != NULL) {
        ExecStatusType status = PQresultStatus(next);
        if (c->result != NULL && PQresultStatus(c->result) == PGRES_FATAL_ERROR) {
            PQclear(next);
        } else {
            PQclear(c->result);
            c->result = next;
        }
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
            end_copy(c, status);
        }
        if (PQstatus(c->conn) == CONNECTION_BAD) {
            break;
        }
    }
    c->under_way = false;
    return judge(c);
}

bool client_is_busy(struct client *c)
{
    return c->under_way && PQconsumeInput(c->conn) == 1 && PQisBusy(c->conn) == 1;
}

const struct client_failure *client_failure(const struct client *c)
{
    return &c->failure;
}

int client_rows(const struct client *c)
{
    return PQntuples(c->result);
}

int client_columns(const struct client *c)
{
    return PQnfields(c->result);
}

const char *client_column_name(const struct client *c, int column)
{
    return PQfname(c->result, column);
}

uint32_t client_column_type(const struct client *c, int column)
{
    return PQftype(c->result, column);
}

int64_t client_affected(const struct client *c)
{
    return strtoll(PQcmdTuples(c->result), NULL, 10);
}

bool client_value(const struct client *c, int row, int column, struct slice *value)
{
    if (PQgetisnull(c->result, row, column)) {
        return false;
    }
    *value = (struct slice){PQgetvalue(c->result, row, column),
                            (size_t)PQgetlength(c->result, row, column)};
    return true;
}

bool client_notification(struct client *c, int timeout_ms, struct client_notification *n)
{
    uint64_t until_ms = clock_now_ms() + (uint64_t)timeout_ms;

    PQfreemem(c->notify);
    do {
        c->notify = PQconsumeInput(c->conn) == 1 ? PQnotifies(c->conn) : NULL;
    } while (c->notify == NULL && wait_readable(c, until_ms));
    if (c->notify == NULL) {
        return false;
    }
    *n = (struct client_notification){c->notify->relname, c->notify->extra, c->notify->be_pid};
    return true;
}

const char *client_notice(struct client *c)
{
    if (c->notices.size == 0) {
        return NULL;
    }
    buffer_clear(&c->notice);
    buffer_add_text(&c->notice, buffer_text(&c->notices));
    buffer_shift(&c->notices, c->notice.size + 1);
    return buffer_text(&c->notice);
}

int client_backend_pid(const struct client *c)
{
    return PQbackendPID(c->conn);
}

static void fail(struct client *c, const char *message, const char *sqlstate)
{
    buffer_clear(&c->message);
    buffer_add_text(&c->message, message);
    while (c->message.size > 0 && c->message.data[c->message.size - 1] == '\n') {
        c->message.data[--c->message.size] = 0;
    }
    c->failure = (struct client_failure){buffer_text(&c->message), sqlstate, "", ""};
}

static int judge(struct client *c)
{
    ExecStatusType status = PQresultStatus(c->result);

    if (c->result != NULL && status != PGRES_FATAL_ERROR && status != PGRES_BAD_RESPONSE) {
        return 0;
    }
    bool lost = PQstatus(c->conn) == CONNECTION_BAD;
    const char *message = field(c->result, PG_DIAG_MESSAGE_PRIMARY);
    const char *sqlstate = field(c->result, PG_DIAG_SQLSTATE);
    fail(c,
         message[0] != 0 ? message : PQerrorMessage(c->conn),
         sqlstate[0] != 0 ? sqlstate
         : lost           ? "08006"
                          : "XX000");
    c->failure.detail = field(c->result, PG_DIAG_MESSAGE_DETAIL);
    c->failure.hint = field(c->result, PG_DIAG_MESSAGE_HINT);
    return lost ? -ENOTCONN : -EIO;
}

/* Nobody here copies; a COPY that was sent by mistake must not hang. */
static void end_copy(struct client *c, ExecStatusType status)
{
    char *row = NULL;

    if (status == PGRES_COPY_IN) {
        PQputCopyEnd(c->conn, "this client does not copy");
        return;
    }
    while (PQgetCopyData(c->conn, &row, 0) > 0) {
        PQfreemem(row);
    }
}

static void on_notice(void *arg, const PGresult *notice)
{
    struct client *c = arg;

    buffer_add_text(&c->notices, field(notice, PG_DIAG_MESSAGE_PRIMARY));
    buffer_add_char(&c->notices, 0);
}

static const char *field(const PGresult *result, int code)
{
    const char *text = PQresultErrorField(result, code);

    return text == NULL ? "" : text;
}

/* True when something came before the time was up. */
static bool wait_readable(struct client *c, uint64_t until_ms)
{
    uint64_t now_ms = clock_now_ms();
    struct pollfd fd = {.fd = PQsocket(c->conn), .events = POLLIN};

    if (fd.fd < 0 || now_ms >= until_ms || PQstatus(c->conn) != CONNECTION_OK) {
        return false;
    }
    return poll(&fd, 1, (int)(until_ms - now_ms)) > 0;
}
