/* json_text.h - JSON as text: tokens in, numbers and strings out. Knows nothing of Lua. */
#ifndef CORE_BASE_JSON_TEXT_H
#define CORE_BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"
#include "core/base/slice.h"

struct json_reader {
    const char *start;
    const char *at;
    const char *end;
    const char *error; /* static text, "expected ..."; set when a function returned -EINVAL */
};

struct json_number {
    bool is_integer;
    int64_t integer;
    double real;
};

/* Both from 1; columns are bytes. */
struct json_place {
    int line;
    int column;
};

/* What becomes of a NUL byte within a string. */
enum json_nul {
    JSON_NUL_ESCAPE,
    JSON_NUL_DROP,
};

struct json_reader json_reader_of(struct slice text);

/* The next character behind white space, not taken; 0 at the end (or a NUL byte, which nobody wants). */
char json_peek(struct json_reader *r);

/* Takes c, behind white space, if it comes next. */
bool json_take(struct json_reader *r, char c);

/* Passes over size bytes that were peeked at. */
void json_skip(struct json_reader *r, size_t size);

/* Always -EINVAL: notes what was expected here. */
int json_expected(struct json_reader *r, const char *what);

/* Where the reader stands, and what is there in found: "'x'", "byte 0x01" or "the end". */
struct json_place json_place_of(const struct json_reader *r, char *found, size_t size);

/* Each expects its token next, white space passed already, and returns 0 or -EINVAL. */
MUST_USE int json_read_word(struct json_reader *r, const char *word);
MUST_USE int json_read_number(struct json_reader *r, struct json_number *number);
MUST_USE int json_read_end(struct json_reader *r);

/* What stands between the quotes, checked; json_unescape() it when escaped. */
MUST_USE int json_read_string(struct json_reader *r, struct slice *raw, bool *escaped);

/* Writes at most raw.size bytes and returns how many. raw comes from json_read_string(). */
size_t json_unescape(struct slice raw, char *to);

void json_add_string(struct buffer *out, struct slice text, enum json_nul nul);
void json_add_integer(struct buffer *out, int64_t value);

/* The shortest text that reads back as the same double; -EINVAL for nan and infinity. */
MUST_USE int json_add_real(struct buffer *out, double value);

#endif
