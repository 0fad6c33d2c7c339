/*
 * secrets.h - texts that nobody may read in a log, an error or a result. Knows nothing of Lua.
 *
 * What a handler has revealed it may put anywhere; so all that leaves the process for people to read is
 * searched for them.
 */
#ifndef BINDINGS_SECRETS_H
#define BINDINGS_SECRETS_H

#include "core/base/buffer.h"
#include "core/base/slice.h"

struct secret_text {
    char *name; /* owned, as is text */
    char *text;
    size_t size;
};

/* The longest first: one may be part of another. */
struct secrets {
    struct secret_text *items;
    size_t count;
};

/* Also as it is written in JSON. One that is too short to be told from other words is left alone. */
void secrets_add(struct secrets *s, const char *name, struct slice text);

/* What is behind `from` in b, with "<secret NAME>" in the place of each. */
void secrets_mask(const struct secrets *s, struct buffer *b, size_t from);

void secrets_fini(struct secrets *s);

#endif
