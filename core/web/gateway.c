/* gateway.c - a table of requests; a line of those that wait for an executor; a tick while any are there. */
#include "core/web/gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "core/base/clock.h"
#include "core/base/json_text.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/job/wire.h"
#include "core/pool/executor.h"
#include "core/web/answer.h"

#define TICK_MS 50u

/* After a stop was asked for, then the executor is killed: as for jobs. */
#define STOP_GRACE_MS 800u

#define LONGEST_FIELD ((size_t)16 << 10) /* a head is no longer */

struct request {
    uint32_t run;                       /* its place in the table */
    struct http_connection *connection; /* NULL: nobody waits for an answer any more */
    struct executor *executor;          /* NULL: it waits for one */
    struct buffer args;
    uint64_t since_ms;
    uint64_t stopped_ms; /* when it was asked to stop; 0: not yet */
    TAILQ_ENTRY(request) link;
};

struct gateway {
    gateway_pick_fn pick;
    void *owner;
    double timeout_s;       /* 0 before gateway_serve() */
    struct request **table; /* owned; run -> request, or NULL */
    uint32_t *spare;        /* owned stack of unused places */
    size_t most;
    size_t count;
    TAILQ_HEAD(requests, request) waiting;
    uv_timer_t tick;
    struct buffer text;
};

static void refuse(struct http_connection *c,
                   unsigned status,
                   const char *fields,
                   const char *text);
static void add_args(struct buffer *out, struct http_connection *c, const struct http_request *r);
static void start(struct gateway *g, struct request *q, struct executor *e);
static int on_outcome(struct gateway *g, struct executor *e, struct frame *f);
static void conclude(struct gateway *g, struct request *q, const struct wire_outcome *m);
static void end(struct gateway *g, struct request *q);
static void on_tick(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);

struct gateway *gateway_open(uv_loop_t *loop, size_t most, gateway_pick_fn pick, void *owner)
{
    struct gateway *g = mem_zalloc(sizeof(*g));

    g->pick = pick;
    g->owner = owner;
    g->most = most;
    g->table = mem_zalloc(most * sizeof(struct request *));
    g->spare = mem_zalloc(most * sizeof(*g->spare));
    for (size_t i = 0; i < most; i++) {
        g->spare[i] = (uint32_t)(most - 1 - i);
    }
    TAILQ_INIT(&g->waiting);
    uv_timer_init(loop, &g->tick);
    g->tick.data = g;
    return g;
}

void gateway_serve(struct gateway *g, double timeout_s)
{
    g->timeout_s = timeout_s;
    gateway_run(g);
}

/* Arguments are text in UTF-8; a field that is not is mended, a body is refused. */
static bool is_utf8(struct slice text)
{
    uint32_t code;

    while (text.size > 0) {
        size_t size = text_character(text, &code);
        if (size == 0) {
            return false;
        }
        text.data += size;
        text.size -= size;
    }
    return true;
}

void gateway_request(struct gateway *g, struct http_connection *c, const struct http_request *r)
{
    if (!is_utf8(r->body)) {
        refuse(c, 400, "", "the body is not UTF-8\n");
        return;
    }
    if (g->count == g->most) {
        refuse(c, 503, "Retry-After: 1\r\n", "too many requests at a time\n");
        return;
    }
    struct request *q = mem_zalloc(sizeof(*q));
    q->connection = c;
    q->since_ms = clock_now_ms();
    add_args(&q->args, c, r);
    q->run = g->spare[g->most - ++g->count];
    g->table[q->run] = q;
    *http_connection_data(c) = q;
    TAILQ_INSERT_TAIL(&g->waiting, q, link);
    gateway_run(g);
    if (!uv_is_active((uv_handle_t *)&g->tick)) {
        uv_timer_start(&g->tick, on_tick, TICK_MS, TICK_MS);
    }
}

/* What it does may take locks and time, and is of no use to anybody. */
void gateway_left(struct gateway *g, struct http_connection *c)
{
    struct request *q = *http_connection_data(c);

    if (q == NULL) {
        return;
    }
    q->connection = NULL;
    if (q->executor != NULL) {
        q->stopped_ms = clock_now_ms();
        executor_stop(q->executor, q->run, STOP_CANCEL);
    } else {
        TAILQ_REMOVE(&g->waiting, q, link);
        end(g, q);
    }
}

void gateway_run(struct gateway *g)
{
    struct executor *e;

    while (!TAILQ_EMPTY(&g->waiting) && g->timeout_s > 0 && (e = g->pick(g->owner)) != NULL) {
        struct request *q = TAILQ_FIRST(&g->waiting);
        TAILQ_REMOVE(&g->waiting, q, link);
        start(g, q, e);
    }
}

int gateway_told(struct gateway *g, struct executor *e, struct frame *f)
{
    switch (f->type) {
    case WIRE_STARTED: return 0;
    case WIRE_OUTCOME: return on_outcome(g, e, f);
    default: return -EBADMSG;
    }
}

void gateway_lost(struct gateway *g, const struct executor *e, const char *why)
{
    for (size_t i = 0; i < g->most; i++) {
        struct request *q = g->table[i];
        if (q == NULL || q->executor != e) {
            continue;
        }
        log_error("a request ended with its executor", LOG_TEXT("error", why));
        if (q->connection != NULL) {
            refuse(q->connection, 503, "Retry-After: 1\r\n", "the request could not be finished\n");
        }
        end(g, q);
    }
}

size_t gateway_count(const struct gateway *g)
{
    return g->count;
}

void gateway_close(struct gateway *g)
{
    for (size_t i = 0; i < g->most; i++) {
        if (g->table[i] != NULL) {
            end(g, g->table[i]);
        }
    }
    buffer_fini(&g->text);
    free(g->table);
    free(g->spare);
    uv_close((uv_handle_t *)&g->tick, on_closed);
}

