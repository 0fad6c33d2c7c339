/* help.c - the page of --help, its middle from the table of options. */
#include "core/app/help.h"

#include <string.h>

#include "core/app/option.h"

#define OPTION_WIDTH 24
#define HELP_WIDTH   22

static void add_row(struct buffer *out, const struct option_row *row);

void help_add(struct buffer *out)
{
    buffer_add_text(
        out,
        "Usage: jobq-run [options] HANDLERS...\n"
        "Runs the jobs that the Lua files in HANDLERS know how to do.\n"
        "\n"
        "Examples:\n"
        "  jobq-run handlers/                         with its own PostgreSQL, for trying out\n"
        "  jobq-run --dsn postgres://app@db/orders handlers/\n"
        "  jobq-run --kinds 'email.*' --concurrency 200 handlers/\n"
        "  jobq-run --drain handlers/                 work the queue empty, then exit\n"
        "\n");
    for (const struct option_row *row = option_rows; row->name != NULL; row++) {
        if (row->section != NULL) {
            buffer_printf(out, "%s\n", row->section);
        }
        if (row->help != NULL) {
            add_row(out, row);
        }
    }
    buffer_add_text(
        out,
        "  -h, --help, --version\n"
        "\n"
        "Every option is also a variable (JOBQ_LOG_LEVEL) and a line of the config file "
        "(log-level = debug).\n"
        "Handler settings are variables (JOBQ_SMTP_HOST) and lines (smtp.host = mx1), too.\n"
        "Signals: TERM, INT stop gracefully (again: at once), HUP reloads, USR1 logs what runs "
        "where.\n"
        "Exit status: 0 done, 1 failed, 2 usage, 3 handlers do not load, 4 no database, 5 no "
        "rights,\n"
        "  7 schema mismatch, 8 another worker has the name, 9 the database can only be read,\n"
        "  75 stopped while the database was away.\n");
}

static void add_row(struct buffer *out, const struct option_row *row)
{
    struct buffer option = {0};
    const char *shown = row->shown != NULL ? row->shown : row->fallback;

    buffer_printf(&option, "--%s", row->name);
    if (row->argument != NULL) {
        buffer_printf(&option, "%s%s", row->argument[0] == '[' ? "" : " ", row->argument);
    }
    buffer_printf(out, "  %-*s", OPTION_WIDTH, buffer_text(&option));
    if (shown == NULL) {
        buffer_printf(out, "%s\n", row->help);
    } else {
        int width = strlen(row->help) < HELP_WIDTH ? HELP_WIDTH : (int)strlen(row->help) + 2;
        buffer_printf(out, "%-*s[%s]\n", width, row->help, shown);
    }
    buffer_fini(&option);
}
