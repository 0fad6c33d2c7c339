/* embedded_programs.c - looks where distributions put them, then asks each postgres for its version. */
#include "core/db/embedded_programs.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/db/embedded_spawn.h"

#define VERSION_WORDS "postgres (PostgreSQL) "

/* The best folder so far. */
struct search {
    int major; /* wanted; 0: any */
    int best;
    char *folder; /* owned */
    int other;    /* a version that will not do, for the message; 0: none */
};

static void look_everywhere(struct search *s);
static void look_where_pg_config_says(struct search *s);
static void look_in_pattern(struct search *s, const char *pattern);
static void look_in_path(struct search *s, const char *path);
static void look_in(struct search *s, const char *folder);
static int version_in(const char *folder);

int programs_find(int major, char **folder, struct buffer *error)
{
    struct search s = {.major = major};

    look_everywhere(&s);
    *folder = s.folder;
    if (s.folder == NULL && major != 0) {
        buffer_printf(error, "this cluster needs the programs of PostgreSQL %d, found ", major);
        if (s.other == 0) {
            buffer_add_text(error, "none");
        } else {
            buffer_printf(error, "%d", s.other);
        }
        buffer_printf(error,
                      "\nhint: install the package postgresql-%d, or choose another folder",
                      major);
    } else if (s.folder == NULL) {
        buffer_add_text(error,
                        "no PostgreSQL server found (programs initdb and postgres)\n"
                        "hint: install the package postgresql (Debian: postgresql-15), or name a "
                        "database with --dsn");
    }
    return s.folder == NULL ? -ENOENT : 0;
}

/* What pg_config names, folders of distributions and of builds from source, PATH. */
static void look_everywhere(struct search *s)
{
    static const char *const patterns[] = {"/usr/lib/postgresql/*/bin",
                                           "/usr/pgsql-*/bin",
                                           "/usr/local/pgsql/bin"};

    look_where_pg_config_says(s);
    for (size_t i = 0; i < LENGTH_OF(patterns); i++) {
        look_in_pattern(s, patterns[i]);
    }
    look_in_path(s, getenv("PATH"));
}

static void look_where_pg_config_says(struct search *s)
{
    static const char *const argv[] = {"/usr/bin/pg_config", "--bindir", NULL};
    struct spawn ask = {.argv = argv, .uid = geteuid(), .gid = getegid(), .dir = "/"};
    struct buffer folder = {0};

    if (access(argv[0], X_OK) == 0 && spawn_read(&ask, &folder) == 0 && folder.size > 0) {
        folder.data[strcspn(folder.data, "\n")] = 0;
        look_in(s, folder.data);
    }
    buffer_fini(&folder);
}

static void look_in_pattern(struct search *s, const char *pattern)
{
    glob_t found = {0};

    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            look_in(s, found.gl_pathv[i]);
        }
    }
    globfree(&found);
}

static void look_in_path(struct search *s, const char *path)
{
    while (path != NULL && *path != 0) {
        size_t size = strcspn(path, ":");
        char *folder = mem_copy(path, size);
        look_in(s, folder);
        free(folder);
        path += size + (path[size] == ':' ? 1 : 0);
    }
}

static void look_in(struct search *s, const char *folder)
{
    int version = folder[0] == '/' ? version_in(folder) : 0;

    if (version <= s->best) {
        return;
    }
    if (s->major != 0 && s->major != version) {
        s->other = version;
        return;
    }
    s->best = version;
    free(s->folder);
    s->folder = mem_strdup(folder);
}

/* The major version, or 0 when the programs are not there. */
static int version_in(const char *folder)
{
    struct buffer postgres = {0};
    struct buffer initdb = {0};
    struct buffer said = {0};
    int version = 0;

    buffer_printf(&postgres, "%s/postgres", folder);
    buffer_printf(&initdb, "%s/initdb", folder);
    if (access(postgres.data, X_OK) == 0 && access(initdb.data, X_OK) == 0) {
        const char *const argv[] = {postgres.data, "-V", NULL};
        struct spawn ask = {.argv = argv, .uid = geteuid(), .gid = getegid(), .dir = "/"};
        size_t prefix = strlen(VERSION_WORDS);
        if (spawn_read(&ask, &said) == 0 &&
            strncmp(buffer_text(&said), VERSION_WORDS, prefix) == 0) {
            version = (int)strtol(said.data + prefix, NULL, 10);
        }
    }
    buffer_fini(&postgres);
    buffer_fini(&initdb);
    buffer_fini(&said);
    return version;
}
