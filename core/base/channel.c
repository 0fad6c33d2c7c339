/* channel.c - uv_poll on a socket, a buffer each way. */
#include "core/base/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 << 10)

struct channel {
    uv_poll_t poll;
    uv_check_t flusher; /* runs at the end of a turn in which somebody sent */
    uv_idle_t turner;   /* keeps that turn from waiting for I/O */
    int fd;             /* owned; -1 once closed */
    int handles;        /* not yet closed by the loop */
    int depth;          /* callbacks under way: memory must outlive them */
    const struct channel_events *events;
    void *owner;
    struct buffer in;
    struct buffer out;
};

static void on_io(uv_poll_t *poll, int status, int revents);
static void on_turn_ends(uv_check_t *check);
static void on_idle(uv_idle_t *idle);
static void on_closed(uv_handle_t *handle);
static void tell_frames(struct channel *c);
static void lose(struct channel *c, const char *why);
static void watch(struct channel *c);
static void release(struct channel *c);

struct channel *channel_open(uv_loop_t *loop,
                             int fd,
                             const struct channel_events *events,
                             void *owner)
{
    struct channel *c = mem_zalloc(sizeof(*c));

    c->fd = fd;
    c->events = events;
    c->owner = owner;
    c->handles = 3;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    uv_poll_init(loop, &c->poll, fd);
    uv_check_init(loop, &c->flusher);
    uv_idle_init(loop, &c->turner);
    c->poll.data = c->flusher.data = c->turner.data = c;
    uv_unref((uv_handle_t *)&c->flusher);
    watch(c);
    return c;
}

struct buffer *channel_out(struct channel *c)
{
    return &c->out;
}

void channel_send(struct channel *c)
{
    if (c->fd < 0 || uv_is_active((uv_handle_t *)&c->flusher)) {
        return;
    }
    uv_check_start(&c->flusher, on_turn_ends);
    uv_idle_start(&c->turner, on_idle);
}

bool channel_is_sending(const struct channel *c)
{
    return c->out.size > 0;
}

void channel_flush(struct channel *c)
{
    size_t sent = 0;

    while (c->fd >= 0 && sent < c->out.size) {
        ssize_t n = write(c->fd, c->out.data + sent, c->out.size - sent);
        if (n > 0) {
            sent += (size_t)n;
        } else if (errno != EINTR) {
            break; /* full, or broken: then reading says so */
        }
    }
    buffer_shift(&c->out, sent);
    watch(c);
}

void channel_receive(struct channel *c)
{
    c->depth++;
    while (c->fd >= 0) {
        ssize_t n = read(c->fd, buffer_reserve(&c->in, READ_BYTES), READ_BYTES);
        if (n > 0) {
            buffer_grew(&c->in, (size_t)n);
            tell_frames(c);
        } else if (n == 0) {
            lose(c, "the other end has closed");
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            lose(c, uv_strerror(uv_translate_sys_error(errno)));
        }
    }
    c->depth--;
    release(c);
}

void channel_close(struct channel *c)
{
    if (c->fd >= 0) {
        uv_close((uv_handle_t *)&c->poll, on_closed);
        uv_close((uv_handle_t *)&c->flusher, on_closed);
        uv_close((uv_handle_t *)&c->turner, on_closed);
        close(c->fd);
        c->fd = -1;
    }
}

static void on_io(uv_poll_t *poll, int status, int revents)
{
    struct channel *c = poll->data;

    if (status < 0) {
        lose(c, uv_strerror(status));
        return;
    }
    if (revents & UV_WRITABLE) {
        channel_flush(c);
    }
    if (revents & (UV_READABLE | UV_DISCONNECT)) {
        channel_receive(c);
    }
}

static void on_turn_ends(uv_check_t *check)
{
    struct channel *c = check->data;

    uv_check_stop(check);
    uv_idle_stop(&c->turner);
    channel_flush(c);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* an active idle handle makes the loop poll without waiting */
}

static void on_closed(uv_handle_t *handle)
{
    struct channel *c = handle->data;

    c->handles--;
    release(c);
}

/* A frame's callback may close the channel, or receive again from inside: look afresh each time. */
static void tell_frames(struct channel *c)
{
    struct buffer taken = c->in;
    size_t at = 0;

    c->in = (struct buffer){0};
    while (c->fd >= 0) {
        struct frame f;
        int64_t size = frame_next((struct slice){taken.data + at, taken.size - at}, &f);
        if (size == 0) {
            break;
        }
        if (size < 0) {
            lose(c, "a frame of absurd length");
            break;
        }
        at += (size_t)size;
        c->events->frame(c->owner, &f);
    }
    buffer_shift(&taken, at);
    buffer_fini(&c->in);
    c->in = taken;
    if (c->fd >= 0 && c->events->drained != NULL) {
        c->events->drained(c->owner);
    }
}

/* lost() is told once: a closed or lost channel reads no more. */
static void lose(struct channel *c, const char *why)
{
    if (uv_is_active((uv_handle_t *)&c->poll) || c->fd >= 0) {
        uv_poll_stop(&c->poll);
        c->depth++;
        int fd = c->fd;
        c->fd = -1;
        c->events->lost(c->owner, why);
        c->fd = fd;
        channel_close(c);
        c->depth--;
    }
}

static void watch(struct channel *c)
{
    if (c->fd >= 0) {
        int events = UV_READABLE | (c->out.size > 0 ? UV_WRITABLE : 0);
        uv_poll_start(&c->poll, events, on_io);
    }
}

static void release(struct channel *c)
{
    if (c->handles == 0 && c->depth == 0) {
        buffer_fini(&c->in);
        buffer_fini(&c->out);
        free(c);
    }
}
