/* embedded_server.h - makes a cluster, starts and stops its server. Call them with the lock held. */
#ifndef CORE_DB_EMBEDDED_SERVER_H
#define CORE_DB_EMBEDDED_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"
#include "core/db/embedded_place.h"

/* Appends the conninfo of the cluster in p. */
void server_add_conninfo(struct buffer *out, const struct place *p);

/*
 * Has the server run and answer: makes the cluster if there is none (*created) and starts the server
 * if it is not up. *child becomes its pid if we are its parent, else 0. -errno with `error` filled in.
 */
MUST_USE int server_ensure(const struct place *p,
                           bool *created,
                           pid_t *child,
                           struct buffer *error);

/* Whether its process is there; it may not answer yet. */
bool server_is_up(const struct place *p);

/* Stops it, by force in the end, and reaps child if it is one. 0 also when none runs; -ETIMEDOUT. */
MUST_USE int server_stop(const struct place *p, pid_t child);

#endif
