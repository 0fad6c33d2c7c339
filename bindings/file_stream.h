/*
 * file_stream.h - a file that is written, or read, while the loop goes on: blocks move in the thread
 * pool, one step at a time.
 *
 *   reader   start --> step --> take ... take --> (nothing left) --> step --> ...  at_end
 *   writer   add ... add --> step --> ... --> commit --> step --> is_done
 *
 * stepped() is called in the loop after each step, never from inside a call. While is_busy, the stream
 * must stay where it is.
 */
#ifndef BINDINGS_FILE_STREAM_H
#define BINDINGS_FILE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "core/base/buffer.h"

#include "bindings/new_file.h"

struct file_reader {
    void (*stepped)(struct file_reader *r);
    void *owner;
    bool is_busy;
    bool at_end; /* all was taken */
    int error;   /* -errno of the first step that failed */
    int64_t size;

    /* private */
    uv_loop_t *loop;
    uv_work_t work;
    char *path; /* owned */
    int fd;
    int64_t at;          /* where the next block begins */
    struct buffer block; /* read and not yet taken, from taken on */
    size_t taken;
};

/* Opens a regular file; the first step tells its size. */
void file_reader_start(struct file_reader *r, uv_loop_t *loop, const char *path);

/* Up to room bytes into to. 0: at_end, or more comes with the next step, which is under way. */
size_t file_reader_take(struct file_reader *r, char *to, size_t room);

/* From the beginning again; false while it is busy. */
bool file_reader_rewind(struct file_reader *r);

/* Not while it is busy. */
void file_reader_fini(struct file_reader *r);

struct file_writer {
    void (*stepped)(struct file_writer *w);
    void *owner;
    bool is_busy;
    bool is_done; /* the file is there, under its name */
    int error;    /* -errno of the first step that failed */

    /* private */
    uv_loop_t *loop;
    uv_work_t work;
    char *path; /* owned */
    struct new_file file;
    struct buffer gathered; /* comes next */
    struct buffer block;    /* is being written */
    bool is_open;
    bool ending; /* commit was asked for */
    bool commit; /* in the step that is under way */
};

/* Nothing happens yet. All zero is a valid writer for file_writer_fini(). */
void file_writer_init(struct file_writer *w, uv_loop_t *loop, const char *path);

/* True when it has enough: wait for stepped(). */
bool file_writer_is_full(const struct file_writer *w);

/* data is copied. */
void file_writer_add(struct file_writer *w, struct slice data);

/* That was all. Not after an error. */
void file_writer_commit(struct file_writer *w);

/* Not while it is busy. What was not committed is gone. */
void file_writer_fini(struct file_writer *w);

#endif
