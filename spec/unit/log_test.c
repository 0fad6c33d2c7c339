/* log_test.c - the three formats, and values that try to be more than values. */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/log.h"

#include "spec/unit/unit.h"

#define MOST_BYTES 65536

/* While stderr is ours. */
struct capture {
    int read_fd;
    int stderr_fd;
};

static struct capture capture_start(void)
{
    int ends[2];
    struct capture c;

    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, MOST_BYTES) > 0);
    c.read_fd = ends[0];
    c.stderr_fd = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    return c;
}

/* What was written since; owned by the caller. */
static char *capture_end(struct capture c)
{
    char *text = calloc(1, MOST_BYTES + 1);
    size_t size = 0;
    ssize_t n;

    dup2(c.stderr_fd, STDERR_FILENO);
    close(c.stderr_fd);
    while ((n = read(c.read_fd, text + size, MOST_BYTES - size)) > 0) {
        size += (size_t)n;
    }
    close(c.read_fd);
    return text;
}

/* The line of one event, without the time in front. Owned. */
static char *line_of(enum log_format format, struct slice value)
{
    struct capture c = capture_start();

    log_configure(LOG_INFO, format);
    log_warn("job failed", LOG_INT("job_id", 42), LOG_SLICE("error", value), LOG_REAL("s", 0.25));
    char *text = capture_end(c);
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    return text;
}

static void check(enum log_format format, const char *value, const char *expected)
{
    char *text = line_of(format, slice_of(value));

    assert_contains(text, expected);
    free(text);
}

static void writes_text_for_people(void **state)
{
    (void)state;

    check(LOG_FORMAT_TEXT,
          "no such file",
          " warn  job failed  job_id=42 error=\"no such file\" s=0.25\n");
    check(LOG_FORMAT_TEXT, "plain", " error=plain s");
}

static void writes_logfmt(void **state)
{
    (void)state;

    check(LOG_FORMAT_LOGFMT, "no", "Z level=warn msg=\"job failed\" job_id=42 error=no s=0.25\n");
    check(LOG_FORMAT_LOGFMT, "", " error=\"\" s");
    check(LOG_FORMAT_LOGFMT, "a=b", " error=\"a=b\" s");
    check(LOG_FORMAT_LOGFMT, "C:\\x", " error=\"C:\\\\x\" s");
}

static void writes_json(void **state)
{
    (void)state;

    check(LOG_FORMAT_JSON,
          "say \"no\"",
          "Z\",\"level\":\"warn\",\"msg\":\"job failed\",\"job_id\":42,\"error\":\"say "
          "\\\"no\\\"\",\"s\":0.25}\n");
}

static void lets_no_value_forge_lines_or_fields(void **state)
{
    static const char *const forgery =
        "x\nlevel=error msg=\"y\"\r\x1B[31m\x7F\xC2\x9B\xE2\x80\xA8\xE2\x80\xAE";
    static const char *const tame =
        "\"x\\nlevel=error msg=\\\"y\\\"\\u000d\\u001b[31m\\u007f\\u009b\\u2028\\u202e\"";
    (void)state;

    check(LOG_FORMAT_TEXT, forgery, tame);
    check(LOG_FORMAT_LOGFMT, forgery, tame);
    check(LOG_FORMAT_JSON, forgery, tame);
}

static void cleans_bytes_that_are_no_text(void **state)
{
    (void)state;

    char *text = line_of(LOG_FORMAT_JSON, (struct slice){"a\0b\xFF", 4});
    assert_contains(text, "\"error\":\"ab\xEF\xBF\xBD\"");
    free(text);
}

static void cuts_long_values_below_what_pipes_keep_whole(void **state)
{
    char value[20000];
    (void)state;

    memset(value, 'v', sizeof(value));
    char *text = line_of(LOG_FORMAT_LOGFMT, (struct slice){value, sizeof(value)});
    assert_contains(text, "vvv [17000 bytes cut]\"");
    assert_true(strlen(text) < 4096);
    free(text);
}

static void drops_what_is_below_the_level(void **state)
{
    (void)state;
    struct capture c = capture_start();

    log_configure(LOG_WARN, LOG_FORMAT_LOGFMT);
    log_info("quiet");
    log_debug("quiet");
    log_error("loud");
    log_configure(LOG_DEBUG, LOG_FORMAT_LOGFMT);
    log_debug("loud, too");
    char *text = capture_end(c);
    assert_null(strstr(text, "quiet"));
    assert_contains(text, "level=error msg=loud\n");
    assert_contains(text, "level=debug msg=\"loud, too\"\n");
    free(text);
}

static void has_no_word_for_infinity_in_json(void **state)
{
    (void)state;
    struct capture c = capture_start();

    log_configure(LOG_INFO, LOG_FORMAT_JSON);
    log_info("x", LOG_REAL("a", INFINITY), LOG_REAL("b", 1e300), LOG_INT("c", INT64_MIN));
    char *text = capture_end(c);
    assert_contains(text, ",\"a\":null,\"b\":1e+300,\"c\":-9223372036854775808}\n");
    free(text);
}

static void colours_nothing_but_terminals(void **state)
{
    (void)state;

    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    char *text = line_of(LOG_FORMAT_TEXT, slice_of("x"));
    assert_null(strchr(text, '\033'));
    free(text);
}

/* A reader that is gone must not end the worker; SIGPIPE is ignored by its main program. */
static void survives_a_closed_stderr(void **state)
{
    (void)state;
    int saved = dup(STDERR_FILENO);

    close(STDERR_FILENO);
    log_configure(LOG_INFO, LOG_FORMAT_TEXT);
    log_info("nobody reads this");
    dup2(saved, STDERR_FILENO);
    close(saved);
}

static void knows_its_words(void **state)
{
    enum log_level level;
    enum log_format format;
    (void)state;

    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_false(log_level_parse("warning", &level));
    assert_false(log_level_parse("", &level));
    assert_true(log_format_parse("json", &format));
    assert_int_equal(format, LOG_FORMAT_JSON);
    assert_false(log_format_parse("JSON", &format));
    assert_string_equal(log_level_name(LOG_WARN), "warn");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_text_for_people),
        cmocka_unit_test(writes_logfmt),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(lets_no_value_forge_lines_or_fields),
        cmocka_unit_test(cleans_bytes_that_are_no_text),
        cmocka_unit_test(cuts_long_values_below_what_pipes_keep_whole),
        cmocka_unit_test(drops_what_is_below_the_level),
        cmocka_unit_test(has_no_word_for_infinity_in_json),
        cmocka_unit_test(colours_nothing_but_terminals),
        cmocka_unit_test(survives_a_closed_stderr),
        cmocka_unit_test(knows_its_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
