/*
 * notifier.c - one datagram a change of state. While the manager's socket is full, the newest state
 * waits for room and takes the place of older ones.
 */
#include "core/app/notifier.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define RETRY_MS       100u
#define LONGEST_STATUS 500

enum notifier_state {
    NOTIFIER_STARTING,
    NOTIFIER_READY,
    NOTIFIER_RELOADING,
    NOTIFIER_STOPPING,
};

struct notifier {
    int fd; /* -1: nobody is to be told */
    struct sockaddr_un address;
    socklen_t address_size;
    enum notifier_state state;
    struct buffer pending; /* the newest message that has not been sent */
    uv_timer_t retry;
    uv_timer_t watchdog;
};

static void open_socket(struct notifier *n);
static int set_address(struct notifier *n, const char *text);
static uint64_t watchdog_ms(void);
static void tell(struct notifier *n);
static int send_text(struct notifier *n, struct slice text);
static void add_status(struct buffer *out, struct slice status);
static void on_retry(uv_timer_t *timer);
static void on_watchdog(uv_timer_t *timer);
static void on_retry_closed(uv_handle_t *handle);
static void on_closed(uv_handle_t *handle);

struct notifier *notifier_open(uv_loop_t *loop)
{
    struct notifier *n = mem_zalloc(sizeof(*n));
    uint64_t interval_ms = watchdog_ms();

    n->fd = -1;
    uv_timer_init(loop, &n->retry);
    uv_timer_init(loop, &n->watchdog);
    n->retry.data = n->watchdog.data = n;
    open_socket(n);
    if (n->fd >= 0 && interval_ms > 0) {
        /* Half of what the manager waits for, as sd_watchdog_enabled(3) advises. */
        uv_timer_start(&n->watchdog, on_watchdog, 0, interval_ms / 2 + 1);
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return n;
}

void notifier_ready(struct notifier *n, struct slice status)
{
    if (n->state == NOTIFIER_STARTING) {
        n->state = NOTIFIER_READY;
        buffer_clear(&n->pending);
        buffer_add_text(&n->pending, "READY=1\n");
        add_status(&n->pending, status);
        tell(n);
    }
}

void notifier_reloading(struct notifier *n)
{
    if (n->state == NOTIFIER_READY) {
        n->state = NOTIFIER_RELOADING;
        buffer_clear(&n->pending);
        buffer_printf(&n->pending,
                      "RELOADING=1\nMONOTONIC_USEC=%llu\n",
                      (unsigned long long)clock_now_us());
        add_status(&n->pending, slice_of("reloading the handlers"));
        tell(n);
    }
}

void notifier_reloaded(struct notifier *n, struct slice status)
{
    if (n->state == NOTIFIER_RELOADING) {
        n->state = NOTIFIER_STARTING;
        notifier_ready(n, status);
    }
}

void notifier_stopping(struct notifier *n, uint64_t within_ms)
{
    n->state = NOTIFIER_STOPPING;
    buffer_clear(&n->pending);
    buffer_printf(&n->pending,
                  "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu\n",
                  (unsigned long long)within_ms * 1000);
    add_status(&n->pending, slice_of("waiting for the running jobs"));
    tell(n);
}

void notifier_close(struct notifier *n)
{
    buffer_fini(&n->pending);
    if (n->fd >= 0) {
        (void)close(n->fd);
    }
    uv_close((uv_handle_t *)&n->retry, on_retry_closed);
}

static void open_socket(struct notifier *n)
{
    const char *text = getenv("NOTIFY_SOCKET");

    if (text == NULL || *text == 0) {
        return;
    }
    if (set_address(n, text) < 0) {
        log_warn("cannot tell the service manager, expected a path or @name in NOTIFY_SOCKET",
                 LOG_TEXT("value", text));
        return;
    }
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd < 0) {
        log_warn("cannot tell the service manager", LOG_TEXT("error", strerror(errno)));
    }
}

/* "/run/systemd/notify", or "@name" for one in the abstract namespace, which begins with a 0. */
static int set_address(struct notifier *n, const char *text)
{
    size_t size = strlen(text);
    bool is_abstract = text[0] == '@';

    if ((text[0] != '/' && !is_abstract) || size < 2 || size >= sizeof(n->address.sun_path)) {
        return -EINVAL;
    }
    n->address.sun_family = AF_UNIX;
    memcpy(n->address.sun_path, text, size);
    if (is_abstract) {
        n->address.sun_path[0] = 0;
    }
    n->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    return 0;
}

/* How long the manager waits for a sign of life; 0: it wants none of this process. */
static uint64_t watchdog_ms(void)
{
    const char *interval = getenv("WATCHDOG_USEC");
    const char *meant = getenv("WATCHDOG_PID");
    int64_t usec = 0;
    int64_t pid = 0;

    if (interval == NULL || !text_integer(interval, 1, INT64_MAX, &usec)) {
        return 0;
    }
    if (meant != NULL && (!text_integer(meant, 1, INT32_MAX, &pid) || pid != getpid())) {
        return 0;
    }
    return (uint64_t)usec / 1000;
}

static void add_status(struct buffer *out, struct slice status)
{
    size_t start = out->size;

    buffer_add_text(out, "STATUS=");
    text_add_clean(out, status, LONGEST_STATUS);
    for (size_t i = start; i < out->size; i++) {
        if (out->data[i] == '\n') {
            out->data[i] = ' '; /* a line of its own would be another message */
        }
    }
}

/* Sends what is pending, now or when there is room. */
static void tell(struct notifier *n)
{
    if (n->fd < 0 || send_text(n, buffer_slice(&n->pending)) != -EAGAIN) {
        uv_timer_stop(&n->retry);
        buffer_clear(&n->pending);
    } else {
        uv_timer_start(&n->retry, on_retry, RETRY_MS, 0);
    }
}

static int send_text(struct notifier *n, struct slice text)
{
    ssize_t sent = sendto(n->fd,
                          text.data,
                          text.size,
                          MSG_NOSIGNAL,
                          (const struct sockaddr *)&n->address,
                          n->address_size);

    if (sent >= 0) {
        return 0;
    }
    int r = errno == ENOBUFS || errno == EINTR ? -EAGAIN : -errno;
    if (r != -EAGAIN) {
        log_warn("cannot tell the service manager", LOG_TEXT("error", strerror(-r)));
    }
    return r;
}

static void on_retry(uv_timer_t *timer)
{
    tell(timer->data);
}

/* One that finds no room is left out: the next one comes. */
static void on_watchdog(uv_timer_t *timer)
{
    (void)send_text(timer->data, slice_of("WATCHDOG=1"));
}

static void on_retry_closed(uv_handle_t *handle)
{
    struct notifier *n = handle->data;

    uv_close((uv_handle_t *)&n->watchdog, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}
