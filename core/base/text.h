/* text.h - what people type: durations, sizes, patterns, near misses; and bytes that must be UTF-8. */
#ifndef CORE_BASE_TEXT_H
#define CORE_BASE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/slice.h"

/* "500ms", "10s", "5m", "2h" or plain seconds ("1.5") to milliseconds; false if it is none. */
bool text_duration_ms(const char *text, uint64_t *ms);

/* "64M", "512K", "2G" or plain bytes; false if it is none. */
bool text_size_bytes(const char *text, uint64_t *bytes);

/* Decimal integer within [min, max], nothing around it. */
bool text_integer(const char *text, int64_t min, int64_t max, int64_t *value);

/* pattern holds any number of '*', each for any text. */
bool text_matches(const char *pattern, const char *text);

/* 'email.*,!email.digest': true if some plain pattern matches (or none is given) and no '!' one. */
bool text_matches_list(const char *patterns, const char *text);

/* The candidate at edit distance 1 or 2 of text, or NULL; candidates end with NULL. Borrowed. */
const char *text_nearest(const char *text, const char *const *candidates);

/* Bytes of the character that text begins with, and its code point; 0 if that is not UTF-8. */
size_t text_character(struct slice text, uint32_t *code);

/*
 * Appends text with NUL dropped and invalid UTF-8 replaced by U+FFFD, cut at a character boundary
 * after at most max bytes, then a note of how many bytes were cut. PostgreSQL takes the result.
 */
void text_add_clean(struct buffer *out, struct slice text, size_t max);

#endif
