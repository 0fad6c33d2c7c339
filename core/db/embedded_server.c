/*
 * embedded_server.c - initdb and postgres.
 *
 * A server is recognised by its working folder, which is the cluster's: a pid alone may belong to
 * anybody after a crash or a reboot.
 */
#include "core/db/embedded_server.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "core/base/clock.h"
#include "core/db/embedded_programs.h"
#include "core/db/embedded_spawn.h"

/* Crash recovery takes its time; a server that needs longer is not for trying out. */
#define START_MS 60000

/* A fast shutdown writes a checkpoint; then the server is ended as if it had crashed. */
#define STOP_MS      30000
#define STOP_HARD_MS 5000

/* Backends of a killed server notice it soon. */
#define ORPHANS_MS 10000

#define PAUSE_MS 10

/* A starting server has its socket after this time; one that lives without is deaf. */
#define DEAF_MS 3000

/* A log above that size begins anew with the server. */
#define LOG_BYTES (1 << 20)

/* What a message shows of the log. */
#define TAIL_LINES 5
#define TAIL_BYTES 2000

static int make_cluster(const struct place *p, const char *programs, struct buffer *error);
static int start(const struct place *p, const char *programs, pid_t *child, struct buffer *error);
static int wait_ready(const struct place *p, pid_t *child, struct buffer *error);
static int find_programs(const struct place *p, char **programs, struct buffer *error);
static void forget_dead_server(const struct place *p);
static bool is_deaf(const struct place *p);
static pid_t server_pid(const struct place *p);
static bool is_inside(const char *pid, const struct place *p);
static bool wait_gone(const struct place *p, pid_t child, uint64_t ms);
static int fail_with_log(const struct place *p, const char *what, struct buffer *error);

void server_add_conninfo(struct buffer *out, const struct place *p)
{
    /* Without hostaddr, PGHOSTADDR would lead elsewhere. */
    buffer_printf(out, "host='%s' hostaddr='' port=5432 ", p->socket_folder);
    buffer_add_text(out, "user=postgres dbname=postgres");
}

int server_ensure(const struct place *p, bool *created, pid_t *child, struct buffer *error)
{
    char *programs = NULL;

    *created = false;
    *child = 0;
    if (is_deaf(p) && server_stop(p, 0) < 0) {
        return fail_with_log(p, "postgres has lost its socket and does not stop", error);
    }
    int r = server_pid(p) == 0 ? -ESRCH : wait_ready(p, child, error);
    if (r != -ESRCH) {
        return r;
    }
    r = find_programs(p, &programs, error);
    if (r == 0 && access(p->data, F_OK) < 0) {
        r = make_cluster(p, programs, error);
        *created = r == 0;
    }
    if (r == 0) {
        forget_dead_server(p);
        r = start(p, programs, child, error);
    }
    free(programs);
    return r == 0 ? wait_ready(p, child, error) : r;
}

/*
 * A server whose socket file somebody has deleted, as cleaners of temporary folders do, hears nobody and
 * does not notice. One that has just started makes the file in a moment.
 */
static bool is_deaf(const struct place *p)
{
    uint64_t deadline_ms = clock_now_ms() + DEAF_MS;
    struct buffer path = {0};

    buffer_printf(&path, "%s/.s.PGSQL.5432", p->socket_folder);
    while (access(path.data, F_OK) < 0 && server_pid(p) != 0 && clock_now_ms() < deadline_ms) {
        (void)poll(NULL, 0, PAUSE_MS);
    }
    bool deaf = access(path.data, F_OK) < 0 && server_pid(p) != 0;
    buffer_fini(&path);
    return deaf;
}

bool server_is_up(const struct place *p)
{
    return server_pid(p) != 0;
}

int server_stop(const struct place *p, pid_t child)
{
    pid_t pid = server_pid(p);

    if (pid == 0) {
        return 0;
    }
    (void)kill(pid, SIGINT);
    if (!wait_gone(p, child, STOP_MS)) {
        (void)kill(pid, SIGQUIT);
        if (!wait_gone(p, child, STOP_HARD_MS)) {
            return -ETIMEDOUT;
        }
    }
    if (strcmp(p->socket_folder, p->folder) != 0) {
        (void)rmdir(p->socket_folder);
    }
    return 0;
}

