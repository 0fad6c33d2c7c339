/* fs_tree.c - openat(2) part by part. */
#include "bindings/fs_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_folder(int folder, const char *name, int flags)
{
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);

    return fd < 0 ? -errno : fd;
}

/* Parts that mean another folder than they say, or none. */
static bool is_part(const char *part)
{
    return part[0] != '\0' && strcmp(part, "..") != 0 && strcmp(part, ".") != 0;
}

/* From folder, which is taken, on to the one that part names. */
static int descend(int folder, const char *part)
{
    int fd = is_part(part) ? open_folder(folder, part, O_NOFOLLOW) : -EINVAL;

    (void)close(folder);
    return fd;
}

/* The folder that holds path's last part, which is left in *last; -errno. Writes into path. */
static int open_parent(const char *root, char *path, char **last)
{
    int folder = open_folder(AT_FDCWD, root, 0);
    char *slash;

    *last = path;
    while (folder >= 0 && (slash = strchr(*last, '/')) != NULL) {
        *slash = '\0';
        folder = descend(folder, *last);
        *last = slash + 1;
    }
    if (folder >= 0 && !is_part(*last)) {
        (void)close(folder);
        return -EINVAL;
    }
    return folder;
}

static int open_below(const char *root, const char *path)
{
    char *parts;
    char *last;

    if (strcmp(path, ".") == 0) {
        return open_folder(AT_FDCWD, root, 0);
    }
    parts = mem_strdup(path);
    int folder = open_parent(root, parts, &last);
    if (folder >= 0) {
        folder = descend(folder, last);
    }
    free(parts);
    return folder;
}

static const char *type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFDIR: return "dir";
    case S_IFLNK: return "link";
    default: return "other";
    }
}

static void add_entry(struct fs_work *w, const char *name, const struct stat *st)
{
    if (w->entry_count == w->entry_capacity) {
        w->entry_capacity = w->entry_capacity == 0 ? 64 : w->entry_capacity * 2;
        w->entries = mem_resize(w->entries, w->entry_capacity, sizeof(*w->entries));
    }
    w->entries[w->entry_count++] = (struct fs_entry){
        .name = mem_strdup(name),
        .type = type_of(st->st_mode),
        .bytes = st->st_size,
        .mtime = (double)st->st_mtim.tv_sec + (double)st->st_mtim.tv_nsec / 1e9,
    };
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct fs_entry *)a)->name, ((const struct fs_entry *)b)->name);
}

/* What has gone between its name and its look is left out. */
static void read_entries(struct fs_work *w, DIR *dir)
{
    struct stat st;

    for (struct dirent *e = readdir(dir); e != NULL && !*w->dropped; e = readdir(dir)) {
        if (is_part(e->d_name) && fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            add_entry(w, e->d_name, &st);
        }
    }
    if (w->entry_count > 0) {
        qsort(w->entries, w->entry_count, sizeof(*w->entries), compare);
    }
}

int fs_entries(struct fs_work *w)
{
    int fd = open_below(w->path, w->to);
    if (fd < 0) {
        return fd;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    read_entries(w, dir);
    (void)closedir(dir);
    return 0;
}

static int unlink_at(int folder, const char *name)
{
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return -errno;
    }
    return unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int fs_unlink(struct fs_work *w)
{
    char *parts = mem_strdup(w->to);
    char *last;

    int folder = open_parent(w->path, parts, &last);
    int error = folder < 0 ? folder : unlink_at(folder, last);
    if (folder >= 0) {
        (void)close(folder);
    }
    free(parts);
    return error == -ENOENT ? 0 : error;
}
