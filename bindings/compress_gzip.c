/* compress_gzip.c - gzip members, one after another (RFC 1952). */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

#include "bindings/compress_stream.h"
#include "bindings/compress_work.h"

#define BLOCK_BYTES ((size_t)128 << 10)

/* The largest window, with gzip's head and checksum around it: zlib adds 16 for that. */
#define WINDOW_BITS (15 + 16)

#define MEMORY_LEVEL 8 /* zlib's own default */

static void take_block(z_stream *z, struct stream *s, size_t size)
{
    z->next_in = s->in;
    z->avail_in = (uInt)size;
}

static void give_room(z_stream *z, struct stream *s)
{
    z->next_out = s->out;
    z->avail_out = (uInt)s->out_size;
}

static int write_out(const z_stream *z, struct stream *s)
{
    return stream_write(s, s->out_size - z->avail_out);
}

/* ---- compression ---- */

/* All that z has, and with it the end of the member when last. */
static int compress_block(struct stream *s, z_stream *z, bool last)
{
    int error;

    do {
        give_room(z, s);
        (void)deflate(z,
                      last ? Z_FINISH : Z_NO_FLUSH); /* cannot fail with room and a sound state */
        error = write_out(z, s);
    } while (error == 0 && z->avail_out == 0);
    return error;
}

static int compress_all(struct stream *s, z_stream *z)
{
    size_t size;
    int error;

    do {
        error = stream_read(s, &size);
        if (error == 0) {
            take_block(z, s, size);
            error = compress_block(s, z, size == 0);
        }
    } while (error == 0 && size > 0);
    return error;
}

int gzip_compress(struct compress_work *w)
{
    struct stream s = {.work = w, .in_size = BLOCK_BYTES, .out_size = BLOCK_BYTES};
    z_stream z = {0};

    int error = stream_open(&s);
    if (error != 0) {
        return error;
    }
    if (deflateInit2(&z, w->level, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        abort();
    }
    error = compress_all(&s, &z);
    (void)deflateEnd(&z);
    return stream_close(&s, error);
}

/* ---- decompression ---- */

static int corrupt(struct stream *s)
{
    return stream_refuse(s, "not a complete and sound gzip file", "corrupt");
}

/* All that z has; *complete when a member ended with it. */
static int decompress_block(struct stream *s, z_stream *z, bool *complete)
{
    do {
        if (*complete) {
            (void)inflateReset(z); /* another member follows */
        }
        give_room(z, s);
        int result = inflate(z, Z_NO_FLUSH);
        /* Z_BUF_ERROR: there was room for more, but no more. */
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
            return corrupt(s);
        }
        *complete = result == Z_STREAM_END;
        int error = write_out(z, s);
        if (error != 0) {
            return error;
        }
    } while (z->avail_in > 0 || (!*complete && z->avail_out == 0));
    return 0;
}

static int decompress_all(struct stream *s, z_stream *z)
{
    bool complete = false; /* an empty file is no member */
    size_t size;
    int error;

    do {
        error = stream_read(s, &size);
        if (error == 0 && size > 0) {
            take_block(z, s, size);
            error = decompress_block(s, z, &complete);
        }
    } while (error == 0 && size > 0);
    return error == 0 && !complete ? corrupt(s) : error;
}

int gzip_decompress(struct compress_work *w)
{
    struct stream s = {.work = w, .in_size = BLOCK_BYTES, .out_size = BLOCK_BYTES};
    z_stream z = {0};

    int error = stream_open(&s);
    if (error != 0) {
        return error;
    }
    if (inflateInit2(&z, WINDOW_BITS) != Z_OK) {
        abort();
    }
    error = decompress_all(&s, &z);
    (void)inflateEnd(&z);
    return stream_close(&s, error);
}
