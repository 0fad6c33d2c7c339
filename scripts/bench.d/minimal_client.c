/*
 * minimal_client.c - what scripts/bench holds jobq-run against: the same statements, and nothing else.
 *
 *   minimal_client CONNINFO KIND JOBS_A_CLAIM
 *
 * Claims jobs of KIND with claim.sql and settles them as completed with settle.sql until there are
 * none: one connection, prepared, binary, two claims in the pipeline so that the server never waits
 * for us. No Lua, no processes, no heartbeat. Prints how many jobs it settled.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/db/params.h"
#include "core/db/query.h"
#include "core/db/result.h"

#define JOBS_A_LEASE   64
#define PRIORITY_COUNT 10
#define CLAIMS_AHEAD   2
#define MAX_LEVELS     1000

/* Columns of claim.sql. */
enum {
    COL_SEQ = 0,
    COL_SLOT = 1,
    COL_ID = 2,
    COL_LANE_ID = 4,
    COL_PRIORITY = 5,
    COL_RUN_AT = 6
};

struct level {
    int32_t lane_id;
    int16_t priority;
    int64_t run_at; /* the last key taken, as PostgreSQL counts */
    int64_t id;
};

struct client {
    PGconn *pg;
    int64_t worker_id;
    int32_t kind_id;
    int32_t jobs_a_claim;
    int64_t next_seq;
    struct level levels[MAX_LEVELS];
    size_t level_count;
    struct db_params params;
    unsigned claims;     /* in flight */
    bool pending[16];    /* what is in flight, in order: true for a claim */
    unsigned sent, read; /* positions in pending, modulo its length */
    bool swept;          /* the end was looked at from the beginning */
    int64_t settled;
    int64_t refused;
};

static void die(struct client *c, const char *what)
{
    (void)fprintf(stderr, "minimal_client: %s: %s", what, PQerrorMessage(c->pg));
    exit(EXIT_FAILURE);
}

static void send_statement(struct client *c, enum sql_query query)
{
    const char *values[DB_MAX_PARAMS];
    int formats[DB_MAX_PARAMS];
    const struct db_params *p = &c->params;

    for (int i = 0; i < p->count; i++) {
        values[i] = p->size[i] < 0 ? NULL : p->bytes.data + p->at[i];
        formats[i] = 1;
    }
    if (!PQsendQueryPrepared(c->pg, sql_query_name(query), p->count, values, p->size, formats, 1) ||
        !PQpipelineSync(c->pg)) {
        die(c, sql_query_name(query));
    }
}

/* The result of the oldest transaction in flight; the caller clears it. */
static PGresult *receive(struct client *c)
{
    PGresult *res = PQgetResult(c->pg);

    if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK) {
        die(c, "statement");
    }
    PQclear(PQgetResult(c->pg)); /* the NULL behind each statement */
    PQclear(PQgetResult(c->pg)); /* the sync */
    return res;
}

static PGresult *run(struct client *c, enum sql_query query)
{
    send_statement(c, query);
    return receive(c);
}

static void prepare(struct client *c, enum sql_query query)
{
    const char *name = sql_query_name(query);

    if (!PQsendPrepare(c->pg, name, sql_query_text(query), 0, NULL) || !PQpipelineSync(c->pg)) {
        die(c, name);
    }
    PQclear(receive(c));
}

static void add_text_array(struct db_params *p, const char *text)
{
    db_array_begin(p, DB_TEXT);
    db_array_text(p, slice_of(text));
    db_array_end(p);
}

static void add_int4_array(struct db_params *p, int32_t value)
{
    db_array_begin(p, DB_INT4);
    db_array_int4(p, value);
    db_array_end(p);
}

static void register_worker(struct client *c)
{
    struct db_params *p = &c->params;

    db_params_clear(p);
    db_add_int4(p, (int32_t)getpid());
    db_add_text(p, slice_of("localhost"));
    db_add_text(p, slice_of("minimal client"));
    db_add_text(p, slice_of(JOBQ_VERSION));
    db_add_null(p);
    db_add_int4(p, c->jobs_a_claim);
    db_add_null(p); /* no socket */
    PGresult *res = run(c, SQL_REGISTER);
    c->worker_id = db_get_int(res, 0, 0);
    c->next_seq = 1;
    PQclear(res);
}

static void declare_kind(struct client *c, const char *kind)
{
    struct db_params *p = &c->params;

    db_params_clear(p);
    db_add_int8(p, c->worker_id);
    add_text_array(p, kind);
    add_text_array(p, "default");
    add_int4_array(p, 3);
    add_int4_array(p, 5);
    db_array_begin(p, DB_FLOAT8);
    db_array_float8(p, 60);
    db_array_end(p);
    add_text_array(p, "");
    add_text_array(p, "");
    add_text_array(p, "");
    db_add_text(p, slice_of("1"));
    PGresult *res = run(c, SQL_DECLARE_KINDS);
    c->kind_id = (int32_t)db_get_int(res, 0, 1);
    PQclear(res);
}

static void find_levels(struct client *c)
{
    db_params_clear(&c->params);
    db_add_int8(&c->params, c->worker_id);
    PGresult *res = run(c, SQL_LANES);
    for (int16_t priority = 0; priority < PRIORITY_COUNT; priority++) {
        for (int row = 0; row < db_rows(res) && c->level_count < MAX_LEVELS; row++) {
            struct level *l = &c->levels[c->level_count++];
            l->lane_id = (int32_t)db_get_int(res, row, 0);
            l->priority = priority;
        }
    }
    PQclear(res);
}

static void sweep(struct client *c)
{
    for (size_t i = 0; i < c->level_count; i++) {
        c->levels[i].run_at = INT64_MIN;
        c->levels[i].id = 0;
    }
}

