/* migrate.h - brings a database to the schema that this program knows. Blocking. */
#ifndef CORE_DB_MIGRATE_H
#define CORE_DB_MIGRATE_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"

/* One file of sql/migrations, embedded in the order of its number; the table ends with number 0. */
struct migration {
    int number;
    const char *name;
    const char *text;
};

extern const struct migration migrations[];

/* The number of the last migration in this program: the schema that it needs. */
int migrate_newest(void);

/* What a database holds. */
struct schema_state {
    int version;         /* 0: no jobq schema at all */
    char min_worker[32]; /* the oldest worker version that may run on it, "0.1.0" */
};

/*
 * Whether this program can work with that schema: 0, or -EPROTO with `error` saying which of the two
 * is too old, and a hint line.
 */
MUST_USE int migrate_judge(const struct schema_state *state, struct buffer *error);

/*
 * Applies what is missing, in one transaction, behind an advisory lock, so eight at once are safe. A
 * newer schema stays as it is, if it lets this program in. Calls applied (may be NULL) after the
 * commit for each migration. 0; -EACCES: the role may not; -ENOTCONN: the server cannot be reached;
 * -EPROTO: the schema asks for a newer program; -EIO: anything else, a refused login included.
 * `error` then holds one line for people, and a hint line if there is one.
 */
typedef void (*migrate_applied_fn)(void *arg, const struct migration *m);
MUST_USE int migrate_up(const char *conninfo,
                        migrate_applied_fn applied,
                        void *arg,
                        struct buffer *error);

/* Reads the state over a connection of its own. Errors as above. */
MUST_USE int migrate_state(const char *conninfo, struct schema_state *state, struct buffer *error);

/* The SQL of all migrations above `from`, as a script for psql, with its own transaction. */
void migrate_print(int from, struct buffer *out);

/* Compares "0.10.2" with "0.9.0" part by part: <0, 0, >0. */
int version_compare(const char *a, const char *b);

#endif
