/* run_look.c - reads stacks of coroutines; a run that computes is looked at from its hook. */
#include "bindings/run_look.h"

#include "core/base/clock.h"
#include "core/base/text.h"

#include "bindings/runs.h"
#include "bindings/trace.h"

/* Of a run with very many parts the first will do. */
#define TEXT_MAX ((size_t)60 << 10)

static void add_task(struct task *t, void *arg);
static void add_part(struct task *t, void *arg);
static void add_stack(struct buffer *out, const struct task *t);

void run_look(struct run *r, struct buffer *out)
{
    struct buffer text = {0};

    if (r->task.vm == NULL) {
        buffer_add_text(out, "state queued\n");
        return;
    }
    add_task(&r->task, &text);
    text_add_clean(out, buffer_slice(&text), text.size * 3); /* names of files may be anything */
    buffer_fini(&text);
}

static void add_task(struct task *t, void *arg)
{
    struct buffer *out = arg;
    bool waits = t->state == TASK_WAITING;

    buffer_printf(out,
                  "state %s\nfor %.3f\n",
                  waits ? "waiting" : "computing",
                  (double)(clock_now_us() - t->resumed_us) / 1e6);
    if (waits) {
        buffer_add_text(out, "in ");
        trace_add_wait(out, t->co);
        buffer_add_char(out, '\n');
    }
    add_stack(out, t);
    if (waits && t->wait->each_task != NULL) {
        t->wait->each_task(t->wait, add_part, out);
    }
}

static void add_part(struct task *t, void *arg)
{
    struct buffer *out = arg;

    if (out->size < TEXT_MAX) {
        buffer_add_text(out, "part\n");
        add_task(t, out);
    }
}

/* A handler may compute in a coroutine of its own: that one is inside of the task's. */
static void add_stack(struct buffer *out, const struct task *t)
{
    struct buffer frames = {0};

    if (t->vm->running == t && t->vm->innermost != t->co) {
        trace_add_frames(&frames, t->vm->innermost, 0);
    }
    trace_add_frames(&frames, t->co, 0);
    for (const char *line = buffer_text(&frames); *line != 0;) {
        line += strspn(line, "\n\t");
        size_t length = strcspn(line, "\n");
        buffer_printf(out, "at %.*s\n", (int)length, line);
        line += length;
    }
    buffer_fini(&frames);
}
