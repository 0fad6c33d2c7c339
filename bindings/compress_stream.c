/* compress_stream.c - blocks of one file in, blocks of another out, which is there whole or not at all. */
#include "bindings/compress_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int stream_fail(struct stream *s, const char *subject, int error)
{
    s->work->subject = subject;
    return error;
}

int stream_refuse(struct stream *s, const char *message, const char *code)
{
    s->work->subject = s->work->from;
    s->work->message = message;
    s->work->code = code;
    return -EINVAL;
}

int stream_open(struct stream *s)
{
    struct compress_work *w = s->work;

    s->from = open(w->from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (s->from < 0) {
        return stream_fail(s, w->from, -errno);
    }
    int error = new_file_open(&s->to, w->to);
    if (error != 0) {
        (void)close(s->from);
        return stream_fail(s, w->to, error);
    }
    s->in = mem_zalloc(s->in_size);
    s->out = mem_zalloc(s->out_size);
    return 0;
}

int stream_close(struct stream *s, int error)
{
    (void)close(s->from);
    if (error == 0) {
        error = new_file_commit(&s->to);
        s->work->subject = s->work->to;
    } else {
        new_file_abandon(&s->to);
    }
    free(s->in);
    free(s->out);
    return error;
}

int stream_read(struct stream *s, size_t *size)
{
    ssize_t got;

    if (*s->work->dropped) {
        return stream_fail(s, s->work->from, -ECANCELED);
    }
    do {
        got = read(s->from, s->in, s->in_size);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return stream_fail(s, s->work->from, -errno);
    }
    *size = (size_t)got;
    s->work->bytes_in += got;
    return 0;
}

int stream_write(struct stream *s, size_t size)
{
    if ((int64_t)size > s->work->max - s->work->bytes_out) {
        return stream_refuse(s, "unpacks to more than max_bytes", "too_large");
    }
    s->work->bytes_out += (int64_t)size;
    int error = new_file_add(&s->to, s->out, size);
    return error == 0 ? 0 : stream_fail(s, s->work->to, error);
}
