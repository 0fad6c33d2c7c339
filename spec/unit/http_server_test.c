/* http_server_test.c - real sockets: a server on one side, bytes on the other, both in one loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/http/server.h"

#include "spec/unit/unit.h"

#define PATIENCE_MS 10000u

struct site {
    uv_loop_t loop;
    struct http_server *server;
    struct buffer seen;              /* "METHOD path body\n" of each request */
    struct http_connection *waiting; /* whose path is /later: not answered yet */
    struct http_connection *streaming;
    int left;
    int closed;
    unsigned refused;
};

static const struct http_limits limits = {
    .body_bytes = 100,
    .backlog_bytes = 1 << 20,
    .head_ms = 200,
    .body_ms = 200,
    .idle_ms = 300,
    .write_ms = 300,
};

static void on_request(void *owner, struct http_connection *c, const struct http_request *r)
{
    struct site *s = owner;

    buffer_add_slice(&s->seen, r->head->method);
    buffer_add_char(&s->seen, ' ');
    buffer_add_slice(&s->seen, r->head->path);
    buffer_add_char(&s->seen, ' ');
    buffer_add_slice(&s->seen, r->body);
    buffer_add_char(&s->seen, '\n');
    if (slice_is(r->head->path, "/later")) {
        s->waiting = c;
    } else if (slice_is(r->head->path, "/stream")) {
        s->streaming = c;
        http_connection_stream(c, slice_of("Content-Type: text/event-stream\r\n"));
    } else {
        http_connection_answer(c, &(struct http_answer){.status = 200, .body = r->head->path});
    }
}

static void on_left(void *owner, struct http_connection *c)
{
    struct site *s = owner;

    assert_true(c == s->waiting || c == s->streaming);
    s->left++;
}

static void on_refused(void *owner, unsigned status)
{
    ((struct site *)owner)->refused = status;
}

static void on_closed(void *owner, struct http_connection *c)
{
    (void)c;
    ((struct site *)owner)->closed++;
}

static const struct http_events events = {on_request, on_left, on_refused, on_closed};

static int setup(void **state)
{
    struct site *s = mem_zalloc(sizeof(*s));
    const struct http_server_options options = {.host = "127.0.0.1",
                                                .connections_max = 2,
                                                .limits = limits};

    uv_loop_init(&s->loop);
    assert_int_equal(http_server_open(&s->loop, &options, &events, s, &s->server), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;

    if (s->server != NULL) {
        http_server_close(s->server);
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s->loop), 0);
    buffer_fini(&s->seen);
    free(s);
    return 0;
}

/* ---- the other side ---- */

