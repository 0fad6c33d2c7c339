/* embedded_spawn.h - runs a PostgreSQL program as the user who may. Blocking. */
#ifndef CORE_DB_EMBEDDED_SPAWN_H
#define CORE_DB_EMBEDDED_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"

struct spawn {
    const char *const *argv; /* argv[0] is the path of the program */
    uid_t uid;               /* root becomes this user; for others it is their own */
    gid_t gid;
    const char *dir; /* where it runs */
    const char *log; /* takes what it says, opened as that user; NULL: output_fd does */
    int output_fd;
    bool detached; /* a session of its own: outlives us, and Ctrl-C passes it by */
};

/* The pid of a child that the caller waits for, or -errno. It gets none of our descriptors. */
MUST_USE pid_t spawn_start(const struct spawn *s);

/* Runs it to its end: the exit status, 128 + the signal, or -errno. */
MUST_USE int spawn_run(const struct spawn *s);

/* The same, with what it prints (at most some kilobytes) appended to output. */
MUST_USE int spawn_read(struct spawn *s, struct buffer *output);

#endif
