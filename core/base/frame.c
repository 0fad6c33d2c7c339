/* frame.c - memcpy in, memcpy out. */
#include "core/base/frame.h"

#include <errno.h>
#include <string.h>

#define LENGTH_BYTES sizeof(uint32_t)

static void get(struct frame *f, void *to, size_t size);

size_t frame_begin(struct buffer *out, uint8_t type)
{
    size_t mark = out->size;

    frame_put_u32(out, 0);
    frame_put_u8(out, type);
    return mark;
}

void frame_end(struct buffer *out, size_t mark)
{
    uint32_t length = (uint32_t)(out->size - mark - LENGTH_BYTES);

    memcpy(out->data + mark, &length, sizeof(length));
}

void frame_put_u8(struct buffer *out, uint8_t value)
{
    buffer_add(out, &value, sizeof(value));
}

void frame_put_u32(struct buffer *out, uint32_t value)
{
    buffer_add(out, &value, sizeof(value));
}

void frame_put_i64(struct buffer *out, int64_t value)
{
    buffer_add(out, &value, sizeof(value));
}

void frame_put_f64(struct buffer *out, double value)
{
    buffer_add(out, &value, sizeof(value));
}

void frame_put_slice(struct buffer *out, struct slice value)
{
    frame_put_u32(out, (uint32_t)value.size);
    buffer_add(out, value.data, value.size);
}

int64_t frame_next(struct slice in, struct frame *f)
{
    uint32_t length;

    if (in.size < LENGTH_BYTES) {
        return 0;
    }
    memcpy(&length, in.data, sizeof(length));
    if (length < 1 || length > FRAME_MAX_BYTES) {
        return -EMSGSIZE;
    }
    if (in.size < LENGTH_BYTES + length) {
        return 0;
    }
    *f = (struct frame){
        .type = (uint8_t)in.data[LENGTH_BYTES],
        .at = in.data + LENGTH_BYTES + 1,
        .end = in.data + LENGTH_BYTES + length,
    };
    return (int64_t)(LENGTH_BYTES + length);
}

uint8_t frame_get_u8(struct frame *f)
{
    uint8_t value = 0;

    get(f, &value, sizeof(value));
    return value;
}

uint32_t frame_get_u32(struct frame *f)
{
    uint32_t value = 0;

    get(f, &value, sizeof(value));
    return value;
}

int64_t frame_get_i64(struct frame *f)
{
    int64_t value = 0;

    get(f, &value, sizeof(value));
    return value;
}

double frame_get_f64(struct frame *f)
{
    double value = 0;

    get(f, &value, sizeof(value));
    return value;
}

struct slice frame_get_slice(struct frame *f)
{
    uint32_t size = frame_get_u32(f);
    struct slice value = {f->at, size};

    if (f->malformed || size > (size_t)(f->end - f->at)) {
        f->malformed = true;
        return (struct slice){"", 0};
    }
    f->at += size;
    return value;
}

static void get(struct frame *f, void *to, size_t size)
{
    if (f->malformed || size > (size_t)(f->end - f->at)) {
        f->malformed = true;
        return;
    }
    memcpy(to, f->at, size);
    f->at += size;
}
