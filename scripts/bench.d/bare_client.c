/*
 * bare_client.c - what scripts/bench pickup holds jobq-run against: listen, and claim when told.
 *
 *   bare_client CONNINFO ROWS
 *
 * Says that it listens in its first line, then for each row of table bare that it takes how many
 * microseconds it had waited. Ends after ROWS rows.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <libpq-fe.h>

#include "core/base/text.h"

static const char claim[] =
    "delete from bare where id in (select id from bare for update skip locked) "
    "returning (extract(epoch from now() - created_at) * 1000000)::bigint";

static PGresult *check(PGconn *pg, PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        (void)fprintf(stderr, "bare_client: %s", PQerrorMessage(pg));
        exit(EXIT_FAILURE);
    }
    return res;
}

static void wait_for_news(PGconn *pg)
{
    PGnotify *n;

    while (PQconsumeInput(pg) && (n = PQnotifies(pg)) == NULL) {
        struct pollfd socket = {.fd = PQsocket(pg), .events = POLLIN};
        (void)poll(&socket, 1, -1);
    }
    do {
        PQfreemem(n);
    } while ((n = PQnotifies(pg)) != NULL);
}

/* How many rows there were. */
static int take(PGconn *pg)
{
    PGresult *res = check(pg, PQexecPrepared(pg, "claim", 0, NULL, NULL, NULL, 0));
    int rows = PQntuples(res);

    for (int i = 0; i < rows; i++) {
        puts(PQgetvalue(res, i, 0));
    }
    PQclear(res);
    return rows;
}

int main(int argc, char **argv)
{
    int64_t wanted;

    if (argc != 3 || !text_integer(argv[2], 1, INT64_MAX, &wanted)) {
        (void)fprintf(stderr, "usage: bare_client CONNINFO ROWS\n");
        return 2;
    }
    PGconn *pg = PQconnectdb(argv[1]);
    if (PQstatus(pg) != CONNECTION_OK) {
        (void)fprintf(stderr, "bare_client: %s", PQerrorMessage(pg));
        return EXIT_FAILURE;
    }
    PQclear(check(pg, PQexec(pg, "set synchronous_commit = off"))); /* as jobq claims */
    PQclear(check(pg, PQprepare(pg, "claim", claim, 0, NULL)));
    PQclear(check(pg, PQexec(pg, "listen bare")));
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    puts("listening");
    for (int64_t taken = 0; taken < wanted; taken += take(pg)) {
        wait_for_news(pg);
    }
    PQfinish(pg);
    return EXIT_SUCCESS;
}
