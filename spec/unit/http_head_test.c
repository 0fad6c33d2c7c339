/* http_head_test.c - heads that are read, and all the ways in which they are not. */
#include "core/http/head.h"

#include "spec/unit/unit.h"

struct probe {
    const char *what;
    int status; /* 0: it is read */
    const char *bytes;
};

#define HOST "Host: a\r\n"

static int read_all(struct slice bytes, struct http_head *h)
{
    size_t scanned = 0;
    char *exact = mem_zalloc(bytes.size); /* no more, so that a read beyond the end is seen */

    memcpy(exact, bytes.data, bytes.size);
    int size = http_head_read((struct slice){exact, bytes.size}, &scanned, h);
    free(exact);
    return size;
}

static void reads_what_is_plain(void **state)
{
    static const char bytes[] =
        "POST /jobs/a%20b?x=1&y HTTP/1.1\r\nhOST: db.example:8080\r\n"
        "Content-Length:  12 \r\nX-Empty:\r\nAccept: */*;q=\"\xc3\xa9\"\r\n\r\nrest";
    struct http_head h;
    size_t scanned = 0;
    (void)state;

    int size = http_head_read(slice_of(bytes), &scanned, &h);
    assert_int_equal(size, sizeof(bytes) - 1 - 4);
    assert_slice(h.method, "POST");
    assert_slice(h.path, "/jobs/a%20b");
    assert_slice(h.query, "x=1&y");
    assert_slice(h.host, "db.example:8080");
    assert_int_equal(h.length, 12);
    assert_true(h.keeps_alive);
    assert_int_equal(h.field_count, 4);
    assert_slice(http_head_field(&h, "x-EMPTY"), "");
    assert_slice(http_head_field(&h, "accept"), "*/*;q=\"\xc3\xa9\"");
    assert_null(http_head_field(&h, "cookie").data);
}

static void waits_until_it_is_whole(void **state)
{
    static const char bytes[] = "GET / HTTP/1.1\r\n" HOST "A: b\r\n\r\n";
    struct http_head h;
    size_t scanned = 0;
    (void)state;

    for (size_t size = 0; size < sizeof(bytes) - 1; size++) {
        assert_int_equal(http_head_read((struct slice){bytes, size}, &scanned, &h), 0);
    }
    assert_int_equal(http_head_read(slice_of(bytes), &scanned, &h), sizeof(bytes) - 1);
}

