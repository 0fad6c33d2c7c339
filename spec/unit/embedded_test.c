/* embedded_test.c - real clusters: made, shared, kept, killed, in places where they cannot be. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>

#include "core/base/mem.h"
#include "core/db/client.h"
#include "core/db/embedded.h"

#include "spec/unit/folder.h"
#include "spec/unit/unit.h"

#define AT_ONCE 8

struct rig {
    char folder[64];
    struct buffer dir; /* of the cluster: folder/pg */
    struct embedded *embedded;
    bool created;
    struct buffer error;
};

static int set_up(void **state)
{
    struct rig *r = mem_zalloc(sizeof(*r));

    folder_make(r->folder);
    buffer_printf(&r->dir, "%s/pg", r->folder);
    *state = r;
    return 0;
}

/* Leaves no server behind, whatever a test did. */
static int stop(void **state)
{
    struct rig *r = *state;

    if (r->embedded != NULL) {
        embedded_close(r->embedded);
        r->embedded = NULL;
    }
    buffer_clear(&r->error);
    assert_int_equal(embedded_stop(r->dir.data, &r->error), 0);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    (void)stop(state);
    folder_remove(r->folder);
    buffer_fini(&r->dir);
    buffer_fini(&r->error);
    free(r);
    return 0;
}

static void open_well(struct rig *r)
{
    if (embedded_open(r->dir.data, &r->embedded, &r->created, &r->error) != 0) {
        fail_msg("%s", buffer_text(&r->error));
    }
}

static void close_it(struct rig *r)
{
    embedded_close(r->embedded);
    r->embedded = NULL;
}

/* Owned. */
static char *path_in(const char *folder, const char *name)
{
    struct buffer path = {0};

    buffer_printf(&path, "%s/%s", folder, name);
    return path.data;
}

/* Of the server in that folder; 0: none. */
static pid_t server_of(const char *folder)
{
    char *path = path_in(folder, "data/postmaster.pid");
    char line[32] = "";
    FILE *file = fopen(path, "r");

    free(path);
    if (file != NULL) {
        if (fgets(line, sizeof(line), file) == NULL) {
            line[0] = 0;
        }
        fclose(file);
    }
    return (pid_t)strtol(line, NULL, 10);
}

static void check_answers(const char *conninfo)
{
    struct client *c;
    struct client_query q = {.sql = "SELECT count(*) FROM jobq.job"};

    if (client_open(conninfo, &c) != 0 || client_query(c, &q) != 0) {
        fail_msg("%s", client_failure(c)->message);
    }
    client_close(c);
}

