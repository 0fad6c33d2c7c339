/* rows.h - the rows of a result in text form, for rooms that do not know libpq. */
#ifndef CORE_DB_ROWS_H
#define CORE_DB_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"

struct pg_result; /* libpq's PGresult */

int rows_count(const struct pg_result *res);
int rows_columns(const struct pg_result *res);
const char *rows_column_name(const struct pg_result *res, int column);
uint32_t rows_column_type(const struct pg_result *res, int column); /* PostgreSQL's oid */

/* How many rows the statement has touched; 0 for those that touch none. */
int64_t rows_affected(const struct pg_result *res);

/* False for the SQL null. Borrowed from res. */
bool rows_value(const struct pg_result *res, int row, int column, struct slice *value);

/* "SELECT", "COMMIT", "UPDATE 3"; borrowed from res. */
const char *rows_command(const struct pg_result *res);

/* Bytes that it takes. */
size_t rows_memory(const struct pg_result *res);

void rows_free(struct pg_result *res);

#endif
