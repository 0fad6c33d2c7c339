/* mail_text.c - RFC 2045 and 2047. */
#include "bindings/mail_text.h"

#include <stdint.h>

/* An encoded word has at most 75 characters: 45 bytes make 60, and 12 surround them. */
#define WORD_BYTES       45
#define HEADER_PLAIN_MAX 160

/* RFC 2045 allows lines of 76; RFC 5322 lines of 998. */
#define LINE_MAX_ENCODED  76
#define LINE_BYTES_BASE64 57
#define PADDING           64 /* where "=" stands among the digits of base64 */
#define LINE_MAX_PLAIN    998

bool mail_is_plain_header(struct slice text)
{
    if (text.size > HEADER_PLAIN_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c > 0x7e || (c == '=' && i + 1 < text.size && text.data[i + 1] == '?')) {
            return false;
        }
    }
    return true;
}

/* size is at most 57; appended without a line end. */
static void add_base64(struct buffer *b, size_t start, size_t size)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    char *to = buffer_reserve(b, (size + 2) / 3 * 4); /* may move the bytes */
    const unsigned char *from = (const unsigned char *)b->data + start;
    size_t n = 0;

    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)from[i] << 16;
        bits |= i + 1 < size ? (uint32_t)from[i + 1] << 8 : 0;
        bits |= i + 2 < size ? (uint32_t)from[i + 2] : 0;
        to[n++] = digits[bits >> 18];
        to[n++] = digits[(bits >> 12) & 63];
        to[n++] = digits[i + 1 < size ? (bits >> 6) & 63 : PADDING];
        to[n++] = digits[i + 2 < size ? bits & 63 : PADDING];
    }
    buffer_grew(b, n);
}

void mail_add_words(struct buffer *b, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t end = at + WORD_BYTES < size ? at + WORD_BYTES : size;
        while (end < size && ((unsigned char)b->data[end] & 0xc0) == 0x80) {
            end--; /* a word holds whole characters */
        }
        buffer_add_text(b, at == 0 ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
        add_base64(b, at, end - at);
        buffer_add_text(b, "?=");
        at = end;
    }
}

static bool is_printable(unsigned char c)
{
    return (c >= 0x20 && c <= 0x7e) || c == '\t' || c == '\n' || c == '\r';
}

enum mail_encoding mail_encoding_for(struct slice text, bool may_be_plain)
{
    size_t special = 0;
    size_t line = 0;
    size_t longest = 0;

    for (size_t i = 0; i < text.size; i++) {
        special += !is_printable((unsigned char)text.data[i]);
        line = text.data[i] == '\n' ? 0 : line + 1;
        longest = line > longest ? line : longest;
    }
    if (may_be_plain && special == 0 && longest < LINE_MAX_PLAIN) {
        return MAIL_PLAIN;
    }
    return special > text.size / 4 ? MAIL_BASE64 : MAIL_QUOTED; /* quoting makes three of one */
}

const char *mail_encoding_name(enum mail_encoding encoding)
{
    switch (encoding) {
    case MAIL_QUOTED: return "quoted-printable";
    case MAIL_BASE64: return "base64";
    default: return "7bit";
    }
}

/* Bytes of the line end at `at`: CR LF, CR or LF; 0 if there is none. */
static size_t line_end(const struct buffer *b, size_t at, size_t size)
{
    if (b->data[at] == '\r') {
        return at + 1 < size && b->data[at + 1] == '\n' ? 2 : 1;
    }
    return b->data[at] == '\n' ? 1 : 0;
}

static void add_plain(struct buffer *b, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t end = line_end(b, at, size);
        if (end > 0) {
            buffer_add(b, "\r\n", 2);
            at += end;
        } else {
            buffer_add_char(b, b->data[at++]);
        }
    }
}

/* A blank at the end of a line would be lost on the way. */
static bool must_quote(const struct buffer *b, size_t at, size_t size)
{
    unsigned char c = (unsigned char)b->data[at];

    if (c == ' ' || c == '\t') {
        return at + 1 == size || line_end(b, at + 1, size) > 0;
    }
    return c < 0x20 || c > 0x7e || c == '=';
}

static void add_quoted(struct buffer *b, size_t size)
{
    size_t line = 0;
    size_t at = 0;

    while (at < size) {
        size_t end = line_end(b, at, size);
        if (end > 0) {
            buffer_add(b, "\r\n", 2);
            line = 0;
            at += end;
            continue;
        }
        size_t width = must_quote(b, at, size) ? 3 : 1;
        if (line + width > LINE_MAX_ENCODED - 1) { /* room for the = of a soft line end */
            buffer_add_text(b, "=\r\n");
            line = 0;
        }
        if (width == 3) {
            buffer_printf(b, "=%02X", (unsigned char)b->data[at]);
        } else {
            buffer_add_char(b, b->data[at]);
        }
        line += width;
        at++;
    }
}

void mail_add_body(struct buffer *b, size_t size, enum mail_encoding encoding)
{
    if (size == 0) {
        return;
    }
    switch (encoding) {
    case MAIL_PLAIN: add_plain(b, size); break;
    case MAIL_QUOTED: add_quoted(b, size); break;
    case MAIL_BASE64:
        for (size_t at = 0; at < size; at += LINE_BYTES_BASE64) {
            size_t left = size - at;
            add_base64(b, at, left < LINE_BYTES_BASE64 ? left : LINE_BYTES_BASE64);
            buffer_add(b, "\r\n", 2);
        }
        break;
    }
    if (b->data[b->size - 1] != '\n') {
        buffer_add(b, "\r\n", 2);
    }
}
