/*
 * embedded_place.h - where a private cluster lives, and as whom its server runs.
 *
 * In the folder: data/ (PostgreSQL's), log, the socket, and the files jobq.lock, jobq.users and
 * jobq.keep of embedded.c. Nobody else can look inside.
 */
#ifndef CORE_DB_EMBEDDED_PLACE_H
#define CORE_DB_EMBEDDED_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"

#define PLACE_LOCK  "jobq.lock"
#define PLACE_USERS "jobq.users"
#define PLACE_KEEP  "jobq.keep"

struct place {
    char *folder;        /* owned, absolute */
    char *data;          /* owned: folder/data */
    char *log;           /* owned: folder/log */
    char *socket_folder; /* owned: folder, or a shorter one where that does not fit a socket */
    uid_t uid;           /* of the server */
    gid_t gid;
};

/*
 * Finds the place for dir, and makes it if asked to: 0, -ENOENT when it is not there and nobody asked
 * (nothing is said then), or -errno with `error` filled in. p needs place_fini() in any case.
 */
MUST_USE int place_find(struct place *p, const char *dir, bool make, struct buffer *error);

void place_fini(struct place *p);

/* Opens, and makes if need be, a file of the folder that belongs to the server's user: fd or -errno. */
MUST_USE int place_open_file(const struct place *p, const char *name);

/* folder/name, owned by the caller. */
char *place_path(const struct place *p, const char *name);

#endif
