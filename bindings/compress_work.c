/* compress_work.c - read a block, hand it to zstd, write what comes out, until the end. */
#include "bindings/compress_work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "bindings/new_file.h"

/* What a frame may ask for to unpack it: zstd's own limit for untrusted input. */
#define WINDOW_LOG_MAX 27

struct stream {
    struct compress_work *work;
    int from;
    struct new_file to;
    void *in; /* owned, in_size bytes */
    size_t in_size;
    void *out; /* owned, out_size bytes */
    size_t out_size;
};

static int fail(struct compress_work *w, const char *subject, int error)
{
    w->subject = subject;
    return error;
}

static int fail_with(struct compress_work *w, const char *message, const char *code)
{
    w->subject = w->from;
    w->message = message;
    w->code = code;
    return -EINVAL;
}

static int corrupt(struct compress_work *w)
{
    return fail_with(w, "not a complete and sound zstd file", "corrupt");
}

static int stream_open(struct stream *s)
{
    struct compress_work *w = s->work;

    s->from = open(w->from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (s->from < 0) {
        return fail(w, w->from, -errno);
    }
    int error = new_file_open(&s->to, w->to);
    if (error != 0) {
        (void)close(s->from);
        return fail(w, w->to, error);
    }
    s->in = mem_zalloc(s->in_size);
    s->out = mem_zalloc(s->out_size);
    return 0;
}

/* error is what happened so far; returns what came of it all. */
static int stream_close(struct stream *s, int error)
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

/* The next block; its size is 0 at the end. */
static int read_block(struct stream *s, ZSTD_inBuffer *in)
{
    ssize_t got;

    if (*s->work->dropped) {
        return fail(s->work, s->work->from, -ECANCELED);
    }
    do {
        got = read(s->from, s->in, s->in_size);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return fail(s->work, s->work->from, -errno);
    }
    *in = (ZSTD_inBuffer){.src = s->in, .size = (size_t)got};
    s->work->bytes_in += got;
    return 0;
}

static int write_block(struct stream *s, const ZSTD_outBuffer *out)
{
    s->work->bytes_out += (int64_t)out->pos;
    int error = new_file_add(&s->to, out->dst, out->pos);
    return error == 0 ? 0 : fail(s->work, s->work->to, error);
}

/* ---- compression ---- */

/* All of in, and with it the end of the frame when last. */
static int compress_block(struct stream *s, ZSTD_CCtx *zstd, ZSTD_inBuffer *in, bool last)
{
    size_t left;

    do {
        ZSTD_outBuffer out = {.dst = s->out, .size = s->out_size};
        left = ZSTD_compressStream2(zstd, &out, in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left)) {
            return fail(s->work, s->work->from, -ENOMEM);
        }
        int error = write_block(s, &out);
        if (error != 0) {
            return error;
        }
    } while (last ? left > 0 : in->pos < in->size);
    return 0;
}

static int compress_all(struct stream *s, ZSTD_CCtx *zstd)
{
    ZSTD_inBuffer in = {0};
    int error;

    do {
        error = read_block(s, &in);
        if (error == 0) {
            error = compress_block(s, zstd, &in, in.size == 0);
        }
    } while (error == 0 && in.size > 0);
    return error;
}

int compress_file(struct compress_work *w)
{
    struct stream s = {.work = w,
                       .in_size = ZSTD_CStreamInSize(),
                       .out_size = ZSTD_CStreamOutSize()};

    int error = stream_open(&s);
    if (error != 0) {
        return error;
    }
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    if (zstd == NULL) {
        abort();
    }
    (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, w->level);
    (void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
    error = compress_all(&s, zstd);
    ZSTD_freeCCtx(zstd);
    return stream_close(&s, error);
}

/* ---- decompression ---- */

/* All of in; *wants is 0 when a frame ended with it. */
static int decompress_block(struct stream *s, ZSTD_DCtx *zstd, ZSTD_inBuffer *in, size_t *wants)
{
    ZSTD_outBuffer out;

    do {
        out = (ZSTD_outBuffer){.dst = s->out, .size = s->out_size};
        *wants = ZSTD_decompressStream(zstd, &out, in);
        if (ZSTD_isError(*wants)) {
            return corrupt(s->work);
        }
        if ((int64_t)out.pos > s->work->max - s->work->bytes_out) {
            return fail_with(s->work, "unpacks to more than max_bytes", "too_large");
        }
        int error = write_block(s, &out);
        if (error != 0) {
            return error;
        }
    } while (in->pos < in->size || (*wants > 0 && out.pos == out.size)); /* there may be more */
    return 0;
}

static int decompress_all(struct stream *s, ZSTD_DCtx *zstd)
{
    ZSTD_inBuffer in = {0};
    size_t wants = 1; /* an empty file is no frame */
    int error;

    for (;;) {
        error = read_block(s, &in);
        if (error != 0 || in.size == 0) {
            break;
        }
        error = decompress_block(s, zstd, &in, &wants);
        if (error != 0) {
            break;
        }
    }
    return error == 0 && wants != 0 ? corrupt(s->work) : error;
}

int decompress_file(struct compress_work *w)
{
    struct stream s = {.work = w,
                       .in_size = ZSTD_DStreamInSize(),
                       .out_size = ZSTD_DStreamOutSize()};

    int error = stream_open(&s);
    if (error != 0) {
        return error;
    }
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    if (zstd == NULL) {
        abort();
    }
    (void)ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    error = decompress_all(&s, zstd);
    ZSTD_freeDCtx(zstd);
    return stream_close(&s, error);
}
