/* conn_test.c - a connection to a server that the test plays itself, as far as the protocol's greeting. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "core/base/clock.h"
#include "core/db/conn.h"

#include "spec/unit/folder.h"
#include "spec/unit/unit.h"

#define DEADLINE_MS 10000

struct rig {
    char folder[64];
    uv_loop_t loop;
    uv_timer_t deadline;
    int server; /* our end of the connection */
    struct db_conn *conn;
    size_t lost;
    size_t told;     /* transactions that were told to be lost */
    size_t answered; /* others */
    size_t heard;    /* notifications */
};

static void on_lost(void *owner, const char *why)
{
    struct rig *r = owner;

    assert_string_not_equal(why, "");
    r->lost++;
}

static void on_notified(void *owner, const char *channel, const char *body)
{
    struct rig *r = owner;

    assert_string_equal(channel, "news");
    assert_string_equal(body, "x");
    r->heard++;
}

static const struct db_events events = {on_lost, on_notified};

static void on_done(void *arg, const struct db_reply *reply)
{
    struct rig *r = arg;

    assert_true(reply->lost);
    r->told++;
}

static int listen_at(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.5432", folder);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    return listener;
}

/* AuthenticationOk, ReadyForQuery: https://www.postgresql.org/docs/15/protocol-message-formats.html */
static int greet(int listener)
{
    static const char greeting[] = {'R', 0, 0, 0, 8, 0, 0, 0, 0, 'Z', 0, 0, 0, 5, 'I'};
    int server = accept(listener, NULL, NULL);

    assert_true(server >= 0);
    assert_int_equal(write(server, greeting, sizeof(greeting)), sizeof(greeting));
    return server;
}

static void open_rig(struct rig *r)
{
    char dsn[256];

    *r = (struct rig){0};
    uv_loop_init(&r->loop);
    uv_timer_init(&r->loop, &r->deadline);
    folder_make(r->folder);
    int listener = listen_at(r->folder);
    (void)snprintf(dsn,
                   sizeof(dsn),
                   "host=%s user=u dbname=d sslmode=disable gssencmode=disable",
                   r->folder);
    PGconn *pg = PQconnectStart(dsn);
    r->server = greet(listener);
    close(listener);
    uint64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
    PostgresPollingStatusType next;
    while ((next = PQconnectPoll(pg)) != PGRES_POLLING_OK && next != PGRES_POLLING_FAILED) {
        struct pollfd socket = {.fd = PQsocket(pg), .events = POLLIN};
        assert_true(clock_now_ms() < deadline_ms && poll(&socket, 1, DEADLINE_MS) >= 0);
    }
    assert_int_equal(next, PGRES_POLLING_OK);
    r->conn = db_open(&r->loop, pg, &events, r);
    uv_run(&r->loop, UV_RUN_NOWAIT); /* watches from here on */
}

static void close_rig(struct rig *r)
{
    db_close(r->conn);
    uv_close((uv_handle_t *)&r->deadline, NULL);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    close(r->server);
    folder_remove(r->folder);
}

static int send_something(struct rig *r)
{
    const struct db_statement statement = {SQL_MARK, NULL};

    return db_send(r->conn, &statement, 1, on_done, r);
}

/* The loop would run for ever on a connection that nobody knows to be gone. */
static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nobody noticed that the connection is gone");
}

static void run_until_lost(struct rig *r)
{
    uv_timer_start(&r->deadline, on_deadline, DEADLINE_MS, 0);
    while (r->lost == 0) {
        uv_run(&r->loop, UV_RUN_ONCE);
    }
}

static void test_end_is_noticed(void **state)
{
    struct rig r;

    (void)state;
    open_rig(&r);
    assert_int_equal(send_something(&r), 0);
    shutdown(r.server, SHUT_RDWR);
    run_until_lost(&r);
    assert_int_equal(r.told, 1);
    close_rig(&r);
}

/* libpq finds out while it sends, and closes the socket that the loop watches. */
static void test_end_is_noticed_by_sending(void **state)
{
    struct rig r;

    (void)state;
    open_rig(&r);
    shutdown(r.server, SHUT_RDWR);
    bool sent = send_something(&r) == 0;
    assert_int_equal(r.lost, 0); /* never from inside of a call */
    run_until_lost(&r);
    assert_int_equal(r.told, sent ? 1 : 0);
    close_rig(&r);
}

