/* connection.c - bytes in, one request at a time; an answer out, and the deadlines of both. */
#include "core/http/connection.h"

#include <stdlib.h>
#include <time.h>

#include "core/http/body.h"
#include "core/http/status.h"

/* What is read ahead of a request that is being answered. */
#define AHEAD_MAX_BYTES HTTP_HEAD_MAX_BYTES

/* For an answer to arrive before the connection is closed. */
#define LINGER_MS 2000u

#define READ_BYTES ((size_t)64 << 10)

enum state {
    STATE_HEAD,
    STATE_BODY,
    STATE_ANSWERING, /* the owner has it, or its answer is not sent */
    STATE_STREAMING,
    STATE_LINGERING, /* all is said; what still comes is thrown away, so that the answer is not */
    STATE_CLOSING,
};

struct http_connection {
    uv_tcp_t tcp;
    uv_timer_t timer;
    int handles; /* not yet closed by the loop */
    enum state state;
    bool is_answered;
    bool is_reading;
    bool is_1_0;
    bool is_head;     /* HEAD: no body is sent */
    bool closes;      /* after this answer */
    bool is_finished; /* after what is still to be written of a stream */
    struct http_connections *all;
    LIST_ENTRY(http_connection) link;
    const struct http_limits *limits;
    const struct http_events *events;
    void *owner;
    void *data;
    struct buffer in;
    size_t scanned;
    size_t head_size; /* of the request under way, at the front of in */
    struct http_head head;
    struct http_body body;
    struct buffer out; /* gathers while writing is out */
    struct buffer writing;
    uv_write_t write;
    bool is_writing;
    uv_shutdown_t shutdown;
};

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *room);
static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *room);
static void watch(struct http_connection *c);
static void advance(struct http_connection *c);
static void refuse(struct http_connection *c, unsigned status);
static void send_out(struct http_connection *c);
static void on_written(uv_write_t *write, int status);
static void answered(struct http_connection *c);
static void linger(struct http_connection *c);
static void on_late(uv_timer_t *timer);
static void close_now(struct http_connection *c);
static void on_closed(uv_handle_t *handle);

void http_connection_accept(uv_stream_t *server,
                            struct http_connections *all,
                            const struct http_limits *limits,
                            const struct http_events *events,
                            void *owner)
{
    struct http_connection *c = mem_zalloc(sizeof(*c));

    c->all = all;
    c->limits = limits;
    c->events = events;
    c->owner = owner;
    c->handles = 2;
    LIST_INSERT_HEAD(&all->list, c, link);
    all->count++;
    uv_tcp_init(server->loop, &c->tcp);
    uv_timer_init(server->loop, &c->timer);
    c->tcp.data = c->timer.data = c->write.data = c;
    if (uv_accept(server, (uv_stream_t *)&c->tcp) < 0) {
        close_now(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    uv_timer_start(&c->timer, on_late, limits->head_ms, 0);
    watch(c);
}

struct http_connection *http_connection_next(const struct http_connection *c)
{
    return LIST_NEXT(c, link);
}

void **http_connection_data(struct http_connection *c)
{
    return &c->data;
}

void http_connection_peer(const struct http_connection *c, struct buffer *out)
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    char text[64] = "?";

    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&address, &size) == 0) {
        (void)uv_ip_name((const struct sockaddr *)&address, text, sizeof(text));
    }
    buffer_add_text(out, text);
}

static void add_date(struct buffer *out)
{
    time_t now = time(NULL);
    struct tm utc;
    char text[64];

    size_t size = strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
    buffer_add_text(out, "Date: ");
    buffer_add(out, text, size);
    buffer_add_text(out, "\r\n");
}

static void add_head(struct http_connection *c, unsigned status, struct slice fields)
{
    buffer_printf(&c->out, "HTTP/1.1 %u %s\r\n", status, http_status_text(status));
    add_date(&c->out);
    buffer_add_slice(&c->out, fields);
    if (c->closes) {
        buffer_add_text(&c->out, "Connection: close\r\n");
    } else if (c->is_1_0) {
        buffer_add_text(&c->out, "Connection: keep-alive\r\n");
    }
}

