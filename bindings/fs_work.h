/* fs_work.h - what jobq.fs does with files, in a pool thread: blocking, and without Lua. */
#ifndef BINDINGS_FS_WORK_H
#define BINDINGS_FS_WORK_H

#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"

/* What fs_below() answers beside 0 and -errno; data is the root, links followed. */
#define FS_OUTSIDE 1

struct fs_entry;

struct fs_work {
    int (*run)(struct fs_work *w); /* one of the functions below: 0 or -errno */
    atomic_bool *dropped;          /* borrowed; true: nobody waits any more */
    char *path;                    /* owned */
    char *to;                      /* owned; the second path */
    int64_t max;                   /* bytes, of read */
    int64_t offset;                /* where it begins to read */
    int64_t length;                /* bytes: no more are asked for */
    struct buffer data;            /* what is to be written, or was read */

    /* results */
    int error; /* what run returned */
    int64_t bytes;
    bool found;
    const char *type;      /* "file", "dir" or "other" */
    double mtime;          /* Unix seconds */
    struct dirent **names; /* owned, sorted */
    int nnames;
    struct fs_entry *entries; /* owned, sorted; see fs_tree.h */
    size_t entry_count;
    size_t entry_capacity;
};

void fs_work_fini(struct fs_work *w);

/* Takes back what only the caller could have removed, when nobody hears of the result. */
void fs_work_undo(struct fs_work *w);

MUST_USE int fs_read(struct fs_work *w);
MUST_USE int fs_write(struct fs_work *w);
MUST_USE int fs_append(struct fs_work *w);
MUST_USE int fs_stat(struct fs_work *w);
MUST_USE int fs_list(struct fs_work *w);
MUST_USE int fs_make_dir(struct fs_work *w);
MUST_USE int fs_remove(struct fs_work *w);
MUST_USE int fs_remove_tree(struct fs_work *w);
MUST_USE int fs_rename(struct fs_work *w);
MUST_USE int fs_copy(struct fs_work *w);
MUST_USE int fs_exists(struct fs_work *w);
MUST_USE int fs_below(struct fs_work *w);
MUST_USE int fs_temp_dir(struct fs_work *w);

#endif