static void append(const char *path, const char *text)
{
    FILE *file = fopen(path, "a");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Runs child in a process of its own; what it answers must be 0. */
static void in_child(void (*child)(struct rig *r), struct rig *r)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        child(r);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void makes_a_cluster_once(void **state)
{
    struct rig *r = *state;
    struct stat st;

    open_well(r);
    assert_true(r->created);
    check_answers(embedded_conninfo(r->embedded));
    assert_string_equal(embedded_dir(r->embedded), r->dir.data);
    assert_int_equal(stat(r->dir.data, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    pid_t server = server_of(r->dir.data);
    assert_int_equal(kill(server, 0), 0);
    assert_int_equal(getsid(server), server);
    close_it(r);
    assert_int_equal(kill(server, 0), -1);
    open_well(r);
    assert_false(r->created);
    close_it(r);
    assert_int_equal(server_of(r->dir.data), 0);
}

static void open_and_close(struct rig *r)
{
    if (embedded_open(r->dir.data, &r->embedded, &r->created, &r->error) != 0) {
        (void)fprintf(stderr, "%s\n", buffer_text(&r->error));
        _exit(1);
    }
    struct client *c;
    if (client_open(embedded_conninfo(r->embedded), &c) != 0) {
        _exit(2);
    }
    client_close(c);
    embedded_close(r->embedded);
}

static void serves_eight_that_come_at_once(void **state)
{
    struct rig *r = *state;
    pid_t pids[AT_ONCE];

    for (int i = 0; i < AT_ONCE; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            open_and_close(r);
            _exit(0);
        }
    }
    for (int i = 0; i < AT_ONCE; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(server_of(r->dir.data), 0);
}

static void stays_until_the_last_has_left(void **state)
{
    struct rig *r = *state;

    open_well(r);
    pid_t server = server_of(r->dir.data);
    in_child(open_and_close, r);
    assert_int_equal(server_of(r->dir.data), server);
    check_answers(embedded_conninfo(r->embedded));
    close_it(r);
    assert_int_equal(server_of(r->dir.data), 0);
}

static void open_and_keep(struct rig *r)
{
    if (embedded_open(r->dir.data, &r->embedded, &r->created, &r->error) != 0 ||
        embedded_keep(r->embedded) != 0) {
        _exit(1);
    }
    embedded_close(r->embedded);
}

static void is_kept_until_somebody_stops_it(void **state)
{
    struct rig *r = *state;

    in_child(open_and_keep, r);
    pid_t server = server_of(r->dir.data);
    in_child(open_and_close, r);
    assert_int_equal(server_of(r->dir.data), server);
    assert_int_equal(embedded_stop(r->dir.data, &r->error), 0);
    assert_int_equal(server_of(r->dir.data), 0);
    assert_int_equal(embedded_stop(r->dir.data, &r->error), 0);
    open_well(r);
    close_it(r);
    assert_int_equal(server_of(r->dir.data), 0);
}

static void check_state(struct rig *r, enum embedded_state expected)
{
    struct buffer conninfo = {0};
    enum embedded_state state;

    assert_int_equal(embedded_look(r->dir.data, &state, &conninfo, &r->error), 0);
    assert_int_equal(state, expected);
    assert_int_equal(conninfo.size > 0, expected != EMBEDDED_ABSENT);
    buffer_fini(&conninfo);
}

static void looks_without_touching(void **state)
{
    struct rig *r = *state;

    check_state(r, EMBEDDED_ABSENT);
    assert_int_equal(access(r->dir.data, F_OK), -1);
    open_well(r);
    check_state(r, EMBEDDED_RUNNING);
    close_it(r);
    check_state(r, EMBEDDED_STOPPED);
}

static void stops_nothing_where_nothing_is(void **state)
{
    struct rig *r = *state;

    assert_int_equal(embedded_stop(r->dir.data, &r->error), 0);
    assert_int_equal(access(r->dir.data, F_OK), -1);
}

static void die_while_using(struct rig *r)
{
    if (embedded_open(r->dir.data, &r->embedded, &r->created, &r->error) != 0) {
        _exit(1);
    }
    _exit(0);
}

static void inherits_the_server_of_a_dead_program(void **state)
{
    struct rig *r = *state;

    in_child(die_while_using, r);
    pid_t server = server_of(r->dir.data);
    assert_int_equal(kill(server, 0), 0);
    open_well(r);
    assert_int_equal(server_of(r->dir.data), server);
    close_it(r);
    assert_int_equal(server_of(r->dir.data), 0);
}

/* The pid stays in both lock files; here it even belongs to a zombie of ours. */
static void starts_again_after_a_crash_of_the_server(void **state)
{
    struct rig *r = *state;

    open_well(r);
    pid_t server = server_of(r->dir.data);
    assert_int_equal(kill(server, SIGKILL), 0);
    in_child(open_and_close, r);
    close_it(r);
}

/* Cleaners of temporary folders do that; the server itself does not notice. */
static void starts_again_when_its_socket_was_deleted(void **state)
{
    struct rig *r = *state;

    open_well(r);
    assert_int_equal(embedded_keep(r->embedded), 0);
    close_it(r);
    char *socket = path_in(r->dir.data, ".s.PGSQL.5432");
    assert_int_equal(unlink(socket), 0);
    free(socket);
    open_well(r);
    check_answers(embedded_conninfo(r->embedded));
    close_it(r);
    assert_int_equal(embedded_stop(r->dir.data, &r->error), 0);
}

/* After a reboot the recorded pid may be anybody's, our own even. */
static void is_not_fooled_by_a_pid_of_somebody_else(void **state)
{
    struct rig *r = *state;
    struct buffer text = {0};
    char *path = path_in(r->dir.data, "data/postmaster.pid");

    in_child(open_and_close, r);
    buffer_printf(&text, "%d\n%s/data\n1\n5432\n\n\n", (int)getpid(), r->dir.data);
    append(path, text.data);
    assert_int_equal(embedded_stop(r->dir.data, &r->error), 0);
    open_well(r);
    check_answers(embedded_conninfo(r->embedded));
    close_it(r);
    free(path);
    buffer_fini(&text);
}

static void shows_the_log_of_a_server_that_does_not_start(void **state)
{
    struct rig *r = *state;

    in_child(open_and_close, r);
    char *path = path_in(r->dir.data, "data/postgresql.conf");
    append(path, "\nno_such_setting = 1\n");
    assert_int_equal(embedded_open(r->dir.data, &r->embedded, &r->created, &r->error), -EIO);
    assert_null(r->embedded);
    assert_contains(r->error.data, "postgres did not start\nhint: ");
    assert_contains(r->error.data, "unrecognized configuration parameter \"no_such_setting\"");
    free(path);
}

static void takes_no_folder_with_other_things(void **state)
{
    struct rig *r = *state;
    struct stat before;
    struct stat after;

    assert_int_equal(stat(r->folder, &before), 0);
    char *path = path_in(r->folder, "thesis.txt");
    append(path, "x");
    assert_int_equal(embedded_open(r->folder, &r->embedded, &r->created, &r->error), -ENOTEMPTY);
    assert_contains(r->error.data, "is not empty and holds no cluster of jobq\nhint: ");
    assert_int_equal(stat(r->folder, &after), 0);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_uid, before.st_uid);
    free(path);
}

/* Too long for a socket, and with all that needs quotes. */
static void works_in_folders_with_awkward_names(void **state)
{
    struct rig *r = *state;

    buffer_clear(&r->dir);
    buffer_printf(&r->dir, "%s/a, 'b' \"c\" \\%080d/pg", r->folder, 1);
    open_well(r);
    check_answers(embedded_conninfo(r->embedded));
    assert_string_equal(embedded_dir(r->embedded), r->dir.data);
    assert_null(strstr(embedded_conninfo(r->embedded), "0000000"));
    close_it(r);
}

static void ignores_where_the_environment_points(void **state)
{
    struct rig *r = *state;

    setenv("PGHOSTADDR", "127.0.0.1", 1);
    setenv("PGPORT", "1", 1);
    setenv("PGDATA", "/nowhere", 1);
    setenv("LC_ALL", "xx_YY.UTF-8", 1);
    open_well(r);
    check_answers(embedded_conninfo(r->embedded));
    close_it(r);
    unsetenv("PGHOSTADDR");
    unsetenv("PGPORT");
    unsetenv("PGDATA");
    unsetenv("LC_ALL");
}

static void gives_the_server_none_of_our_files(void **state)
{
    struct rig *r = *state;
    int fd = open("/etc/passwd", O_RDONLY); /* without O_CLOEXEC, as others do it */
    struct buffer link = {0};
    char target[256] = "";

    open_well(r);
    buffer_printf(&link, "/proc/%d/fd/%d", (int)server_of(r->dir.data), fd);
    (void)!readlink(link.data, target, sizeof(target) - 1);
    assert_string_not_equal(target, "/etc/passwd");
    close(fd);
    close_it(r);
    buffer_fini(&link);
}

/* Who opens and closes as nobody, in a folder of nobody's. */
static void become_nobody_and_open(struct rig *r)
{
    struct passwd *nobody = getpwnam("nobody");

    if (setgroups(0, NULL) != 0 || setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0) {
        _exit(3);
    }
    open_and_close(r);
}

static void runs_for_ordinary_users(void **state)
{
    struct rig *r = *state;
    struct passwd *nobody = getpwnam("nobody");

    assert_int_equal(chown(r->folder, nobody->pw_uid, nobody->pw_gid), 0);
    in_child(become_nobody_and_open, r);
    /* Root goes on with it as that user. */
    open_well(r);
    assert_false(r->created);
    close_it(r);
    in_child(become_nobody_and_open, r);
}

static void become_nobody_and_fail(struct rig *r)
{
    struct passwd *nobody = getpwnam("nobody");

    if (setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0) {
        _exit(3);
    }
    int result = embedded_open(r->dir.data, &r->embedded, &r->created, &r->error);
    bool said = strstr(buffer_text(&r->error), "belongs to ") != NULL;
    _exit(result == -EACCES && said ? 0 : 4);
}

static void says_whose_folder_it_is(void **state)
{
    struct rig *r = *state;

    in_child(open_and_close, r);
    in_child(become_nobody_and_fail, r);
}

static void goes_elsewhere_when_root_hides_the_folder(void **state)
{
    struct rig *r = *state;

    assert_int_equal(chmod(r->folder, 0700), 0);
    open_well(r);
    check_answers(embedded_conninfo(r->embedded));
    char *dir = mem_strdup(embedded_dir(r->embedded));
    assert_int_equal(strncmp(dir, "/var/lib/jobq/", strlen("/var/lib/jobq/")), 0);
    close_it(r);
    assert_int_equal(server_of(dir), 0);
    /* The same place again, even if the folder can be reached by now. */
    assert_int_equal(chmod(r->folder, 0755), 0);
    open_well(r);
    assert_false(r->created);
    assert_string_equal(embedded_dir(r->embedded), dir);
    close_it(r);
    folder_remove(dir);
    (void)rmdir("/var/lib/jobq");
    free(dir);
}

/* A folder of its own, or the one cluster that all others share: making one takes a second. */
#define own_test(f)    cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define shared_test(f) cmocka_unit_test_teardown(f, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        own_test(makes_a_cluster_once),
        own_test(serves_eight_that_come_at_once),
        shared_test(stays_until_the_last_has_left),
        shared_test(is_kept_until_somebody_stops_it),
        own_test(looks_without_touching),
        own_test(stops_nothing_where_nothing_is),
        shared_test(inherits_the_server_of_a_dead_program),
        shared_test(starts_again_after_a_crash_of_the_server),
        shared_test(starts_again_when_its_socket_was_deleted),
        shared_test(is_not_fooled_by_a_pid_of_somebody_else),
        own_test(shows_the_log_of_a_server_that_does_not_start),
        own_test(takes_no_folder_with_other_things),
        own_test(works_in_folders_with_awkward_names),
        shared_test(ignores_where_the_environment_points),
        shared_test(gives_the_server_none_of_our_files),
    };

    const struct CMUnitTest tests_of_root[] = {
        own_test(runs_for_ordinary_users),
        shared_test(says_whose_folder_it_is),
        own_test(goes_elsewhere_when_root_hides_the_folder),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);

    return failed + (geteuid() == 0 ? cmocka_run_group_tests(tests_of_root, set_up, tear_down) : 0);
}
