/* refusal_test.c - the SQLSTATE of a connection that was not made, and what it means. */
#include "core/db/refusal.h"

#include "spec/unit/unit.h"

static void finds_the_sqlstate(void **state)
{
    static const struct {
        const char *message;
        const char *sqlstate; /* NULL: there is none */
    } rows[] = {
        {"connection to server at \"db\" (10.0.0.1), port 5432 failed: FATAL:  28P01\n", "28P01"},
        {"Verbindung zum Server auf Socket \"/run/.s.PGSQL.5432\" fehlgeschlagen: "
         "SCHWERWIEGEND:  57P03\n",
         "57P03"},
        {"connection to server on socket \"/a/x\" failed: FATAL:  57P03\n"
         "connection to server on socket \"/b/x\" failed: FATAL:  3D000\n",
         "3D000"},
        {"FATAL:  53300", "53300"},
        {"connection to server on socket \"/a/x\" failed: FATAL:  57P03\n"
         "connection to server on socket \"/b/x\" failed: Connection refused\n"
         "\tIs the server running locally and accepting connections on that socket?\n",
         NULL},
        {"connection to server on socket \"/b/x\" failed: session is read-only\n", NULL},
        {"FATAL:  no such database: 12345 ", NULL},
        {"FATAL:  words", NULL},
        {"FATAL: 28P01\n", NULL},
        {":  2800", NULL},
        {"28P01", NULL},
        {"\n", NULL},
        {"", NULL},
    };

    char sqlstate[SQLSTATE_SIZE];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        bool found = refusal_sqlstate(rows[i].message, sqlstate);
        if (found != (rows[i].sqlstate != NULL)) {
            fail_msg("'%s': %s", rows[i].message, found ? sqlstate : "nothing found");
        }
        if (found) {
            assert_string_equal(sqlstate, rows[i].sqlstate);
        }
    }
}

static void knows_what_passes(void **state)
{
    static const char *const final[] = {"28000", "28P01", "3D000", "42501", "42704", "55000"};
    static const char *const passing[] =
        {"08006", "08P01", "53300", "53400", "57P01", "57P02", "57P03", "58000", "XX000"};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(final); i++) {
        assert_true(refusal_is_final(final[i]));
    }
    for (size_t i = 0; i < LENGTH_OF(passing); i++) {
        assert_false(refusal_is_final(passing[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_sqlstate),
        cmocka_unit_test(knows_what_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