void http_connection_answer(struct http_connection *c, const struct http_answer *a)
{
    bool has_body = a->status != 204 && a->status != 304;

    if (c->state != STATE_ANSWERING || c->is_answered) {
        return;
    }
    c->is_answered = true;
    c->closes = c->closes || a->closes || !c->head.keeps_alive;
    add_head(c, a->status, a->fields);
    if (has_body) {
        buffer_printf(&c->out, "Content-Length: %zu\r\n", a->body.size);
    }
    buffer_add_text(&c->out, "\r\n");
    if (has_body && !c->is_head) {
        buffer_add_slice(&c->out, a->body);
    }
    send_out(c);
}

/* Its end is the end of the connection: also for HTTP/1.0, and no chunks for proxies to cut anew. */
void http_connection_stream(struct http_connection *c, struct slice fields)
{
    if (c->state != STATE_ANSWERING || c->is_answered) {
        return;
    }
    c->is_answered = true;
    c->closes = true;
    c->state = STATE_STREAMING;
    uv_timer_stop(&c->timer);
    add_head(c, 200, fields);
    buffer_add_text(&c->out, "\r\n");
    send_out(c);
}

void http_connection_add(struct http_connection *c, struct slice more)
{
    if (c->state != STATE_STREAMING) {
        return;
    }
    buffer_add_slice(&c->out, more);
    if (c->out.size > c->limits->backlog_bytes) {
        close_now(c);
    } else {
        send_out(c);
    }
}

void http_connection_finish(struct http_connection *c)
{
    c->closes = true;
    c->is_finished = c->state == STATE_STREAMING;
    if (c->state != STATE_ANSWERING && !(c->is_finished && c->is_writing)) {
        close_now(c);
    }
}

void http_connection_close(struct http_connection *c)
{
    close_now(c);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *room)
{
    struct http_connection *c = handle->data;

    (void)wanted;
    *room = uv_buf_init(buffer_reserve(&c->in, READ_BYTES), READ_BYTES);
}

static void watch(struct http_connection *c)
{
    bool wants = c->state != STATE_CLOSING &&
                 (c->state != STATE_ANSWERING || c->in.size < c->head_size + AHEAD_MAX_BYTES);

    if (wants && !c->is_reading) {
        c->is_reading = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0;
    } else if (!wants && c->is_reading) {
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
        c->is_reading = false;
    }
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *room)
{
    struct http_connection *c = stream->data;

    (void)room;
    if (size < 0) {
        close_now(c);
        return;
    }
    if (c->state == STATE_STREAMING || c->state == STATE_LINGERING) {
        return; /* not kept */
    }
    if (c->in.size == 0 && size > 0 && c->state == STATE_HEAD) {
        uv_timer_start(&c->timer, on_late, c->limits->head_ms, 0);
    }
    buffer_grew(&c->in, (size_t)size);
    advance(c);
    watch(c);
}

