/* secrets.c - a few texts, searched for one by one. */
#include "bindings/secrets.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json_text.h"
#include "core/base/mem.h"

/* "on" or "1234" would be found everywhere, and what remains would tell what it was. */
#define SHORTEST 6u

static bool is_known(const struct secrets *s, const char *name, struct slice text)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct secret_text *item = &s->items[i];
        if (item->size == text.size && memcmp(item->text, text.data, text.size) == 0 &&
            strcmp(item->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void insert(struct secrets *s, const char *name, struct slice text)
{
    size_t at = s->count;

    if (text.size < SHORTEST || is_known(s, name, text)) {
        return;
    }
    s->items = mem_resize(s->items, s->count + 1, sizeof(*s->items));
    for (; at > 0 && s->items[at - 1].size < text.size; at--) {
        s->items[at] = s->items[at - 1];
    }
    s->items[at] = (struct secret_text){
        .name = mem_strdup(name),
        .text = mem_copy(text.data, text.size),
        .size = text.size,
    };
    s->count++;
}

void secrets_add(struct secrets *s, const char *name, struct slice text)
{
    struct buffer json = {0};

    insert(s, name, text);
    json_add_string(&json, text, JSON_NUL_ESCAPE);
    insert(s, name, (struct slice){json.data + 1, json.size - 2}); /* without its quotes */
    buffer_fini(&json);
}

static void mask_one(const struct secret_text *secret, struct buffer *b, size_t from)
{
    struct buffer masked = {0};
    size_t at = from;
    const char *found;

    while ((found = memmem(b->data + at, b->size - at, secret->text, secret->size)) != NULL) {
        buffer_add(&masked, b->data + at, (size_t)(found - b->data) - at);
        buffer_printf(&masked, "<secret %s>", secret->name);
        at = (size_t)(found - b->data) + secret->size;
    }
    if (masked.size > 0) {
        buffer_add(&masked, b->data + at, b->size - at);
        b->size = from;
        buffer_add_slice(b, buffer_slice(&masked));
    }
    buffer_fini(&masked);
}

void secrets_mask(const struct secrets *s, struct buffer *b, size_t from)
{
    for (size_t i = 0; i < s->count && b->size > from; i++) {
        mask_one(&s->items[i], b, from);
    }
}

void secrets_fini(struct secrets *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].name);
        free(s->items[i].text);
    }
    free(s->items);
    *s = (struct secrets){0};
}
