/* config_test.c - options, variables, the file, defaults: who wins, and what mistakes get. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/app/config.h"
#include "core/app/option.h"
#include "core/base/mem.h"
#include "core/base/version.h"

#include "spec/unit/unit.h"

#define MOST_ARGUMENTS 32
#define MOST_BYTES     16384

/* A folder to be in, an empty environment, and the last thing that was said. */
struct rig {
    char folder[64];
    char before[4096];
    struct config config;
    int result;
    int status;
    char said[MOST_BYTES];    /* on stderr */
    char printed[MOST_BYTES]; /* on stdout */
};

static void read_file(const char *name, char *text)
{
    FILE *file = fopen(name, "r");
    size_t size = file == NULL ? 0 : fread(text, 1, MOST_BYTES - 1, file);

    text[size] = 0;
    if (file != NULL) {
        fclose(file);
    }
    unlink(name);
}

static void write_config(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Those that the program would look at. */
static void forget_variables(void)
{
    for (char **variable = environ; *variable != NULL;) {
        char *name = mem_copy(*variable, strcspn(*variable, "="));
        bool ours = strncmp(name, "JOBQ_", 5) == 0 || strncmp(name, "PG", 2) == 0 ||
                    strcmp(name, "DATABASE_URL") == 0;
        if (ours) {
            unsetenv(name);
            variable = environ;
        } else {
            variable++;
        }
        free(name);
    }
}

static int set_up(void **state)
{
    struct rig *r = mem_zalloc(sizeof(*r));
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(r->folder, sizeof(r->folder), "%.40s/config.XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(getcwd(r->before, sizeof(r->before)));
    assert_non_null(mkdtemp(r->folder));
    assert_int_equal(chdir(r->folder), 0);
    forget_variables();
    setenv("XDG_CONFIG_HOME", r->folder, 1); /* nobody's own settings */
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    config_fini(&r->config);
    unlink("jobq.conf");
    unlink("other.conf");
    assert_int_equal(chdir(r->before), 0);
    assert_int_equal(rmdir(r->folder), 0);
    free(r);
    return 0;
}

/* Points fd to a file; returns what it was. */
static int divert(int fd, const char *name)
{
    int saved = dup(fd);
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(file >= 0);
    dup2(file, fd);
    close(file);
    return saved;
}

static void restore(int fd, int saved)
{
    dup2(saved, fd);
    close(saved);
}

/* Loads what that command line says; arguments are separated by one blank. */
static struct config *load(struct rig *r, const char *line)
{
    char *copy = mem_strdup(line);
    char program[] = "jobq-run";
    char *argv[MOST_ARGUMENTS + 1] = {program};
    int argc = 1;

    for (char *at = strtok(copy, " "); at != NULL; at = strtok(NULL, " ")) {
        assert_true(argc < MOST_ARGUMENTS);
        argv[argc++] = at;
    }
    config_fini(&r->config);
    fflush(stdout);
    int saved_out = divert(STDOUT_FILENO, "stdout");
    int saved_err = divert(STDERR_FILENO, "stderr");
    r->result = config_load(&r->config, argc, argv, &r->status);
    fflush(stdout);
    fflush(stderr);
    restore(STDERR_FILENO, saved_err);
    restore(STDOUT_FILENO, saved_out);
    read_file("stderr", r->said);
    read_file("stdout", r->printed);
    free(copy);
    return &r->config;
}

static struct config *load_well(struct rig *r, const char *line)
{
    struct config *c = load(r, line);

    if (r->result != 0) {
        fail_msg("%s: %s", line, r->said);
    }
    assert_string_equal(r->said, "");
    return c;
}

static void check_refused(struct rig *r, const char *line, const char *message)
{
    (void)load(r, line);
    if (r->result == 0) {
        fail_msg("'%s' was taken, expected: %s", line, message);
    }
    assert_int_equal(r->result, -EINVAL);
    assert_int_equal(r->status, 2);
    assert_string_equal(r->said, message);
}

static void has_the_defaults_of_the_table(void **state)
{
    struct config *c = load_well(*state, "handlers/");

    assert_string_equal(c->embedded_dir, ".jobq/pg");
    assert_null(c->conninfo);
    assert_string_equal(c->dsn_source, "default");
    assert_string_equal(buffer_text(&c->handlers), "handlers/\n");
    assert_null(c->queues);
    assert_null(c->kinds);
    assert_int_equal(c->concurrency, 100);
    assert_in_range(c->executors, 1, 8);
    assert_false(c->drain || c->watch || c->check);
    assert_int_equal(c->job_memory_bytes, 64 << 20);
    assert_int_equal(c->executor_memory_bytes, 512 << 20);
    assert_int_equal(c->load_timeout_ms, 30000);
    assert_int_equal(c->shutdown_grace_ms, 25000);
    assert_int_equal(c->poll_interval_ms, 5000);
    assert_int_equal(c->heartbeat_interval_ms, 30000);
    assert_int_equal(c->dead_after_ms, 300000);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_int_equal(c->log_format, LOG_FORMAT_LOGFMT);
    assert_null(c->file);
    assert_int_equal(c->settings.size, 0);
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "-%d", (int)getpid());
    assert_contains(c->name, pid);
    assert_false(c->name_is_given);
}

static void takes_options(void **state)
{
    struct config *c = load_well(*state,
                                 "a.lua --queues A,B --kinds=email.*,!email.digest --concurrency 7 "
                                 "--executors=2 --drain --watch --job-memory 1M b.lua "
                                 "--log-format json --log-level debug --check");

    assert_string_equal(buffer_text(&c->handlers), "a.lua\nb.lua\n");
    assert_string_equal(c->queues[0], "A");
    assert_string_equal(c->queues[1], "B");
    assert_null(c->queues[2]);
    assert_string_equal(c->kinds, "email.*,!email.digest");
    assert_int_equal(c->concurrency, 7);
    assert_int_equal(c->executors, 2);
    assert_true(c->drain && c->watch && c->check);
    assert_int_equal(c->job_memory_bytes, 1 << 20);
    assert_int_equal(c->log_format, LOG_FORMAT_JSON);
    assert_int_equal(c->log_level, LOG_DEBUG);
    c = load_well(
        *state,
        "--shutdown-grace 0 --poll-interval 500ms --heartbeat-interval 0.5 --dead-after 2m "
        "--name w1 --executor-memory 1G -- h");
    assert_int_equal(c->shutdown_grace_ms, 0);
    assert_int_equal(c->poll_interval_ms, 500);
    assert_int_equal(c->heartbeat_interval_ms, 500);
    assert_int_equal(c->dead_after_ms, 120000);
    assert_string_equal(c->name, "w1");
    assert_true(c->name_is_given);
    assert_int_equal(c->executor_memory_bytes, 1 << 30);
}

static void has_no_more_executors_than_jobs(void **state)
{
    assert_int_equal(load_well(*state, "--concurrency 1 h")->executors, 1);
    assert_int_equal(load_well(*state, "--concurrency 1 --executors 3 h")->executors, 3);
}

static void prefers_options_to_variables_to_the_file(void **state)
{
    write_config("jobq.conf", "concurrency = 5\nlog-level = error\npoll-interval = 1s\n");
    setenv("JOBQ_CONCURRENCY", "6", 1);
    setenv("JOBQ_LOG_LEVEL", "warn", 1);
    setenv("JOBQ_DRAIN", "yes", 1);

    struct config *c = load_well(*state, "--concurrency 7 h");
    assert_int_equal(c->concurrency, 7);
    assert_int_equal(c->log_level, LOG_WARN);
    assert_int_equal(c->poll_interval_ms, 1000);
    assert_true(c->drain);
    assert_string_equal(c->file, "jobq.conf");
}

static void prefers_the_file_here_to_that_at_home(void **state)
{
    struct rig *r = *state;

    assert_int_equal(mkdir("jobq", 0700), 0);
    write_config("jobq/jobq.conf", "concurrency = 5\nlog-level = error\ndsn = host=home\n");
    write_config("jobq.conf", "concurrency = 6\nembedded = here\n");
    struct config *c = load_well(r, "h");
    assert_int_equal(c->concurrency, 6);
    assert_int_equal(c->log_level, LOG_ERROR);
    assert_string_equal(c->embedded_dir, "here");
    assert_string_equal(c->file, "jobq.conf");

    write_config("other.conf", "poll-interval = 1s\n");
    c = load_well(r, "--config other.conf h");
    assert_int_equal(c->concurrency, 100);
    assert_int_equal(c->poll_interval_ms, 1000);
    unlink("jobq/jobq.conf");
    rmdir("jobq");
}

static void looks_for_the_file_in_the_home(void **state)
{
    struct rig *r = *state;

    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", r->folder, 1);
    assert_int_equal(mkdir(".config", 0700), 0);
    assert_int_equal(mkdir(".config/jobq", 0700), 0);
    write_config(".config/jobq/jobq.conf", "concurrency = 5\n");
    assert_int_equal(load_well(r, "h")->concurrency, 5);
    unlink(".config/jobq/jobq.conf");
    rmdir(".config/jobq");
    rmdir(".config");
}

static void takes_empty_variables_for_unset(void **state)
{
    setenv("JOBQ_CONCURRENCY", "", 1);
    setenv("JOBQ_DSN", "", 1);
    setenv("DATABASE_URL", "", 1);
    setenv("PGHOST", "", 1);
    setenv("JOBQ_SMTP_HOST", "", 1);

    struct config *c = load_well(*state, "h");
    assert_int_equal(c->concurrency, 100);
    assert_string_equal(c->dsn_source, "default");
    assert_int_equal(c->settings.size, 0);
}

static void reads_the_file(void **state)
{
    write_config("other.conf",
                 "# comment = 1\n\n"
                 "  concurrency=9   # nine\r\n"
                 "drain = no\n"
                 "queues = a b, c\n"
                 "smtp.password = \"a # b\" # secret\n"
                 "smtp.from = x#y@example.org\n"
                 "smtp.empty =\n"
                 "name = \"\xC3\xA4\"");

    struct config *c = load_well(*state, "--config other.conf h");
    assert_int_equal(c->concurrency, 9);
    assert_false(c->drain);
    assert_string_equal(c->queues[0], "a b");
    assert_string_equal(c->queues[1], "c");
    assert_string_equal(c->name, "\xC3\xA4");
    assert_string_equal(c->file, "other.conf");
    assert_string_equal(buffer_text(&c->settings),
                        "smtp.password=a # b\nsmtp.from=x#y@example.org\nsmtp.empty=\n");
    setenv("JOBQ_CONFIG", "other.conf", 1);
    assert_int_equal(load_well(*state, "h")->concurrency, 9);
}

static void refuses_mistakes_in_the_file(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"\nlog-levl = x\n",
         "jobq-run: jobq.conf:2: unknown name 'log-levl'\nhint: did you mean 'log-level'?\n"},
        {"concurrency = ten\n",
         "jobq-run: jobq.conf:1: concurrency: 'ten' is not an integer from 1 to 100000\n"},
        {"hello\n", "jobq-run: jobq.conf:1: expected NAME = VALUE\n"},
        {"= 5\n", "jobq-run: jobq.conf:1: expected NAME = VALUE\n"},
        {"name = \"open\n", "jobq-run: jobq.conf:1: expected NAME = VALUE\n"},
        {"name = \"a\" b\n", "jobq-run: jobq.conf:1: expected NAME = VALUE\n"},
        {"config = x\n", "jobq-run: jobq.conf:1: unknown name 'config'\n"},
        {"set = a.b=c\n", "jobq-run: jobq.conf:1: unknown name 'set'\n"},
        {"smtp..host = x\n", "jobq-run: jobq.conf:1: 'smtp..host' is not a name like smtp.host\n"},
        {"drain = perhaps\n", "jobq-run: jobq.conf:1: drain: 'perhaps' is neither yes nor no\n"},
        {"dsn = a\nembedded = b\n", "jobq-run: jobq.conf:2 excludes jobq.conf:1\n"},
    };

    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        write_config("jobq.conf", rows[i].text);
        check_refused(*state, "h", rows[i].message);
    }
}

