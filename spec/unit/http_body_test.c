/* http_body_test.c - bodies by length and in chunks, whole and byte by byte. */
#include "core/http/body.h"
#include "core/http/head.h"

#include "spec/unit/unit.h"

/* 0 with what was taken, or the status; in steps of step bytes. */
static int take(struct http_body *b, struct slice in, size_t step, size_t *taken)
{
    *taken = 0;
    for (size_t end = step < in.size ? step : in.size; *taken < in.size; end += step) {
        size_t used;
        end = end < in.size ? end : in.size;
        int error = http_body_take(b, (struct slice){in.data + *taken, end - *taken}, &used);
        *taken += used;
        if (error < 0 || http_body_is_done(b) || (used == 0 && end == in.size)) {
            return error;
        }
    }
    return 0;
}

static void takes_as_much_as_was_said(void **state)
{
    struct http_body b;
    size_t taken;
    (void)state;

    assert_int_equal(http_body_open(&b, 5, 5), 0);
    assert_int_equal(take(&b, slice_of("hello, next"), 2, &taken), 0);
    assert_true(http_body_is_done(&b));
    assert_int_equal(taken, 5);
    assert_slice(buffer_slice(&b.content), "hello");
    http_body_close(&b);
    assert_int_equal(http_body_open(&b, 0, 5), 0);
    assert_true(http_body_is_done(&b));
    assert_int_equal(http_body_open(&b, 6, 5), -413);
    http_body_close(&b);
}

static void takes_chunks_however_they_come(void **state)
{
    static const char bytes[] = "5\r\nhello\r\n00A\r\n, chunky w\r\n5\r\norld!\r\n0\r\n\r\nGET";
    (void)state;

    for (size_t step = 1; step < sizeof(bytes); step++) {
        struct http_body b;
        size_t taken;
        assert_int_equal(http_body_open(&b, HTTP_CHUNKED, 20), 0);
        assert_int_equal(take(&b, slice_of(bytes), step, &taken), 0);
        assert_true(http_body_is_done(&b));
        assert_int_equal(taken, sizeof(bytes) - 1 - 3);
        assert_slice(buffer_slice(&b.content), "hello, chunky world!");
        http_body_close(&b);
    }
}

static void refuses_chunks_that_are_none(void **state)
{
    static const struct {
        int status;
        const char *bytes;
    } probes[] = {
        {-400, "5;name=value\r\nhello\r\n0\r\n\r\n"},
        {-400, "5 \r\nhello\r\n0\r\n\r\n"},
        {-400, "-5\r\nhello\r\n0\r\n\r\n"},
        {-400, "0x5\r\nhello\r\n0\r\n\r\n"},
        {-400, "\r\nhello\r\n0\r\n\r\n"},
        {-400, "5\nhello\r\n0\r\n\r\n"},
        {-400, "5\r\nhello!\r\n0\r\n\r\n"},
        {-400, "5\r\nhello\n0\r\n\r\n"},
        {-400, "0\r\nTrailer: a\r\n\r\n"},
        {-400, "000000005\r\nhello\r\n0\r\n\r\n"},
        {-413, "15\r\n"},
        {-413, "ffffffff\r\n"},
        {-413, "5\r\nhello\r\n10\r\n"},
    };

    (void)state;

    for (size_t i = 0; i < LENGTH_OF(probes); i++) {
        for (size_t step = 1; step < 30; step++) {
            struct http_body b;
            size_t taken;
            assert_int_equal(http_body_open(&b, HTTP_CHUNKED, 20), 0);
            int got = take(&b, slice_of(probes[i].bytes), step, &taken);
            if (got != probes[i].status) {
                fail_msg("%s in steps of %zu: %d", probes[i].bytes, step, got);
            }
            http_body_close(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_as_much_as_was_said),
        cmocka_unit_test(takes_chunks_however_they_come),
        cmocka_unit_test(refuses_chunks_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
