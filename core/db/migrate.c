/*
 * migrate.c - each migration is its file, then a row in jobq.migration; all of them or none.
 *
 * The first migration makes that table. What a file needs of workers stands in its first line:
 * -- min_worker: 0.2.0
 */
#include "core/db/migrate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "core/base/log.h"
#include "core/db/client.h"

/* The key of the advisory lock that migrations take; workers lock with two keys, never with one. */
#define LOCK_STATEMENT "SELECT pg_advisory_xact_lock(7310037417485171)"

/*
 * The lock is held as long as somebody else migrates. A table that stays busy is another matter: all
 * who use it would queue up behind us, so give up soon.
 */
#define BEGIN_STATEMENTS                                                                    \
    "BEGIN; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL statement_timeout = 0; " \
    "SET LOCAL lock_timeout = '5min'; " LOCK_STATEMENT "; SET LOCAL lock_timeout = '10s'"

/*
 * Asked first, so that the server's log of a fresh database shows no error. to_regclass() would not do:
 * it remembers from before the lock that there is no such schema.
 */
#define TABLE_EXISTS                                            \
    "EXISTS (SELECT FROM pg_catalog.pg_class c "                \
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " \
    "WHERE n.nspname = 'jobq' AND c.relname = 'migration')"

#define MIN_WORKER_MARK "-- min_worker: "

#define INSUFFICIENT_PRIVILEGE "42501"
#define READ_ONLY              "25006"

struct migrator {
    struct client *client; /* owned */
    struct buffer *error;  /* borrowed */
};

static int open_client(struct migrator *m, const char *conninfo);
static int run(struct migrator *m, const char *sql, const char *during);
static int read_state(struct migrator *m, struct schema_state *state);
static int apply_missing(struct migrator *m, struct schema_state *before);
static int apply_one(struct migrator *m, const struct migration *migration);
static int fail(struct migrator *m, const char *during);
static int fail_rights(struct migrator *m, int version);
static void add_row(struct buffer *out, const struct migration *migration);
static struct slice min_worker_of(const struct migration *migration);
static void add_first_line(struct buffer *out, const char *text);
static void report_notices(struct client *client);

int migrate_newest(void)
{
    int newest = 0;

    for (const struct migration *m = migrations; m->number != 0; m++) {
        newest = m->number;
    }
    return newest;
}

int migrate_judge(const struct schema_state *state, struct buffer *error)
{
    if (state->version == 0) {
        buffer_add_text(error, "the database has no jobq schema\nhint: jobq migrate makes it");
        return -EPROTO;
    }
    if (state->version < migrate_newest()) {
        buffer_printf(error,
                      "database schema is %d, at least %d is needed\nhint: jobq migrate",
                      state->version,
                      migrate_newest());
        return -EPROTO;
    }
    if (version_compare(JOBQ_VERSION, state->min_worker) < 0) {
        buffer_printf(error,
                      "database schema %d needs version %s or later, this is %s\n"
                      "hint: upgrade jobq on this machine",
                      state->version,
                      state->min_worker,
                      JOBQ_VERSION);
        return -EPROTO;
    }
    return 0;
}

int migrate_up(const char *conninfo, migrate_applied_fn applied, void *arg, struct buffer *error)
{
    struct migrator m = {.error = error};
    struct schema_state before = {0};

    int r = open_client(&m, conninfo);
    if (r == 0) {
        r = read_state(&m, &before);
    }
    if (r == 0 && before.version >= migrate_newest()) {
        r = migrate_judge(&before, error);
        client_close(m.client);
        return r;
    }
    if (r == 0) {
        r = apply_missing(&m, &before);
    }
    client_close(m.client);
    for (const struct migration *each = migrations; each->number != 0 && r == 0; each++) {
        if (each->number > before.version && applied != NULL) {
            applied(arg, each);
        }
    }
    return r;
}

int migrate_state(const char *conninfo, struct schema_state *state, struct buffer *error)
{
    struct migrator m = {.error = error};

    *state = (struct schema_state){0};
    int r = open_client(&m, conninfo);
    if (r == 0) {
        r = read_state(&m, state);
    }
    client_close(m.client);
    return r;
}

