/* params.c - the send formats of src/backend/utils/adt: big-endian numbers, bare text, array_send. */
#include "core/db/params.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* number of dimensions, null flag, element type, length, lower bound: five int4 */
#define ARRAY_LENGTH_OFFSET 12

static void begin_value(struct db_params *p);
static void end_value(struct db_params *p);
static void put_int4(struct db_params *p, int32_t value);
static void put_element(struct db_params *p, const void *data, size_t size);

void db_params_fini(struct db_params *p)
{
    buffer_fini(&p->bytes);
    *p = (struct db_params){0};
}

void db_params_clear(struct db_params *p)
{
    p->count = 0;
    buffer_clear(&p->bytes);
}

void db_add_null(struct db_params *p)
{
    begin_value(p);
    p->size[p->count++] = -1;
}

void db_add_int4(struct db_params *p, int32_t value)
{
    begin_value(p);
    put_int4(p, value);
    end_value(p);
}

void db_add_int8(struct db_params *p, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);

    begin_value(p);
    buffer_add(&p->bytes, &wire, sizeof(wire));
    end_value(p);
}

void db_add_text(struct db_params *p, struct slice value)
{
    begin_value(p);
    buffer_add_slice(&p->bytes, value);
    end_value(p);
}

void db_array_begin(struct db_params *p, enum db_type type)
{
    begin_value(p);
    p->array_at = p->bytes.size;
    p->array_length = 0;
    put_int4(p, 1);
    put_int4(p, 1); /* may hold nulls */
    put_int4(p, (int32_t)type);
    put_int4(p, 0);
    put_int4(p, 1);
}

void db_array_end(struct db_params *p)
{
    uint32_t wire = htobe32((uint32_t)p->array_length);

    memcpy(p->bytes.data + p->array_at + ARRAY_LENGTH_OFFSET, &wire, sizeof(wire));
    end_value(p);
}

void db_array_null(struct db_params *p)
{
    put_int4(p, -1);
    p->array_length++;
}

void db_array_int2(struct db_params *p, int16_t value)
{
    uint16_t wire = htobe16((uint16_t)value);

    put_element(p, &wire, sizeof(wire));
}

void db_array_int4(struct db_params *p, int32_t value)
{
    uint32_t wire = htobe32((uint32_t)value);

    put_element(p, &wire, sizeof(wire));
}

void db_array_int8(struct db_params *p, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);

    put_element(p, &wire, sizeof(wire));
}

void db_array_float8(struct db_params *p, double value)
{
    uint64_t wire;

    memcpy(&wire, &value, sizeof(wire));
    wire = htobe64(wire);
    put_element(p, &wire, sizeof(wire));
}

void db_array_text(struct db_params *p, struct slice value)
{
    put_element(p, value.data, value.size);
}

static void begin_value(struct db_params *p)
{
    assert(p->count < DB_MAX_PARAMS);
    p->at[p->count] = p->bytes.size;
}

static void end_value(struct db_params *p)
{
    p->size[p->count] = (int)(p->bytes.size - p->at[p->count]);
    p->count++;
}

static void put_int4(struct db_params *p, int32_t value)
{
    uint32_t wire = htobe32((uint32_t)value);

    buffer_add(&p->bytes, &wire, sizeof(wire));
}

static void put_element(struct db_params *p, const void *data, size_t size)
{
    put_int4(p, (int32_t)size);
    buffer_add(&p->bytes, data, size);
    p->array_length++;
}
