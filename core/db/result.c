/* result.c - reads what src/backend/utils/adt sends in binary. */
#include "core/db/result.h"

#include <endian.h>
#include <string.h>

/* Microseconds from 1970-01-01 to 2000-01-01, PostgreSQL's epoch. */
#define PG_EPOCH_US 946684800000000

/* number of dimensions, null flag, element type, length, lower bound: five int4 */
#define ARRAY_HEADER_BYTES  20
#define ARRAY_LENGTH_OFFSET 12
#define INT8_ELEMENT_BYTES  12

static uint32_t read_u32(const char *at);
static uint64_t read_u64(const char *at);

bool db_is_null(const PGresult *res, int row, int column)
{
    return PQgetisnull(res, row, column);
}

int64_t db_get_int(const PGresult *res, int row, int column)
{
    const char *at = PQgetvalue(res, row, column);
    uint16_t small;

    switch (PQgetlength(res, row, column)) {
    case 2: memcpy(&small, at, sizeof(small)); return (int16_t)be16toh(small);
    case 4: return (int32_t)read_u32(at);
    case 8: return (int64_t)read_u64(at);
    default: return 0;
    }
}

double db_get_float8(const PGresult *res, int row, int column)
{
    double value = 0;

    if (PQgetlength(res, row, column) == sizeof(value)) {
        uint64_t bits = read_u64(PQgetvalue(res, row, column));
        memcpy(&value, &bits, sizeof(value));
    }
    return value;
}

bool db_get_bool(const PGresult *res, int row, int column)
{
    return PQgetlength(res, row, column) == 1 && *PQgetvalue(res, row, column) != 0;
}

struct slice db_get_text(const PGresult *res, int row, int column)
{
    return (struct slice){PQgetvalue(res, row, column), (size_t)PQgetlength(res, row, column)};
}

int64_t db_get_time_us(const PGresult *res, int row, int column)
{
    return db_get_int(res, row, column) + PG_EPOCH_US;
}

int64_t db_pg_time(int64_t unix_us)
{
    return unix_us - PG_EPOCH_US;
}

int db_array_count(const PGresult *res, int row, int column)
{
    if (PQgetlength(res, row, column) < ARRAY_HEADER_BYTES) {
        return 0; /* null, or no dimension at all */
    }
    return (int)read_u32(PQgetvalue(res, row, column) + ARRAY_LENGTH_OFFSET);
}

int64_t db_array_get(const PGresult *res, int row, int column, int i)
{
    const char *first = PQgetvalue(res, row, column) + ARRAY_HEADER_BYTES;

    return (int64_t)read_u64(first + (ptrdiff_t)i * INT8_ELEMENT_BYTES + sizeof(uint32_t));
}

int db_rows(const PGresult *res)
{
    return res == NULL ? 0 : PQntuples(res);
}

const char *db_sqlstate(const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    return state == NULL ? "" : state;
}

const char *db_message(const PGresult *res)
{
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    return message == NULL ? "" : message;
}

bool db_is_about_data(const PGresult *res)
{
    /* classes: cardinality, data exception, integrity constraint, program limit */
    static const char *const classes[] = {"21", "22", "23", "54"};
    const char *state = db_sqlstate(res);

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(state, classes[i], 2) == 0) {
            return true;
        }
    }
    return false;
}

static uint32_t read_u32(const char *at)
{
    uint32_t wire;

    memcpy(&wire, at, sizeof(wire));
    return be32toh(wire);
}

static uint64_t read_u64(const char *at)
{
    uint64_t wire;

    memcpy(&wire, at, sizeof(wire));
    return be64toh(wire);
}
