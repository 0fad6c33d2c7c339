/*
 * link.c - one connection after another.
 *
 * State       event                 next
 * CONNECTING  on_connected          SETTING_UP | WAITING
 * SETTING_UP  on_session, lost      UP | WAITING; a listener is UP after on_listening
 * UP          lost                  WAITING
 * WAITING     on_retry              CONNECTING
 * any         link_close            CLOSED
 */
#include "core/db/link.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/db/connect.h"
#include "core/db/result.h"

#define FIRST_PAUSE_MS 100u
#define LAST_PAUSE_MS  5000u

/* A session without an answer for so long is taken for lost; its statement_timeout is shorter. */
#define ANSWER_TIMEOUT_US 60000000u
#define PROBE_MS          5000u

enum link_state {
    LINK_CONNECTING,
    LINK_SETTING_UP,
    LINK_UP,
    LINK_WAITING,
    LINK_CLOSED,
};

struct link {
    enum link_state state;
    uv_loop_t *loop;
    struct link_options options;
    const struct link_events *events;
    void *owner;
    struct db_conn *conn;             /* owned; SETTING_UP and UP */
    struct db_connecting *connecting; /* while CONNECTING */
    uv_timer_t timer;                 /* the pause while WAITING, the probe while UP */
    uint64_t pause_ms;
    uint64_t answered_us; /* by connections before this one */
};

static void connect_start(struct link *l);
static void on_connected(void *arg, PGconn *pg, enum link_failure failure);
static void set_up_session(struct link *l);
static void on_session(void *arg, const struct db_reply *reply);
static void listen_for_notifications(struct link *l);
static void on_listening(void *arg, const struct db_reply *reply);
static bool may_go_on(struct link *l, const struct db_reply *reply);
static void go_up(struct link *l);
static void abandon_session(struct link *l);
static void on_lost(void *owner, const char *why);
static void on_notified(void *owner, const char *channel, const char *body);
static void on_probe(uv_timer_t *timer);
static void on_retry(uv_timer_t *timer);
static void on_timer_closed(uv_handle_t *handle);
static void retry_later(struct link *l);
static void connect_failed(struct link *l, PGconn *pg, enum link_failure failure);

static const struct db_events conn_events = {on_lost, on_notified};

struct link *link_open(uv_loop_t *loop,
                       const struct link_options *options,
                       const struct link_events *events,
                       void *owner)
{
    struct link *l = mem_zalloc(sizeof(*l));

    l->loop = loop;
    l->options = *options;
    l->events = events;
    l->owner = owner;
    l->pause_ms = FIRST_PAUSE_MS;
    uv_timer_init(loop, &l->timer);
    l->timer.data = l;
    connect_start(l);
    return l;
}

bool link_is_up(const struct link *l)
{
    return l->state == LINK_UP;
}

int link_send(struct link *l,
              const struct db_statement *statements,
              size_t count,
              db_done_fn done,
              void *arg)
{
    return link_is_up(l) ? db_send(l->conn, statements, count, done, arg) : -ENOTCONN;
}

int link_query(struct link *l,
               enum sql_query query,
               const struct db_params *params,
               db_done_fn done,
               void *arg)
{
    return link_send(l, &(struct db_statement){query, params}, 1, done, arg);
}

uint64_t link_silent_ms(const struct link *l)
{
    uint64_t answered_us = l->conn == NULL ? 0 : db_answered_us(l->conn);

    answered_us = answered_us > l->answered_us ? answered_us : l->answered_us;
    return (clock_now_us() - answered_us) / 1000;
}

void link_reset(struct link *l, const char *why)
{
    if (l->conn != NULL) {
        db_give_up(l->conn, why);
    }
}

void link_close(struct link *l)
{
    l->state = LINK_CLOSED;
    if (l->connecting != NULL) {
        db_connect_drop(l->connecting);
    }
    if (l->conn != NULL) {
        db_close(l->conn);
        l->conn = NULL;
    }
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}

static void connect_start(struct link *l)
{
    l->state = LINK_CONNECTING;
    l->connecting = db_connect(l->loop, l->options.conninfo, l->options.name, on_connected, l);
}