void migrate_print(int from, struct buffer *out)
{
    buffer_printf(out,
                  "-- From schema %d to %d, for psql, as the owner of the database.\n"
                  "\\set ON_ERROR_STOP on\n" BEGIN_STATEMENTS ";\n",
                  from,
                  migrate_newest());
    buffer_add_text(out, "DO $$\nDECLARE\n  found int := 0;\nBEGIN\n");
    buffer_add_text(out, "  IF " TABLE_EXISTS " THEN\n");
    buffer_add_text(out, "    SELECT max(number) INTO found FROM jobq.migration;\n  END IF;\n");
    buffer_printf(out, "  IF found <> %d THEN\n", from);
    buffer_printf(out, "    RAISE 'the schema is %%, this script goes on from %d', found;\n", from);
    buffer_add_text(out, "  END IF;\nEND $$;\n");
    for (const struct migration *m = migrations; m->number != 0; m++) {
        if (m->number > from) {
            buffer_printf(out, "\n-- %04d_%s.sql\n%s\n", m->number, m->name, m->text);
            add_row(out, m);
        }
    }
    buffer_add_text(out, "\nCOMMIT;\n");
}

int version_compare(const char *a, const char *b)
{
    while (*a != 0 || *b != 0) {
        char *a_end;
        char *b_end;
        unsigned long a_part = strtoul(a, &a_end, 10);
        unsigned long b_part = strtoul(b, &b_end, 10);
        if (a_part != b_part) {
            return a_part < b_part ? -1 : 1;
        }
        a = *a_end == '.' ? a_end + 1 : "";
        b = *b_end == '.' ? b_end + 1 : "";
    }
    return 0;
}

/* A server that answers and refuses is found by asking again; libpq tells it in words only. */
static int open_client(struct migrator *m, const char *conninfo)
{
    int r = client_open(conninfo, &m->client);

    if (r == 0) {
        return 0;
    }
    switch (PQping(conninfo)) {
    case PQPING_OK:
        buffer_add_text(m->error, "postgres refuses the connection: ");
        r = -EIO;
        break;
    case PQPING_NO_ATTEMPT:
        buffer_add_text(m->error, "the dsn is not valid: ");
        r = -EIO;
        break;
    case PQPING_REJECT:
    case PQPING_NO_RESPONSE: buffer_add_text(m->error, "cannot reach postgres: "); break;
    }
    add_first_line(m->error, client_failure(m->client)->message);
    return r;
}

static int run(struct migrator *m, const char *sql, const char *during)
{
    struct client_query query = {.sql = sql};

    return client_query(m->client, &query) == 0 ? 0 : fail(m, during);
}

static int find_table(struct migrator *m, bool *found)
{
    struct slice answer = {0};
    int r = run(m, "SELECT " TABLE_EXISTS, "looking for the schema");

    *found = r == 0 && client_value(m->client, 0, 0, &answer) && slice_is(answer, "t");
    return r;
}

static int read_state(struct migrator *m, struct schema_state *state)
{
    bool found;

    *state = (struct schema_state){0};
    int r = find_table(m, &found);
    if (r == 0 && found) {
        r = run(m,
                "SELECT number, coalesce(min_worker, '') FROM jobq.migration ORDER BY number",
                "reading the schema's version");
    }
    if (r != 0 || !found) {
        return r;
    }
    for (int row = 0; row < client_rows(m->client); row++) {
        struct slice number = {0};
        struct slice min_worker = {0};
        (void)client_value(m->client, row, 0, &number);
        (void)client_value(m->client, row, 1, &min_worker);
        state->version = (int)strtol(number.data, NULL, 10);
        if (version_compare(min_worker.data, state->min_worker) > 0) {
            (void)snprintf(state->min_worker,
                           sizeof(state->min_worker),
                           "%.*s",
                           (int)min_worker.size,
                           min_worker.data);
        }
    }
    return 0;
}

/* *before becomes what was there when our turn had come: somebody else may have migrated. */
static int apply_missing(struct migrator *m, struct schema_state *before)
{
    int r = run(m, BEGIN_STATEMENTS, "waiting for another migration");

    if (r == 0) {
        r = read_state(m, before);
    }
    for (const struct migration *each = migrations; each->number != 0 && r == 0; each++) {
        if (each->number > before->version) {
            r = apply_one(m, each);
        }
    }
    if (r == -EACCES) {
        return fail_rights(m, before->version);
    }
    if (r == 0) {
        r = run(m, "COMMIT", "committing migrations");
        report_notices(m->client);
    }
    return r;
}

