/*
 * guard.c - fork, exec, watch, kill, report.
 *
 * A process of its own, because only a parent can adopt what a program leaves behind (a subreaper
 * does), outlives an executor that is killed, and learns how much memory the program took: after a
 * fork of the executor itself that number would include the executor's own.
 */
#include "bindings/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"

struct guard {
    char **argv;
    pid_t program;
    int signals;       /* a signalfd for SIGCHLD */
    int failure;       /* reads a struct failure if the program did not start */
    int control;       /* GUARD_FD; -1 once the executor is gone */
    uint64_t grace_ms; /* between SIGTERM and SIGKILL */
    uint64_t kill_ms;  /* when SIGKILL is due; 0 while nobody has asked for an end */
    bool has_ended;    /* the program; the rest is being killed */
    bool is_over;      /* nothing is left */
    struct guard_report report;
};

/* From the child to the guard, when there is no exec. */
struct failure {
    int32_t error;
    int32_t subject;
};

/* ---- the child, up to exec ---- */

static void fail(int to, enum guard_argument subject)
{
    struct failure failure = {errno, (int32_t)subject};

    (void)!write(to, &failure, sizeof(failure));
    _exit(127);
}

/* A CPU limit is two: SIGXCPU, which says what happened, and SIGKILL a second later. */
static void limit(int to, char **argv, enum guard_argument which, __rlimit_resource_t resource)
{
    int64_t value;

    if (argv[which][0] == 0) {
        return;
    }
    if (!text_integer(argv[which], 0, INT64_MAX - 1, &value)) {
        errno = EINVAL;
        fail(to, which);
    }
    struct rlimit both = {.rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value};
    both.rlim_max += which == GUARD_CPU;
    if (setrlimit(resource, &both) != 0) {
        fail(to, which);
    }
}

static void redirect(int to, char **argv, enum guard_argument which, int fd)
{
    if (argv[which][0] == 0) {
        return;
    }
    int flags = which == GUARD_STDIN ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
    int file = open(argv[which], flags | O_CLOEXEC, 0666);
    if (file < 0 || dup2(file, fd) < 0) {
        fail(to, which);
    }
}

static void become_program(char **argv, int to, pid_t guard)
{
    sigset_t none;

    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guard) {
        _exit(127); /* it died before that was said */
    }
    redirect(to, argv, GUARD_STDIN, STDIN_FILENO);
    redirect(to, argv, GUARD_STDOUT, STDOUT_FILENO);
    redirect(to, argv, GUARD_STDERR, STDERR_FILENO);
    if (argv[GUARD_CWD][0] != 0 && chdir(argv[GUARD_CWD]) != 0) {
        fail(to, GUARD_CWD);
    }
    limit(to, argv, GUARD_MEMORY, RLIMIT_AS);
    limit(to, argv, GUARD_CPU, RLIMIT_CPU);
    limit(to, argv, GUARD_FILES, RLIMIT_NOFILE);
    limit(to, argv, GUARD_PROCESSES, RLIMIT_NPROC);
    limit(to, argv, GUARD_FILE_SIZE, RLIMIT_FSIZE);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[GUARD_PROGRAM], argv + GUARD_PROGRAM);
    fail(to, GUARD_PROGRAM);
}

/* ---- the end of everything ---- */

/* What the guard has adopted may have left the session. Without /proc the session must do. */
static void kill_children(void)
{
    FILE *children = fopen("/proc/thread-self/children", "re");
    int pid;

    while (children != NULL && fscanf(children, "%d", &pid) == 1) { // NOLINT(cert-err34-c)
        (void)kill(pid, SIGKILL);
    }
    if (children != NULL) {
        (void)fclose(children);
    }
}

static void kill_all(struct guard *g)
{
    if (!g->has_ended) {
        (void)kill(-g->program, SIGKILL);
    }
    kill_children();
}

