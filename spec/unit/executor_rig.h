/* executor_rig.h - a real executor process, and a test that plays its supervisor. */
#ifndef SPEC_UNIT_EXECUTOR_RIG_H
#define SPEC_UNIT_EXECUTOR_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/job/pulse.h"
#include "core/job/wire.h"

#include "bindings/executor.h"

#include "spec/unit/unit.h"

#define DEADLINE_MS 20000

struct rig {
    char folder[64];
    pid_t pid;
    int fd;
    struct pulse *pulse;
    struct buffer in;
    size_t told;         /* bytes of `in` that belong to the frame told last */
    struct buffer log;   /* "level message fields\n" of all runs */
    struct buffer kinds; /* "name queue max_attempts priority timeout source\nschema\n" */
};

/* What a test that fails leaves behind: its rig is gone with its stack. */
static struct {
    pid_t pid;
    int fd;
    char folder[64];
} rig_left;

static inline void rig_write(struct rig *rig, const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", rig->folder, name);
    for (char *slash = strchr(path + strlen(rig->folder) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static inline void rig_send(struct rig *rig, struct buffer *out)
{
    size_t sent = 0;

    while (sent < out->size) {
        ssize_t n = write(rig->fd, out->data + sent, out->size - sent);
        assert_true(n > 0);
        sent += (size_t)n;
    }
    buffer_fini(out);
}

static inline void rig_open(struct rig *rig)
{
    *rig = (struct rig){.fd = -1};
    strcpy(rig->folder, "/tmp/jobq-executor-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    strcpy(rig_left.folder, rig->folder);
}

/* Forks the executor; the folder is where it works, so handlers are called "handlers/x.lua". */
static inline void rig_start(struct rig *rig, const char *handlers, int64_t job_memory)
{
    int ends[2];
    int page = memfd_create("pulse", 0);
    struct buffer out = {0};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(ftruncate(page, sizeof(struct pulse)), 0);
    rig->pulse = mmap(NULL, sizeof(struct pulse), PROT_READ | PROT_WRITE, MAP_SHARED, page, 0);
    fflush(NULL);
    rig->pid = fork();
    if (rig->pid == 0) {
        if (chdir(rig->folder) != 0) {
            _exit(99);
        }
        int channel = fcntl(ends[1], F_DUPFD, 20);
        int pulse = fcntl(page, F_DUPFD, 20);
        close(ends[0]);
        dup2(channel, EXECUTOR_CHANNEL_FD);
        dup2(pulse, EXECUTOR_PULSE_FD);
        close(channel);
        close(pulse);
        exit(executor_main()); /* not _exit: sanitizers look for leaks at exit */
    }
    close(ends[1]);
    close(page);
    rig->fd = ends[0];
    rig_left.pid = rig->pid;
    rig_left.fd = rig->fd;
    wire_put_config(&out,
                    &(struct wire_config){
                        .log_level = 3,
                        .job_memory = job_memory,
                        .load_memory = (int64_t)1 << 30,
                        .handlers = slice_of(handlers),
                        .settings = slice_of("smtp.host=mx1\n"),
                    });
    rig_send(rig, &out);
}

/* The next frame of any type; fails the test when none comes in time. */
static inline struct frame rig_next(struct rig *rig)
{
    uint64_t end_ms = clock_now_ms() + DEADLINE_MS;
    struct frame f;

    buffer_shift(&rig->in, rig->told);
    rig->told = 0;
    for (;;) {
        int64_t size = frame_next(buffer_slice(&rig->in), &f);
        assert_true(size >= 0);
        if (size > 0) {
            rig->told = (size_t)size;
            return f;
        }
        struct pollfd fd = {.fd = rig->fd, .events = POLLIN};
        uint64_t now_ms = clock_now_ms();
        if (now_ms >= end_ms || poll(&fd, 1, (int)(end_ms - now_ms)) <= 0) {
            fail_msg("no frame from the executor within %d ms", DEADLINE_MS);
        }
        ssize_t n = read(rig->fd, buffer_reserve(&rig->in, 1 << 20), 1 << 20);
        if (n <= 0) {
            fail_msg("the executor has ended");
        }
        buffer_grew(&rig->in, (size_t)n);
    }
}

static inline void rig_note_log(struct rig *rig, struct frame *f)
{
    struct wire_log m;

    assert_int_equal(wire_get_log(f, &m), 0);
    buffer_printf(&rig->log, "%d ", m.level);
    buffer_add_slice(&rig->log, m.message);
    buffer_add_char(&rig->log, ' ');
    buffer_add_slice(&rig->log, m.fields);
    buffer_add_char(&rig->log, '\n');
}

static inline void rig_note_kind(struct rig *rig, struct frame *f)
{
    struct wire_kind m;

    assert_int_equal(wire_get_kind(f, &m), 0);
    buffer_add_slice(&rig->kinds, m.name);
    buffer_add_char(&rig->kinds, ' ');
    buffer_add_slice(&rig->kinds, m.queue);
    buffer_printf(&rig->kinds, " %u %u %g ", m.max_attempts, m.priority, m.timeout_s);
    buffer_add_slice(&rig->kinds, m.source);
    buffer_add_char(&rig->kinds, '\n');
    buffer_add_slice(&rig->kinds, m.schema);
    buffer_add_char(&rig->kinds, '\n');
}

/* Skips and notes what comes before a frame of this type. */
static inline struct frame rig_wait_for(struct rig *rig, enum wire_type type)
{
    for (;;) {
        struct frame f = rig_next(rig);
        if (f.type == WIRE_LOG) {
            rig_note_log(rig, &f);
        } else if (f.type == WIRE_KIND) {
            rig_note_kind(rig, &f);
        }
        if (f.type == type) {
            return f;
        }
        if (f.type == WIRE_LOAD_FAILED) {
            struct wire_load_failed m;
            assert_int_equal(wire_get_load_failed(&f, &m), 0);
            fail_msg("load failed: %.*s", (int)m.message.size, m.message.data);
        }
    }
}

static inline void rig_load(struct rig *rig)
{
    rig_start(rig, "handlers\n", 64 << 20);
    rig_wait_for(rig, WIRE_LOADED);
}

/* A folder with one handler file, loaded. */
static inline void rig_open_with(struct rig *rig, const char *text)
{
    rig_open(rig);
    rig_write(rig, "handlers/t.lua", text);
    rig_load(rig);
}

static inline void rig_run(struct rig *rig, uint32_t run, const char *kind, const char *args)
{
    struct buffer out = {0};

    wire_put_run(&out,
                 &(struct wire_run){
                     .run = run,
                     .job_id = 1000 + run,
                     .created_us = 1700000000000000,
                     .run_at_us = 1700000001500000,
                     .attempt = 2,
                     .max_attempts = 5,
                     .priority = 4,
                     .timeout_s = 30,
                     .kind = slice_of(kind),
                     .queue = slice_of("bulk"),
                     .args = slice_of(args),
                     .meta = slice_of("{\"tags\": [\"a\", \"b\"]}"),
                 });
    rig_send(rig, &out);
}

static inline void rig_stop_run(struct rig *rig, uint32_t run, enum stop_reason reason)
{
    struct buffer out = {0};

    wire_put_stop(&out, &(struct wire_stop){run, (uint8_t)reason});
    rig_send(rig, &out);
}

static inline void rig_wait_computing(struct rig *rig, uint32_t run)
{
    uint64_t end_ms = clock_now_ms() + DEADLINE_MS;

    while (atomic_load(&rig->pulse->run) != run) {
        assert_true(clock_now_ms() < end_ms);
        usleep(200); /* the page has no wake-up */
    }
}

/* As a supervisor stops what computes: the mail first, then the signal. */
static inline void rig_stop_computing(struct rig *rig, uint32_t run, enum stop_reason reason)
{
    rig_wait_computing(rig, run);
    rig_stop_run(rig, run, reason);
    kill(rig->pid, EXECUTOR_MAIL_SIGNAL);
}

/* Borrowed until the next frame. */
static inline struct wire_outcome rig_outcome(struct rig *rig)
{
    struct wire_outcome m;
    struct frame f = rig_wait_for(rig, WIRE_OUTCOME);

    assert_int_equal(wire_get_outcome(&f, &m), 0);
    return m;
}

static inline struct wire_outcome rig_do(struct rig *rig, const char *kind, const char *args)
{
    rig_run(rig, 7, kind, args);
    return rig_outcome(rig);
}

static inline void assert_holds(struct slice text, const char *part)
{
    if (memmem(text.data, text.size, part, strlen(part)) == NULL) {
        fail_msg("expected '%s' in '%.*s'", part, (int)text.size, text.data);
    }
}

static inline void assert_lacks(struct slice text, const char *part)
{
    if (memmem(text.data, text.size, part, strlen(part)) != NULL) {
        fail_msg("did not expect '%s' in '%.*s'", part, (int)text.size, text.data);
    }
}

static inline void assert_is(struct slice text, const char *expected)
{
    if (!slice_is(text, expected)) {
        fail_msg("expected '%s', got '%.*s'", expected, (int)text.size, text.data);
    }
}

static inline void assert_verdict(const struct wire_outcome *m, enum verdict verdict)
{
    if (m->verdict != verdict) {
        fail_msg("verdict %d instead of %d: %.*s",
                 m->verdict,
                 verdict,
                 (int)m->error.size,
                 m->error.data);
    }
}

static inline int rig_remove_entry(const char *path, const struct stat *s, int type, struct FTW *w)
{
    (void)s;
    (void)type;
    (void)w;
    return remove(path);
}

static inline void rig_forget(struct rig *rig)
{
    nftw(rig->folder, rig_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    close(rig->fd);
    memset(&rig_left, 0, sizeof(rig_left));
    munmap(rig->pulse, sizeof(struct pulse));
    buffer_fini(&rig->in);
    buffer_fini(&rig->log);
    buffer_fini(&rig->kinds);
}

/* Asks the executor to quit; it must end by itself, cleanly. */
static inline void rig_close(struct rig *rig)
{
    struct buffer out = {0};
    int status = -1;

    wire_put_plain(&out, WIRE_QUIT);
    rig_send(rig, &out);
    assert_int_equal(waitpid(rig->pid, &status, 0), rig->pid);
    rig_forget(rig);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The teardown of every test. */
static inline int rig_clean_up(void **state)
{
    (void)state;
    if (rig_left.pid != 0) {
        kill(rig_left.pid, SIGKILL);
        waitpid(rig_left.pid, NULL, 0);
        close(rig_left.fd);
    }
    if (rig_left.folder[0] != 0) {
        nftw(rig_left.folder, rig_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
    memset(&rig_left, 0, sizeof(rig_left));
    return 0;
}

#endif
