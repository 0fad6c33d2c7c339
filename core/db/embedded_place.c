/* embedded_place.c - folders and their owners. */
#include "core/db/embedded_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where root keeps clusters of folders that the server's user cannot reach. */
#define ELSEWHERE "/var/lib/jobq"

/* sun_path holds 108 bytes with the terminator. */
#define LONGEST_SOCKET 107
#define SOCKET_NAME    "/.s.PGSQL.5432"

/* Separators and quotes in conninfo, and in unix_socket_directories. */
#define AWKWARD ",'\"\\\n"

static int fail(struct buffer *error, int code, const char *what, const char *folder);
static int resolve(struct place *p, const char *dir, bool make, struct buffer *error);
static char *absolute(const char *dir);
static int make_folders(const char *path);
static int make_private(const char *path, uid_t uid, gid_t gid);
static int settle_user(struct place *p, bool make, struct buffer *error);
static int settle_socket(struct place *p, bool make, struct buffer *error);
static int check_content(const struct place *p, struct buffer *error);
static bool holds_cluster(const char *folder);
static bool can_reach(const struct place *p, const char *folder);
static char *hashed(const char *prefix, const char *path);

int place_find(struct place *p, const char *dir, bool make, struct buffer *error)
{
    *p = (struct place){.uid = geteuid(), .gid = getegid()};

    int r = resolve(p, dir, make, error);
    if (r == 0) {
        r = settle_user(p, make, error);
    }
    if (r == 0) {
        p->data = place_path(p, "data");
        p->log = place_path(p, "log");
        r = settle_socket(p, make, error);
    }
    return r;
}

void place_fini(struct place *p)
{
    free(p->folder);
    free(p->data);
    free(p->log);
    free(p->socket_folder);
    *p = (struct place){0};
}

int place_open_file(const struct place *p, const char *name)
{
    char *path = place_path(p, name);
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = errno;

    free(path);
    if (fd < 0) {
        return -error;
    }
    if (geteuid() == 0 && fchown(fd, p->uid, p->gid) < 0) {
        error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

char *place_path(const struct place *p, const char *name)
{
    struct buffer path = {0};

    buffer_printf(&path, "%s/%s", p->folder, name);
    return path.data;
}

static int fail(struct buffer *error, int code, const char *what, const char *folder)
{
    buffer_printf(error, "%s '%s': %s", what, folder, strerror(-code));
    return code;
}

/* One folder has one name, however people come to it. */
static int resolve(struct place *p, const char *dir, bool make, struct buffer *error)
{
    char *path = absolute(dir);
    int r = make ? make_folders(path) : 0;

    if (r == 0) {
        p->folder = realpath(path, NULL);
        r = p->folder == NULL ? -errno : 0;
    }
    if (p->folder == NULL && (make || r != -ENOENT)) {
        (void)fail(error, r, "cannot make or reach folder", path);
    }
    free(path);
    return p->folder == NULL ? r : 0;
}

static char *absolute(const char *dir)
{
    char here[PATH_MAX];
    struct buffer path = {0};

    if (dir[0] == '/' || getcwd(here, sizeof(here)) == NULL) {
        return mem_strdup(dir);
    }
    buffer_printf(&path, "%s/%s", here, dir);
    return path.data;
}

/* As mkdir -p. The folder itself becomes private once it is known to be ours. */
static int make_folders(const char *path)
{
    char *copy = mem_strdup(path);
    int r = 0;

    for (char *at = copy + 1; r == 0 && at != NULL; at++) {
        at = strchr(at, '/');
        if (at != NULL) {
            *at = 0;
        }
        if (mkdir(copy, 0755) < 0 && errno != EEXIST) {
            r = -errno;
        }
        if (at == NULL) {
            break;
        }
        *at = '/';
    }
    free(copy);
    return r;
}

/* Gives a folder, no symbolic link, to that user alone. */
static int make_private(const char *path, uid_t uid, gid_t gid)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) {
        return -errno;
    }
    int r = fchmod(fd, 0700) < 0 || (geteuid() == 0 && fchown(fd, uid, gid) < 0) ? -errno : 0;
    close(fd);
    return r;
}

/* PostgreSQL refuses to run as root: another one must own its files. */
static void choose_user(struct place *p)
{
    struct passwd *user = getpwnam("postgres");

    if (user == NULL) {
        user = getpwnam("nobody");
    }
    if (user != NULL) {
        p->uid = user->pw_uid;
        p->gid = user->pw_gid;
    }
}

