/*
 * log.h - one line an event on stderr: a message and named fields.
 *
 *   log_warn("job failed", LOG_INT("job_id", id), LOG_TEXT("error", text));
 *
 * Messages are short, lower case, without a full stop. The level, the format and the name of the
 * process are the only globals of the program.
 */
#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR,
};

enum log_format {
    LOG_FORMAT_TEXT,
    LOG_FORMAT_LOGFMT,
    LOG_FORMAT_JSON,
};

enum log_field_type {
    LOG_FIELD_INT,
    LOG_FIELD_REAL,
    LOG_FIELD_SLICE,
};

struct log_field {
    const char *key;
    enum log_field_type type;

    union {
        int64_t integer;
        double real;
        struct slice slice;
    } value;
};

#define LOG_INT(k, v)                                                    \
    {                                                                    \
        .key = (k), .type = LOG_FIELD_INT, .value.integer = (int64_t)(v) \
    }
#define LOG_REAL(k, v)                                        \
    {                                                         \
        .key = (k), .type = LOG_FIELD_REAL, .value.real = (v) \
    }
#define LOG_SLICE(k, v)                                         \
    {                                                           \
        .key = (k), .type = LOG_FIELD_SLICE, .value.slice = (v) \
    }
#define LOG_TEXT(k, v)                                                  \
    {                                                                   \
        .key = (k), .type = LOG_FIELD_SLICE, .value.slice = slice_of(v) \
    }

/* Everything below level is dropped. */
void log_configure(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);

/* "debug" … "error", "text" … "json"; false if it is none of them. */
bool log_level_parse(const char *text, enum log_level *level);
bool log_format_parse(const char *text, enum log_format *format);
const char *log_level_name(enum log_level level);

/* fields starts with a placeholder and ends with a null key; call it through the macros. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define LOG_WRITE(level, message, ...) \
    log_write(level, message, (const struct log_field[]){{.key = ""}, ##__VA_ARGS__, {.key = NULL}})
#define log_debug(message, ...) LOG_WRITE(LOG_DEBUG, message, ##__VA_ARGS__)
#define log_info(message, ...)  LOG_WRITE(LOG_INFO, message, ##__VA_ARGS__)
#define log_warn(message, ...)  LOG_WRITE(LOG_WARN, message, ##__VA_ARGS__)
#define log_error(message, ...) LOG_WRITE(LOG_ERROR, message, ##__VA_ARGS__)

#endif
