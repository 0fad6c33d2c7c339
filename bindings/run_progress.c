/* run_progress.c - a loop may call it a million times: a call only replaces the word before. */
#include "bindings/run_progress.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "core/base/clock.h"
#include "core/base/text.h"

#include "bindings/runs.h"

#define INTERVAL_US 1000000u
#define MESSAGE_MAX ((size_t)200)

/* Owned by its run from the first word on. */
struct run_progress {
    struct progress_teller *teller;
    uint32_t run;
    bool is_waiting;
    uint64_t told_us; /* when its last word went; 0: never */
    uint64_t at_us;   /* of the last word */
    double fraction;
    size_t size;
    char message[MESSAGE_MAX];
    TAILQ_ENTRY(run_progress) link;
};

static void tell(struct run_progress *p, uint64_t now_us);
static void on_timer(uv_timer_t *timer);
static void start_timer(struct progress_teller *t, uint64_t now_us);

void progress_teller_init(struct progress_teller *t, uv_loop_t *loop, struct channel *channel)
{
    t->channel = channel;
    TAILQ_INIT(&t->waiting);
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
}

void progress_teller_close(struct progress_teller *t)
{
    uv_close((uv_handle_t *)&t->timer, NULL);
}

/* How many of these bytes do not cut a character in two; there is a byte behind them. */
static size_t whole_characters(const char *text, size_t size)
{
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
        size--;
    }
    return size;
}

int bind_run_progress(lua_State *L)
{
    struct run *r = run_check(L);
    double fraction = luaL_checknumber(L, 1);
    size_t size;
    const char *message = luaL_optlstring(L, 2, "", &size);
    uint64_t now_us = clock_now_us();

    if (r->progress == NULL) {
        r->progress = mem_zalloc(sizeof(*r->progress));
        r->progress->teller = &r->runs->teller;
        r->progress->run = r->job.run;
    }
    struct run_progress *p = r->progress;
    p->fraction = fraction;
    p->at_us = now_us;
    struct buffer *shown = &vm_of(L)->scratch;
    buffer_clear(shown);
    buffer_add(shown, message, size);
    secrets_mask(&vm_of(L)->secrets, shown, 0);
    p->size = shown->size <= MESSAGE_MAX ? shown->size : whole_characters(shown->data, MESSAGE_MAX);
    memcpy(p->message, buffer_text(shown), p->size);
    if (p->told_us == 0 || now_us - p->told_us >= INTERVAL_US) {
        tell(p, now_us);
        channel_flush(p->teller->channel); /* it may compute on without a wait */
    } else if (!p->is_waiting) {
        p->is_waiting = true;
        TAILQ_INSERT_TAIL(&p->teller->waiting, p, link);
        start_timer(p->teller, now_us);
    }
    return 0;
}

void run_progress_forget(struct run *r)
{
    struct run_progress *p = r->progress;

    if (p != NULL && p->is_waiting) {
        TAILQ_REMOVE(&p->teller->waiting, p, link);
    }
    free(p);
}

static void tell(struct run_progress *p, uint64_t now_us)
{
    struct buffer message = {0};

    if (p->is_waiting) {
        p->is_waiting = false;
        TAILQ_REMOVE(&p->teller->waiting, p, link);
    }
    p->told_us = now_us;
    text_add_clean(&message, (struct slice){p->message, p->size}, MESSAGE_MAX * 3);
    wire_put_progress(channel_out(p->teller->channel),
                      &(struct wire_progress){
                          .run = p->run,
                          .at_us = (int64_t)p->at_us,
                          .fraction = p->fraction,
                          .message = buffer_slice(&message),
                      });
    channel_send(p->teller->channel);
    buffer_fini(&message);
}

static void on_timer(uv_timer_t *timer)
{
    struct progress_teller *t = timer->data;
    uint64_t now_us = clock_now_us();
    struct run_progress *p;

    while ((p = TAILQ_FIRST(&t->waiting)) != NULL && now_us - p->told_us >= INTERVAL_US) {
        tell(p, now_us);
    }
    start_timer(t, now_us);
}

/* By the first one; another's time may be up sooner, which it then tells up to a second late. */
static void start_timer(struct progress_teller *t, uint64_t now_us)
{
    struct run_progress *first = TAILQ_FIRST(&t->waiting);

    if (first != NULL && !uv_is_active((uv_handle_t *)&t->timer)) {
        uint64_t waited_us = now_us - first->told_us;
        uint64_t left_us = waited_us < INTERVAL_US ? INTERVAL_US - waited_us : 0;
        uv_timer_start(&t->timer, on_timer, left_us / 1000 + 1, 0);
    }
}
