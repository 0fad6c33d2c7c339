/*
 * config.c - layers of values, the weakest first; all are checked, the last one stays.
 *
 * defaults  PG*  config files (/etc, home, here)  DATABASE_URL  JOBQ_*  command line
 */
#include "core/app/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "core/app/config_file.h"
#include "core/app/help.h"
#include "core/app/option.h"
#include "core/base/version.h"

#define USAGE_STATUS    2
#define MOST_EXECUTORS  8
#define MOST_OPTIONS    64
#define VARIABLE_PREFIX "JOBQ_"

/* getopt answers FIRST_LONG + the index of the row. */
#define FIRST_LONG 256

/* One option of the command line. */
struct given {
    const struct option_row *row;
    const char *value; /* borrowed from argv */
};

struct loader {
    struct config *c;
    struct given *given; /* owned; in order */
    size_t given_count;
    enum option_layer layer;            /* being read */
    const struct option_row *dsn_row;   /* what chose the database in this layer, or NULL */
    const struct option_row *asked_for; /* help or version, or NULL */
    struct buffer error;
};

static int read_arguments(struct loader *l, int argc, char **argv);
static int refuse_unknown(struct loader *l, char **argv);
static int take_option(struct loader *l, int answer, char **argv);
static int apply_defaults(struct loader *l);
static int apply_file(struct loader *l);
static int apply_variables(struct loader *l);
static int apply_given(struct loader *l);
static int apply(struct loader *l,
                 const struct option_row *row,
                 const char *where,
                 const char *value);
static int finish(struct loader *l);
static void print(const struct option_row *asked_for);

int config_load(struct config *c, int argc, char **argv, int *exit_status)
{
    struct loader l = {.c = c};

    *c = (struct config){0};
    *exit_status = 0;
    int r = read_arguments(&l, argc, argv);
    if (r == 0 && l.asked_for != NULL) {
        print(l.asked_for);
        r = -ECANCELED;
    }
    if (r == 0) {
        r = apply_defaults(&l);
    }
    if (r == 0) {
        r = apply_file(&l);
    }
    if (r == 0) {
        r = apply_variables(&l);
    }
    if (r == 0) {
        r = apply_given(&l);
    }
    if (r == 0) {
        r = finish(&l);
    }
    if (r == -EINVAL) {
        (void)fprintf(stderr, "jobq-run: %s\n", buffer_text(&l.error));
        *exit_status = USAGE_STATUS;
    }
    free(l.given);
    buffer_fini(&l.error);
    return r;
}

void config_fini(struct config *c)
{
    free(c->conninfo);
    free(c->embedded_dir);
    free(c->dsn_source);
    free(c->kinds);
    free(c->run_once);
    free(c->serve);
    free(c->name);
    free(c->file);
    option_free_list(c->queues);
    buffer_fini(&c->handlers);
    buffer_fini(&c->settings);
    *c = (struct config){0};
}

static int fail(struct loader *l, const char *where, const char *what, const char *value)
{
    buffer_printf(&l->error, "%s%s%s '%s'", where, *where == 0 ? "" : ": ", what, value);
    return -EINVAL;
}

static void hint(struct loader *l, const char *prefix, const char *name)
{
    if (name != NULL) {
        buffer_printf(&l->error, "\nhint: did you mean '%s%s'?", prefix, name);
    }
}

