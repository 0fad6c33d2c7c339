/*
 * config_file.h - reads NAME = VALUE lines.
 *
 *   # a comment; blank lines do not matter
 *   log-level = debug        # behind a blank, a comment may end a line
 *   smtp.host = mx1
 *   smtp.password = "a # b"  (quotes keep what is between them)
 */
#ifndef CORE_APP_CONFIG_FILE_H
#define CORE_APP_CONFIG_FILE_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"

/* where is "jobq.conf:3"; all are borrowed. Anything but 0 ends the reading and is its result. */
typedef int (*config_line_fn)(void *arg, const char *where, const char *name, const char *value);

/* 0, -errno if path cannot be read, or -EINVAL with `error` filled in for a line that is none. */
MUST_USE int config_file_read(const char *path,
                              config_line_fn line,
                              void *arg,
                              struct buffer *error);

enum config_file_place {
    CONFIG_FILE_ETC,  /* /etc/jobq/jobq.conf */
    CONFIG_FILE_HOME, /* ~/.config/jobq/jobq.conf */
    CONFIG_FILE_HERE, /* ./jobq.conf */
};

/*
 * Where a file that nobody named is looked for, the weakest place first; false when there are no more.
 * Appends the path, nothing if there is no home.
 */
bool config_file_place(unsigned place, struct buffer *path);

#endif
