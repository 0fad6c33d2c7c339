/*
 * new_file.h - a file that appears under its name whole, or not at all. For pool threads.
 *
 * It is written without a name, flushed, named ".jobq-*.tmp" beside its target, and renamed: a crash
 * leaves nothing behind. Where a file system knows no files without a name, it is named at once.
 */
#ifndef BINDINGS_NEW_FILE_H
#define BINDINGS_NEW_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/mem.h"

struct new_file {
    int fd;        /* to be written to; -1 unless open */
    char *temp;    /* owned: the path before the rename */
    bool is_named; /* temp is there */
    const char *target;
};

/* target is borrowed until commit or abandon. An existing target's mode is kept. 0 or -errno. */
MUST_USE int new_file_open(struct new_file *f, const char *target);

/* All of data, or -errno. */
MUST_USE int new_file_add(struct new_file *f, const void *data, size_t size);

/* The file is there, and survives a power cut; or -errno, and the temporary file is gone. */
MUST_USE int new_file_commit(struct new_file *f);

/* Removes what was written. No-op unless open. */
void new_file_abandon(struct new_file *f);

/* All of data to fd, or -errno. */
MUST_USE int write_all(int fd, const void *data, size_t size);

#endif