static void note(struct client *c, bool is_claim)
{
    c->pending[c->sent++ % LENGTH_OF(c->pending)] = is_claim;
}

static void send_claim(struct client *c)
{
    struct db_params *p = &c->params;

    db_params_clear(p);
    db_add_int8(p, c->worker_id);
    db_add_int8(p, c->next_seq);
    db_add_int4(p, c->jobs_a_claim);
    db_add_int4(p, JOBS_A_LEASE);
    db_array_begin(p, DB_INT4);
    for (size_t i = 0; i < c->level_count; i++) {
        db_array_int4(p, c->levels[i].lane_id);
    }
    db_array_end(p);
    db_array_begin(p, DB_INT2);
    for (size_t i = 0; i < c->level_count; i++) {
        db_array_int2(p, c->levels[i].priority);
    }
    db_array_end(p);
    db_array_begin(p, DB_TIMESTAMPTZ);
    for (size_t i = 0; i < c->level_count; i++) {
        db_array_int8(p, c->levels[i].run_at);
    }
    db_array_end(p);
    db_array_begin(p, DB_INT8);
    for (size_t i = 0; i < c->level_count; i++) {
        db_array_int8(p, c->levels[i].id);
    }
    db_array_end(p);
    add_int4_array(p, c->kind_id);
    send_statement(c, SQL_CLAIM);
    note(c, true);
    c->claims++;
    c->next_seq +=
        c->jobs_a_claim; /* more than this claim can use; numbers are never given twice */
}

static void took(struct client *c, const PGresult *res, int row)
{
    int32_t lane_id = (int32_t)db_get_int(res, row, COL_LANE_ID);
    int64_t priority = db_get_int(res, row, COL_PRIORITY);
    int64_t run_at = db_pg_time(db_get_time_us(res, row, COL_RUN_AT));
    int64_t id = db_get_int(res, row, COL_ID);

    for (size_t i = 0; i < c->level_count; i++) {
        struct level *l = &c->levels[i];
        bool behind = l->run_at < run_at || (l->run_at == run_at && l->id < id);
        if (l->lane_id == lane_id && l->priority == priority && behind) {
            l->run_at = run_at;
            l->id = id;
        }
    }
}

static void send_settle(struct client *c, const PGresult *claimed)
{
    struct db_params *p = &c->params;
    int rows = db_rows(claimed);

    db_params_clear(p);
    db_add_int8(p, c->worker_id);
    db_array_begin(p, DB_INT8);
    for (int row = 0; row < rows; row++) {
        db_array_int8(p, db_get_int(claimed, row, COL_SEQ));
    }
    db_array_end(p);
    db_array_begin(p, DB_INT2);
    for (int row = 0; row < rows; row++) {
        db_array_int2(p, (int16_t)db_get_int(claimed, row, COL_SLOT));
    }
    db_array_end(p);
    db_array_begin(p, DB_TEXT);
    for (int row = 0; row < rows; row++) {
        db_array_text(p, slice_of("completed"));
    }
    db_array_end(p);
    for (int i = 0; i < 4; i++) {
        db_add_null(p); /* how long they ran, delays, errors, results */
    }
    send_statement(c, SQL_SETTLE);
    note(c, false);
    c->settled += rows;
}

/* After a claim: another one while there is more; at the end one look from the beginning. */
static void go_on(struct client *c, int rows)
{
    if (rows == c->jobs_a_claim) {
        send_claim(c);
    } else if (c->claims == 0 && (rows > 0 || !c->swept)) {
        c->swept = true;
        sweep(c);
        send_claim(c);
    }
}

static void on_claimed(struct client *c, const PGresult *res)
{
    int rows = db_rows(res);

    c->claims--;
    for (int row = 0; row < rows; row++) {
        took(c, res, row);
    }
    if (rows > 0) {
        send_settle(c, res);
    }
    go_on(c, rows);
}

static void drain(struct client *c)
{
    sweep(c);
    while (c->claims < CLAIMS_AHEAD) {
        send_claim(c);
    }
    while (c->read < c->sent) {
        bool is_claim = c->pending[c->read++ % LENGTH_OF(c->pending)];
        PGresult *res = receive(c);
        if (is_claim) {
            on_claimed(c, res);
        } else {
            c->refused += db_rows(res);
        }
        PQclear(res);
    }
}

int main(int argc, char **argv)
{
    struct client c = {0};
    int64_t jobs_a_claim;

    if (argc != 4 || !text_integer(argv[3], 1, 100000, &jobs_a_claim)) {
        (void)fprintf(stderr, "usage: minimal_client CONNINFO KIND JOBS_A_CLAIM\n");
        return 2;
    }
    c.pg = PQconnectdb(argv[1]);
    if (PQstatus(c.pg) != CONNECTION_OK || !PQenterPipelineMode(c.pg)) {
        die(&c, "connecting");
    }
    c.jobs_a_claim = (int32_t)jobs_a_claim;

    const enum sql_query all[] =
        {SQL_SESSION, SQL_REGISTER, SQL_DECLARE_KINDS, SQL_LANES, SQL_CLAIM, SQL_SETTLE};

    for (size_t i = 0; i < LENGTH_OF(all); i++) {
        prepare(&c, all[i]);
    }
    db_params_clear(&c.params);
    PQclear(run(&c, SQL_SESSION));
    register_worker(&c);
    declare_kind(&c, argv[2]);
    find_levels(&c);
    drain(&c);
    printf("%" PRId64 " settled, %" PRId64 " refused\n", c.settled, c.refused);
    db_params_fini(&c.params);
    PQfinish(c.pg);
    return c.refused == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