static int dial(struct site *s)
{
    struct buffer address = {0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int64_t port;

    http_server_address(s->server, &address);
    assert_true(text_integer(strchr(buffer_text(&address), ':') + 1, 1, 65535, &port));
    buffer_fini(&address);
    to.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns the loop until the answers hold text, or, for NULL, until the other side has closed. */
static void hear(struct site *s, int fd, struct buffer *got, const char *text)
{
    uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;

    while (text == NULL || strstr(buffer_text(got), text) == NULL) {
        uv_run(&s->loop, UV_RUN_NOWAIT);
        char bytes[4096];
        ssize_t size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (size > 0) {
            buffer_add(got, bytes, (size_t)size);
        } else if (size == 0 || errno == ECONNRESET) {
            assert_true(text == NULL);
            return;
        } else if (clock_now_ms() > deadline_ms) {
            fail_msg("waited in vain for %s; got: %s", text, buffer_text(got));
        }
    }
}

static void exchange(struct site *s, const char *request, const char *expected)
{
    struct buffer got = {0};
    int fd = dial(s);

    say(fd, request);
    hear(s, fd, &got, expected);
    buffer_fini(&got);
    close(fd);
}

static void wait_until(struct site *s, const int *count, int wanted)
{
    uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;

    while (*count < wanted && clock_now_ms() < deadline_ms) {
        uv_run(&s->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(*count, wanted);
}

/* ---- tests ---- */

static void answers_one_after_another(void **state)
{
    struct site *s = *state;
    struct buffer got = {0};
    int fd = dial(s);

    say(fd,
        "GET /one HTTP/1.1\r\nHost: a\r\n\r\nPOST /two HTTP/1.1\r\nHost: a\r\nContent-Length: "
        "3\r\n\r\nabcHEAD /three HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    hear(s, fd, &got, NULL);
    assert_string_equal(buffer_text(&s->seen), "GET /one \nPOST /two abc\nHEAD /three \n");
    assert_contains(buffer_text(&got), "Content-Length: 4\r\n\r\n/oneHTTP/1.1 200 OK\r\nDate: ");
    assert_contains(buffer_text(&got), "GMT\r\nContent-Length: 4\r\n\r\n/twoHTTP/1.1 200 OK\r\n");
    assert_contains(buffer_text(&got), "Connection: close\r\nContent-Length: 6\r\n\r\n");
    assert_null(strstr(buffer_text(&got), "/three"));
    buffer_fini(&got);
    close(fd);
}

static void takes_a_byte_at_a_time(void **state)
{
    static const char request[] = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                                  "Connection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    struct site *s = *state;
    struct buffer got = {0};
    int fd = dial(s);

    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
        uv_run(&s->loop, UV_RUN_NOWAIT);
    }
    hear(s, fd, &got, NULL);
    assert_string_equal(buffer_text(&s->seen), "POST /a abcde\n");
    buffer_fini(&got);
    close(fd);
}

static void asks_for_a_body_that_waits(void **state)
{
    struct site *s = *state;
    struct buffer got = {0};
    int fd = dial(s);

    say(fd, "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    hear(s, fd, &got, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "ok");
    hear(s, fd, &got, "HTTP/1.1 200 OK");
    assert_string_equal(buffer_text(&s->seen), "POST /a ok\n");
    buffer_fini(&got);
    close(fd);
}

static void refuses_and_says_so(void **state)
{
    struct site *s = *state;

    exchange(s, "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request");
    assert_int_equal(s->refused, 400);
    exchange(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", "Content Too Large");
    exchange(s, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported");
    assert_string_equal(buffer_text(&s->seen), "");
}

static void hides_no_second_request(void **state)
{
    struct site *s = *state;
    struct buffer got = {0};
    int fd = dial(s);

    say(fd,
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(s, fd, &got, NULL);
    assert_contains(buffer_text(&got), "400");
    assert_string_equal(buffer_text(&s->seen), "");
    buffer_fini(&got);
    close(fd);
}

static void does_not_wait_for_ever(void **state)
{
    static const char *const slow[] = {
        "GET / HT",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
    };
    struct site *s = *state;

    for (size_t i = 0; i < LENGTH_OF(slow); i++) {
        exchange(s, slow[i], "HTTP/1.1 408 Request Timeout");
    }
    struct buffer got = {0};
    int fd = dial(s); /* who says nothing at all is told nothing */
    hear(s, fd, &got, NULL);
    assert_string_equal(buffer_text(&got), "");
    buffer_fini(&got);
    close(fd);
}

static void tells_when_a_client_leaves(void **state)
{
    struct site *s = *state;
    int fd = dial(s);

    say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    while (s->waiting == NULL) {
        uv_run(&s->loop, UV_RUN_NOWAIT);
    }
    close(fd);
    wait_until(s, &s->closed, 1);
    assert_int_equal(s->left, 1);
}

static void streams_until_the_client_has_enough(void **state)
{
    struct site *s = *state;
    struct buffer got = {0};
    int fd = dial(s);

    say(fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(s, fd, &got, "text/event-stream\r\nConnection: close\r\n\r\n");
    http_connection_add(s->streaming, slice_of("data: 1\n\n"));
    hear(s, fd, &got, "data: 1\n\n");
    http_connection_add(s->streaming, slice_of("data: 2\n\n"));
    http_connection_finish(s->streaming);
    hear(s, fd, &got, NULL);
    assert_contains(buffer_text(&got), "data: 1\n\ndata: 2\n\n");
    assert_int_equal(s->left, 0);
    buffer_fini(&got);
    close(fd);
}

static void drops_a_client_that_does_not_read(void **state)
{
    struct site *s = *state;
    struct buffer got = {0};
    struct buffer much = {0};
    int fd = dial(s);

    say(fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(s, fd, &got, "\r\n\r\n");
    memset(buffer_reserve(&much, 1 << 19), 'x', 1 << 19);
    buffer_grew(&much, 1 << 19);
    for (int i = 0; i < 100 && s->left == 0; i++) {
        http_connection_add(s->streaming, buffer_slice(&much));
        uv_run(&s->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(s->left, 1);
    wait_until(s, &s->closed, 1);
    buffer_fini(&much);
    buffer_fini(&got);
    close(fd);
}

static void lets_the_third_wait(void **state)
{
    struct site *s = *state;
    struct buffer got = {0};
    int fds[] = {dial(s), dial(s), dial(s)};

    say(fds[2], "GET /third HTTP/1.1\r\nHost: a\r\n\r\n");
    say(fds[0], "GET /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    hear(s, fds[0], &got, NULL);
    close(fds[0]);
    hear(s, fds[2], &got, "/third");
    assert_string_equal(buffer_text(&s->seen), "GET /first \nGET /third \n");
    assert_true(http_server_connections(s->server) <= 2);
    close(fds[1]);
    close(fds[2]);
    buffer_fini(&got);
}

static void drains(void **state)
{
    struct site *s = *state;
    struct buffer got = {0};
    int fd = dial(s);

    say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    while (s->waiting == NULL) {
        uv_run(&s->loop, UV_RUN_NOWAIT);
    }
    http_server_drain(s->server);
    http_connection_answer(s->waiting, &(struct http_answer){.status = 204});
    hear(s, fd, &got, NULL);
    assert_contains(buffer_text(&got), "HTTP/1.1 204 No Content");
    assert_contains(buffer_text(&got), "Connection: close");
    assert_null(strstr(buffer_text(&got), "Content-Length"));
    close(fd);
    wait_until(s, &s->closed, 1);
    buffer_fini(&got);
}

static void says_why_it_cannot_listen(void **state)
{
    struct site *s = *state;
    struct http_server *other = NULL;
    struct http_server_options options = {.host = "example.org"};

    assert_int_equal(http_server_open(&s->loop, &options, &events, s, &other), -EINVAL);
    options.host = "192.0.2.1"; /* of nobody's */
    assert_int_equal(http_server_open(&s->loop, &options, &events, s, &other), -EADDRNOTAVAIL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_one_after_another),
        TEST(takes_a_byte_at_a_time),
        TEST(asks_for_a_body_that_waits),
        TEST(refuses_and_says_so),
        TEST(hides_no_second_request),
        TEST(does_not_wait_for_ever),
        TEST(tells_when_a_client_leaves),
        TEST(streams_until_the_client_has_enough),
        TEST(drops_a_client_that_does_not_read),
        TEST(lets_the_third_wait),
        TEST(drains),
        TEST(says_why_it_cannot_listen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
