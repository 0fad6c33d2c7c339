/* looking.c - a ticket a question; the executor answers, or time does. */
#include "core/app/looking.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/job/pulse.h"
#include "core/pool/executor.h"

#define QUESTION "stack "

/* A bell may ring just before a run begins to compute, and is then not heard: so it rings again. */
#define RING_MS 500u
#define RINGS   4u /* in all 2 s */

struct look {
    struct looking *looking;
    struct asker *asker;
    uint32_t ticket;
    int64_t job_id;
    unsigned rings;
    uv_timer_t timer;
    LIST_ENTRY(look) link;
};

struct looking {
    uv_loop_t *loop;
    struct dispatcher *dispatcher;
    uint32_t tickets;
    LIST_HEAD(, look) looks;
};

static void start(struct looking *l, struct asker *a, const struct job *j);
static void on_timer(uv_timer_t *timer);
static void add_silence(struct look *k, const struct job *j, struct buffer *out);
static void answer(struct look *k, const struct job *j, struct slice text);
static void forget(struct look *k);
static void on_closed(uv_handle_t *handle);

struct looking *looking_open(uv_loop_t *loop, struct dispatcher *dispatcher)
{
    struct looking *l = mem_zalloc(sizeof(*l));

    l->loop = loop;
    l->dispatcher = dispatcher;
    LIST_INIT(&l->looks);
    return l;
}

void looking_ask(struct looking *l, struct asker *a, const char *line)
{
    size_t word = sizeof(QUESTION) - 1;
    int64_t id;

    if (strncmp(line, QUESTION, word) != 0 || !text_integer(line + word, 1, INT64_MAX, &id)) {
        private_socket_answer(a, slice_of("error expected stack and the id of a job\nend\n"));
        return;
    }
    const struct job *j = dispatcher_find(l->dispatcher, id);
    if (j == NULL) {
        private_socket_answer(a, slice_of("state claimed\nend\n"));
    } else {
        start(l, a, j);
    }
}

int looking_told(struct looking *l, struct frame *f)
{
    struct wire_sight m;
    struct look *k;

    if (wire_get_sight(f, &m) < 0) {
        return -EBADMSG;
    }
    LIST_FOREACH(k, &l->looks, link)
    {
        if (k->ticket == m.ticket) {
            answer(k, dispatcher_find(l->dispatcher, k->job_id), m.text);
            return 0;
        }
    }
    return 0; /* it came too late */
}

void looking_close(struct looking *l)
{
    while (!LIST_EMPTY(&l->looks)) {
        forget(LIST_FIRST(&l->looks));
    }
    free(l);
}

static void start(struct looking *l, struct asker *a, const struct job *j)
{
    struct look *k = mem_zalloc(sizeof(*k));

    k->looking = l;
    k->asker = a;
    k->ticket = ++l->tickets;
    k->job_id = j->id;
    LIST_INSERT_HEAD(&l->looks, k, link);
    uv_timer_init(l->loop, &k->timer);
    k->timer.data = k;
    uv_timer_start(&k->timer, on_timer, RING_MS, RING_MS);
    executor_look(j->executor, &(struct wire_look){j->run, k->ticket});
}

static void on_timer(uv_timer_t *timer)
{
    struct look *k = timer->data;
    const struct job *j = dispatcher_find(k->looking->dispatcher, k->job_id);
    struct buffer text = {0};

    if (j != NULL && ++k->rings < RINGS) {
        executor_ring(j->executor);
        return;
    }
    if (j == NULL) {
        buffer_add_text(&text, "state over\n");
    } else {
        add_silence(k, j, &text);
    }
    answer(k, j, buffer_slice(&text));
    buffer_fini(&text);
}

static void add_silence(struct look *k, const struct job *j, struct buffer *out)
{
    struct dispatcher *d = k->looking->dispatcher;
    uint64_t since_us = 0;
    uint32_t run = executor_computing(j->executor, &since_us);
    const struct job *other = dispatcher_job(d, j->executor, run);

    buffer_add_text(out, "state silent\nbusy ");
    if (other == NULL) {
        buffer_add_text(out, "nobody\n");
        return;
    }
    if (other == j) {
        buffer_add_text(out, "self\n");
    } else {
        buffer_printf(out, "%" PRId64 " %s\n", other->id, dispatcher_kind_name(d, other));
    }
    buffer_printf(out, "for %.3f\n", (double)(clock_now_us() - since_us) / 1e6);
    executor_add_place(j->executor, out);
}

/* j is NULL if it has ended meanwhile. Frees k. */
static void answer(struct look *k, const struct job *j, struct slice text)
{
    struct buffer out = {0};

    if (j != NULL) {
        const char *kind = dispatcher_kind_name(k->looking->dispatcher, j);
        buffer_printf(&out, "kind %s\nattempt %u\ntimeout %g\n", kind, j->attempt, j->timeout_s);
    }
    if (j != NULL && j->started_us != 0) {
        buffer_printf(&out, "ran %.3f\n", (double)(clock_now_us() - j->started_us) / 1e6);
    }
    buffer_add_slice(&out, text);
    buffer_add_text(&out, "end\n");
    private_socket_answer(k->asker, buffer_slice(&out));
    buffer_fini(&out);
    forget(k);
}

static void forget(struct look *k)
{
    LIST_REMOVE(k, link);
    uv_close((uv_handle_t *)&k->timer, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
