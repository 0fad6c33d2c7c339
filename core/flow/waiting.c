/* waiting.c - singly linked lines. */
#include "core/flow/waiting.h"

static struct waiting_line *line_of(struct waiting *w, const struct job *j)
{
    if (j->suspect) {
        return &w->apart;
    }
    return &w->lines[j->priority < WAITING_PRIORITIES ? j->priority : WAITING_PRIORITIES - 1];
}

void waiting_add(struct waiting *w, struct job *job)
{
    struct waiting_line *line = line_of(w, job);

    job->next = NULL;
    if (line->last == NULL) {
        line->first = job;
    } else {
        line->last->next = job;
    }
    line->last = job;
    w->count++;
}

struct job *waiting_take(struct waiting *w, struct waiting_line *line)
{
    struct job *j = line->first;

    line->first = j->next;
    line->last = line->first == NULL ? NULL : line->last;
    w->count--;
    return j;
}

struct job *waiting_pop(struct waiting *w)
{
    struct waiting_line *line = &w->apart;

    for (size_t p = 0; p < WAITING_PRIORITIES && line->first == NULL; p++) {
        line = &w->lines[p];
    }
    return line->first == NULL ? NULL : waiting_take(w, line);
}

static void cancel_in(struct waiting_line *line, int64_t job_id)
{
    for (struct job *j = line->first; j != NULL; j = j->next) {
        j->cancelled = j->cancelled || j->id == job_id;
    }
}

void waiting_cancel(struct waiting *w, int64_t job_id)
{
    cancel_in(&w->apart, job_id);
    for (size_t p = 0; p < WAITING_PRIORITIES; p++) {
        cancel_in(&w->lines[p], job_id);
    }
}

uint64_t waiting_since_us(const struct waiting *w)
{
    uint64_t since_us = w->apart.first == NULL ? UINT64_MAX : w->apart.first->sent_us;

    for (size_t p = 0; p < WAITING_PRIORITIES; p++) {
        const struct job *j = w->lines[p].first;
        since_us = j != NULL && j->sent_us < since_us ? j->sent_us : since_us;
    }
    return since_us;
}
