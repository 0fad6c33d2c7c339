/* version.h - what --version tells: the version, the commit, and the libraries of the build. */
#ifndef CORE_BASE_VERSION_H
#define CORE_BASE_VERSION_H

#include "core/base/buffer.h"

struct version_library {
    const char *name; /* NULL ends the list */
    const char *version;
};

/* As they were when this was built; a system may have exchanged them since. */
extern const struct version_library version_libraries[];

/* Short; NULL where the source was no git checkout. */
const char *version_commit(void);

/* Two lines: "jobq-run 0.1.0 (1a2b3c4)" and "built with lua 5.4.4, libpq ...". */
void version_add(struct buffer *out, const char *program);

#endif
