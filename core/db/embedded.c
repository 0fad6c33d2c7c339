/*
 * embedded.c - counts users with locks, which the kernel gives back whatever becomes of us.
 *
 * jobq.lock   held while somebody opens, closes or stops: one at a time
 * jobq.users  shared by all that use the server; whoever gets it alone is the last
 * jobq.keep   is there: the last one leaves the server running
 *
 * A program that is killed leaves its server to the next one that comes.
 */
#include "core/db/embedded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/db/embedded_place.h"
#include "core/db/embedded_server.h"
#include "core/db/migrate.h"

struct embedded {
    struct place place;
    int lock_fd;  /* owned; -1: not open */
    int users_fd; /* owned; locked in shared mode while we use the server */
    pid_t child;  /* the server, if we started it and it has not ended */
    struct buffer conninfo;
};

static int join(struct embedded *e, bool *created, struct buffer *error);
static int open_locked(struct embedded *e, struct buffer *error);
static int lock(int fd, int operation);
static void leave(struct embedded *e);
static void release(struct embedded *e);
static int set_keep(const struct place *p, bool keep);

int embedded_open(const char *dir, struct embedded **out, bool *created, struct buffer *error)
{
    struct embedded *e = mem_zalloc(sizeof(*e));

    *out = NULL;
    *created = false;
    e->lock_fd = e->users_fd = -1;
    int r = place_find(&e->place, dir, true, error);
    if (r == 0) {
        r = join(e, created, error);
    }
    if (r == 0) {
        server_add_conninfo(&e->conninfo, &e->place);
        r = migrate_up(buffer_text(&e->conninfo), NULL, NULL, error);
    }
    if (r != 0) {
        embedded_close(e);
        return r;
    }
    *out = e;
    return 0;
}

int embedded_look(const char *dir,
                  enum embedded_state *state,
                  struct buffer *conninfo,
                  struct buffer *error)
{
    struct place place;

    *state = EMBEDDED_ABSENT;
    int r = place_find(&place, dir, false, error);
    if (r == 0 && access(place.data, F_OK) == 0) {
        *state = server_is_up(&place) ? EMBEDDED_RUNNING : EMBEDDED_STOPPED;
        server_add_conninfo(conninfo, &place);
    }
    place_fini(&place);
    return r == -ENOENT && error->size == 0 ? 0 : r;
}

const char *embedded_conninfo(const struct embedded *e)
{
    return buffer_text(&e->conninfo);
}

const char *embedded_dir(const struct embedded *e)
{
    return e->place.folder;
}

int embedded_keep(struct embedded *e)
{
    return set_keep(&e->place, true);
}

void embedded_close(struct embedded *e)
{
    if (e->users_fd >= 0 && lock(e->lock_fd, LOCK_EX) == 0) {
        leave(e);
    }
    release(e);
}

int embedded_stop(const char *dir, struct buffer *error)
{
    struct embedded *e = mem_zalloc(sizeof(*e));

    e->lock_fd = e->users_fd = -1;
    int r = place_find(&e->place, dir, false, error);
    if (r == 0) {
        r = open_locked(e, error);
    }
    if (r == 0) {
        (void)set_keep(&e->place, false);
        r = server_stop(&e->place, 0);
        if (r != 0) {
            buffer_printf(error, "the server in '%s' does not stop", e->place.folder);
        }
    }
    release(e);
    return r == -ENOENT && error->size == 0 ? 0 : r;
}

/* Among the users from here on, with the server up. */
static int join(struct embedded *e, bool *created, struct buffer *error)
{
    int r = open_locked(e, error);

    if (r != 0) {
        return r;
    }
    e->users_fd = place_open_file(&e->place, PLACE_USERS);
    r = e->users_fd < 0 ? e->users_fd : lock(e->users_fd, LOCK_SH);
    if (r != 0) {
        buffer_printf(error, "cannot lock '%s/" PLACE_USERS "': ", e->place.folder);
        buffer_add_text(error, strerror(-r));
        return r;
    }
    r = server_ensure(&e->place, created, &e->child, error);
    (void)lock(e->lock_fd, LOCK_UN);
    return r;
}

static int open_locked(struct embedded *e, struct buffer *error)
{
    e->lock_fd = place_open_file(&e->place, PLACE_LOCK);
    int r = e->lock_fd < 0 ? e->lock_fd : lock(e->lock_fd, LOCK_EX);

    if (r != 0) {
        buffer_printf(error, "cannot lock '%s/" PLACE_LOCK "': ", e->place.folder);
        buffer_add_text(error, strerror(-r));
    }
    return r;
}

static int lock(int fd, int operation)
{
    while (flock(fd, operation) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

/* Nobody joins or leaves meanwhile, so getting the lock alone means being the last. */
static void leave(struct embedded *e)
{
    char *keep = place_path(&e->place, PLACE_KEEP);

    if (lock(e->users_fd, LOCK_EX | LOCK_NB) == 0 && access(keep, F_OK) < 0 &&
        server_stop(&e->place, e->child) != 0) {
        log_warn("the embedded server does not stop", LOG_TEXT("folder", e->place.folder));
    }
    free(keep);
}

/* Closing the files gives the locks back. */
static void release(struct embedded *e)
{
    if (e->users_fd >= 0) {
        close(e->users_fd);
    }
    if (e->lock_fd >= 0) {
        close(e->lock_fd);
    }
    buffer_fini(&e->conninfo);
    place_fini(&e->place);
    free(e);
}

static int set_keep(const struct place *p, bool keep)
{
    char *path = place_path(p, PLACE_KEEP);
    int r = 0;

    if (keep) {
        int fd = place_open_file(p, PLACE_KEEP);
        r = fd < 0 ? fd : close(fd);
    } else if (unlink(path) < 0 && errno != ENOENT) {
        r = -errno;
    }
    free(path);
    return r;
}
