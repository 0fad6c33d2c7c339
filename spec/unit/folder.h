/* folder.h - a folder for a test that the user of an embedded server can pass through. */
#ifndef SPEC_UNIT_FOLDER_H
#define SPEC_UNIT_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spec/unit/unit.h"

/* path holds 64 bytes. */
static inline void folder_make(char *path)
{
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(path, 64, "%.40s/unit.XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(path));
    assert_int_equal(chmod(path, 0755), 0);
}

static inline int folder_remove_entry(const char *path,
                                      const struct stat *st,
                                      int flag,
                                      struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void folder_remove(const char *path)
{
    assert_int_equal(nftw(path, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