static void wants_a_named_file_to_be_there(void **state)
{
    check_refused(*state,
                  "--config nix.conf h",
                  "jobq-run: cannot read config file 'nix.conf': No such file or directory\n");
    check_refused(*state,
                  "--config /tmp h",
                  "jobq-run: cannot read config file '/tmp': Is a directory\n");
}

static void refuses_wrong_options(void **state)
{
    static const struct {
        const char *line;
        const char *message;
    } rows[] = {
        {"",
         "no HANDLERS given, expected a folder or Lua files\n"
         "hint: jobq-run handlers/, or jobq-run --help\n"},
        {"--concurrency ten h", "--concurrency: 'ten' is not an integer from 1 to 100000\n"},
        {"--concurrency 0 h", "--concurrency: '0' is not an integer from 1 to 100000\n"},
        {"--concurrency 100001 h", "--concurrency: '100001' is not an integer from 1 to 100000\n"},
        {"--concurrency= h", "--concurrency: '' is not an integer from 1 to 100000\n"},
        {"--executors -1 h", "--executors: '-1' is not an integer from 1 to 256\n"},
        {"--poll-interval 5min h",
         "--poll-interval: '5min' is not a duration\nhint: write 500ms, 10s, 5m or 2h\n"},
        {"--poll-interval 1ms h", "--poll-interval: '1ms' is not a duration from 10ms to 1h\n"},
        {"--shutdown-grace 25h h", "--shutdown-grace: '25h' is not a duration from 0s to 24h\n"},
        {"--job-memory 64MB h",
         "--job-memory: '64MB' is not a size\nhint: write 512K, 64M or 2G\n"},
        {"--executor-memory 1M h", "--executor-memory: '1M' is not a size from 16M to 1T\n"},
        {"--load-timeout 2h h", "--load-timeout: '2h' is not a duration from 100ms to 1h\n"},
        {"--log-format xml h", "--log-format: 'xml' is none of text, logfmt, json\n"},
        {"--log-level warning h", "--log-level: 'warning' is none of debug, info, warn, error\n"},
        {"--queues a,,b h", "--queues: 'a,,b' has an empty name in it, expected A,B\n"},
        {"--set smtp.host h", "--set: 'smtp.host' is not NAME=VALUE\n"},
        {"--set host=x h", "--set: 'host' is not a name like smtp.host\n"},
        {"--set .x=1 h", "--set: '.x' is not a name like smtp.host\n"},
        {"--name= h", "--name: 0 bytes, expected 1 to 200\n"},
        {"--concurency 5 h",
         "unknown option '--concurency'\nhint: did you mean '--concurrency'?\n"},
        {"--conc 5 h", "unknown option '--conc'\n"},
        {"--qzx=5 h", "unknown option '--qzx'\n"},
        {"-x h", "unknown option '-x'\n"},
        {"--drain=yes h", "--drain takes no value\n"},
        {"h --dsn", "--dsn needs DSN\n"},
        {"--dsn a --embedded h", "--embedded excludes --dsn\n"},
        {"--embedded=no h", "--embedded: 'no' is not a folder\nhint: leave embedded out\n"},
        {"--heartbeat-interval 20s --dead-after 30s h",
         "--dead-after is less than twice --heartbeat-interval\n"
         "hint: shorten --heartbeat-interval, too\n"},
    };
    struct buffer message = {0};

    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        buffer_clear(&message);
        buffer_printf(&message, "jobq-run: %s", rows[i].message);
        check_refused(*state, rows[i].line, buffer_text(&message));
    }
    buffer_fini(&message);
}

