/*
 * private_socket.c - a listener, and a connection that reads, waits for its answer, writes and closes.
 *
 *   READING --line--> WAITING --answer--> WRITING --> closed
 *      |                                     |
 *      +--- too long, gone, out of time -----+------> closed
 *
 * The socket gets its name when it listens already: who sweeps the folder takes one that refuses for dead.
 */
#include "core/app/private_socket.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/buffer.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define ASKERS_MAX   16u
#define LONGEST_LINE 64u
#define BACKLOG      16
#define PATIENCE_MS  2000u /* with a client that reads or writes */
#define SUFFIX       ".sock"
#define OPEN_TRIES   3 /* a worker that ends may remove the folder just before we bind */

enum asker_state {
    ASKER_READING,
    ASKER_WAITING,
    ASKER_WRITING,
    ASKER_CLOSING,
};

struct asker {
    enum asker_state state;
    struct private_socket *socket;
    uv_pipe_t pipe;
    uv_timer_t patience;
    uv_write_t write;
    int handles; /* not yet closed */
    char line[LONGEST_LINE + 1];
    size_t length;
    struct buffer answer;
    TAILQ_ENTRY(asker) link;
};

struct private_socket {
    uv_loop_t *loop;
    uv_pipe_t listener;
    asked_fn asked;
    void *owner;
    size_t count;
    TAILQ_HEAD(, asker) askers;
    char folder[64 + sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct sockaddr_un address;
};

static int choose_folder(char *folder, size_t size);
static int prepare_folder(const char *folder);
static void sweep(const char *folder);
static int listen_in(struct private_socket *s, int *fd);
static void on_connected(uv_stream_t *listener, int status);
static bool is_trusted(int fd);
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf);
static void on_written(uv_write_t *write, int status);
static void on_impatient(uv_timer_t *timer);
static void lose(struct asker *a);
static void on_asker_closed(uv_handle_t *handle);
static void on_closed(uv_handle_t *handle);

struct private_socket *private_socket_open(uv_loop_t *loop, asked_fn asked, void *owner)
{
    struct private_socket *s = mem_zalloc(sizeof(*s));
    int fd = -1;
    int rc = choose_folder(s->folder, sizeof(s->folder));

    TAILQ_INIT(&s->askers);
    s->loop = loop;
    s->asked = asked;
    s->owner = owner;
    for (int i = 0; rc == 0 && fd < 0 && i < OPEN_TRIES; i++) {
        rc = prepare_folder(s->folder);
        if (rc == 0) {
            sweep(s->folder);
            rc = listen_in(s, &fd);
            rc = rc == -ENOENT && i + 1 < OPEN_TRIES ? 0 : rc;
        }
    }
    if (rc < 0) {
        log_warn("no private socket: nobody can look at running jobs",
                 LOG_TEXT("folder", s->folder),
                 LOG_TEXT("error",
                          rc == -EPERM
                              ? "it is another user's, or others may enter it: expected 0700"
                              : uv_strerror(rc)));
        free(s);
        return NULL;
    }
    uv_pipe_init(loop, &s->listener, 0);
    s->listener.data = s;
    uv_pipe_open(&s->listener, fd);
    uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connected);
    return s;
}

const char *private_socket_path(const struct private_socket *s)
{
    return s->address.sun_path;
}

void private_socket_answer(struct asker *a, struct slice text)
{
    buffer_add_slice(&a->answer, text);
    a->state = ASKER_WRITING;
    uv_timer_start(&a->patience, on_impatient, PATIENCE_MS, 0);
    uv_buf_t buf = uv_buf_init(a->answer.data, (unsigned)a->answer.size);
    if (uv_write(&a->write, (uv_stream_t *)&a->pipe, &buf, 1, on_written) < 0) {
        lose(a);
    }
}

void private_socket_unlink(struct private_socket *s)
{
    if (s != NULL) {
        (void)unlink(s->address.sun_path);
        (void)rmdir(s->folder); /* the last one goes with its folder */
    }
}

void private_socket_close(struct private_socket *s)
{
    struct asker *next;

    if (s == NULL) {
        return;
    }
    private_socket_unlink(s);
    for (struct asker *a = TAILQ_FIRST(&s->askers); a != NULL; a = next) {
        next = TAILQ_NEXT(a, link);
        lose(a);
    }
    uv_close((uv_handle_t *)&s->listener, on_closed);
}

/* The path goes to the database, which takes no other. */
static int check_text(const char *text)
{
    struct slice rest = slice_of(text);
    uint32_t code;

    while (rest.size > 0) {
        size_t size = text_character(rest, &code);
        if (size == 0) {
            return -EILSEQ;
        }
        rest.data += size;
        rest.size -= size;
    }
    return 0;
}

static int choose_folder(char *folder, size_t size)
{
    const char *systemd = getenv("RUNTIME_DIRECTORY");
    const char *session = getenv("XDG_RUNTIME_DIR");
    int length = 0;

    if (systemd != NULL && systemd[0] == '/') {
        int first = (int)strcspn(systemd, ":");
        length = snprintf(folder, size, "%.*s/workers", first, systemd);
    } else if (session != NULL && session[0] == '/') {
        length = snprintf(folder, size, "%s/jobq", session);
    } else {
        length = snprintf(folder, size, "/tmp/jobq-%ld", (long)geteuid());
    }
    return (size_t)length < size ? check_text(folder) : -ENAMETOOLONG;
}

