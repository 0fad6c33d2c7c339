/*
 * params.h - parameters of one statement, in PostgreSQL's binary format: nothing to escape, nothing
 * to parse. Values follow the statement's $1, $2, ... in order, and must have the types that the
 * statement casts them to.
 */
#ifndef CORE_DB_PARAMS_H
#define CORE_DB_PARAMS_H

#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/slice.h"

#define DB_MAX_PARAMS 12

/* Element types of arrays: the OIDs of pg_type.dat, which never change. */
enum db_type {
    DB_INT8 = 20,
    DB_INT2 = 21,
    DB_INT4 = 23,
    DB_TEXT = 25,
    DB_FLOAT8 = 701,
    DB_TIMESTAMPTZ = 1184,
};

/* All zero is valid and empty. */
struct db_params {
    int count;
    size_t at[DB_MAX_PARAMS]; /* where each value starts in bytes */
    int size[DB_MAX_PARAMS];  /* -1: null */
    struct buffer bytes;      /* owned */
    size_t array_at;          /* the array under construction */
    int32_t array_length;
};

void db_params_fini(struct db_params *p);

/* Forgets the values, keeps the memory. */
void db_params_clear(struct db_params *p);

void db_add_null(struct db_params *p);
void db_add_int4(struct db_params *p, int32_t value);
void db_add_int8(struct db_params *p, int64_t value);
void db_add_text(struct db_params *p, struct slice value); /* valid UTF-8 without NUL */

/* db_array_begin(), one call an element, db_array_end(): a one-dimensional array. */
void db_array_begin(struct db_params *p, enum db_type type);
void db_array_end(struct db_params *p);
void db_array_null(struct db_params *p);
void db_array_int2(struct db_params *p, int16_t value);
void db_array_int4(struct db_params *p, int32_t value);
void db_array_int8(struct db_params *p, int64_t value); /* also timestamptz, in its microseconds */
void db_array_float8(struct db_params *p, double value);
void db_array_text(struct db_params *p, struct slice value);

#endif