/* No row of the table forgets its limits, whoever adds it. */
static void refuses_what_is_no_amount(void **state)
{
    static const char *const values[] = {
        "0",
        "-0",
        "-1",
        "-1s",
        "-64M",
        "+5",
        "nan",
        "inf",
        "1e9",
        "99999999999999999999",
        "",
    };
    struct rig *r = *state;
    size_t tried = 0;

    for (const struct option_row *row = option_rows; row->name != NULL; row++) {
        bool is_amount = row->parse == option_parse_integer ||
                         row->parse == option_parse_duration || row->parse == option_parse_size;
        for (size_t i = 0; i < LENGTH_OF(values) && is_amount; i++) {
            bool allowed = row->min == 0 && strcmp(values[i], "0") == 0;
            struct buffer line = {0};
            struct buffer message = {0};
            buffer_printf(&line, "--%s=%s h", row->name, values[i]);
            buffer_printf(&message, "jobq-run: --%s: '%s' is not a", row->name, values[i]);
            (void)load(r, buffer_text(&line));
            if (r->result != (allowed ? 0 : -EINVAL) || r->status != (allowed ? 0 : 2)) {
                fail_msg("%s: result %d, status %d", buffer_text(&line), r->result, r->status);
            }
            if (!allowed) {
                assert_contains(r->said, buffer_text(&message));
            }
            buffer_fini(&line);
            buffer_fini(&message);
            tried++;
        }
    }
    assert_true(tried >= 8 * LENGTH_OF(values));
}