/* In /tmp anybody may have made it before: then it is not ours, or not a folder, or open to others. */
static int prepare_folder(const char *folder)
{
    struct stat s;

    if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
        return -errno;
    }
    if (lstat(folder, &s) < 0) {
        return -errno;
    }
    if (!S_ISDIR(s.st_mode)) {
        return -ENOTDIR;
    }
    return s.st_uid == geteuid() && (s.st_mode & 077) == 0 ? 0 : -EPERM;
}

static int fill_address(struct sockaddr_un *address, const char *folder, const char *name)
{
    address->sun_family = AF_UNIX;
    size_t size = sizeof(address->sun_path);
    int length = snprintf(address->sun_path, size, "%s/%s", folder, name);
    return (size_t)length < size ? 0 : -ENAMETOOLONG;
}

static bool is_dead(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool dead = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
                errno == ECONNREFUSED;

    if (fd >= 0) {
        close(fd);
    }
    return dead;
}

/* Workers that were killed leave their sockets: nobody listens there any more. */
static void sweep(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    struct sockaddr_un address;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        size_t length = strlen(entry->d_name);
        size_t suffix = sizeof(SUFFIX) - 1;
        if (length > suffix && strcmp(entry->d_name + length - suffix, SUFFIX) == 0 &&
            fill_address(&address, folder, entry->d_name) == 0 && is_dead(&address)) {
            (void)unlink(address.sun_path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static int listen_as(int fd, const struct sockaddr_un *young, const struct sockaddr_un *address)
{
    (void)unlink(young->sun_path); /* of one that died in here and had our pid */
    if (bind(fd, (const struct sockaddr *)young, sizeof(*young)) < 0 ||
        chmod(young->sun_path, 0600) < 0 || listen(fd, BACKLOG) < 0 ||
        rename(young->sun_path, address->sun_path) < 0) {
        return -errno;
    }
    return 0;
}

/* Names have a random part: worlds with process numbers of their own may share the folder. */
static int listen_in(struct private_socket *s, int *fd)
{
    struct sockaddr_un young;
    char name[64];

    (void)snprintf(name, sizeof(name), "%ld-%08lx%s", (long)getpid(), random(), SUFFIX);
    int rc = fill_address(&s->address, s->folder, name);
    (void)snprintf(name, sizeof(name), "%ld.new", (long)getpid());
    rc = rc == 0 ? fill_address(&young, s->folder, name) : rc;
    if (rc < 0) {
        return rc;
    }
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0) {
        return -errno;
    }
    rc = listen_as(made, &young, &s->address);
    if (rc < 0) {
        close(made);
        return rc;
    }
    *fd = made;
    return 0;
}

static void on_connected(uv_stream_t *listener, int status)
{
    struct private_socket *s = listener->data;
    struct asker *a = mem_zalloc(sizeof(*a));
    int fd = -1;

    a->socket = s;
    a->handles = 2;
    uv_pipe_init(s->loop, &a->pipe, 0);
    uv_timer_init(s->loop, &a->patience);
    a->pipe.data = a->patience.data = a->write.data = a;
    TAILQ_INSERT_TAIL(&s->askers, a, link);
    s->count++;
    if (status < 0 || uv_accept(listener, (uv_stream_t *)&a->pipe) < 0 || s->count > ASKERS_MAX ||
        uv_fileno((uv_handle_t *)&a->pipe, &fd) < 0 || !is_trusted(fd)) {
        lose(a);
        return;
    }
    uv_timer_start(&a->patience, on_impatient, PATIENCE_MS, 0);
    uv_read_start((uv_stream_t *)&a->pipe, on_room, on_read);
}

/* The folder keeps others out already; this holds where somebody has opened it. */
static bool is_trusted(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct asker *a = handle->data;

    (void)suggested;
    *buf = uv_buf_init(a->line + a->length, (unsigned)(LONGEST_LINE - a->length));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct asker *a = stream->data;

    (void)buf;
    a->length += size > 0 ? (size_t)size : 0;
    char *end = memchr(a->line, '\n', a->length);
    if (end != NULL) {
        *end = 0;
        uv_read_stop(stream);
        uv_timer_stop(&a->patience);
        a->state = ASKER_WAITING;
        a->socket->asked(a->socket->owner, a, a->line);
    } else if (size < 0 || a->length == LONGEST_LINE) {
        lose(a);
    }
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    lose(write->data);
}

static void on_impatient(uv_timer_t *timer)
{
    lose(timer->data);
}

static void lose(struct asker *a)
{
    if (a->state != ASKER_CLOSING) {
        a->state = ASKER_CLOSING;
        TAILQ_REMOVE(&a->socket->askers, a, link);
        a->socket->count--;
        uv_close((uv_handle_t *)&a->pipe, on_asker_closed);
        uv_close((uv_handle_t *)&a->patience, on_asker_closed);
    }
}

static void on_asker_closed(uv_handle_t *handle)
{
    struct asker *a = handle->data;

    if (--a->handles == 0) {
        buffer_fini(&a->answer);
        free(a);
    }
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
