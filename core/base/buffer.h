/* buffer.h - a byte string that grows. */
#ifndef CORE_BASE_BUFFER_H
#define CORE_BASE_BUFFER_H

#include <stddef.h>

#include "core/base/slice.h"

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* All zero is a valid, empty buffer. */
struct buffer {
    char *data; /* owned; NULL while nothing was ever added; always has a 0 behind size bytes */
    size_t size;
    size_t capacity;
};

/* Frees what the buffer holds; it is empty and usable afterwards. */
void buffer_fini(struct buffer *b);

/* Forgets the content, keeps the memory. */
void buffer_clear(struct buffer *b);

/* Room for size more bytes; returns where they go. Follow with buffer_grew(). */
char *buffer_reserve(struct buffer *b, size_t size);
void buffer_grew(struct buffer *b, size_t size);

void buffer_add(struct buffer *b, const void *data, size_t size);
void buffer_add_char(struct buffer *b, char c);
void buffer_add_text(struct buffer *b, const char *text);
void buffer_add_slice(struct buffer *b, struct slice s);
void buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Removes size bytes from the front. */
void buffer_shift(struct buffer *b, size_t size);

/* The content, borrowed until the buffer changes. */
struct slice buffer_slice(const struct buffer *b);

/* The content as a C string, borrowed until the buffer changes; never NULL. */
const char *buffer_text(const struct buffer *b);

#endif