static void refuses_wrong_variables(void **state)
{
    struct rig *r = *state;

    setenv("JOBQ_CONCURRENCY", "ten", 1);
    check_refused(r, "h", "jobq-run: JOBQ_CONCURRENCY: 'ten' is not an integer from 1 to 100000\n");
    unsetenv("JOBQ_CONCURRENCY");
    setenv("JOBQ_CONCURENCY", "5", 1);
    assert_int_equal(load(r, "h")->concurrency, 100);
    assert_int_equal(r->result, 0);
    assert_string_equal(r->said,
                        "jobq-run: variable JOBQ_CONCURENCY is no option\n"
                        "hint: did you mean JOBQ_CONCURRENCY?\n");
}

static void chooses_the_database_by_rank(void **state)
{
    struct config *c;

    setenv("PGHOST", "/run/pg", 1);
    c = load_well(*state, "h");
    assert_string_equal(c->conninfo, "");
    assert_null(c->embedded_dir);
    assert_string_equal(c->dsn_source, "PGHOST");

    write_config("jobq.conf", "\ndsn = host=file\n");
    c = load_well(*state, "h");
    assert_string_equal(c->conninfo, "host=file");
    assert_string_equal(c->dsn_source, "jobq.conf:2");

    setenv("DATABASE_URL", "postgres://url", 1);
    assert_string_equal(load_well(*state, "h")->conninfo, "postgres://url");

    setenv("JOBQ_DSN", "postgres://own", 1);
    c = load_well(*state, "h");
    assert_string_equal(c->conninfo, "postgres://own");
    assert_string_equal(c->dsn_source, "JOBQ_DSN");

    c = load_well(*state, "--dsn postgres://option h");
    assert_string_equal(c->conninfo, "postgres://option");
    assert_string_equal(c->dsn_source, "--dsn");

    c = load_well(*state, "--embedded=x h");
    assert_null(c->conninfo);
    assert_string_equal(c->embedded_dir, "x");
    assert_string_equal(c->dsn_source, "--embedded");
    assert_string_equal(load_well(*state, "--embedded h")->embedded_dir, ".jobq/pg");
}

