/* compress_work.h - one file through a format, in a pool thread: blocking, and without Lua. */
#ifndef BINDINGS_COMPRESS_WORK_H
#define BINDINGS_COMPRESS_WORK_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/base/mem.h"

struct compress_work {
    atomic_bool *dropped; /* borrowed; true: nobody waits any more */
    char *from;           /* owned */
    char *to;             /* owned */
    int level;            /* of compression */
    int64_t max;          /* bytes, of what may be written */

    /* results */
    int64_t bytes_in;
    int64_t bytes_out;
    const char *subject; /* on failure: from or to */
    const char *message; /* static text, and */
    const char *code;    /* its code, where -errno does not say it; else NULL */
};

/* 0 or -errno; `to` appears whole or not at all. */
MUST_USE int zstd_compress(struct compress_work *w);
MUST_USE int zstd_decompress(struct compress_work *w);
MUST_USE int gzip_compress(struct compress_work *w);
MUST_USE int gzip_decompress(struct compress_work *w);

#endif
