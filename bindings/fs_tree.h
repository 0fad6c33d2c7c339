/*
 * fs_tree.h - folders below a root, and what is in them, without following a link anywhere: each part
 * of a path is opened from the one before it, so nothing outside can be reached, whatever somebody
 * changes meanwhile. In a pool thread: blocking, and without Lua.
 */
#ifndef BINDINGS_FS_TREE_H
#define BINDINGS_FS_TREE_H

#include "bindings/fs_work.h"

struct fs_entry {
    char *name;       /* owned */
    const char *type; /* "file", "dir", "link" or "other" */
    int64_t bytes;
    double mtime; /* Unix seconds */
};

/* path is the root, which may be a link itself; to is relative to it, "." for the root itself. */
MUST_USE int fs_entries(struct fs_work *w);

/* Removes the file or the empty folder `to`, or a link as such. That it is gone already is fine. */
MUST_USE int fs_unlink(struct fs_work *w);

#endif
