/* executor.c - a child process, a socket, a shared page. */
#include "core/pool/executor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/channel.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/job/pulse.h"

struct executor {
    enum executor_state state;
    uv_process_t process;
    uv_timer_t loading; /* runs until it has loaded */
    uint64_t load_timeout_ms;
    bool is_overdue;         /* killed because it did not load in time */
    struct channel *channel; /* owned; NULL once lost */
    struct pulse *pulse;     /* owned; a shared page */
    struct kind_list kinds;
    size_t load;
    const struct executor_events *events;
    void *owner;
};

static int start(uv_loop_t *loop, struct executor *e, int fds[2]);
static int spawn(uv_loop_t *loop, struct executor *e, int channel_fd, int pulse_fd);
static struct pulse *open_pulse(int *fd);
static void on_frame(void *owner, struct frame *f);
static void on_drained(void *owner);
static void on_lost(void *owner, const char *why);
static void on_overdue(uv_timer_t *timer);
static void on_exited(uv_process_t *process, int64_t exit_status, int term_signal);
static void on_timer_closed(uv_handle_t *handle);
static void on_closed(uv_handle_t *handle);
static void release(struct executor *e);
static void add_kind(struct executor *e, struct frame *f);
static void load_failed(struct executor *e, struct frame *f);
static void describe(const struct executor *e,
                     char *why,
                     size_t size,
                     int64_t exit_status,
                     int term_signal);

static const struct channel_events channel_events = {on_frame, on_drained, on_lost};

struct executor *executor_spawn(uv_loop_t *loop,
                                const struct wire_config *config,
                                uint64_t load_timeout_ms,
                                const struct executor_events *events,
                                void *owner)
{
    struct executor *e = mem_zalloc(sizeof(*e));
    int fds[2] = {-1, -1};

    e->events = events;
    e->owner = owner;
    e->load_timeout_ms = load_timeout_ms;
    int rc = start(loop, e, fds);
    if (rc < 0) {
        log_error("cannot start an executor", LOG_TEXT("error", uv_strerror(rc)));
        if (fds[0] >= 0) {
            close(fds[0]);
        }
        if (e->process.data == NULL) {
            release(e);
        } else {
            uv_close((uv_handle_t *)&e->process, on_closed);
        }
        return NULL;
    }
    uv_timer_init(loop, &e->loading);
    e->loading.data = e;
    uv_timer_start(&e->loading, on_overdue, load_timeout_ms, 0);
    e->channel = channel_open(loop, fds[0], &channel_events, e);
    wire_put_config(channel_out(e->channel), config);
    channel_send(e->channel);
    return e;
}

/* Our end of the channel is in fds[0], if there is one. */
static int start(uv_loop_t *loop, struct executor *e, int fds[2])
{
    int pulse_fd = -1;

    e->pulse = open_pulse(&pulse_fd);
    int rc = e->pulse == NULL ? -errno : 0;
    if (rc == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        rc = -errno;
    }
    if (rc == 0) {
        rc = spawn(loop, e, fds[1], pulse_fd);
        close(fds[1]);
    }
    if (pulse_fd >= 0) {
        close(pulse_fd);
    }
    return rc;
}

enum executor_state executor_state(const struct executor *e)
{
    return e->state;
}

const struct kind_list *executor_kinds(const struct executor *e)
{
    return &e->kinds;
}

int executor_pid(const struct executor *e)
{
    return e->process.pid;
}

size_t executor_load(const struct executor *e)
{
    return e->load;
}

void executor_add_load(struct executor *e, int change)
{
    e->load = (size_t)((int64_t)e->load + change);
}

void executor_run(struct executor *e, const struct wire_run *run)
{
    if (e->channel != NULL) {
        wire_put_run(channel_out(e->channel), run);
        channel_send(e->channel);
    }
}

void executor_stop(struct executor *e, uint32_t run, enum stop_reason reason)
{
    if (e->channel != NULL) {
        struct wire_stop stop = {.run = run, .reason = (uint8_t)reason};
        wire_put_stop(channel_out(e->channel), &stop);
        channel_flush(e->channel); /* the mail must be there before the bell rings */
        uv_process_kill(&e->process, EXECUTOR_MAIL_SIGNAL);
    }
}

void executor_look(struct executor *e, const struct wire_look *look)
{
    if (e->channel != NULL) {
        wire_put_look(channel_out(e->channel), look);
        channel_flush(e->channel); /* before the bell, as above */
        executor_ring(e);
    }
}

void executor_ring(struct executor *e)
{
    uv_process_kill(&e->process, EXECUTOR_MAIL_SIGNAL);
}

void executor_add_place(const struct executor *e, struct buffer *out)
{
    int line = atomic_load(&e->pulse->line);
    char source[sizeof(e->pulse->source) + 1] = "";

    if (line > 0) {
        memcpy(source, e->pulse->source, sizeof(e->pulse->source));
        buffer_add_text(out, "last ");
        text_add_clean(out, slice_of(source), sizeof(source) * 3);
        buffer_printf(out, ":%d\n", line);
    }
}

void executor_kill(struct executor *e)
{
    uv_process_kill(&e->process, SIGKILL);
}

void executor_quit(struct executor *e)
{
    if (e->state == EXECUTOR_READY || e->state == EXECUTOR_STARTING) {
        e->state = EXECUTOR_LEAVING;
        if (e->channel != NULL) {
            wire_put_plain(channel_out(e->channel), WIRE_QUIT);
            channel_send(e->channel);
        }
    }
}