static int apply_one(struct migrator *m, const struct migration *migration)
{
    struct buffer text = {0};
    struct buffer name = {0};

    buffer_printf(&name, "migration %04d_%s", migration->number, migration->name);
    buffer_printf(&text, "%s\n;", migration->text);
    add_row(&text, migration);
    int r = run(m, buffer_text(&text), buffer_text(&name));
    buffer_fini(&text);
    buffer_fini(&name);
    return r;
}

static int fail(struct migrator *m, const char *during)
{
    const struct client_failure *failure = client_failure(m->client);
    bool may_not = strcmp(failure->sqlstate, INSUFFICIENT_PRIVILEGE) == 0;

    buffer_printf(m->error, "%s: ", during);
    add_first_line(m->error, failure->message);
    buffer_printf(m->error, " (%s)", failure->sqlstate);
    if (failure->detail[0] != 0) {
        buffer_add_text(m->error, ", ");
        add_first_line(m->error, failure->detail);
    }
    if (strcmp(failure->sqlstate, READ_ONLY) == 0) {
        buffer_add_text(m->error, "\nhint: this is a standby; connect to the primary");
    } else if (may_not) {
        buffer_add_text(m->error, "\nhint: grant jobq_worker or jobq_admin to this role");
    } else if (failure->hint[0] != 0) {
        buffer_add_text(m->error, "\nhint: ");
        add_first_line(m->error, failure->hint);
    }
    return may_not ? -EACCES : -EIO;
}

static int fail_rights(struct migrator *m, int version)
{
    struct client_query query = {.sql = "SELECT current_user"};
    struct slice role = {"?", 1};

    (void)run(m, "ROLLBACK", "migrating");
    buffer_clear(m->error);
    if (client_query(m->client, &query) == 0) {
        (void)client_value(m->client, 0, 0, &role);
    }
    if (version == 0) {
        buffer_add_text(m->error, "the database has no jobq schema");
    } else {
        buffer_printf(m->error,
                      "database schema is %d, at least %d is needed",
                      version,
                      migrate_newest());
    }
    buffer_printf(m->error, ", role '%.*s' may not migrate\n", (int)role.size, role.data);
    buffer_add_text(m->error, "hint: jobq migrate --print | psql as the owner");
    return -EACCES;
}

static void add_literal(struct buffer *out, struct slice text)
{
    buffer_add_char(out, '\'');
    for (size_t i = 0; i < text.size; i++) {
        buffer_add_text(out, text.data[i] == '\'' ? "'" : "");
        buffer_add(out, text.data + i, 1);
    }
    buffer_add_char(out, '\'');
}

/* Schema-qualified: the file before it may have set another search_path. */
static void add_row(struct buffer *out, const struct migration *migration)
{
    struct slice min_worker = min_worker_of(migration);

    buffer_printf(out,
                  "INSERT INTO jobq.migration (number, name, min_worker) VALUES (%d, ",
                  migration->number);
    add_literal(out, slice_of(migration->name));
    buffer_add_text(out, ", ");
    if (min_worker.size == 0) {
        buffer_add_text(out, "NULL");
    } else {
        add_literal(out, min_worker);
    }
    buffer_add_text(out, ");\n");
}

static struct slice min_worker_of(const struct migration *migration)
{
    const char *mark = MIN_WORKER_MARK;

    if (strncmp(migration->text, mark, strlen(mark)) != 0) {
        return (struct slice){"", 0};
    }
    const char *start = migration->text + strlen(mark);
    return (struct slice){start, strspn(start, "0123456789.")};
}

/* libpq explains at length; the first line says it. */
static void add_first_line(struct buffer *out, const char *text)
{
    buffer_add(out, text, strcspn(text, "\n"));
}

/* A migration tells, for example, how to make the roles that it could not make. */
static void report_notices(struct client *client)
{
    const char *notice;

    while ((notice = client_notice(client)) != NULL) {
        log_info("the migration says", LOG_TEXT("notice", notice));
    }
}