/* SIGKILL to its group while its number is still its own, then the wait that frees the number. */
static void take_program(struct guard *g)
{
    struct guard_report *r = &g->report;
    struct failure failure;
    struct rusage used;
    int status = 0;

    (void)kill(-g->program, SIGKILL);
    (void)wait4(g->program, &status, 0, &used);
    g->has_ended = true;
    r->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    r->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    r->peak_bytes = (uint64_t)used.ru_maxrss * 1024;
    r->cpu_us = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
                (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    if (read(g->failure, &failure, sizeof(failure)) == sizeof(failure)) {
        r->error = failure.error;
        r->subject = failure.subject;
    }
}

static void reap(struct guard *g)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
            g->is_over = errno == ECHILD;
            return;
        }
        if (info.si_pid == 0) {
            return;
        }
        if (info.si_pid == g->program) {
            take_program(g);
        } else {
            (void)waitpid(info.si_pid, NULL, 0);
        }
    }
}

/* ---- the watch ---- */

static void hear(struct guard *g)
{
    char byte = 0;
    ssize_t size = read(g->control, &byte, 1);

    if (size == 1 && byte == GUARD_TERMINATE && g->kill_ms == 0 && !g->has_ended) {
        (void)kill(-g->program, SIGTERM);
        g->kill_ms = clock_now_ms() + g->grace_ms;
    } else if (size == 0 || (size < 0 && errno != EINTR && errno != EAGAIN)) {
        g->control = -1;
        g->kill_ms = 1; /* long ago */
    }
}

/* Milliseconds until something is due; -1 for never. */
static int patience(const struct guard *g)
{
    uint64_t now_ms = clock_now_ms();

    if (g->kill_ms == 0) {
        return -1;
    }
    return g->kill_ms > now_ms ? (int)(g->kill_ms - now_ms) : 0;
}

/* A child that dies makes its own children the guard's before the guard hears of it. */
static void watch(struct guard *g)
{
    while (!g->is_over) {
        struct signalfd_siginfo info;
        bool is_due = patience(g) == 0;
        if (is_due || g->has_ended) {
            kill_all(g);
        }
        struct pollfd fds[] = {{.fd = g->signals, .events = POLLIN},
                               {.fd = g->control, .events = POLLIN}};
        (void)poll(fds, 2, is_due ? -1 : patience(g));
        (void)!read(g->signals, &info, sizeof(info));
        if (fds[1].revents != 0) {
            hear(g);
        }
        reap(g);
    }
}

/* The guard keeps nothing open that somebody could wait for. */
static int prepare(struct guard *g, int *failure)
{
    sigset_t all;
    sigset_t child;
    int ends[2];

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (close_range(GUARD_FD + 1, ~0U, 0) != 0) { /* Linux before 5.9 */
        for (int fd = GUARD_FD + 1; fd < sysconf(_SC_OPEN_MAX); fd++) {
            (void)close(fd);
        }
    }
    g->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (g->signals < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0 ||
        fcntl(GUARD_FD, F_SETFD, FD_CLOEXEC) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        return -errno;
    }
    g->failure = ends[0];
    *failure = ends[1];
    return 0;
}

static int start(struct guard *g)
{
    pid_t guard = getpid();
    int failure = -1;
    int error = prepare(g, &failure);

    if (error != 0) {
        return error;
    }
    g->program = fork();
    if (g->program < 0) {
        return -errno;
    }
    if (g->program == 0) {
        become_program(g->argv, failure, guard);
    }
    (void)close(failure);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        (void)close(fd);
    }
    return 0;
}

int guard_main(int argc, char **argv)
{
    struct guard g = {.argv = argv, .control = GUARD_FD};
    int64_t grace_ms = 0;

    if (argc <= GUARD_PROGRAM || !text_integer(argv[GUARD_GRACE_MS], 0, INT32_MAX, &grace_ms)) {
        (void)fprintf(stderr, "jobq-run: --guard is for jobq-run itself to use\n");
        return 2;
    }
    g.grace_ms = (uint64_t)grace_ms;
    int error = start(&g);
    if (error == 0) {
        watch(&g);
    } else {
        g.report = (struct guard_report){.error = -error, .subject = GUARD_PROGRAM, .status = -1};
    }
    (void)!write(GUARD_FD, &g.report, sizeof(g.report));
    _exit(0);
}