/* Complete or not there at all: made under another name first. */
static int make_cluster(const struct place *p, const char *programs, struct buffer *error)
{
    struct buffer initdb = {0};
    char *unfinished = place_path(p, "data.new");

    buffer_printf(&initdb, "%s/initdb", programs);
    const char *const clean[] = {"/bin/rm", "-rf", "--", unfinished, NULL};
    const char *const make[] = {initdb.data,
                                "--pgdata",
                                unfinished,
                                "--username=postgres",
                                "--auth=trust",
                                "--encoding=UTF8",
                                "--locale=C.UTF-8",
                                "--no-sync",
                                "--no-instructions",
                                NULL};
    struct spawn s = {.argv = clean, .uid = p->uid, .gid = p->gid, .dir = p->folder, .log = p->log};
    int status = spawn_run(&s);
    if (status == 0) {
        s.argv = make;
        status = spawn_run(&s);
    }
    int r = status == 0 ? 0 : fail_with_log(p, "initdb failed", error);
    if (r == 0 && rename(unfinished, p->data) < 0) {
        r = -errno;
        buffer_printf(error, "cannot rename '%s': %s", unfinished, strerror(-r));
    }
    buffer_fini(&initdb);
    free(unfinished);
    return r;
}

static int start(const struct place *p, const char *programs, pid_t *child, struct buffer *error)
{
    struct buffer postgres = {0};
    struct buffer sockets = {0};
    struct stat st;

    buffer_printf(&postgres, "%s/postgres", programs);
    buffer_printf(&sockets, "unix_socket_directories=%s", p->socket_folder);
    const char *const argv[] = {postgres.data,
                                "-D",
                                p->data,
                                "-c",
                                sockets.data,
                                "-c",
                                "listen_addresses=",
                                "-c",
                                "port=5432",
                                "-c",
                                "unix_socket_permissions=0700",
                                "-c",
                                "logging_collector=off",
                                "-c",
                                "log_destination=stderr",
                                "-c",
                                "cluster_name=jobq",
                                NULL};
    struct spawn s = {.argv = argv,
                      .uid = p->uid,
                      .gid = p->gid,
                      .dir = p->folder,
                      .log = p->log,
                      .detached = true};
    if (lstat(p->log, &st) == 0 && st.st_size > LOG_BYTES) {
        (void)unlink(p->log);
    }
    pid_t pid = spawn_start(&s);
    buffer_fini(&postgres);
    buffer_fini(&sockets);
    if (pid < 0) {
        buffer_printf(error, "cannot start postgres: %s", strerror(-pid));
        return (int)pid;
    }
    *child = pid;
    return 0;
}

/* 0 while it lives; -ESRCH: not ours, and gone; -EIO: it was our child. */
static int check_alive(const struct place *p, pid_t *child)
{
    int status;

    if (*child == 0) {
        return server_pid(p) == 0 ? -ESRCH : 0;
    }
    if (waitpid(*child, &status, WNOHANG) == *child) {
        *child = 0;
        return -EIO;
    }
    return 0;
}

/* -ESRCH: the server that we found was about to end. */
static int wait_ready(const struct place *p, pid_t *child, struct buffer *error)
{
    uint64_t deadline_ms = clock_now_ms() + START_MS;
    struct buffer conninfo = {0};
    bool ready;
    int r = 0;

    server_add_conninfo(&conninfo, p);
    while (!(ready = PQping(conninfo.data) == PQPING_OK) && r == 0) {
        r = check_alive(p, child);
        if (r == 0 && clock_now_ms() > deadline_ms) {
            r = -ETIMEDOUT;
        }
        (void)poll(NULL, 0, PAUSE_MS);
    }
    buffer_fini(&conninfo);
    if (ready || r == -ESRCH) {
        return ready ? 0 : r;
    }
    return fail_with_log(p,
                         r == -EIO ? "postgres did not start"
                                   : "postgres does not answer after 60 s",
                         error);
}

/* A cluster runs under the version that made it, only. */
static int find_programs(const struct place *p, char **programs, struct buffer *error)
{
    struct buffer path = {0};
    char version[16] = "";

    buffer_printf(&path, "%s/PG_VERSION", p->data);
    FILE *file = fopen(path.data, "re");
    if (file != NULL) {
        if (fgets(version, sizeof(version), file) == NULL) {
            version[0] = 0;
        }
        (void)fclose(file);
    }
    buffer_fini(&path);
    return programs_find((int)strtol(version, NULL, 10), programs, error);
}