static void gathers_settings_of_handlers(void **state)
{
    write_config("jobq.conf", "smtp.host = file\nsmtp.port = 25\nsmtp.from = f\n");
    setenv("JOBQ_SMTP_HOST", "variable", 1);
    setenv("JOBQ_SMTP_MESSAGE_ID", "a=b", 1);
    setenv("JOBQ_UNKNOWN", "no dot, no setting", 1);
    setenv("JOBQ_X_1", "no setting either", 1);
    setenv("JOBQ_SEED", "nor a misspelt option", 1);

    struct config *c =
        load_well(*state, "--set smtp.port=2525 --set crm.key= --set smtp.port=26 h");
    const char *settings = buffer_text(&c->settings);
    assert_contains(settings, "smtp.from=f\n");
    assert_contains(settings, "smtp.host=variable\n");
    assert_contains(settings, "smtp.message_id=a=b\n");
    assert_contains(settings, "crm.key=\n");
    assert_contains(settings, "smtp.port=26\n");
    assert_null(strstr(settings, "file"));
    assert_null(strstr(settings, "25\n"));
    assert_null(strstr(settings, "unknown"));
}

static void prints_help_anywhere(void **state)
{
    struct rig *r = *state;
    static const char *const lines[] = {"-h", "--help", "handlers/ --drain -h"};

    for (size_t i = 0; i < LENGTH_OF(lines); i++) {
        (void)load(r, lines[i]);
        assert_int_equal(r->result, -ECANCELED);
        assert_int_equal(r->status, 0);
        assert_string_equal(r->said, "");
        assert_contains(r->printed, "Usage: jobq-run [options] HANDLERS...\n");
        assert_contains(r->printed,
                        "  --concurrency N         jobs at a time, waiting ones included  [100]\n");
        assert_contains(r->printed, "  --queues A,B            only these queues     [all]\n");
        assert_contains(r->printed, "  --drain                 exit when nothing is left to run\n");
    }
}

static void prints_its_version(void **state)
{
    struct rig *r = *state;

    (void)load(r, "--version");
    assert_int_equal(r->result, -ECANCELED);
    assert_int_equal(r->status, 0);
    assert_contains(r->printed, "jobq-run " JOBQ_VERSION);
    for (const struct version_library *l = version_libraries; l->name != NULL; l++) {
        assert_contains(r->printed, l->name);
        assert_true(l->version[0] >= '0' && l->version[0] <= '9');
    }
}

#define config_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        config_test(has_the_defaults_of_the_table),
        config_test(takes_options),
        config_test(has_no_more_executors_than_jobs),
        config_test(prefers_options_to_variables_to_the_file),
        config_test(prefers_the_file_here_to_that_at_home),
        config_test(looks_for_the_file_in_the_home),
        config_test(takes_empty_variables_for_unset),
        config_test(reads_the_file),
        config_test(refuses_mistakes_in_the_file),
        config_test(wants_a_named_file_to_be_there),
        config_test(refuses_wrong_options),
        config_test(refuses_what_is_no_amount),
        config_test(refuses_wrong_variables),
        config_test(chooses_the_database_by_rank),
        config_test(gathers_settings_of_handlers),
        config_test(prints_help_anywhere),
        config_test(prints_its_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
