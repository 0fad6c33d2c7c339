/* migrate_test.c - versions, and migrations on a server of our own, a database a test. */
#include <errno.h>
#include <sys/wait.h>

#include "core/base/mem.h"
#include "core/db/client.h"
#include "core/db/embedded.h"
#include "core/db/migrate.h"

#include "spec/unit/folder.h"
#include "spec/unit/unit.h"

#define AT_ONCE 8

/* The server of all tests. */
struct server {
    char folder[64];
    struct embedded *embedded;
    int databases;
    struct buffer conninfo; /* of the test's own database */
    struct buffer error;
};

static void run_sql(const char *conninfo, const char *sql)
{
    struct client *c;
    struct client_query q = {.sql = sql};

    assert_int_equal(client_open(conninfo, &c), 0);
    if (client_query(c, &q) != 0) {
        fail_msg("%s: %s", sql, client_failure(c)->message);
    }
    client_close(c);
}

/* The first value, as a number. */
static long ask(const char *conninfo, const char *sql)
{
    struct client *c;
    struct client_query q = {.sql = sql};
    struct slice value = {0};

    assert_int_equal(client_open(conninfo, &c), 0);
    assert_int_equal(client_query(c, &q), 0);
    assert_true(client_value(c, 0, 0, &value));
    long number = strtol(value.data, NULL, 10);
    client_close(c);
    return number;
}

static int start_server(void **state)
{
    struct server *s = mem_zalloc(sizeof(*s));
    struct buffer folder = {0};
    bool created;

    folder_make(s->folder);
    buffer_printf(&folder, "%s/pg", s->folder);
    if (embedded_open(folder.data, &s->embedded, &created, &s->error) != 0) {
        fail_msg("%s", buffer_text(&s->error));
    }
    buffer_fini(&folder);
    run_sql(embedded_conninfo(s->embedded), "CREATE ROLE app LOGIN");
    *state = s;
    return 0;
}

static int stop_server(void **state)
{
    struct server *s = *state;

    embedded_close(s->embedded);
    folder_remove(s->folder);
    buffer_fini(&s->conninfo);
    buffer_fini(&s->error);
    free(s);
    return 0;
}

/* For libpq, the last of two equal keywords counts. */
static int new_database(void **state)
{
    struct server *s = *state;
    struct buffer sql = {0};

    buffer_printf(&sql, "CREATE DATABASE d%d", ++s->databases);
    run_sql(embedded_conninfo(s->embedded), sql.data);
    buffer_fini(&sql);
    buffer_clear(&s->error);
    buffer_clear(&s->conninfo);
    buffer_printf(&s->conninfo, "%s dbname=d%d", embedded_conninfo(s->embedded), s->databases);
    return 0;
}

static int count_applied(void **state)
{
    return (int)ask(buffer_text(&((struct server *)*state)->conninfo),
                    "SELECT count(*) FROM jobq.migration");
}

static void on_applied(void *arg, const struct migration *m)
{
    int *last = arg;

    assert_int_equal(m->number, *last + 1);
    *last = m->number;
}

static void compares_versions_by_part(void **state)
{
    (void)state;

    assert_int_equal(version_compare("0.1.0", "0.1.0"), 0);
    assert_true(version_compare("0.10.2", "0.9.0") > 0);
    assert_true(version_compare("0.9.0", "0.10.2") < 0);
    assert_true(version_compare("1", "0.99.99") > 0);
    assert_int_equal(version_compare("1", "1.0.0"), 0);
    assert_true(version_compare("1.0.1", "1") > 0);
    assert_true(version_compare("", "0.0.1") < 0);
    assert_int_equal(version_compare("", ""), 0);
    assert_int_equal(version_compare("0.2.0-dev", "0.2.0"), 0);
}

static void numbers_migrations_without_gaps(void **state)
{
    (void)state;

    for (int i = 0; i < migrate_newest(); i++) {
        assert_int_equal(migrations[i].number, i + 1);
        assert_true(strlen(migrations[i].name) > 0);
    }
    assert_int_equal(migrations[migrate_newest()].number, 0);
}

static void judges_schemas(void **state)
{
    struct buffer error = {0};
    struct schema_state s = {.version = migrate_newest(), .min_worker = JOBQ_VERSION};
    (void)state;

    assert_int_equal(migrate_judge(&s, &error), 0);
    s.version += 5;
    assert_int_equal(migrate_judge(&s, &error), 0);
    assert_int_equal(error.size, 0);
    (void)strcpy(s.min_worker, "999.0.0");
    assert_int_equal(migrate_judge(&s, &error), -EPROTO);
    assert_contains(error.data, "needs version 999.0.0 or later, this is " JOBQ_VERSION "\nhint: ");
    buffer_clear(&error);
    s = (struct schema_state){.version = migrate_newest() - 1};
    assert_int_equal(migrate_judge(&s, &error), -EPROTO);
    assert_contains(error.data, "is needed\nhint: jobq migrate");
    buffer_clear(&error);
    s.version = 0;
    assert_int_equal(migrate_judge(&s, &error), -EPROTO);
    assert_contains(error.data, "no jobq schema");
    buffer_fini(&error);
}

