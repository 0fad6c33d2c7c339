/* frame_test.c - frames that are whole, not yet whole, and hostile. */
#include <errno.h>

#include "core/base/frame.h"

#include "spec/unit/unit.h"

static struct buffer a_frame(void)
{
    struct buffer b = {0};
    size_t mark = frame_begin(&b, 9);

    frame_put_u8(&b, 200);
    frame_put_u32(&b, UINT32_MAX);
    frame_put_i64(&b, INT64_MIN);
    frame_put_f64(&b, 0.1);
    frame_put_slice(&b, slice_of("text"));
    frame_put_slice(&b, (struct slice){NULL, 0});
    frame_end(&b, mark);
    return b;
}

static void carries_all_types(void **state)
{
    struct buffer b = a_frame();
    struct frame f;
    (void)state;

    assert_int_equal(frame_next(buffer_slice(&b), &f), b.size);
    assert_int_equal(f.type, 9);
    assert_int_equal(frame_get_u8(&f), 200);
    assert_int_equal(frame_get_u32(&f), UINT32_MAX);
    assert_int_equal(frame_get_i64(&f), INT64_MIN);
    assert_true(frame_get_f64(&f) == 0.1);
    assert_slice(frame_get_slice(&f), "text");
    assert_slice(frame_get_slice(&f), "");
    assert_false(f.malformed);
    assert_ptr_equal(f.at, f.end);
    buffer_fini(&b);
}

static void waits_for_the_rest(void **state)
{
    struct buffer b = a_frame();
    struct frame f;
    (void)state;

    for (size_t size = 0; size < b.size; size++) {
        assert_int_equal(frame_next((struct slice){b.data, size}, &f), 0);
    }
    buffer_fini(&b);
}

static void takes_one_after_the_other(void **state)
{
    struct buffer b = {0};
    struct frame f;
    (void)state;

    for (uint8_t type = 1; type <= 3; type++) {
        size_t mark = frame_begin(&b, type);
        frame_put_u32(&b, type * 10u);
        frame_end(&b, mark);
    }
    struct slice rest = buffer_slice(&b);
    for (uint8_t type = 1; type <= 3; type++) {
        int64_t size = frame_next(rest, &f);
        assert_int_equal(f.type, type);
        assert_int_equal(frame_get_u32(&f), type * 10);
        rest.data += size;
        rest.size -= (size_t)size;
    }
    assert_int_equal(rest.size, 0);
    buffer_fini(&b);
}

static void refuses_absurd_lengths(void **state)
{
    static const uint32_t absurd[] = {0, FRAME_MAX_BYTES + 1, UINT32_MAX};
    struct frame f;
    char bytes[64] = {0};
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        memcpy(bytes, &absurd[i], sizeof(absurd[i]));
        assert_int_equal(frame_next((struct slice){bytes, sizeof(bytes)}, &f), -EMSGSIZE);
    }
}

/* Every prefix of the fields, told as a whole frame: gets answer 0 or empty and never read on. */
static void answers_nothing_for_what_is_missing(void **state)
{
    struct buffer whole = a_frame();
    struct frame f;
    (void)state;

    for (uint32_t length = 1; length < whole.size - 4; length++) {
        char *bytes = malloc(4 + length);
        memcpy(bytes, whole.data, 4 + length);
        memcpy(bytes, &length, sizeof(length));
        assert_int_equal(frame_next((struct slice){bytes, 4 + length}, &f), 4 + length);
        (void)frame_get_u8(&f);
        (void)frame_get_u32(&f);
        (void)frame_get_i64(&f);
        (void)frame_get_f64(&f);
        (void)frame_get_slice(&f);
        assert_int_equal(frame_get_slice(&f).size, 0);
        assert_true(f.malformed);
        assert_int_equal(frame_get_i64(&f), 0);
        free(bytes);
    }
    buffer_fini(&whole);
}

static void believes_no_length_of_a_text(void **state)
{
    struct buffer b = {0};
    struct frame f;
    (void)state;

    size_t mark = frame_begin(&b, 1);
    frame_put_u32(&b, UINT32_MAX);
    frame_put_u8(&b, 'x');
    frame_end(&b, mark);
    assert_true(frame_next(buffer_slice(&b), &f) > 0);
    struct slice text = frame_get_slice(&f);
    assert_int_equal(text.size, 0);
    assert_non_null(text.data);
    assert_true(f.malformed);
    assert_int_equal(frame_get_u8(&f), 0);
    buffer_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_all_types),
        cmocka_unit_test(waits_for_the_rest),
        cmocka_unit_test(takes_one_after_the_other),
        cmocka_unit_test(refuses_absurd_lengths),
        cmocka_unit_test(answers_nothing_for_what_is_missing),
        cmocka_unit_test(believes_no_length_of_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