static void begin_body(struct http_connection *c, size_t head_size)
{
    c->head_size = head_size;
    int error = http_body_open(&c->body, c->head.length, c->limits->body_bytes);
    if (error < 0) {
        refuse(c, (unsigned)-error);
        return;
    }
    c->state = STATE_BODY;
    uv_timer_start(&c->timer, on_late, c->limits->body_ms, 0);
    if (c->head.waits_to_send && !http_body_is_done(&c->body) && c->in.size == head_size) {
        buffer_add_text(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        send_out(c);
    }
}

/* The head's slices point into in, which may have moved when it grew: it is read again at the end. */
static void read_head(struct http_connection *c)
{
    int size = http_head_read(buffer_slice(&c->in), &c->scanned, &c->head);

    if (size < 0) {
        refuse(c, (unsigned)-size);
    } else if (size > 0) {
        begin_body(c, (size_t)size);
    }
}

static void take_off(struct http_connection *c, size_t used)
{
    size_t behind = c->in.size - c->head_size - used;

    memmove(c->in.data + c->head_size, c->in.data + c->head_size + used, behind);
    c->in.size -= used;
}

static void read_body(struct http_connection *c)
{
    size_t used;
    struct slice rest = {c->in.data + c->head_size, c->in.size - c->head_size};

    int error = http_body_take(&c->body, rest, &used);
    if (error < 0) {
        refuse(c, (unsigned)-error);
        return;
    }
    take_off(c, used);
    if (!http_body_is_done(&c->body)) {
        return;
    }
    size_t scanned = 0;
    struct slice head = {c->in.data, c->head_size};
    if (http_head_read(head, &scanned, &c->head) <= 0) {
        abort(); /* it was sound before */
    }
    c->state = STATE_ANSWERING;
    c->is_answered = false;
    c->is_1_0 = c->head.is_1_0;
    c->is_head = slice_is(c->head.method, "HEAD");
    uv_timer_stop(&c->timer);
    c->events->request(c->owner,
                       c,
                       &(struct http_request){&c->head, buffer_slice(&c->body.content)});
}

static void advance(struct http_connection *c)
{
    if (c->state == STATE_HEAD && c->in.size > 0) {
        read_head(c);
    }
    if (c->state == STATE_BODY) {
        read_body(c);
    }
}

/* ---- the end of a request that is none ---- */

static void refuse(struct http_connection *c, unsigned status)
{
    static const char fields[] = "Content-Type: text/plain; charset=utf-8\r\n";
    const char *text = http_status_text(status);

    if (c->events->refused != NULL) {
        c->events->refused(c->owner, status);
    }
    c->state = STATE_ANSWERING;
    c->is_answered = false;
    c->is_head = false;
    http_connection_answer(c,
                           &(struct http_answer){
                               .status = status,
                               .fields = {fields, sizeof(fields) - 1},
                               .body = slice_of(text),
                               .closes = true,
                           });
}

static void on_late(uv_timer_t *timer)
{
    struct http_connection *c = timer->data;
    bool has_begun = c->state == STATE_BODY || (c->state == STATE_HEAD && c->in.size > 0);

    if (has_begun) {
        refuse(c, 408);
    } else {
        close_now(c);
    }
}

/* ---- writing ---- */

/* One write at a time; what comes meanwhile goes with the next. */
static void send_out(struct http_connection *c)
{
    if (c->is_writing || c->state == STATE_CLOSING || c->out.size == 0) {
        return;
    }
    struct buffer swapped = c->writing;
    c->writing = c->out;
    c->out = swapped;
    uv_buf_t bytes = uv_buf_init(c->writing.data, (unsigned)c->writing.size);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &bytes, 1, on_written) < 0) {
        close_now(c);
        return;
    }
    c->is_writing = true;
    if (c->state != STATE_BODY) {
        uv_timer_start(&c->timer, on_late, c->limits->write_ms, 0);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct http_connection *c = write->data;

    c->is_writing = false;
    buffer_clear(&c->writing);
    if (c->state == STATE_CLOSING) {
        return;
    }
    if (status < 0) {
        close_now(c);
        return;
    }
    if (c->out.size > 0) {
        send_out(c);
    } else if (c->state == STATE_STREAMING && c->is_finished) {
        close_now(c);
    } else if (c->state == STATE_STREAMING) {
        uv_timer_stop(&c->timer);
    } else if (c->state == STATE_ANSWERING && c->is_answered) {
        answered(c);
    }
}

/* On to the next request, which may be here already. */
static void answered(struct http_connection *c)
{
    if (c->closes) {
        linger(c);
        return;
    }
    buffer_shift(&c->in, c->head_size);
    http_body_close(&c->body);
    c->head_size = 0;
    c->scanned = 0;
    c->data = NULL;
    c->state = STATE_HEAD;
    uint64_t patience_ms = c->in.size > 0 ? c->limits->head_ms : c->limits->idle_ms;
    uv_timer_start(&c->timer, on_late, patience_ms, 0);
    advance(c);
    watch(c);
}

/* ---- the end ---- */

/* To close with unread bytes would be a reset, which may overtake the answer (RFC 9112, 9.6). */
static void linger(struct http_connection *c)
{
    c->state = STATE_LINGERING;
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, NULL) < 0) {
        close_now(c);
        return;
    }
    uv_timer_start(&c->timer, on_late, LINGER_MS, 0);
    watch(c);
}

/* Tells the owner, if he still has something to say to this client. */
static void close_now(struct http_connection *c)
{
    enum state was = c->state;

    if (was == STATE_CLOSING) {
        return;
    }
    c->state = STATE_CLOSING;
    if ((was == STATE_STREAMING && !c->is_finished) ||
        (was == STATE_ANSWERING && !c->is_answered)) {
        c->events->left(c->owner, c);
    }
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_connection *c = handle->data;

    if (--c->handles > 0) {
        return;
    }
    struct http_connections *all = c->all;
    LIST_REMOVE(c, link);
    all->count--;
    c->events->closed(c->owner, c);
    buffer_fini(&c->in);
    buffer_fini(&c->out);
    buffer_fini(&c->writing);
    http_body_close(&c->body);
    free(c);
    all->fewer(all);
}