static int read_arguments(struct loader *l, int argc, char **argv)
{
    struct option longs[MOST_OPTIONS] = {{0}};
    int answer = 0;

    if (refuse_unknown(l, argv) != 0) {
        return -EINVAL;
    }
    for (int i = 0; option_rows[i].name != NULL; i++) {
        const char *argument = option_rows[i].argument;
        int need = argument == NULL ? no_argument : required_argument;
        longs[i].name = option_rows[i].name;
        longs[i].has_arg = argument != NULL && argument[0] == '[' ? optional_argument : need;
        longs[i].val = FIRST_LONG + i;
    }
    l->given = mem_zalloc((size_t)argc * sizeof(*l->given));
    opterr = 0;
    optind = 0; /* glibc: start over, whoever parsed before */
    while ((answer = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        if (take_option(l, answer, argv) != 0) {
            return -EINVAL;
        }
    }
    for (int i = optind; i < argc; i++) {
        if (argv[i][0] == 0 || strchr(argv[i], '\n') != NULL) {
            return fail(l, "", "no file has the name", argv[i]);
        }
        buffer_printf(&l->c->handlers, "%s\n", argv[i]);
    }
    return 0;
}

/* getopt_long would take --conc for --concurrency; a later option could then break a script. */
static int refuse_unknown(struct loader *l, char **argv)
{
    for (char **argument = argv + 1; *argument != NULL && strcmp(*argument, "--") != 0;
         argument++) {
        if (strncmp(*argument, "--", 2) != 0) {
            continue;
        }
        char *name = mem_copy(*argument + 2, strcspn(*argument + 2, "="));
        bool known = option_find(name) != NULL;
        if (!known) {
            buffer_printf(&l->error, "unknown option '--%s'", name);
            hint(l, "--", option_nearest(name));
        }
        free(name);
        if (!known) {
            return -EINVAL;
        }
    }
    return 0;
}

static int take_option(struct loader *l, int answer, char **argv)
{
    if (answer == ':') {
        const struct option_row *row = &option_rows[optopt - FIRST_LONG];
        buffer_printf(&l->error, "--%s needs %s", row->name, row->argument);
        return -EINVAL;
    }
    if (answer == '?' && optopt >= FIRST_LONG) {
        buffer_printf(&l->error, "--%s takes no value", option_rows[optopt - FIRST_LONG].name);
        return -EINVAL;
    }
    if (answer == '?') {
        char name[] = {'-', (char)optopt, 0};
        return fail(l, "", "unknown option", optopt == 0 ? argv[optind - 1] : name);
    }
    const struct option_row *row =
        answer == 'h' ? option_find("help") : &option_rows[answer - FIRST_LONG];
    if (row->parse == NULL) {
        l->asked_for = l->asked_for == NULL ? row : l->asked_for;
    } else {
        const char *value = optarg != NULL ? optarg : "yes";
        l->given[l->given_count++] = (struct given){row, value};
    }
    return 0;
}

/* Whether the environment tells libpq where to go, and the variable that does. */
static const char *libpq_variable(void)
{
    static const char *const names[] =
        {"PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT", "PGUSER"};

    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && *value != 0) {
            return names[i];
        }
    }
    return NULL;
}

static int apply_defaults(struct loader *l)
{
    const char *variable = libpq_variable();
    int r = apply(l, option_find("embedded"), "default", "yes");

    l->dsn_row = NULL;
    if (r == 0 && variable != NULL) {
        r = apply(l, option_find("dsn"), variable, "");
    }
    for (const struct option_row *row = option_rows; row->name != NULL && r == 0; row++) {
        if (row->fallback != NULL) {
            r = apply(l, row, row->name, row->fallback);
        }
    }
    l->c->log_format = isatty(STDERR_FILENO) ? LOG_FORMAT_TEXT : LOG_FORMAT_LOGFMT;
    return r;
}

static int on_line(void *arg, const char *where, const char *name, const char *value)
{
    struct loader *l = arg;
    const struct option_row *row = option_find(name);

    if (strchr(name, '.') != NULL) {
        buffer_printf(&l->error, "%s: ", where);
        int r = option_set(l->c, slice_of(name), value, &l->error);
        if (r == 0) {
            buffer_clear(&l->error);
        }
        return r;
    }
    if (row == NULL || row->command_line_only || strcmp(name, "config") == 0) {
        (void)fail(l, where, "unknown name", name);
        hint(l, "", row == NULL ? option_nearest(name) : NULL);
        return -EINVAL;
    }
    return apply(l, row, where, value);
}

