/* text_test.c - what people type, and bytes that want to be UTF-8. */
#include "core/base/mem.h"
#include "core/base/text.h"

#include "spec/unit/unit.h"

static void reads_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"500ms", 500},
        {"10s", 10000},
        {"5m", 300000},
        {"2h", 7200000},
        {"30", 30000},
        {"1.5", 1500},
        {"0.25s", 250},
        {"0", 0},
        {"0.0001", 0},
        {"1.5h", 5400000},
        {"999999999999h", 999999999999u * 3600000u},
    };

    static const char *const bad[] = {"",
                                      " 5s",
                                      "5s ",
                                      "5 s",
                                      "5min",
                                      "5M",
                                      "s",
                                      "-5s",
                                      "+5",
                                      "1.",
                                      ".5",
                                      "1e3",
                                      "0x10",
                                      "5ss",
                                      "1234567890123",
                                      "inf",
                                      "nan",
                                      "1,5"};
    uint64_t ms = 7;
    (void)state;

    for (size_t i = 0; i < LENGTH_OF(good); i++) {
        assert_true(text_duration_ms(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < LENGTH_OF(bad); i++) {
        if (text_duration_ms(bad[i], &ms)) {
            fail_msg("'%s' was taken for a duration", bad[i]);
        }
    }
}

static void reads_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"100", 100},
        {"512K", 524288},
        {"64M", 67108864},
        {"64m", 67108864},
        {"2G", 2147483648},
        {"1T", 1099511627776},
    };

    static const char *const bad[] =
        {"", "M", "64MB", "1.5G", "-1", "64 M", "999999999999T", "0x1"};
    uint64_t bytes;
    (void)state;

    for (size_t i = 0; i < LENGTH_OF(good); i++) {
        assert_true(text_size_bytes(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < LENGTH_OF(bad); i++) {
        if (text_size_bytes(bad[i], &bytes)) {
            fail_msg("'%s' was taken for a size", bad[i]);
        }
    }
}

static void reads_integers(void **state)
{
    static const char *const bad[] = {"",
                                      "-",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "1.0",
                                      "ten",
                                      "0x1",
                                      "-6",
                                      "101",
                                      "9223372036854775808",
                                      "99999999999999999999"};
    int64_t value = 7;
    (void)state;

    assert_true(text_integer("-5", -5, 100, &value));
    assert_int_equal(value, -5);
    assert_true(text_integer("100", -5, 100, &value));
    assert_int_equal(value, 100);
    assert_true(text_integer("9223372036854775807", 0, INT64_MAX, &value));
    assert_int_equal(value, INT64_MAX);
    assert_true(text_integer("-9223372036854775808", INT64_MIN, 0, &value));
    assert_int_equal(value, INT64_MIN);
    for (size_t i = 0; i < LENGTH_OF(bad); i++) {
        if (text_integer(bad[i], -5, 100, &value)) {
            fail_msg("'%s' was taken for an integer from -5 to 100", bad[i]);
        }
    }
}

static void matches_stars(void **state)
{
    (void)state;

    assert_true(text_matches("email.*", "email.send"));
    assert_true(text_matches("email.*", "email."));
    assert_false(text_matches("email.*", "email"));
    assert_true(text_matches("*", ""));
    assert_true(text_matches("", ""));
    assert_false(text_matches("", "a"));
    assert_true(text_matches("a*b*c", "axxbyybzzc"));
    assert_false(text_matches("a*b*c", "axxbyybzz"));
    assert_true(text_matches("*.send", "email.send.send"));
    assert_true(text_matches("**", "x"));
    assert_false(text_matches("a", "A"));
    assert_true(text_matches("a?c", "a?c"));
    assert_false(text_matches("a?c", "abc"));
}

static void matches_without_going_astray(void **state)
{
    char text[5001];
    (void)state;

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    assert_false(text_matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static void matches_lists(void **state)
{
    (void)state;

    assert_true(text_matches_list("", "x"));
    assert_true(text_matches_list(" , ", "x"));
    assert_true(text_matches_list("email.*,!email.digest", "email.send"));
    assert_false(text_matches_list("email.*,!email.digest", "email.digest"));
    assert_false(text_matches_list("email.*,!email.digest", "file.scan"));
    assert_true(text_matches_list("!email.*", "file.scan"));
    assert_false(text_matches_list("!email.*", "email.send"));
    assert_true(text_matches_list("a, b ,c", "b"));
    assert_false(text_matches_list("!b, b", "b"));
}

static void finds_near_misses(void **state)
{
    static const char *const names[] = {"retry", "cancel", "timeout", "id", NULL};
    (void)state;

    assert_string_equal(text_nearest("retyr", names), "retry");
    assert_string_equal(text_nearest("timout", names), "timeout");
    assert_string_equal(text_nearest("cancle", names), "cancel");
    assert_null(text_nearest("stats", names));
    assert_null(text_nearest("xy", names));
    assert_null(text_nearest("", names));
    assert_null(
        text_nearest("0123456789012345678901234567890123456789012345678901234567890123456789",
                     names));
}

static void check_clean(const char *text, size_t size, size_t max, const char *expected)
{
    struct buffer out = {0};

    buffer_add_text(&out, ">");
    text_add_clean(&out, (struct slice){text, size}, max);
    if (strcmp(buffer_text(&out) + 1, expected) != 0) {
        fail_msg("'%s' became '%s', expected '%s'", text, buffer_text(&out) + 1, expected);
    }
    buffer_fini(&out);
}

static void cleans_what_is_no_text(void **state)
{
    (void)state;

    check_clean(NULL, 0, 10, "");
    check_clean("h\xC3\xA9llo", 6, 100, "h\xC3\xA9llo");
    check_clean("a\0b", 3, 100, "ab");
    check_clean("\xFF", 1, 100, "\xEF\xBF\xBD");
    check_clean("\xC3", 1, 100, "\xEF\xBF\xBD");
    check_clean("\xC0\x80", 2, 100, "\xEF\xBF\xBD\xEF\xBF\xBD");
    check_clean("\xED\xA0\x80", 3, 100, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    check_clean("\xF4\x8F\xBF\xBF", 4, 100, "\xF4\x8F\xBF\xBF");
    check_clean("\xF4\x90\x80\x80", 4, 12, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    check_clean("\xE2\x82x", 3, 100, "\xEF\xBF\xBD\xEF\xBF\xBDx");
}

static void cuts_between_characters(void **state)
{
    (void)state;

    check_clean("abcdef", 6, 6, "abcdef");
    check_clean("abcdef", 6, 4, "abcd [2 bytes cut]");
    check_clean("ab\xC3\xA9"
                "cd",
                6,
                3,
                "ab [4 bytes cut]");
    check_clean("ab\xFF"
                "cd",
                5,
                4,
                "ab [3 bytes cut]");
    check_clean("abc", 3, 0, " [3 bytes cut]");
}

static void decodes_characters(void **state)
{
    uint32_t code = 0;
    (void)state;

    assert_int_equal(text_character((struct slice){"", 0}, &code), 0);
    assert_int_equal(text_character(slice_of("x"), &code), 1);
    assert_int_equal(code, 'x');
    assert_int_equal(text_character(slice_of("\xE2\x82\xAC!"), &code), 3);
    assert_int_equal(code, 0x20AC);
    assert_int_equal(text_character(slice_of("\xF0\x9F\x98\x80"), &code), 4);
    assert_int_equal(code, 0x1F600);
    assert_int_equal(text_character((struct slice){"\xF0\x9F\x98\x80", 3}, &code), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reads_integers),
        cmocka_unit_test(matches_stars),
        cmocka_unit_test(matches_without_going_astray),
        cmocka_unit_test(matches_lists),
        cmocka_unit_test(finds_near_misses),
        cmocka_unit_test(cleans_what_is_no_text),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(decodes_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
