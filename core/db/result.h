/* result.h - values of a binary result. Nulls read as 0, false or empty; ask db_is_null() first. */
#ifndef CORE_DB_RESULT_H
#define CORE_DB_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "core/base/slice.h"

bool db_is_null(const PGresult *res, int row, int column);

/* int2, int4 or int8, by its size. */
int64_t db_get_int(const PGresult *res, int row, int column);
double db_get_float8(const PGresult *res, int row, int column);
bool db_get_bool(const PGresult *res, int row, int column);

/* Borrowed from res. */
struct slice db_get_text(const PGresult *res, int row, int column);

/* Unix time in microseconds from timestamptz. */
int64_t db_get_time_us(const PGresult *res, int row, int column);

/* The value of a timestamptz as PostgreSQL counts it, for db_array_int8(). */
int64_t db_pg_time(int64_t unix_us);

/* bigint[] without nulls: how many, and the i-th. */
int db_array_count(const PGresult *res, int row, int column);
int64_t db_array_get(const PGresult *res, int row, int column, int i);

/* Rows of a result; 0 for NULL. */
int db_rows(const PGresult *res);

/* The five characters of SQLSTATE, or "" for none; borrowed from res. */
const char *db_sqlstate(const PGresult *res);

/* The primary message of an error, or ""; borrowed from res. */
const char *db_message(const PGresult *res);

/* True for errors that the values sent have caused: repeating the statement cannot help. */
bool db_is_about_data(const PGresult *res);

#endif
