/* compress_zstd.c - zstd frames, one after another. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zstd.h>

#include "bindings/compress_stream.h"
#include "bindings/compress_work.h"

/* What a frame may ask for to unpack it: zstd's own limit for untrusted input. */
#define WINDOW_LOG_MAX 27

static int corrupt(struct stream *s)
{
    return stream_refuse(s, "not a complete and sound zstd file", "corrupt");
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
            return stream_fail(s, s->work->from, -ENOMEM);
        }
        int error = stream_write(s, out.pos);
        if (error != 0) {
            return error;
        }
    } while (last ? left > 0 : in->pos < in->size);
    return 0;
}

static int compress_all(struct stream *s, ZSTD_CCtx *zstd)
{
    size_t size;
    int error;

    do {
        error = stream_read(s, &size);
        if (error == 0) {
            ZSTD_inBuffer in = {.src = s->in, .size = size};
            error = compress_block(s, zstd, &in, size == 0);
        }
    } while (error == 0 && size > 0);
    return error;
}

int zstd_compress(struct compress_work *w)
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
            return corrupt(s);
        }
        int error = stream_write(s, out.pos);
        if (error != 0) {
            return error;
        }
    } while (in->pos < in->size || (*wants > 0 && out.pos == out.size)); /* there may be more */
    return 0;
}

static int decompress_all(struct stream *s, ZSTD_DCtx *zstd)
{
    size_t size;
    size_t wants = 1; /* an empty file is no frame */
    int error;

    do {
        error = stream_read(s, &size);
        if (error == 0 && size > 0) {
            ZSTD_inBuffer in = {.src = s->in, .size = size};
            error = decompress_block(s, zstd, &in, &wants);
        }
    } while (error == 0 && size > 0);
    return error == 0 && wants != 0 ? corrupt(s) : error;
}

int zstd_decompress(struct compress_work *w)
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
