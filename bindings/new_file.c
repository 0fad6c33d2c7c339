/* new_file.c - open, add, commit: each step gives the number of its errno upwards. */
#include "bindings/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* The length of the folder part of path, its slash included. */
static size_t folder_size(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

static char *temp_name(const char *target)
{
    size_t size = folder_size(target);
    uint64_t bits = 0;
    char name[40];

    while (getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) {
    }
    int length = snprintf(name, sizeof(name), ".jobq-%016" PRIx64 ".tmp", bits);
    char *path = mem_zalloc(size + (size_t)length + 1);
    memcpy(path, target, size);
    memcpy(path + size, name, (size_t)length);
    return path;
}

/* The folder of path; owned by the caller. */
static char *folder_of(const char *path)
{
    size_t size = folder_size(path);

    return size == 0 ? mem_strdup(".") : mem_copy(path, size);
}

static int open_unnamed(const char *target)
{
    char *folder = folder_of(target);
    int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    int error = errno;

    free(folder);
    errno = error;
    return fd;
}

static int open_named(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

int new_file_open(struct new_file *f, const char *target)
{
    struct stat old;

    *f = (struct new_file){.fd = open_unnamed(target), .target = target};
    bool is_unknown = f->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL);
    f->temp = temp_name(target);
    if (is_unknown) {
        f->fd = open_named(f->temp);
        f->is_named = f->fd >= 0;
    }
    if (f->fd < 0) {
        int error = -errno;
        free(f->temp);
        f->temp = NULL;
        return error;
    }
    if (stat(target, &old) == 0 && S_ISREG(old.st_mode)) {
        (void)fchmod(f->fd, old.st_mode & 0777);
    }
    return 0;
}

int write_all(int fd, const void *data, size_t size)
{
    const char *p = data;

    while (size > 0) {
        ssize_t wrote = write(fd, p, size);
        if (wrote < 0 && errno != EINTR) {
            return -errno;
        }
        if (wrote > 0) {
            p += wrote;
            size -= (size_t)wrote;
        }
    }
    return 0;
}

int new_file_add(struct new_file *f, const void *data, size_t size)
{
    return write_all(f->fd, data, size);
}

/* The rename itself is only safe once the folder is on disk. Some file systems cannot do it. */
static void flush_folder(const char *target)
{
    char *folder = folder_of(target);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
    free(folder);
}

static int give_name(struct new_file *f)
{
    char path[40];

    if (!f->is_named) {
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
        f->is_named = linkat(AT_FDCWD, path, AT_FDCWD, f->temp, AT_SYMLINK_FOLLOW) == 0;
    }
    return f->is_named && rename(f->temp, f->target) == 0 ? 0 : -errno;
}

int new_file_commit(struct new_file *f)
{
    int error = fsync(f->fd) == 0 ? give_name(f) : -errno;

    if (error != 0) {
        new_file_abandon(f);
        return error;
    }
    flush_folder(f->target);
    (void)close(f->fd); /* what it could report, fsync has reported */
    free(f->temp);
    f->fd = -1;
    f->temp = NULL;
    return 0;
}

void new_file_abandon(struct new_file *f)
{
    if (f->fd < 0) {
        return;
    }
    (void)close(f->fd);
    if (f->is_named) {
        (void)unlink(f->temp);
    }
    free(f->temp);
    f->fd = -1;
    f->temp = NULL;
}
