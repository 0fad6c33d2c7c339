/* kind.c - a small array, ordered by name. */
#include "core/job/kind.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"

static void kind_fini(struct kind *k);
static char *copy(struct slice s);
static size_t position(const struct kind_list *list, struct slice name, bool *found);

void kind_list_add(struct kind_list *list, const struct wire_kind *told)
{
    bool found;
    size_t at = position(list, told->name, &found);

    if (found) {
        return;
    }
    list->items = mem_resize(list->items, list->count + 1, sizeof(*list->items));
    memmove(&list->items[at + 1], &list->items[at], (list->count - at) * sizeof(*list->items));
    list->items[at] = (struct kind){
        .name = copy(told->name),
        .queue = copy(told->queue),
        .summary = copy(told->summary),
        .schema = copy(told->schema),
        .source = copy(told->source),
        .schedule = copy(told->schedule),
        .limits = copy(told->limits),
        .max_attempts = told->max_attempts,
        .priority = told->priority,
        .timeout_s = told->timeout_s,
    };
    list->count++;
}

void kind_list_copy(struct kind_list *list,
                    const struct kind_list *from,
                    const struct kind_list *known)
{
    list->count = from->count;
    list->items = mem_zalloc((from->count + 1) * sizeof(*list->items));
    for (size_t i = 0; i < from->count; i++) {
        const struct kind *k = &from->items[i];
        const struct kind *old = known == NULL ? NULL : kind_by_name(known, slice_of(k->name));
        list->items[i] = (struct kind){
            .id = old == NULL ? 0 : old->id,
            .name = mem_strdup(k->name),
            .queue = mem_strdup(k->queue),
            .summary = mem_strdup(k->summary),
            .schema = mem_strdup(k->schema),
            .source = mem_strdup(k->source),
            .schedule = mem_strdup(k->schedule),
            .limits = mem_strdup(k->limits),
            .max_attempts = k->max_attempts,
            .priority = k->priority,
            .timeout_s = k->timeout_s,
            .paused = old != NULL && old->paused,
        };
    }
}

void kind_list_filter(struct kind_list *list, const char *patterns)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (patterns == NULL || text_matches_list(patterns, list->items[i].name)) {
            list->items[kept++] = list->items[i];
        } else {
            kind_fini(&list->items[i]);
        }
    }
    list->count = kept;
}

struct kind *kind_by_name(const struct kind_list *list, struct slice name)
{
    bool found;
    size_t at = position(list, name, &found);

    return found ? &list->items[at] : NULL;
}

struct kind *kind_by_id(const struct kind_list *list, int32_t id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].id == id) {
            return &list->items[i];
        }
    }
    return NULL;
}

void kind_list_fini(struct kind_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        kind_fini(&list->items[i]);
    }
    free(list->items);
    *list = (struct kind_list){0};
}

static void kind_fini(struct kind *k)
{
    free(k->name);
    free(k->queue);
    free(k->summary);
    free(k->schema);
    free(k->source);
    free(k->schedule);
    free(k->limits);
}

static char *copy(struct slice s)
{
    return mem_copy(s.data, s.size);
}

static size_t position(const struct kind_list *list, struct slice name, bool *found)
{
    size_t at = 0;

    *found = false;
    while (at < list->count) {
        const char *here = list->items[at].name;
        int order = strncmp(here, name.data, name.size);
        order = order != 0 ? order : (int)(here[name.size] != 0);
        if (order >= 0) {
            *found = order == 0;
            break;
        }
        at++;
    }
    return at;
}