static void brings_an_empty_database_up(void **state)
{
    struct server *s = *state;
    struct schema_state schema;
    int last = 0;

    assert_int_equal(migrate_state(s->conninfo.data, &schema, &s->error), 0);
    assert_int_equal(schema.version, 0);
    assert_string_equal(schema.min_worker, "");
    assert_int_equal(migrate_up(s->conninfo.data, on_applied, &last, &s->error), 0);
    assert_int_equal(last, migrate_newest());
    assert_int_equal(migrate_state(s->conninfo.data, &schema, &s->error), 0);
    assert_int_equal(schema.version, migrate_newest());
    assert_string_equal(schema.min_worker, "0.1.0");
    last = 77;
    assert_int_equal(migrate_up(s->conninfo.data, on_applied, &last, &s->error), 0);
    assert_int_equal(last, 77);
}

static void lets_eight_start_at_once(void **state)
{
    struct server *s = *state;
    pid_t pids[AT_ONCE];

    for (int i = 0; i < AT_ONCE; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            _exit(migrate_up(s->conninfo.data, NULL, NULL, &s->error) == 0 ? 0 : 1);
        }
    }
    for (int i = 0; i < AT_ONCE; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_applied(state), migrate_newest());
}

static void tells_a_role_without_rights_what_to_do(void **state)
{
    struct server *s = *state;

    buffer_add_text(&s->conninfo, " user=app");
    assert_int_equal(migrate_up(s->conninfo.data, NULL, NULL, &s->error), -EACCES);
    assert_string_equal(s->error.data,
                        "the database has no jobq schema, role 'app' may not migrate\n"
                        "hint: jobq migrate --print | psql as the owner");
}

static void tells_a_role_that_may_not_even_look(void **state)
{
    struct server *s = *state;
    struct schema_state schema;

    run_sql(s->conninfo.data, "CREATE SCHEMA jobq; CREATE TABLE jobq.migration (number int)");
    buffer_add_text(&s->conninfo, " user=app");
    assert_int_equal(migrate_state(s->conninfo.data, &schema, &s->error), -EACCES);
    assert_contains(s->error.data, "permission denied for schema jobq (42501)\nhint: grant");
}

static void tells_unreachable_from_refused(void **state)
{
    struct server *s = *state;

    assert_int_equal(migrate_up("host=/nowhere", NULL, NULL, &s->error), -ENOTCONN);
    assert_contains(s->error.data, "cannot reach postgres: ");
    buffer_clear(&s->error);
    buffer_add_text(&s->conninfo, " dbname=nosuch");
    assert_int_equal(migrate_up(s->conninfo.data, NULL, NULL, &s->error), -EIO);
    assert_contains(s->error.data, "postgres refuses the connection: ");
    assert_contains(s->error.data, "database \"nosuch\" does not exist");
    assert_null(strchr(s->error.data, '\n'));
    buffer_clear(&s->error);
    assert_int_equal(migrate_up("nonsense", NULL, NULL, &s->error), -EIO);
    assert_contains(s->error.data, "the dsn is not valid: ");
}

static void leaves_newer_schemas_alone(void **state)
{
    struct server *s = *state;
    int last = 77;

    assert_int_equal(migrate_up(s->conninfo.data, NULL, NULL, &s->error), 0);
    run_sql(s->conninfo.data, "INSERT INTO jobq.migration (number, name) VALUES (900, 'later')");
    assert_int_equal(migrate_up(s->conninfo.data, on_applied, &last, &s->error), 0);
    assert_int_equal(last, 77);
    run_sql(s->conninfo.data,
            "INSERT INTO jobq.migration (number, name, min_worker) VALUES (901, 'x', '999.1')");
    assert_int_equal(migrate_up(s->conninfo.data, on_applied, &last, &s->error), -EPROTO);
    assert_contains(s->error.data, "database schema 901 needs version 999.1 or later");
    assert_int_equal(last, 77);
}

static void leaves_nothing_of_a_failure(void **state)
{
    struct server *s = *state;

    run_sql(s->conninfo.data, "CREATE SCHEMA jobq");
    assert_int_equal(migrate_up(s->conninfo.data, NULL, NULL, &s->error), -EIO);
    assert_contains(s->error.data, "migration 0001_");
    assert_contains(s->error.data, "schema \"jobq\" already exists (42P06)");
    assert_int_equal(ask(s->conninfo.data,
                         "SELECT count(*) FROM pg_class WHERE relnamespace = 'jobq'::regnamespace"),
                     0);
}

static void prints_a_script_that_does_the_same(void **state)
{
    struct server *s = *state;
    struct buffer script = {0};
    struct client *c;

    migrate_print(0, &script);
    const char *sql = strstr(script.data, "BEGIN;");
    assert_non_null(sql);
    run_sql(s->conninfo.data, sql);
    assert_int_equal(count_applied(state), migrate_newest());

    struct client_query again = {.sql = sql};
    assert_int_equal(client_open(s->conninfo.data, &c), 0);
    assert_int_equal(client_query(c, &again), -EIO);
    assert_contains(client_failure(c)->message, "this script goes on from 0");
    client_close(c);

    buffer_clear(&script);
    migrate_print(migrate_newest(), &script);
    assert_null(strstr(script.data, "INSERT INTO jobq.migration"));
    buffer_fini(&script);
}

#define database_test(f) cmocka_unit_test_setup(f, new_database)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_versions_by_part),
        cmocka_unit_test(numbers_migrations_without_gaps),
        cmocka_unit_test(judges_schemas),
        database_test(brings_an_empty_database_up),
        database_test(lets_eight_start_at_once),
        database_test(tells_a_role_without_rights_what_to_do),
        database_test(tells_a_role_that_may_not_even_look),
        database_test(tells_unreachable_from_refused),
        database_test(leaves_newer_schemas_alone),
        database_test(leaves_nothing_of_a_failure),
        database_test(prints_a_script_that_does_the_same),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