/* What postmaster.pid says, or 0. The pid may belong to somebody else by now. */
static long recorded_pid(const struct place *p)
{
    struct buffer path = {0};
    char line[32] = "";

    buffer_printf(&path, "%s/postmaster.pid", p->data);
    int fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) {
        if (read(fd, line, sizeof(line) - 1) < 0) {
            line[0] = 0;
        }
        close(fd);
    }
    buffer_fini(&path);
    return strtol(line, NULL, 10);
}

static pid_t server_pid(const struct place *p)
{
    long pid = recorded_pid(p);
    char name[32];

    if (pid <= 0 || pid > INT_MAX) {
        return 0;
    }
    (void)snprintf(name, sizeof(name), "%ld", pid);
    return is_inside(name, p) ? (pid_t)pid : 0;
}

/* A shell in that folder is no server. */
static bool is_postgres(const char *pid)
{
    char path[64];
    char name[32] = "";

    (void)snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool is = fgets(name, sizeof(name), file) != NULL && strcmp(name, "postgres\n") == 0;
    (void)fclose(file);
    return is;
}

static bool is_inside(const char *pid, const struct place *p)
{
    char link[64];
    char folder[PATH_MAX];

    (void)snprintf(link, sizeof(link), "/proc/%.20s/cwd", pid);
    ssize_t size = readlink(link, folder, sizeof(folder) - 1);
    if (size <= 0) {
        return false;
    }
    folder[size] = 0;
    return strcmp(folder, p->data) == 0 && is_postgres(pid);
}

static bool anybody_inside(const struct place *p)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    bool found = false;

    while (processes != NULL && !found && (entry = readdir(processes)) != NULL) {
        found = isdigit((unsigned char)entry->d_name[0]) && is_inside(entry->d_name, p);
    }
    if (processes != NULL) {
        (void)closedir(processes);
    }
    return found;
}

/* child is not gone before it is reaped. */
static bool wait_gone(const struct place *p, pid_t child, uint64_t ms)
{
    uint64_t deadline_ms = clock_now_ms() + ms;
    int status;

    while (anybody_inside(p)) {
        if (clock_now_ms() > deadline_ms) {
            return false;
        }
        (void)poll(NULL, 0, PAUSE_MS);
    }
    return child == 0 || waitpid(child, &status, 0) == child || errno == ECHILD;
}

static void unlink_in(const char *folder, const char *name)
{
    struct buffer path = {0};

    buffer_printf(&path, "%s/%s", folder, name);
    (void)unlink(path.data);
    buffer_fini(&path);
}

/*
 * After a crash, PostgreSQL trusts the pids in its lock files if any process has them, a zombie even.
 * Nobody is in the cluster's folder: they mean nothing. While somebody is, they protect the data.
 */
static void forget_dead_server(const struct place *p)
{
    if (wait_gone(p, 0, ORPHANS_MS)) {
        unlink_in(p->data, "postmaster.pid");
        unlink_in(p->socket_folder, ".s.PGSQL.5432.lock");
    }
}

/* The end of the log, whole lines. */
static void add_tail(const struct place *p, struct buffer *out)
{
    int fd = open(p->log, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char text[TAIL_BYTES + 1];

    if (fd < 0) {
        return;
    }
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t got = pread(fd, text, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    char *start = text + strlen(text);
    for (int lines = 0; start > text && lines <= TAIL_LINES; start--) {
        lines += start[-1] == '\n' ? 1 : 0;
    }
    start += start > text ? 1 : 0;
    start += *start == '\n' ? 1 : 0;
    buffer_add_text(out, start);
}

static int fail_with_log(const struct place *p, const char *what, struct buffer *error)
{
    struct buffer tail = {0};

    add_tail(p, &tail);
    buffer_printf(error, "%s\nhint: %s ends with", what, p->log);
    const char *line = buffer_text(&tail);
    while (*line != 0) {
        size_t size = strcspn(line, "\n");
        buffer_printf(error, "\n  %.*s", (int)size, line);
        line += size + (line[size] == '\n' ? 1 : 0);
    }
    buffer_fini(&tail);
    return -EIO;
}
