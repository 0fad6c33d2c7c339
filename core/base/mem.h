/*
 * mem.h - allocation that does not fail.
 *
 * Out of memory ends the process: leases expire and another worker takes the jobs over. What a
 * user can make large (payloads, result sets) is limited before it is allocated.
 */
#ifndef CORE_BASE_MEM_H
#define CORE_BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Ignoring the result of such a function is a compile error. */
#define MUST_USE __attribute__((warn_unused_result))

#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

/* size zeroed bytes; never NULL. Owned by the caller. */
static inline void *mem_zalloc(size_t size)
{
    void *p = calloc(1, size);

    if (p == NULL) {
        abort();
    }
    return p;
}

/* p grown or shrunk to count items of size bytes; never NULL. Takes p. */
static inline void *mem_resize(void *p, size_t count, size_t size)
{
    void *q = reallocarray(p, count == 0 ? 1 : count, size);

    if (q == NULL) {
        abort();
    }
    return q;
}

/* A copy with a terminator behind it; never NULL. Owned by the caller. */
static inline char *mem_copy(const char *data, size_t size)
{
    char *p = mem_zalloc(size + 1);

    if (size > 0) {
        memcpy(p, data, size);
    }
    return p;
}

static inline char *mem_strdup(const char *text)
{
    return mem_copy(text, strlen(text));
}

#endif