static void on_connected(void *arg, PGconn *pg, enum link_failure failure)
{
    struct link *l = arg;

    l->connecting = NULL;
    if (PQstatus(pg) != CONNECTION_OK) {
        connect_failed(l, pg, failure);
    } else {
        l->state = LINK_SETTING_UP;
        l->conn = db_open(l->loop, pg, &conn_events, l);
        set_up_session(l);
    }
}

static void connect_failed(struct link *l, PGconn *pg, enum link_failure failure)
{
    retry_later(l);
    l->events->failed(l->owner, failure, PQerrorMessage(pg));
    PQfinish(pg);
}

static void set_up_session(struct link *l)
{
    const struct db_statement session = {SQL_SESSION, NULL};

    if (db_send(l->conn, &session, 1, on_session, l) < 0) {
        db_give_up(l->conn, "cannot send");
    }
}

static void on_session(void *arg, const struct db_reply *reply)
{
    struct link *l = arg;

    if (!may_go_on(l, reply)) {
        return;
    }
    if (db_get_bool(reply->results[0], 0, 0)) {
        abandon_session(l);
        l->events->failed(l->owner,
                          LINK_STANDBY,
                          "the server is a standby, which can only be read");
    } else if (l->options.listen) {
        listen_for_notifications(l);
    } else {
        go_up(l);
    }
}

/* A transaction of its own: a standby refuses it, and what it is would not be told. */
static void listen_for_notifications(struct link *l)
{
    const struct db_statement statements[] = {{SQL_LISTEN_JOBS, NULL}, {SQL_LISTEN_CONTROL, NULL}};

    if (db_send(l->conn, statements, LENGTH_OF(statements), on_listening, l) < 0) {
        db_give_up(l->conn, "cannot send");
    }
}

static void on_listening(void *arg, const struct db_reply *reply)
{
    struct link *l = arg;

    if (may_go_on(l, reply)) {
        go_up(l);
    }
}

static bool may_go_on(struct link *l, const struct db_reply *reply)
{
    if (reply->lost) {
        return false; /* on_lost follows */
    }
    if (reply->error != NULL) {
        log_error("cannot set up a session", LOG_TEXT("error", db_message(reply->error)));
        abandon_session(l);
        return false;
    }
    return true;
}

static void go_up(struct link *l)
{
    l->state = LINK_UP;
    l->pause_ms = FIRST_PAUSE_MS;
    uv_timer_start(&l->timer, on_probe, PROBE_MS, PROBE_MS);
    l->events->up(l->owner);
}

static void abandon_session(struct link *l)
{
    db_close(l->conn);
    l->conn = NULL;
    retry_later(l);
}

static void on_lost(void *owner, const char *why)
{
    struct link *l = owner;
    bool was_up = l->state == LINK_UP;

    if (db_answered_us(l->conn) > 0) {
        l->answered_us = db_answered_us(l->conn);
    }
    abandon_session(l);
    if (was_up) {
        l->events->down(l->owner, why);
    } else {
        l->events->failed(l->owner, LINK_UNREACHABLE, why);
    }
}

static void on_notified(void *owner, const char *channel, const char *body)
{
    struct link *l = owner;

    if (l->events->notified != NULL) {
        l->events->notified(l->owner, channel, body);
    }
}

static void on_probe(uv_timer_t *timer)
{
    struct link *l = timer->data;

    if (db_waiting_us(l->conn) > ANSWER_TIMEOUT_US) {
        db_give_up(l->conn, "no answer for 60 s");
    }
}

static void on_retry(uv_timer_t *timer)
{
    connect_start(timer->data);
}

/* Doubling pauses, each spread over its second half, so that many workers do not come back at once. */
static void retry_later(struct link *l)
{
    uint64_t half = l->pause_ms / 2;

    l->state = LINK_WAITING;
    uv_timer_start(&l->timer, on_retry, half + (uint64_t)random() % (half + 1), 0);
    l->pause_ms = l->pause_ms * 2 < LAST_PAUSE_MS ? l->pause_ms * 2 : LAST_PAUSE_MS;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}
