/* kind.h - the kinds that a generation of executors can run, as their handlers declare them. */
#ifndef CORE_JOB_KIND_H
#define CORE_JOB_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/job/wire.h"

struct kind {
    int32_t id; /* in the database; 0 until it is declared there */
    char *name; /* owned, as all texts here */
    char *queue;
    char *summary;
    char *schema;   /* JSON Schema of the arguments, or "" */
    char *source;   /* file:line */
    char *schedule; /* JSON of its schedule, or "" */
    char *limits;   /* JSON array of its limits, or "" */
    uint32_t max_attempts;
    uint32_t priority;
    double timeout_s;
    bool paused; /* by people: its jobs are not claimed */
};

/* All zero is valid and empty. Ordered by name. */
struct kind_list {
    struct kind *items; /* owned */
    size_t count;
};

/* Adds what an executor told, unless that name is there already. */
void kind_list_add(struct kind_list *list, const struct wire_kind *told);

/* Fills list, which is empty, with copies of from; ids are taken over from known, by name, if not NULL. */
void kind_list_copy(struct kind_list *list,
                    const struct kind_list *from,
                    const struct kind_list *known);

/* Keeps only names that `patterns` (text_matches_list) allows; NULL allows all. */
void kind_list_filter(struct kind_list *list, const char *patterns);

/* The kind, or NULL; borrowed until the list changes. */
struct kind *kind_by_name(const struct kind_list *list, struct slice name);
struct kind *kind_by_id(const struct kind_list *list, int32_t id);

void kind_list_fini(struct kind_list *list);

#endif