uint32_t executor_computing(const struct executor *e, uint64_t *since_us)
{
    *since_us = atomic_load(&e->pulse->since_us);
    return atomic_load(&e->pulse->run);
}

bool executor_is_worn(const struct executor *e)
{
    return atomic_load(&e->pulse->is_worn);
}

uint64_t executor_lua_bytes(const struct executor *e)
{
    return atomic_load(&e->pulse->lua_bytes);
}

/*
 * The build that runs, also where an upgrade has put another in its place: the link leads to it, but
 * its text does not. The text is what tools like valgrind understand.
 */
static void find_program(char *path, size_t size)
{
    static const char link[] = "/proc/self/exe";
    static const char gone[] = " (deleted)";
    size_t length = size;

    bool is_known = uv_exepath(path, &length) == 0;
    bool is_gone =
        is_known && length >= sizeof(gone) && strcmp(path + length - (sizeof(gone) - 1), gone) == 0;
    if (!is_known || is_gone) {
        memcpy(path, link, sizeof(link));
    }
}

/* uv_spawn initialises the handle even when it fails: it must be closed in any case. */
static int spawn(uv_loop_t *loop, struct executor *e, int channel_fd, int pulse_fd)
{
    char path[PATH_MAX];
    char title[] = "jobq-run";
    char door[] = "--executor";
    char *args[] = {title, door, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDOUT_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        [EXECUTOR_CHANNEL_FD] = {.flags = UV_INHERIT_FD, .data.fd = channel_fd},
        [EXECUTOR_PULSE_FD] = {.flags = UV_INHERIT_FD, .data.fd = pulse_fd},
    };
    uv_process_options_t options = {
        .exit_cb = on_exited,
        .flags = UV_PROCESS_DETACHED, /* Ctrl-C in a terminal is for the supervisor alone */
        .file = path,
        .args = args,
        .stdio = stdio,
        .stdio_count = LENGTH_OF(stdio),
    };

    e->process.data = e;
    find_program(path, sizeof(path));
    return uv_spawn(loop, &e->process, &options);
}

static struct pulse *open_pulse(int *fd)
{
    *fd = memfd_create("jobq-pulse", MFD_CLOEXEC);
    if (*fd < 0 || ftruncate(*fd, sizeof(struct pulse)) < 0) {
        return NULL;
    }
    void *page = mmap(NULL, sizeof(struct pulse), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (page == MAP_FAILED) {
        return NULL;
    }
    struct pulse *pulse = page;
    atomic_store(&pulse->run, PULSE_NO_RUN);
    return pulse;
}

static void on_frame(void *owner, struct frame *f)
{
    struct executor *e = owner;

    switch (f->type) {
    case WIRE_KIND: add_kind(e, f); break;
    case WIRE_LOADED:
        uv_timer_stop(&e->loading);
        if (e->state == EXECUTOR_STARTING) {
            e->state = EXECUTOR_READY;
            e->events->loaded(e->owner, e);
        }
        break;
    case WIRE_LOAD_FAILED: load_failed(e, f); break;
    default: e->events->told(e->owner, e, f); break;
    }
}

static void add_kind(struct executor *e, struct frame *f)
{
    struct wire_kind kind;

    if (wire_get_kind(f, &kind) == 0) {
        kind_list_add(&e->kinds, &kind);
    }
}

static void load_failed(struct executor *e, struct frame *f)
{
    struct wire_load_failed m;

    if (wire_get_load_failed(f, &m) == 0) {
        e->events->load_failed(e->owner, e, m.message);
    }
}

static void on_drained(void *owner)
{
    struct executor *e = owner;

    e->events->drained(e->owner, e);
}

/* Without its channel it is of no use; on_exited tells the rest. */
static void on_lost(void *owner, const char *why)
{
    struct executor *e = owner;

    (void)why;
    e->channel = NULL;
    executor_kill(e);
}

static void on_overdue(uv_timer_t *timer)
{
    struct executor *e = timer->data;

    e->is_overdue = true;
    executor_kill(e);
}

static void on_exited(uv_process_t *process, int64_t exit_status, int term_signal)
{
    struct executor *e = process->data;
    char why[128];

    if (e->channel != NULL) {
        channel_receive(e->channel); /* its last words may still be in the socket */
    }
    if (e->channel != NULL) {
        channel_close(e->channel);
        e->channel = NULL;
    }
    describe(e, why, sizeof(why), exit_status, term_signal);
    e->state = EXECUTOR_DEAD;
    e->events->died(e->owner, e, atomic_load(&e->pulse->run), why);
    uv_close((uv_handle_t *)&e->loading, on_timer_closed);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct executor *e = handle->data;

    uv_close((uv_handle_t *)&e->process, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void release(struct executor *e)
{
    if (e->pulse != NULL) {
        munmap(e->pulse, sizeof(*e->pulse));
    }
    kind_list_fini(&e->kinds);
    free(e);
}

static void describe(const struct executor *e,
                     char *why,
                     size_t size,
                     int64_t exit_status,
                     int term_signal)
{
    if (e->is_overdue) {
        (void)snprintf(
            why,
            size,
            "the handlers did not load within %g s\nhint: raise --load-timeout if they need it",
            (double)e->load_timeout_ms / 1000);
    } else if (term_signal != 0) {
        (void)snprintf(why, size, "signal %d, %s", term_signal, strsignal(term_signal));
    } else {
        (void)snprintf(why, size, "exit status %d", (int)exit_status);
    }
}
