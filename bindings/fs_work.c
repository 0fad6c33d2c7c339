/* fs_work.c - plain POSIX. Loops over file content look at `dropped`. */
#include "bindings/fs_work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/fs_tree.h"
#include "bindings/new_file.h"

#define BLOCK ((size_t)64 * 1024)

/* Folders within folders, for removal: each holds a file descriptor. */
#define TREE_DEPTH_MAX 128

void fs_work_fini(struct fs_work *w)
{
    for (int i = 0; i < w->nnames; i++) {
        free(w->names[i]);
    }
    free(w->names);
    for (size_t i = 0; i < w->entry_count; i++) {
        free(w->entries[i].name);
    }
    free(w->entries);
    buffer_fini(&w->data);
    free(w->path);
    free(w->to);
}

void fs_work_undo(struct fs_work *w)
{
    if (w->run == fs_temp_dir && w->data.size > 0) {
        (void)rmdir(w->path);
    }
}

static int result_of(int call)
{
    return call < 0 ? -errno : 0;
}

/* A FIFO must not hold the thread: without a writer it reads as empty. */
static int open_for_reading(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    return fd < 0 ? -errno : fd;
}

static ssize_t read_block(int fd, void *to, size_t size)
{
    ssize_t got;

    do {
        got = read(fd, to, size);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static int read_into(struct fs_work *w, int fd)
{
    while (!*w->dropped) {
        int64_t left = w->length - (int64_t)w->data.size;
        size_t size = left < (int64_t)BLOCK ? (size_t)left : BLOCK;
        ssize_t got = read_block(fd, buffer_reserve(&w->data, BLOCK), size);
        if (got <= 0) {
            return (int)got;
        }
        buffer_grew(&w->data, (size_t)got);
        if ((int64_t)w->data.size > w->max) {
            return -EFBIG;
        }
    }
    return -ECANCELED;
}

int fs_read(struct fs_work *w)
{
    struct stat st;
    int fd = open_for_reading(w->path);

    if (fd < 0) {
        return fd;
    }
    int error = result_of(fstat(fd, &st));
    if (error == 0 && st.st_size - w->offset > w->max && w->length > w->max) {
        error = -EFBIG; /* before it is read */
    }
    if (error == 0 && w->offset > 0) {
        error = result_of(lseek(fd, w->offset, SEEK_SET) < 0 ? -1 : 0);
    }
    if (error == 0) {
        error = read_into(w, fd);
    }
    (void)close(fd);
    return error;
}

int fs_write(struct fs_work *w)
{
    struct new_file file;

    int error = new_file_open(&file, w->path);
    if (error != 0) {
        return error;
    }
    error = new_file_add(&file, w->data.data, w->data.size);
    if (error == 0) {
        return new_file_commit(&file);
    }
    new_file_abandon(&file);
    return error;
}

int fs_append(struct fs_work *w)
{
    int fd = open(w->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);

    if (fd < 0) {
        return -errno;
    }
    int error = write_all(fd, w->data.data, w->data.size);
    if (close(fd) != 0 && error == 0) {
        error = -errno;
    }
    return error;
}

int fs_stat(struct fs_work *w)
{
    struct stat st;

    if (stat(w->path, &st) != 0) {
        return -errno;
    }
    w->bytes = st.st_size;
    w->type = S_ISREG(st.st_mode) ? "file" : S_ISDIR(st.st_mode) ? "dir" : "other";
    w->mtime = (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9;
    return 0;
}

int fs_exists(struct fs_work *w)
{
    struct stat st;

    w->found = stat(w->path, &st) == 0;
    return w->found || errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

static int is_name(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* By bytes, whatever the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int fs_list(struct fs_work *w)
{
    int count = scandir(w->path, &w->names, is_name, compare_names);

    if (count < 0) {
        return -errno;
    }
    w->nnames = count;
    return 0;
}

static int make_one(const char *path)
{
    struct stat st;

    if (mkdir(path, 0777) == 0) {
        return 0;
    }
    int error = -errno;
    return error == -EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : error;
}

int fs_make_dir(struct fs_work *w)
{
    for (char *p = strchr(w->path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        int error = make_one(w->path);
        *p = '/';
        if (error != 0) {
            return error == -EEXIST ? -ENOTDIR : error;
        }
    }
    return make_one(w->path);
}

static int absent_is_fine(int error)
{
    return error == -ENOENT ? 0 : error;
}

int fs_remove(struct fs_work *w)
{
    return absent_is_fine(result_of(remove(w->path)));
}

static int remove_at(int folder, const char *name, int depth);

/* What the folder holds; takes fd. */
static int empty_folder(int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    int error = 0;

    if (dir == NULL) {
        error = -errno;
        (void)close(fd);
        return error;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL && error == 0; entry = readdir(dir)) {
        if (is_name(entry)) {
            error = absent_is_fine(remove_at(dirfd(dir), entry->d_name, depth));
        }
    }
    (void)closedir(dir);
    return error;
}

/* Relative to an open folder and without following links: nothing outside can be reached. */
static int remove_at(int folder, const char *name, int depth)
{
    if (unlinkat(folder, name, 0) == 0) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return -errno;
    }
    if (depth == TREE_DEPTH_MAX) {
        return -ELOOP;
    }
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int error = empty_folder(fd, depth + 1);
    return error != 0 ? error : result_of(unlinkat(folder, name, AT_REMOVEDIR));
}

int fs_remove_tree(struct fs_work *w)
{
    return absent_is_fine(remove_at(AT_FDCWD, w->path, 0));
}

int fs_rename(struct fs_work *w)
{
    return result_of(rename(w->path, w->to));
}

static int copy_blocks(struct fs_work *w, int from, struct new_file *to)
{
    char block[BLOCK];

    while (!*w->dropped) {
        ssize_t got = read_block(from, block, sizeof(block));
        if (got <= 0) {
            return (int)got;
        }
        int error = new_file_add(to, block, (size_t)got);
        if (error != 0) {
            return error;
        }
        w->bytes += got;
    }
    return -ECANCELED;
}

int fs_copy(struct fs_work *w)
{
    struct new_file to;
    int from = open_for_reading(w->path);

    if (from < 0) {
        return from;
    }
    int error = new_file_open(&to, w->to);
    if (error == 0) {
        error = copy_blocks(w, from, &to);
        if (error == 0) {
            error = new_file_commit(&to);
        } else {
            new_file_abandon(&to);
        }
    }
    (void)close(from);
    return error;
}

/* The real path of a name whose folder exists; owned by the caller, NULL with errno. */
static char *real_path(char *path)
{
    char *real = realpath(path, NULL);
    char *slash = strrchr(path, '/');

    if (real != NULL || errno != ENOENT || slash == NULL || slash[1] == '\0' ||
        strcmp(slash, "/..") == 0) {
        return real;
    }
    *slash = '\0';
    char *folder = realpath(slash == path ? "/" : path, NULL);
    *slash = '/';
    if (folder == NULL) {
        return NULL;
    }
    struct buffer joined = {0};
    buffer_printf(&joined, "%s%s", strcmp(folder, "/") == 0 ? "" : folder, slash);
    free(folder);
    return joined.data;
}

static bool is_below(const char *root, const char *path)
{
    size_t size = strcmp(root, "/") == 0 ? 0 : strlen(root);

    return strncmp(root, path, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

int fs_below(struct fs_work *w)
{
    struct buffer joined = {0};
    char *root = realpath(w->path, NULL);

    if (root == NULL) {
        return -errno;
    }
    buffer_printf(&joined, "%s/%s", w->to[0] == '/' ? "" : root, w->to);
    char *real = real_path(joined.data);
    int error = 0;
    if (real == NULL) {
        error = -errno;
    } else if (is_below(root, real)) {
        buffer_add_text(&w->data, real);
    } else {
        buffer_add_text(&w->data, root);
        error = FS_OUTSIDE;
    }
    buffer_fini(&joined);
    free(real);
    free(root);
    return error;
}

int fs_temp_dir(struct fs_work *w)
{
    if (mkdtemp(w->path) == NULL) {
        return -errno;
    }
    buffer_add_text(&w->data, w->path);
    return 0;
}