static int read_file(struct loader *l, const char *path)
{
    l->layer = OPTION_FILE;
    l->dsn_row = NULL;
    int r = config_file_read(path, on_line, l, &l->error);
    if (r != 0 && l->error.size == 0) {
        buffer_printf(&l->error, "cannot read config file '%s': %s", path, strerror(-r));
    }
    if (r == 0) {
        free(l->c->file);
        l->c->file = mem_strdup(path);
    }
    return r == 0 ? 0 : -EINVAL;
}

/* --config, else JOBQ_CONFIG: that file alone, and it must be there. Else all that there are. */
static int apply_file(struct loader *l)
{
    const char *path = getenv(VARIABLE_PREFIX "CONFIG");
    struct buffer place = {0};
    int r = 0;

    for (size_t i = 0; i < l->given_count; i++) {
        if (strcmp(l->given[i].row->name, "config") == 0) {
            path = l->given[i].value;
        }
    }
    if (path != NULL && *path != 0) {
        return read_file(l, path);
    }
    for (unsigned i = 0; r == 0 && config_file_place(i, &place); i++) {
        /* One in /etc that only a service may read is none of ours. */
        int needed = i == CONFIG_FILE_HERE ? F_OK : R_OK;
        if (place.size > 0 && access(buffer_text(&place), needed) == 0) {
            r = read_file(l, buffer_text(&place));
        }
        buffer_clear(&place);
    }
    buffer_fini(&place);
    return r;
}

/* JOBQ_SMTP_HOST is smtp.host, JOBQ_SMTP_MESSAGE_ID is smtp.message_id. Others are not ours. */
static int apply_setting_variable(struct loader *l, const char *variable, const char *name)
{
    char *setting = mem_strdup(name);
    const char *value = variable + strcspn(variable, "=") + 1;

    for (char *at = setting; *at != 0; at++) {
        if (*at == '-') {
            *at = '_';
        }
    }
    char *dot = strchr(setting, '_');
    int r = 0;
    if (dot != NULL) {
        *dot = '.';
    }
    if (option_is_setting(slice_of(setting))) {
        r = option_set(l->c, slice_of(setting), value, &l->error);
    }
    free(setting);
    return r;
}

static void warn_of_typo(const char *variable, const char *nearest)
{
    struct buffer meant = {0};

    option_add_variable(&meant, nearest);
    (void)fprintf(stderr,
                  "jobq-run: variable %.*s is no option\nhint: did you mean " VARIABLE_PREFIX
                  "%s?\n",
                  (int)strcspn(variable, "="),
                  variable,
                  buffer_text(&meant));
    buffer_fini(&meant);
}

static const char *nearest_variable(const char *name)
{
    const char *nearest = option_nearest(name);

    return nearest == NULL || option_find(nearest)->command_line_only ? NULL : nearest;
}

static int apply_variable(struct loader *l, const char *variable)
{
    size_t name_size = strcspn(variable, "=");
    char *where = mem_copy(variable, name_size);
    const char *value = variable + name_size + (variable[name_size] == '=' ? 1 : 0);
    struct buffer name = {0};
    const char *near;
    int r = 0;

    option_add_name(&name, where + strlen(VARIABLE_PREFIX));
    const struct option_row *row = option_find(buffer_text(&name));
    if (*value == 0) {
        r = 0; /* set to nothing is how compose files leave a variable out */
    } else if (row != NULL && !row->command_line_only) {
        r = apply(l, row, where, value);
    } else if (row == NULL && (near = nearest_variable(buffer_text(&name))) != NULL) {
        warn_of_typo(variable, near);
    } else {
        r = apply_setting_variable(l, variable, buffer_text(&name));
    }
    buffer_fini(&name);
    free(where);
    return r;
}