static void test_end_between_two_sendings(void **state)
{
    struct rig r;

    (void)state;
    open_rig(&r);
    assert_int_equal(send_something(&r), 0);
    shutdown(r.server, SHUT_RDWR);
    size_t sent = 1;
    for (int i = 0; i < 3; i++) {
        sent += send_something(&r) == 0 ? 1 : 0;
    }
    run_until_lost(&r);
    assert_int_equal(r.told, sent);
    assert_int_equal(r.lost, 1);
    close_rig(&r);
}

static void test_closed_before_its_end_is_told(void **state)
{
    struct rig r;

    (void)state;
    open_rig(&r);
    shutdown(r.server, SHUT_RDWR);
    (void)send_something(&r);
    close_rig(&r);
    assert_int_equal(r.lost, 0);
    assert_int_equal(r.told, 0);
}

/* ParseComplete, BindComplete, NoData, CommandComplete, ReadyForQuery */
static void answer(struct rig *r)
{
    static const char reply[] = {'1', 0, 0, 0, 4, '2', 0,   0,   0, 4,   'n', 0, 0, 0, 4,
                                 'C', 0, 0, 0, 8, 'S', 'E', 'T', 0, 'Z', 0,   0, 0, 5, 'I'};

    assert_int_equal(write(r->server, reply, sizeof(reply)), sizeof(reply));
}

static void on_answer(void *arg, const struct db_reply *reply)
{
    struct rig *r = arg;

    assert_false(reply->lost);
    assert_null(reply->error);
    r->answered++;
    for (int i = 0; i < 3; i++) {
        int sent = send_something(r);
        assert_true(sent == 0 || sent == -ENOTCONN);
        r->told -= sent == 0 ? 1 : 0; /* it will be told to be lost */
    }
}

/* What is sent from a callback finds the end while answers are still being read. */
static void test_end_is_noticed_by_sending_from_a_callback(void **state)
{
    const struct db_statement statement = {SQL_MARK, NULL};
    struct rig r;

    (void)state;
    open_rig(&r);
    assert_int_equal(db_send(r.conn, &statement, 1, on_answer, &r), 0);
    uv_run(&r.loop, UV_RUN_NOWAIT);
    answer(&r);
    shutdown(r.server, SHUT_RDWR);
    run_until_lost(&r);
    assert_int_equal(r.answered, 1);
    assert_int_equal(r.told, 0);
    close_rig(&r);
}

static void on_last_answer(void *arg, const struct db_reply *reply)
{
    struct rig *r = arg;

    assert_null(reply->error);
    r->answered++;
}

/* It may have come with the bytes of an answer, and no event of the socket will tell of it then. */
static void test_notification_behind_an_answer_is_heard(void **state)
{
    static const char bytes[] = {'1', 0, 0, 0,   4,   '2', 0,   0, 0,   4,   'n', 0,
                                 0,   0, 4, 'C', 0,   0,   0,   8, 'S', 'E', 'T', 0,
                                 'Z', 0, 0, 0,   5,   'I', 'A', 0, 0,   0,   15,  0,
                                 0,   0, 1, 'n', 'e', 'w', 's', 0, 'x', 0};
    const struct db_statement statement = {SQL_MARK, NULL};
    struct rig r;

    (void)state;
    open_rig(&r);
    assert_int_equal(db_send(r.conn, &statement, 1, on_last_answer, &r), 0);
    uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_int_equal(write(r.server, bytes, sizeof(bytes)), sizeof(bytes));
    uv_timer_start(&r.deadline, on_deadline, DEADLINE_MS, 0);
    while (r.answered == 0) {
        uv_run(&r.loop, UV_RUN_ONCE);
    }
    assert_int_equal(r.heard, 1);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_is_noticed),
        cmocka_unit_test(test_end_is_noticed_by_sending),
        cmocka_unit_test(test_end_between_two_sendings),
        cmocka_unit_test(test_end_is_noticed_by_sending_from_a_callback),
        cmocka_unit_test(test_closed_before_its_end_is_told),
        cmocka_unit_test(test_notification_behind_an_answer_is_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
