/* compress_stream.h - what all formats have in common: a file read and a new one written, in blocks. */
#ifndef BINDINGS_COMPRESS_STREAM_H
#define BINDINGS_COMPRESS_STREAM_H

#include <stddef.h>

#include "bindings/compress_work.h"
#include "bindings/new_file.h"

struct stream {
    struct compress_work *work;
    size_t in_size; /* of a block; set before stream_open() */
    size_t out_size;
    void *in;  /* owned */
    void *out; /* owned */
    int from;
    struct new_file to;
};

/* 0 or -errno, as all of these; then there is nothing to close. */
MUST_USE int stream_open(struct stream *s);

/* error is what happened so far; returns what came of it all. */
MUST_USE int stream_close(struct stream *s, int error);

/* The next block into s->in; *size is 0 at the end. */
MUST_USE int stream_read(struct stream *s, size_t *size);

/* The first bytes of s->out; refuses what is beyond work->max. */
MUST_USE int stream_write(struct stream *s, size_t size);

/* Notes whose fault error is, from or to, and returns it. */
MUST_USE int stream_fail(struct stream *s, const char *subject, int error);

/* What is wrong with the bytes of from; static texts. */
MUST_USE int stream_refuse(struct stream *s, const char *message, const char *code);

#endif
