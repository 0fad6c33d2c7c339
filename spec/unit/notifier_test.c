/* notifier_test.c - what a service manager hears, on a socket that the test holds. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "core/app/notifier.h"

#include "spec/unit/folder.h"
#include "spec/unit/unit.h"

struct rig {
    char folder[64];
    struct sockaddr_un address;
    int manager;
    uv_loop_t loop;
    struct notifier *n;
    char heard[1024];
};

/* name begins with '/' or, for the abstract namespace, '@'. */
static void listen_at(struct rig *r, const char *name)
{
    size_t size = strlen(name);

    r->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(r->address.sun_path, name, size);
    if (name[0] == '@') {
        r->address.sun_path[0] = 0;
    }
    r->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    assert_int_equal(bind(r->manager, (struct sockaddr *)&r->address, length), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    char name[100];

    *state = r;
    folder_make(r->folder);
    (void)snprintf(name, sizeof(name), "%s/notify", r->folder);
    listen_at(r, name);
    uv_loop_init(&r->loop);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    if (r->n != NULL) {
        notifier_close(r->n);
    }
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    (void)close(r->manager);
    (void)unsetenv("NOTIFY_SOCKET");
    folder_remove(r->folder);
    free(r);
    return 0;
}

/* The next datagram; "" if there is none. */
static const char *hear(struct rig *r)
{
    ssize_t size = recv(r->manager, r->heard, sizeof(r->heard) - 1, 0);

    r->heard[size < 0 ? 0 : size] = 0;
    return r->heard;
}

static void tells_each_change_of_state_once(void **state)
{
    struct rig *r = *state;

    r->n = notifier_open(&r->loop);
    assert_null(getenv("NOTIFY_SOCKET")); /* children do not inherit it */
    notifier_reloading(r->n);
    notifier_reloaded(r->n, slice_of("not ready yet"));
    assert_string_equal(hear(r), "");
    notifier_ready(r->n, slice_of("working"));
    notifier_ready(r->n, slice_of("again"));
    assert_string_equal(hear(r), "READY=1\nSTATUS=working");
    notifier_reloading(r->n);
    assert_contains(hear(r), "RELOADING=1\nMONOTONIC_USEC=");
    notifier_reloaded(r->n, slice_of("a.lua:1: two\nlines"));
    assert_string_equal(hear(r), "READY=1\nSTATUS=a.lua:1: two lines");
    notifier_stopping(r->n, 40000);
    assert_contains(hear(r), "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000\n");
    notifier_reloading(r->n);
    notifier_ready(r->n, slice_of("too late"));
    assert_string_equal(hear(r), "");
}

static void reaches_abstract_names(void **state)
{
    struct rig *r = *state;
    char name[64];

    (void)close(r->manager);
    (void)snprintf(name, sizeof(name), "@jobq-notifier-test-%d", (int)getpid());
    listen_at(r, name);
    r->n = notifier_open(&r->loop);
    notifier_ready(r->n, slice_of("working"));
    assert_string_equal(hear(r), "READY=1\nSTATUS=working");
}

static void says_nothing_where_nobody_listens(void **state)
{
    static const char *const names[] = {"", "notify", "/", "vsock:2:1", "/nowhere/notify"};
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        struct notifier *n = notifier_open(&r->loop);
        notifier_ready(n, slice_of("working"));
        notifier_stopping(n, 1);
        notifier_close(n);
        uv_run(&r->loop, UV_RUN_DEFAULT);
    }
    assert_string_equal(hear(r), "");
}

/* Fills the manager's queue with what others say. */
static size_t crowd(struct rig *r)
{
    int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    size_t count = 0;

    while (sendto(other, "x", 1, 0, (struct sockaddr *)&r->address, sizeof(r->address)) == 1) {
        count++;
    }
    (void)close(other);
    return count;
}

static void waits_for_room_and_tells_the_newest(void **state)
{
    struct rig *r = *state;

    r->n = notifier_open(&r->loop);
    size_t others = crowd(r);
    notifier_ready(r->n, slice_of("working"));
    notifier_stopping(r->n, 1);
    while (others-- > 0) {
        assert_string_equal(hear(r), "x");
    }
    assert_string_equal(hear(r), "");
    uv_run(&r->loop, UV_RUN_DEFAULT); /* until there is nothing to retry */
    assert_contains(hear(r), "STOPPING=1\n");
    assert_string_equal(hear(r), "");
}

static void set_watchdog(const char *usec, int pid)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", pid);
    assert_int_equal(setenv("WATCHDOG_USEC", usec, 1), 0);
    assert_int_equal(setenv("WATCHDOG_PID", text, 1), 0);
}

static void gives_signs_of_life_while_the_loop_turns(void **state)
{
    struct rig *r = *state;

    set_watchdog("20000", getpid());
    r->n = notifier_open(&r->loop);
    for (int heard = 0; heard < 3;) {
        uv_run(&r->loop, UV_RUN_ONCE);
        while (*hear(r) != 0) {
            assert_string_equal(r->heard, "WATCHDOG=1");
            heard++;
        }
    }
    assert_null(getenv("WATCHDOG_USEC"));
}

static void gives_none_that_is_not_wanted(void **state)
{
    static const char *const intervals[] = {"0", "-1", "soon", ""};
    struct rig *r = *state;

    for (size_t i = 0; i <= sizeof(intervals) / sizeof(intervals[0]); i++) {
        bool is_other = i == sizeof(intervals) / sizeof(intervals[0]);
        set_watchdog(is_other ? "20000" : intervals[i], is_other ? getppid() : getpid());
        struct notifier *n = notifier_open(&r->loop);
        assert_int_equal(uv_run(&r->loop, UV_RUN_NOWAIT), 0); /* no timer */
        notifier_close(n);
        uv_run(&r->loop, UV_RUN_DEFAULT);
    }
    assert_string_equal(hear(r), "");
}

#define notifier_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        notifier_test(tells_each_change_of_state_once),
        notifier_test(reaches_abstract_names),
        notifier_test(says_nothing_where_nobody_listens),
        notifier_test(waits_for_room_and_tells_the_newest),
        notifier_test(gives_signs_of_life_while_the_loop_turns),
        notifier_test(gives_none_that_is_not_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
