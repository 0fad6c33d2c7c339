/*
 * option.h - the options of jobq-run, one row each.
 *
 * To add one: a field in struct config, a row in option.c. The row is the option, the variable, the
 * line of the config file and the line of --help.
 */
#ifndef CORE_APP_OPTION_H
#define CORE_APP_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/app/config.h"

struct option_row;

/* Stores value in c; -EINVAL with what is wrong with it, starting with the value, in `error`. */
typedef int (*option_parse_fn)(struct config *c,
                               const struct option_row *row,
                               const char *value,
                               struct buffer *error);

struct option_row {
    const char *section;   /* the heading of --help above this row, or NULL */
    const char *name;      /* "log-level" */
    const char *argument;  /* "LEVEL"; NULL: a flag; "[=DIR]": it may be left out */
    const char *help;      /* for --help */
    const char *fallback;  /* the default as one would write it, or NULL */
    const char *shown;     /* the default in --help where fallback does not say it, or NULL */
    option_parse_fn parse; /* NULL: acts, stores nothing (--help) */
    size_t offset;         /* of the field in struct config */
    int64_t min;           /* of the parsed value: a number, ms, bytes */
    int64_t max;
    bool command_line_only; /* neither variable nor line of the file */
};

/* Ends with a null name. */
extern const struct option_row option_rows[];

/* Where a value came from: later ones win. */
enum option_layer {
    OPTION_DEFAULT,
    OPTION_FILE,
    OPTION_VARIABLE,
    OPTION_ARGUMENT,
};

/* The row of that name, or NULL. */
const struct option_row *option_find(const char *name);

/* The name that is most similar, or NULL. Static. */
const char *option_nearest(const char *name);

/* "LOG_LEVEL", behind JOBQ_, to "log-level", and back. Appends. */
void option_add_name(struct buffer *out, const char *variable);
void option_add_variable(struct buffer *out, const char *name);

/* The parsers of the table. */
int option_parse_dsn(struct config *c,
                     const struct option_row *row,
                     const char *value,
                     struct buffer *error);
int option_parse_embedded(struct config *c,
                          const struct option_row *row,
                          const char *value,
                          struct buffer *error);
int option_parse_integer(struct config *c,
                         const struct option_row *row,
                         const char *value,
                         struct buffer *error);
int option_parse_duration(struct config *c,
                          const struct option_row *row,
                          const char *value,
                          struct buffer *error);
int option_parse_size(struct config *c,
                      const struct option_row *row,
                      const char *value,
                      struct buffer *error);
int option_parse_flag(struct config *c,
                      const struct option_row *row,
                      const char *value,
                      struct buffer *error);
int option_parse_listen(struct config *c,
                        const struct option_row *row,
                        const char *value,
                        struct buffer *error);
int option_parse_text(struct config *c,
                      const struct option_row *row,
                      const char *value,
                      struct buffer *error);
int option_parse_queues(struct config *c,
                        const struct option_row *row,
                        const char *value,
                        struct buffer *error);
int option_parse_setting(struct config *c,
                         const struct option_row *row,
                         const char *value,
                         struct buffer *error);
int option_parse_format(struct config *c,
                        const struct option_row *row,
                        const char *value,
                        struct buffer *error);
int option_parse_level(struct config *c,
                       const struct option_row *row,
                       const char *value,
                       struct buffer *error);

/* Frees a list that ends with NULL, and its texts. list may be NULL. */
void option_free_list(char **list);

/* Words of letters, digits and underscores with dots between them, two words at least. */
bool option_is_setting(struct slice name);

/* Adds or replaces a handler setting. -EINVAL if name is none, or value has several lines. */
MUST_USE int option_set(struct config *c,
                        struct slice name,
                        const char *value,
                        struct buffer *error);

#endif
