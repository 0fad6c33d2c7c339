/*
 * mail_text.h - the encodings of mail. Knows nothing of Lua.
 *
 * The add functions encode the first `size` bytes of the buffer, valid UTF-8 unless it is to be
 * base64, and append the result to the same buffer.
 */
#ifndef BINDINGS_MAIL_TEXT_H
#define BINDINGS_MAIL_TEXT_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/slice.h"

enum mail_encoding {
    MAIL_PLAIN,
    MAIL_QUOTED,
    MAIL_BASE64,
};

/* True for short printable ASCII that no reader takes for encoded words. */
bool mail_is_plain_header(struct slice text);

/* "=?UTF-8?B?...?=", several of them folded onto lines of their own. */
void mail_add_words(struct buffer *b, size_t size);

/* The one that keeps the text readable, or else short. */
enum mail_encoding mail_encoding_for(struct slice text, bool may_be_plain);
const char *mail_encoding_name(enum mail_encoding encoding);

/* Ends with CR LF unless empty. */
void mail_add_body(struct buffer *b, size_t size, enum mail_encoding encoding);

#endif
