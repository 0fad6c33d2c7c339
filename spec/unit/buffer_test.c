/* buffer_test.c - what is added stays, in order, with a terminator behind it. */
#include "spec/unit/unit.h"

static void is_usable_when_all_zero(void **state)
{
    struct buffer b = {0};
    (void)state;

    assert_string_equal(buffer_text(&b), "");
    assert_int_equal(buffer_slice(&b).size, 0);
    buffer_clear(&b);
    buffer_shift(&b, 0);
    buffer_fini(&b);
}

static void keeps_what_is_added(void **state)
{
    struct buffer b = {0};
    (void)state;

    buffer_add(&b, "a\0b", 3);
    buffer_add_char(&b, 'c');
    buffer_add_text(&b, "de");
    buffer_add_slice(&b, (struct slice){NULL, 0});
    buffer_printf(&b, "%d-%s", 7, "x");
    assert_int_equal(b.size, 9);
    assert_memory_equal(b.data, "a\0bcde7-x", 10);
    buffer_fini(&b);
}

static void grows_to_any_size(void **state)
{
    struct buffer b = {0};
    (void)state;

    for (int i = 0; i < 100000; i++) {
        buffer_printf(&b, "%05d", i);
    }
    assert_int_equal(b.size, 500000);
    assert_memory_equal(b.data + 5 * 99999, "99999", 6);
    buffer_fini(&b);
}

static void reserves_room_for_a_reader(void **state)
{
    struct buffer b = {0};
    (void)state;

    buffer_add_text(&b, "head");
    char *to = buffer_reserve(&b, 1000);
    memset(to, 'x', 1000);
    buffer_grew(&b, 3);
    assert_string_equal(buffer_text(&b), "headxxx");
    buffer_fini(&b);
}

static void shifts_from_the_front(void **state)
{
    struct buffer b = {0};
    (void)state;

    buffer_add_text(&b, "abcdef");
    buffer_shift(&b, 4);
    assert_string_equal(buffer_text(&b), "ef");
    buffer_shift(&b, 2);
    assert_string_equal(buffer_text(&b), "");
    buffer_add_text(&b, "again");
    assert_string_equal(buffer_text(&b), "again");
    buffer_fini(&b);
}

static void clears_and_keeps_its_memory(void **state)
{
    struct buffer b = {0};
    (void)state;

    buffer_add_text(&b, "abc");
    size_t capacity = b.capacity;
    buffer_clear(&b);
    assert_string_equal(buffer_text(&b), "");
    assert_int_equal(b.capacity, capacity);
    buffer_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_usable_when_all_zero),
        cmocka_unit_test(keeps_what_is_added),
        cmocka_unit_test(grows_to_any_size),
        cmocka_unit_test(reserves_room_for_a_reader),
        cmocka_unit_test(shifts_from_the_front),
        cmocka_unit_test(clears_and_keeps_its_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