static void knows_who_stays(void **state)
{
    static const struct {
        const char *bytes;
        bool keeps_alive;
    } heads[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", true},
        {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: foo , Close\r\nConnection: keep-alive\r\n\r\n",
         false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
    };
    struct http_head h;
    (void)state;

    for (size_t i = 0; i < LENGTH_OF(heads); i++) {
        assert_true(read_all(slice_of(heads[i].bytes), &h) > 0);
        assert_int_equal(h.keeps_alive, heads[i].keeps_alive);
    }
}

static const struct probe probes[] = {
    {"chunked", 0, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"},
    {"expect", 0, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n"},
    {"IPv6 host", 0, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"},
    {"two lengths that differ",
     400,
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"},
    {"two lengths",
     400,
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
    {"length and chunks",
     400,
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"chunks and length",
     400,
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"},
    {"chunks twice",
     400,
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"chunks in 1.0", 400, "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"},
    {"gzip, chunked", 501, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {"identity", 501, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"},
    {"negative length", 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"},
    {"signed length", 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n"},
    {"list of lengths", 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n"},
    {"no length", 400, "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"},
    {"hexadecimal length", 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n"},
    {"endless length", 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9999999999999999\r\n\r\n"},
    {"space before a colon", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
    {"no colon", 400, "GET / HTTP/1.1\r\n" HOST "Nonsense\r\n\r\n"},
    {"no name", 400, "GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n"},
    {"name with a blank", 400, "GET / HTTP/1.1\r\n" HOST "A b: c\r\n\r\n"},
    {"name in UTF-8", 400, "GET / HTTP/1.1\r\n" HOST "\xc3\xa9: c\r\n\r\n"},
    {"folded line", 400, "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n"},
    {"bare LF", 400, "GET / HTTP/1.1\n" HOST "\r\n"},
    {"bare LF in a value", 400, "GET / HTTP/1.1\r\n" HOST "A: b\nC: d\r\n\r\n"},
    {"bare CR in a value", 400, "GET / HTTP/1.1\r\n" HOST "A: b\rC: d\r\n\r\n"},
    {"CR behind the colon",
     400,
     "GET / HTTP/1.1\r\n" HOST "A:\rTransfer-Encoding: chunked\r\n\r\n"},
    {"DEL in a value", 400, "GET / HTTP/1.1\r\n" HOST "A: \x7f\r\n\r\n"},
    {"two hosts", 400, "GET / HTTP/1.1\r\n" HOST HOST "\r\n"},
    {"no host", 400, "GET / HTTP/1.1\r\n\r\n"},
    {"empty host", 400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
    {"host with a user", 400, "GET / HTTP/1.1\r\nHost: me@a\r\n\r\n"},
    {"host with a path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {"absolute URI", 400, "GET http://a/ HTTP/1.1\r\n" HOST "\r\n"},
    {"star", 400, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"},
    {"authority", 400, "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"},
    {"HTTP/0.9", 400, "GET /\r\n\r\n"},
    {"HTTP/2", 505, "GET / HTTP/2.0\r\n" HOST "\r\n"},
    {"HTTP/1.2", 505, "GET / HTTP/1.2\r\n" HOST "\r\n"},
    {"lower case version", 400, "GET / http/1.1\r\n" HOST "\r\n"},
    {"lower case method", 400, "get / HTTP/1.1\r\n" HOST "\r\n"},
    {"two blanks", 400, "GET  / HTTP/1.1\r\n" HOST "\r\n"},
    {"blank behind the version", 400, "GET / HTTP/1.1 \r\n" HOST "\r\n"},
    {"tab", 400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"},
    {"%00", 400, "GET /a%00b HTTP/1.1\r\n" HOST "\r\n"},
    {"%0d%0a", 400, "GET /?a=%0d%0aSet-Cookie HTTP/1.1\r\n" HOST "\r\n"},
    {"%7f", 400, "GET /%7F HTTP/1.1\r\n" HOST "\r\n"},
    {"% and no digits", 400, "GET /%zz HTTP/1.1\r\n" HOST "\r\n"},
    {"% at the end", 400, "GET /%2 HTTP/1.1\r\n" HOST "\r\n"},
    {"fragment", 400, "GET /#a HTTP/1.1\r\n" HOST "\r\n"},
    {"UTF-8 in the path", 400, "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"},
    {"expects else", 417, "POST / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n"},
    {"line before it", 400, "\r\nGET / HTTP/1.1\r\n" HOST "\r\n"},
};

static void refuses_what_could_mean_two_things(void **state)
{
    struct http_head h;
    (void)state;

    for (size_t i = 0; i < LENGTH_OF(probes); i++) {
        int got = read_all(slice_of(probes[i].bytes), &h);
        if (probes[i].status == 0 ? got <= 0 : got != -probes[i].status) {
            fail_msg("%s: %d", probes[i].what, got);
        }
    }
}

static void refuses_a_nul(void **state)
{
    static const char bytes[] = "GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n";
    struct http_head h;
    (void)state;

    assert_int_equal(read_all((struct slice){bytes, sizeof(bytes) - 1}, &h), -400);
}

static void has_limits(void **state)
{
    struct buffer b = {0};
    struct http_head h;
    (void)state;

    buffer_add_text(&b, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 1; i < HTTP_FIELDS_MAX; i++) {
        buffer_add_text(&b, "A: b\r\n");
    }
    size_t most = b.size;
    buffer_add_text(&b, "\r\n");
    assert_true(read_all(buffer_slice(&b), &h) > 0);
    b.size = most;
    buffer_add_text(&b, "A: b\r\n\r\n");
    assert_int_equal(read_all(buffer_slice(&b), &h), -431);
    buffer_clear(&b);
    buffer_add_text(&b, "GET / HTTP/1.1\r\nA: ");
    while (b.size < HTTP_HEAD_MAX_BYTES) {
        buffer_add_char(&b, 'a');
    }
    assert_int_equal(read_all(buffer_slice(&b), &h), -431);
    buffer_fini(&b);
}

/* Whatever is changed in a head, reading it ends, and says something. */
static void survives_mutations(void **state)
{
    static const char good[] =
        "POST /a?b=%41 HTTP/1.1\r\n" HOST
        "Content-Length: 3\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n";
    static const char nasty[] = "\r\n\0 \t:%;,/\x7f\xff"
                                "A1";
    size_t size = sizeof(good) - 1;
    char *bytes = mem_zalloc(size); /* no more, so that a read beyond the end is seen */
    struct http_head h;
    unsigned random = 7;
    (void)state;

    for (int round = 0; round < 20000; round++) {
        size_t scanned = 0;
        memcpy(bytes, good, size);
        for (int i = 0; i < 3; i++) {
            random = random * 1103515245u + 12345u;
            bytes[(random >> 8) % size] = nasty[(random >> 20) % (sizeof(nasty) - 1)];
        }
        int got = http_head_read((struct slice){bytes, size}, &scanned, &h);
        if (got > 0) {
            assert_true(h.path.size > 0 && h.path.data[0] == '/');
            assert_true(h.length >= HTTP_CHUNKED);
        }
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_plain),
        cmocka_unit_test(waits_until_it_is_whole),
        cmocka_unit_test(knows_who_stays),
        cmocka_unit_test(refuses_what_could_mean_two_things),
        cmocka_unit_test(refuses_a_nul),
        cmocka_unit_test(has_limits),
        cmocka_unit_test(survives_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
