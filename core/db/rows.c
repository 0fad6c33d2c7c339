/* rows.c - libpq's accessors under names of our own. */
#include "core/db/rows.h"

#include <stdlib.h>

#include <libpq-fe.h>

int rows_count(const struct pg_result *res)
{
    return PQntuples(res);
}

int rows_columns(const struct pg_result *res)
{
    return PQnfields(res);
}

const char *rows_column_name(const struct pg_result *res, int column)
{
    return PQfname(res, column);
}

uint32_t rows_column_type(const struct pg_result *res, int column)
{
    return PQftype(res, column);
}

/* libpq only reads; its parameter lacks a const. */
static PGresult *mutable_of(const struct pg_result *res)
{
    union {
        const struct pg_result *in;
        PGresult *out;
    } u = {.in = res};

    return u.out;
}

int64_t rows_affected(const struct pg_result *res)
{
    return strtoll(PQcmdTuples(mutable_of(res)), NULL, 10);
}

bool rows_value(const struct pg_result *res, int row, int column, struct slice *value)
{
    if (PQgetisnull(res, row, column)) {
        return false;
    }
    *value = (struct slice){PQgetvalue(res, row, column), (size_t)PQgetlength(res, row, column)};
    return true;
}

const char *rows_command(const struct pg_result *res)
{
    return PQcmdStatus(mutable_of(res));
}

size_t rows_memory(const struct pg_result *res)
{
    return PQresultMemorySize(res);
}

void rows_free(struct pg_result *res)
{
    PQclear(res);
}
