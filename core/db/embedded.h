/*
 * embedded.h - a private PostgreSQL in a folder, on a Unix socket: no DSN needed to try jobq out.
 * Blocking; used at the start and the end of a program.
 *
 * The server belongs to all processes that opened it: the first starts it, the last stops it, unless
 * it was told to stay. PostgreSQL refuses to run as root, so root hands it to another user.
 */
#ifndef CORE_DB_EMBEDDED_H
#define CORE_DB_EMBEDDED_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"

struct embedded;

/*
 * Makes the cluster in dir if there is none, starts its server if it does not run, and applies
 * migrations. 0 with *e owned by the caller; or -errno with `error` holding a line for people and,
 * behind a newline, a hint. *created tells whether a cluster was made.
 */
MUST_USE int embedded_open(const char *dir,
                           struct embedded **e,
                           bool *created,
                           struct buffer *error);

enum embedded_state {
    EMBEDDED_ABSENT, /* no cluster there */
    EMBEDDED_STOPPED,
    EMBEDDED_RUNNING,
};

/* Looks only: makes and starts nothing. conninfo is appended unless the cluster is absent. */
MUST_USE int embedded_look(const char *dir,
                           enum embedded_state *state,
                           struct buffer *conninfo,
                           struct buffer *error);

/* How to connect; borrowed from e. */
const char *embedded_conninfo(const struct embedded *e);

/* The folder that really holds the cluster (root may need another than dir); borrowed from e. */
const char *embedded_dir(const struct embedded *e);

/* Keeps the server running after the last user has closed it, until embedded_stop(). */
MUST_USE int embedded_keep(struct embedded *e);

/* Frees e; stops the server if it was the last user and nobody asked to keep it. */
void embedded_close(struct embedded *e);

/* Stops a server that was kept, whoever uses it. 0 also when none runs. */
MUST_USE int embedded_stop(const char *dir, struct buffer *error);

#endif
