/* job.c - memory and order of claimed jobs. */
#include "core/job/job.h"

#include <stdlib.h>

#include "core/base/mem.h"

struct job *job_new(struct slice args, struct slice meta)
{
    struct job *j = mem_zalloc(sizeof(*j) + args.size + meta.size + 1);

    if (args.size > 0) {
        memcpy(j->bytes, args.data, args.size);
    }
    if (meta.size > 0) {
        memcpy(j->bytes + args.size, meta.data, meta.size);
    }
    j->args = (struct slice){j->bytes, args.size};
    j->meta = (struct slice){j->bytes + args.size, meta.size};
    return j;
}

void job_free(struct job *j)
{
    free(j);
}

int job_compare(const struct job *a, const struct job *b)
{
    if (a->priority != b->priority) {
        return a->priority < b->priority ? -1 : 1;
    }
    if (a->run_at_us != b->run_at_us) {
        return a->run_at_us < b->run_at_us ? -1 : 1;
    }
    return a->id < b->id ? -1 : a->id > b->id;
}

bool job_has_expired(const struct job *j, uint64_t now_us)
{
    return j->expires_us != 0 && now_us >= j->expires_us;
}

struct lease *lease_add(struct lease_list *list, int64_t seq)
{
    struct lease *l = mem_zalloc(sizeof(*l));

    l->seq = seq;
    l->prev = list->last;
    if (list->last != NULL) {
        list->last->next = l;
    } else {
        list->first = l;
    }
    list->last = l;
    list->count++;
    return l;
}

void lease_settle(struct lease_list *list, struct lease *l)
{
    if (--l->open > 0) {
        return;
    }
    if (l->prev != NULL) {
        l->prev->next = l->next;
    } else {
        list->first = l->next;
    }
    if (l->next != NULL) {
        l->next->prev = l->prev;
    } else {
        list->last = l->prev;
    }
    list->count--;
    free(l);
}

void lease_list_fini(struct lease_list *list)
{
    struct lease *next;

    for (struct lease *l = list->first; l != NULL; l = next) {
        next = l->next;
        free(l);
    }
    *list = (struct lease_list){0};
}
