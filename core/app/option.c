/* option.c - the table of options, and names as people and as environments write them. */
#include "core/app/option.h"

#include <ctype.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS   (60 * MINUTE_MS)
#define MEBIBYTE  ((int64_t)1 << 20)
#define TEBIBYTE  ((int64_t)1 << 40)
#define FIELD(f)  offsetof(struct config, f)

/* In the order of --help. */
const struct option_row option_rows[] = {
    {.section = "Database:",
     .name = "dsn",
     .argument = "DSN",
     .help = "URI or keywords",
     .shown = "JOBQ_DSN, DATABASE_URL, PG*",
     .parse = option_parse_dsn},
    {.name = "embedded",
     .argument = "[=DIR]",
     .help = "private PostgreSQL",
     .shown = "without a DSN: .jobq/pg",
     .parse = option_parse_embedded},
    {.section = "What to run:",
     .name = "queues",
     .argument = "A,B",
     .help = "only these queues",
     .shown = "all",
     .parse = option_parse_queues},
    {.name = "kinds",
     .argument = "PATTERNS",
     .help = "e.g. 'email.*,!email.digest'",
     .shown = "all that HANDLERS define",
     .parse = option_parse_text,
     .offset = FIELD(kinds),
     .max = 10000},
    {.name = "concurrency",
     .argument = "N",
     .help = "jobs at a time, waiting ones included",
     .fallback = "100",
     .parse = option_parse_integer,
     .offset = FIELD(concurrency),
     .min = 1,
     .max = 100000},
    {.name = "executors",
     .argument = "N",
     .help = "Lua processes",
     .shown = "CPUs, at most 8",
     .parse = option_parse_integer,
     .offset = FIELD(executors),
     .min = 1,
     .max = 256},
    {.name = "drain",
     .help = "exit when nothing is left to run",
     .parse = option_parse_flag,
     .offset = FIELD(drain)},
    {.name = "watch",
     .help = "reload when a handler file changes",
     .parse = option_parse_flag,
     .offset = FIELD(watch)},
    {.section = "Limits and times (500ms, 10s, 5m; plain numbers are seconds):",
     .name = "job-memory",
     .argument = "SIZE",
     .help = "Lua memory of one run",
     .fallback = "64M",
     .parse = option_parse_size,
     .offset = FIELD(job_memory_bytes),
     .min = MEBIBYTE,
     .max = TEBIBYTE},
    {.name = "executor-memory",
     .argument = "SIZE",
     .help = "a larger one is drained and replaced",
     .fallback = "512M",
     .parse = option_parse_size,
     .offset = FIELD(executor_memory_bytes),
     .min = 16 * MEBIBYTE,
     .max = TEBIBYTE},
    {.name = "load-timeout",
     .argument = "T",
     .help = "for handlers to load",
     .fallback = "30s",
     .parse = option_parse_duration,
     .offset = FIELD(load_timeout_ms),
     .min = 100,
     .max = HOUR_MS},
    {.name = "shutdown-grace",
     .argument = "T",
     .help = "for running jobs",
     .fallback = "25s",
     .parse = option_parse_duration,
     .offset = FIELD(shutdown_grace_ms),
     .min = 0,
     .max = 24 * HOUR_MS},
    {.name = "poll-interval",
     .argument = "T",
     .help = "safety net",
     .fallback = "5s",
     .parse = option_parse_duration,
     .offset = FIELD(poll_interval_ms),
     .min = 10,
     .max = HOUR_MS},
    {.name = "heartbeat-interval",
     .argument = "T",
     .help = "sign of life",
     .fallback = "30s",
     .parse = option_parse_duration,
     .offset = FIELD(heartbeat_interval_ms),
     .min = 10,
     .max = HOUR_MS},
    {.name = "dead-after",
     .argument = "T",
     .help = "take over the jobs of a silent worker",
     .fallback = "5m",
     .parse = option_parse_duration,
     .offset = FIELD(dead_after_ms),
     .min = 100,
     .max = 24 * HOUR_MS},
    {.section = "Other:",
     .name = "config",
     .argument = "FILE",
     .help = "settings",
     .shown = "jobq.conf here, in ~/.config/jobq, /etc/jobq",
     .parse = option_parse_text,
     .offset = FIELD(file),
     .max = 4095},
    {.name = "set",
     .argument = "NAME=VALUE",
     .help = "a handler setting, e.g. smtp.host=mx1",
     .parse = option_parse_setting,
     .command_line_only = true},
    {.name = "name",
     .argument = "NAME",
     .help = "of this worker",
     .shown = "HOST-PID",
     .parse = option_parse_text,
     .offset = FIELD(name),
     .max = 200},
    {.name = "log-format",
     .argument = "FORMAT",
     .help = "text, logfmt, json",
     .shown = "terminal: text, else logfmt",
     .parse = option_parse_format},
    {.name = "log-level",
     .argument = "LEVEL",
     .help = "debug, info, warn, error",
     .fallback = "info",
     .parse = option_parse_level},
    {.name = "check",
     .help = "load the handlers, report, exit",
     .parse = option_parse_flag,
     .offset = FIELD(check)},
    {.name = "run-once", /* this and the next are for `jobq run-once`, not for people */
     .argument = "KIND",
     .parse = option_parse_text,
     .offset = FIELD(run_once),
     .max = 200,
     .command_line_only = true},
    {.name = "attempt",
     .argument = "N",
     .fallback = "1",
     .parse = option_parse_integer,
     .offset = FIELD(attempt),
     .min = 1,
     .max = 32767,
     .command_line_only = true},
    {.name = "serve", /* for `jobq serve`, not for people */
     .argument = "HOST:PORT",
     .parse = option_parse_listen,
     .offset = FIELD(serve),
     .command_line_only = true},
    {.name = "help", .command_line_only = true},
    {.name = "version", .command_line_only = true},
    {.name = NULL},
};

const struct option_row *option_find(const char *name)
{
    for (const struct option_row *row = option_rows; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0) {
            return row;
        }
    }
    return NULL;
}

const char *option_nearest(const char *name)
{
    const char *names[LENGTH_OF(option_rows)];

    for (size_t i = 0; i < LENGTH_OF(option_rows); i++) {
        names[i] = option_rows[i].name;
    }
    return text_nearest(name, names);
}

void option_add_name(struct buffer *out, const char *variable)
{
    for (; *variable != 0; variable++) {
        /* In parentheses it is the function: the macro is a page of code. */
        int letter = (tolower)((unsigned char)*variable);
        buffer_printf(out, "%c", letter == '_' ? '-' : letter);
    }
}

void option_add_variable(struct buffer *out, const char *name)
{
    for (; *name != 0; name++) {
        int letter = (toupper)((unsigned char)*name);
        buffer_printf(out, "%c", letter == '-' ? '_' : letter);
    }
}
