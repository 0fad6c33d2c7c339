/* cancel.c - a connection of its own for one word to the server, closed at once. */
#include "core/db/cancel.h"

#include <stdlib.h>

#include "core/base/mem.h"

struct cancelling {
    uv_work_t work;
    PGcancel *cancel; /* owned */
};

static void cancel_in_thread(uv_work_t *work)
{
    struct cancelling *c = work->data;
    char why[256];

    (void)PQcancel(c->cancel, why, sizeof(why)); /* it may have ended by itself */
}

static void on_cancelled(uv_work_t *work, int status)
{
    struct cancelling *c = work->data;

    (void)status;
    PQfreeCancel(c->cancel);
    free(c);
}

void cancel_start(uv_loop_t *loop, PGcancel *cancel)
{
    if (cancel == NULL) {
        return;
    }
    struct cancelling *c = mem_zalloc(sizeof(*c));
    c->work.data = c;
    c->cancel = cancel;
    uv_queue_work(loop, &c->work, cancel_in_thread, on_cancelled);
}