static void refuse(struct http_connection *c, unsigned status, const char *fields, const char *text)
{
    struct buffer all = {0};

    buffer_add_text(&all, "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n");
    buffer_add_text(&all, fields);
    http_connection_answer(c,
                           &(struct http_answer){
                               .status = status,
                               .fields = buffer_slice(&all),
                               .body = slice_of(text),
                           });
    buffer_fini(&all);
}

/* ---- a request as arguments ---- */

static void add_member(struct buffer *out, const char *name, struct slice value)
{
    buffer_printf(out, "%s\"%s\":", out->size == 1 ? "" : ",", name);
    json_add_string(out, value, JSON_NUL_ESCAPE);
}

static void add_field(struct buffer *out, const struct http_field *f)
{
    struct buffer text = {0};

    for (size_t i = 0; i < f->name.size; i++) {
        char c = f->name.data[i];
        if (c >= 'A' && c <= 'Z') {
            c = (char)(c | 0x20);
        }
        buffer_add_char(&text, c);
    }
    buffer_add_char(out, '[');
    json_add_string(out, buffer_slice(&text), JSON_NUL_ESCAPE);
    buffer_add_char(out, ',');
    buffer_clear(&text);
    text_add_clean(&text, f->value, LONGEST_FIELD);
    json_add_string(out, buffer_slice(&text), JSON_NUL_ESCAPE);
    buffer_add_char(out, ']');
    buffer_fini(&text);
}

static void add_args(struct buffer *out, struct http_connection *c, const struct http_request *r)
{
    const struct http_head *h = r->head;
    struct buffer peer = {0};

    http_connection_peer(c, &peer);
    buffer_add_char(out, '{');
    add_member(out, "method", h->method);
    add_member(out, "path", h->path);
    add_member(out, "query", h->query);
    add_member(out, "host", h->host);
    add_member(out, "peer", buffer_slice(&peer));
    add_member(out, "body", r->body);
    buffer_add_text(out, ",\"fields\":[");
    for (size_t i = 0; i < h->field_count; i++) {
        buffer_add_text(out, i == 0 ? "" : ",");
        add_field(out, &h->fields[i]);
    }
    buffer_add_text(out, "]}");
    buffer_fini(&peer);
}

/* ---- its run ---- */

static void start(struct gateway *g, struct request *q, struct executor *e)
{
    q->executor = e;
    executor_add_load(e, 1);
    executor_run(e,
                 &(struct wire_run){
                     .run = q->run,
                     .attempt = 1,
                     .max_attempts = 1,
                     .timeout_s = g->timeout_s,
                     .kind = slice_of(GATEWAY_KIND),
                     .args = buffer_slice(&q->args),
                 });
    buffer_fini(&q->args);
}

static int on_outcome(struct gateway *g, struct executor *e, struct frame *f)
{
    struct wire_outcome m;

    if (wire_get_outcome(f, &m) != 0 || m.run >= g->most) {
        return -EBADMSG;
    }
    struct request *q = g->table[m.run];
    if (q == NULL || q->executor != e) {
        return -EBADMSG;
    }
    if (q->connection != NULL) {
        conclude(g, q, &m);
    }
    end(g, q);
    return 0;
}

static void conclude(struct gateway *g, struct request *q, const struct wire_outcome *m)
{
    struct http_answer answer;

    if (m->verdict == VERDICT_DONE && answer_read(m->result, &g->text, &answer) == 0) {
        http_connection_answer(q->connection, &answer);
    } else if (m->verdict == VERDICT_STOPPED) {
        log_error("a request took too long", LOG_SLICE("error", m->error));
        refuse(q->connection, 503, "Retry-After: 5\r\n", "the request took too long\n");
    } else {
        struct slice why =
            m->verdict == VERDICT_DONE ? slice_of("what it returned is no answer") : m->error;
        log_error("a request failed", LOG_SLICE("error", why));
        refuse(q->connection,
               500,
               "",
               "something went wrong here; the log of the server says what\n");
    }
}

static void end(struct gateway *g, struct request *q)
{
    if (q->executor != NULL) {
        executor_add_load(q->executor, -1);
    }
    if (q->connection != NULL) {
        *http_connection_data(q->connection) = NULL;
    }
    g->table[q->run] = NULL;
    g->spare[g->most - g->count--] = q->run;
    buffer_fini(&q->args);
    free(q);
}

/* ---- deadlines ---- */

/* Also for one that still waits: its executor may never come. */
static void check(struct gateway *g, struct request *q, uint64_t now_ms)
{
    bool is_late = now_ms - q->since_ms > (uint64_t)(g->timeout_s * 1000);

    if (q->stopped_ms != 0 && now_ms - q->stopped_ms > STOP_GRACE_MS) {
        executor_kill(q->executor); /* gateway_lost() follows */
    } else if (q->stopped_ms == 0 && is_late && q->executor != NULL) {
        q->stopped_ms = now_ms;
        executor_stop(q->executor, q->run, STOP_DEADLINE);
    } else if (is_late && q->executor == NULL) {
        refuse(q->connection, 503, "Retry-After: 5\r\n", "nobody could take the request in time\n");
        TAILQ_REMOVE(&g->waiting, q, link);
        end(g, q);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct gateway *g = timer->data;
    uint64_t now_ms = clock_now_ms();

    for (size_t i = 0; i < g->most; i++) {
        if (g->table[i] != NULL) {
            check(g, g->table[i], now_ms);
        }
    }
    if (g->count == 0) {
        uv_timer_stop(timer);
    }
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
