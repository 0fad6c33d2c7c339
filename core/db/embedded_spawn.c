/* embedded_spawn.c - fork and exec; between them only what is safe in the child of any process. */
#include "core/db/embedded_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The status of a child that could not become the program, as in shells. */
#define CANNOT_RUN 127

/* Room in a pipe before its writer waits: enough for a version line. */
#define MOST_OUTPUT 4096

static char **server_environment(void);
static char **arguments_of(const struct spawn *s);
static void become(const struct spawn *s, char **arguments, char **environment)
    __attribute__((noreturn));
static bool drop_rights(const struct spawn *s);
static bool redirect(const struct spawn *s);
static int wait_for(pid_t pid);

pid_t spawn_start(const struct spawn *s)
{
    char **environment = server_environment();
    char **arguments = arguments_of(s);
    pid_t pid = fork();

    if (pid == 0) {
        become(s, arguments, environment);
    }
    int error = errno;
    free((void *)environment);
    free((void *)arguments);
    return pid < 0 ? -error : pid;
}

int spawn_run(const struct spawn *s)
{
    pid_t pid = spawn_start(s);

    return pid < 0 ? (int)pid : wait_for(pid);
}

int spawn_read(struct spawn *s, struct buffer *output)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    s->log = NULL;
    s->output_fd = ends[1];
    int status = spawn_run(s);
    close(ends[1]);
    ssize_t size = status < 0 ? 0 : read(ends[0], buffer_reserve(output, MOST_OUTPUT), MOST_OUTPUT);
    if (size > 0) {
        buffer_grew(output, (size_t)size);
    }
    close(ends[0]);
    return status;
}

/*
 * PGPORT, PGDATA and locales are the caller's affair, not that of a private server. Nor is a service
 * manager: Debian's postgres would tell it that it is ready.
 */
static bool is_foreign(const char *variable)
{
    return strncmp(variable, "PG", 2) == 0 || strncmp(variable, "LC_", 3) == 0 ||
           strncmp(variable, "LANG", 4) == 0 || strncmp(variable, "NOTIFY_SOCKET=", 14) == 0;
}

/* Its texts are borrowed from the environment. */
static char **server_environment(void)
{
    static char locale[] = "LC_ALL=C.UTF-8";
    size_t count = 0;

    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        count++;
    }
    char **environment = mem_zalloc((count + 2) * sizeof(*environment));
    count = 0;
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        if (!is_foreign(*variable)) {
            environment[count++] = *variable;
        }
    }
    environment[count] = locale;
    return environment;
}

/* execve() promises not to write to them, but not in its type. */
static char **arguments_of(const struct spawn *s)
{
    size_t count = 0;

    while (s->argv[count] != NULL) {
        count++;
    }
    char **arguments = mem_zalloc((count + 1) * sizeof(*arguments));
    memcpy((void *)arguments, (const void *)s->argv, count * sizeof(*arguments));
    return arguments;
}

/* In the child. */
static void become(const struct spawn *s, char **arguments, char **environment)
{
    static const char complaint[] = "cannot become the user, or open the log, of the server\n";
    sigset_t none;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    (void)umask(077);
    if (s->detached) {
        (void)setsid();
    }
    if (!drop_rights(s) || chdir(s->dir) < 0 || !redirect(s)) {
        if (write(STDERR_FILENO, complaint, sizeof(complaint) - 1) < 0) {
            _exit(CANNOT_RUN);
        }
        _exit(CANNOT_RUN);
    }
    if (!s->detached) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    }
    (void)execve(arguments[0], arguments, environment);
    _exit(CANNOT_RUN);
}

static bool drop_rights(const struct spawn *s)
{
    if (geteuid() != 0) {
        return true;
    }
    return setgroups(0, NULL) == 0 && setgid(s->gid) == 0 && setuid(s->uid) == 0;
}

static bool redirect(const struct spawn *s)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int output = s->log == NULL
                     ? s->output_fd
                     : open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

    return null >= 0 && output >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
           dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0 &&
           close_range(STDERR_FILENO + 1, ~0U, 0) == 0;
}

static int wait_for(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