/* Root's own folder may be out of the server's reach; then the cluster is elsewhere. */
static void choose_folder(struct place *p)
{
    char *elsewhere = hashed(ELSEWHERE "/", p->folder);

    if (!holds_cluster(p->folder) && (holds_cluster(elsewhere) || !can_reach(p, p->folder))) {
        free(p->folder);
        p->folder = elsewhere;
    } else {
        free(elsewhere);
    }
}

static int settle_user(struct place *p, bool make, struct buffer *error)
{
    struct stat st;

    if (geteuid() == 0) {
        choose_user(p);
        choose_folder(p);
    }
    int r = make ? make_folders(p->folder) : 0;
    if (r != 0) {
        return fail(error, r, "cannot make folder", p->folder);
    }
    if (stat(p->folder, &st) < 0) {
        return errno == ENOENT && !make ? -ENOENT
                                        : fail(error, -errno, "cannot use folder", p->folder);
    }
    if (geteuid() != 0 && st.st_uid != geteuid()) {
        struct passwd *owner = getpwuid(st.st_uid);
        buffer_printf(error,
                      "folder '%s' belongs to %s\n"
                      "hint: run as that user, or choose another folder with --embedded=DIR",
                      p->folder,
                      owner == NULL ? "another user" : owner->pw_name);
        return -EACCES;
    }
    if (st.st_uid != 0) {
        p->uid = st.st_uid;
        p->gid = st.st_gid;
    }
    r = check_content(p, error);
    if (r == 0 && make) {
        r = make_private(p->folder, p->uid, p->gid);
        r = r == 0 ? 0 : fail(error, r, "cannot take folder", p->folder);
    }
    return r;
}

/* Whoever names a folder with other things in it did not mean to give it away. */
static int check_content(const struct place *p, struct buffer *error)
{
    DIR *folder = opendir(p->folder);
    struct dirent *entry;
    bool ours = false;
    bool empty = true;

    if (folder == NULL) {
        return fail(error, -errno, "cannot read folder", p->folder);
    }
    while ((entry = readdir(folder)) != NULL) {
        bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        empty = empty && dots;
        ours = ours || strcmp(entry->d_name, PLACE_LOCK) == 0;
    }
    (void)closedir(folder);
    if (!ours && !empty) {
        buffer_printf(error,
                      "folder '%s' is not empty and holds no cluster of jobq\n"
                      "hint: name a folder of its own, for example %s/pg",
                      p->folder,
                      p->folder);
        return -ENOTEMPTY;
    }
    return 0;
}

static int settle_socket(struct place *p, bool make, struct buffer *error)
{
    struct stat st;

    if (strlen(p->folder) + strlen(SOCKET_NAME) <= LONGEST_SOCKET &&
        strpbrk(p->folder, AWKWARD) == NULL) {
        p->socket_folder = mem_strdup(p->folder);
        return 0;
    }
    p->socket_folder = hashed("/tmp/jobq-", p->folder);
    if (!make) {
        return 0;
    }
    int r = mkdir(p->socket_folder, 0700) < 0 && errno != EEXIST ? -errno : 0;
    if (r != 0 || lstat(p->socket_folder, &st) < 0) {
        return fail(error, r == 0 ? -errno : r, "cannot make folder", p->socket_folder);
    }
    if (!S_ISDIR(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != p->uid)) {
        return fail(error, -EPERM, "somebody else has made folder", p->socket_folder);
    }
    r = make_private(p->socket_folder, p->uid, p->gid);
    return r == 0 ? 0 : fail(error, r, "cannot take folder", p->socket_folder);
}

static bool holds_cluster(const char *folder)
{
    struct buffer path = {0};

    buffer_printf(&path, "%s/" PLACE_LOCK, folder);
    bool holds = access(path.data, F_OK) == 0;
    buffer_fini(&path);
    return holds;
}

/* Whether the server's user gets to the folder that folder is in. Only the kernel knows; ask it. */
static bool can_reach(const struct place *p, const char *folder)
{
    char *parent = mem_strdup(folder);
    char *slash = strrchr(parent, '/');
    int status = 1;

    *(slash == parent ? slash + 1 : slash) = 0;
    pid_t pid = fork();
    if (pid == 0) {
        bool reached = setgroups(0, NULL) == 0 && setgid(p->gid) == 0 && setuid(p->uid) == 0 &&
                       chdir(parent) == 0;
        _exit(reached ? 0 : 1);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    free(parent);
    return status == 0;
}

/* prefix and 16 hexadecimal digits of path (FNV-1a). */
static char *hashed(const char *prefix, const char *path)
{
    uint64_t hash = 14695981039346656037u;
    struct buffer name = {0};

    for (; *path != 0; path++) {
        hash = (hash ^ (unsigned char)*path) * 1099511628211u;
    }
    buffer_printf(&name, "%s%016" PRIx64, prefix, hash);
    return name.data;
}
