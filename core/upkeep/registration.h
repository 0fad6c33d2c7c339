/*
 * registration.h - who this worker is in the database, and what it may claim.
 *
 *   [name ->] register -> lock -> declare limits -> kinds -> schedules -> sort lanes -> lanes -> (registered)
 *
 * A name that somebody gave is for one living worker; it is asked for until the worker is registered.
 * The session's advisory lock tells others that the worker lives, so the chain starts again at `lock`
 * with each new upkeep connection, and at `declare` when a reload has brought other kinds. Limits come first:
 * nothing of a kind is claimed before it is known which it has.
 */
#ifndef CORE_UPKEEP_REGISTRATION_H
#define CORE_UPKEEP_REGISTRATION_H

#include <stdbool.h>

#include <uv.h>

#include "core/db/link.h"
#include "core/job/kind.h"

struct registration;

struct registration_options {
    const char *name;    /* borrowed, as all here */
    bool name_is_given;  /* not made up: no other living worker may have it */
    const char *version; /* of this program */
    char **queues;       /* ends with NULL; NULL as a whole: all */
    uint32_t concurrency;
    const char *socket; /* path of the private socket, or NULL */
};

struct registration_events {
    /* The worker has a new identity; nothing is leased under it yet. */
    void (*identified)(void *owner, int64_t worker_id);
    /* It holds its lock on this connection: the sign of life that others look for is renewed. */
    void (*locked)(void *owner);
    /* Its kinds have their ids, and these are its lanes. Told again whenever lanes may have changed. */
    void (*registered)(void *owner, const int32_t *lanes, size_t count);
    /* A living worker has the name; nothing goes on. holder: where it runs, or "". Borrowed. */
    void (*name_taken)(void *owner, const char *holder);
    /* The database refused, for a reason that will not go away: message is borrowed. */
    void (*refused)(void *owner, const char *sqlstate, const char *message);
};

struct registration *registration_open(uv_loop_t *loop,
                                       struct link *upkeep,
                                       const struct registration_options *options,
                                       const struct registration_events *events,
                                       void *owner);

/* What the worker runs from now on; ids are filled in. kinds is borrowed until the next call. */
void registration_set_kinds(struct registration *r, struct kind_list *kinds, unsigned generation);

/* The upkeep connection is up and its database fits: (re)takes the lock. */
void registration_up(struct registration *r);

/* The upkeep connection is gone. */
void registration_down(struct registration *r);

/* Lanes may have changed: asks for them again. */
void registration_refresh(struct registration *r);

/* The worker was declared dead: a new identity, please. */
void registration_renew(struct registration *r);

int64_t registration_worker_id(const struct registration *r); /* 0: none yet */

void registration_close(struct registration *r);

#endif
