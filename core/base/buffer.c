/* buffer.c - doubles its memory as it grows. */
#include "core/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#define SMALLEST_CAPACITY 64

void buffer_fini(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

void buffer_clear(struct buffer *b)
{
    b->size = 0;
    if (b->data != NULL) {
        b->data[0] = 0;
    }
}

char *buffer_reserve(struct buffer *b, size_t size)
{
    size_t needed = b->size + size + 1;

    if (needed > b->capacity) {
        size_t capacity = b->capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY : b->capacity;
        while (capacity < needed) {
            capacity *= 2;
        }
        b->data = mem_resize(b->data, capacity, 1);
        b->capacity = capacity;
    }
    return b->data + b->size;
}

void buffer_grew(struct buffer *b, size_t size)
{
    b->size += size;
    b->data[b->size] = 0;
}

void buffer_add(struct buffer *b, const void *data, size_t size)
{
    char *to = buffer_reserve(b, size);

    if (size > 0) {
        memcpy(to, data, size);
    }
    buffer_grew(b, size);
}

void buffer_add_char(struct buffer *b, char c)
{
    buffer_add(b, &c, 1);
}

void buffer_add_text(struct buffer *b, const char *text)
{
    buffer_add(b, text, strlen(text));
}

void buffer_add_slice(struct buffer *b, struct slice s)
{
    buffer_add(b, s.data, s.size);
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (size < 0) {
        abort();
    }
    char *to = buffer_reserve(b, (size_t)size);
    va_start(args, fmt);
    if (vsnprintf(to, (size_t)size + 1, fmt, args) != size) {
        abort();
    }
    va_end(args);
    buffer_grew(b, (size_t)size);
}

void buffer_shift(struct buffer *b, size_t size)
{
    b->size -= size;
    if (b->data != NULL) {
        memmove(b->data, b->data + size, b->size + 1);
    }
}

struct slice buffer_slice(const struct buffer *b)
{
    return (struct slice){b->data, b->size};
}

const char *buffer_text(const struct buffer *b)
{
    return b->data == NULL ? "" : b->data;
}