static int apply_variables(struct loader *l)
{
    const char *url = getenv("DATABASE_URL");
    int r = 0;

    l->layer = OPTION_VARIABLE;
    l->dsn_row = NULL;
    if (url != NULL && *url != 0) {
        r = apply(l, option_find("dsn"), "DATABASE_URL", url);
    }
    l->dsn_row = NULL;
    for (char **variable = environ; variable != NULL && *variable != NULL && r == 0; variable++) {
        if (strncmp(*variable, VARIABLE_PREFIX, strlen(VARIABLE_PREFIX)) == 0) {
            r = apply_variable(l, *variable);
        }
    }
    return r;
}

static int apply_given(struct loader *l)
{
    int r = 0;

    l->layer = OPTION_ARGUMENT;
    l->dsn_row = NULL;
    for (size_t i = 0; i < l->given_count && r == 0; i++) {
        struct buffer where = {0};
        buffer_printf(&where, "--%s", l->given[i].row->name);
        r = apply(l, l->given[i].row, buffer_text(&where), l->given[i].value);
        buffer_fini(&where);
    }
    return r;
}

/* Remembers who chose the database; two of one layer contradict each other. */
static int choose_database(struct loader *l, const struct option_row *row, const char *where)
{
    if (l->dsn_row != NULL && l->dsn_row != row) {
        buffer_printf(&l->error, "%s excludes %s", where, l->c->dsn_source);
        return -EINVAL;
    }
    l->dsn_row = row;
    free(l->c->dsn_source);
    l->c->dsn_source = mem_strdup(where);
    return 0;
}

static int apply(struct loader *l,
                 const struct option_row *row,
                 const char *where,
                 const char *value)
{
    bool chooses = row->parse == option_parse_dsn || row->parse == option_parse_embedded;
    struct buffer why = {0};

    if (chooses && choose_database(l, row, where) != 0) {
        return -EINVAL;
    }
    int r = row->parse(l->c, row, value, &why);
    if (r != 0) {
        const char *name = l->layer == OPTION_FILE ? row->name : "";
        buffer_printf(&l->error, "%s: %s%s", where, name, *name == 0 ? "" : ": ");
        buffer_add_slice(&l->error, buffer_slice(&why));
    }
    buffer_fini(&why);
    return r;
}

static char *default_name(void)
{
    char host[256] = "";
    struct buffer name = {0};

    if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == 0) {
        (void)snprintf(host, sizeof(host), "localhost");
    }
    buffer_printf(&name, "%s-%d", host, (int)getpid());
    return name.data;
}

/* What depends on other values. */
static int finish(struct loader *l)
{
    struct config *c = l->c;

    if (c->handlers.size == 0) {
        buffer_add_text(&l->error, "no HANDLERS given, expected a folder or Lua files");
        buffer_add_text(&l->error, "\nhint: jobq-run handlers/, or jobq-run --help");
        return -EINVAL;
    }
    if (c->dead_after_ms < 2 * c->heartbeat_interval_ms) {
        buffer_add_text(&l->error, "--dead-after is less than twice --heartbeat-interval");
        buffer_add_text(&l->error, "\nhint: shorten --heartbeat-interval, too");
        return -EINVAL;
    }
    if (c->executors == 0) {
        c->executors = uv_available_parallelism();
        c->executors = c->executors > MOST_EXECUTORS ? MOST_EXECUTORS : c->executors;
        c->executors = c->executors > c->concurrency ? c->concurrency : c->executors;
    }
    c->name_is_given = c->name != NULL;
    if (c->name == NULL) {
        c->name = default_name();
    }
    return 0;
}

static void print(const struct option_row *asked_for)
{
    struct buffer page = {0};

    if (strcmp(asked_for->name, "help") == 0) {
        help_add(&page);
    } else {
        version_add(&page, "jobq-run");
    }
    (void)fputs(buffer_text(&page), stdout);
    (void)fflush(stdout);
    buffer_fini(&page);
}
