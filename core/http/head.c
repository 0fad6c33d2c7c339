/* head.c - first no byte that could mean two things, then line by line. */
#include "core/http/head.h"

#include <ctype.h>
#include <strings.h>

#define BAD_REQUEST         (-400)
#define EXPECTATION_FAILED  (-417)
#define TOO_LARGE           (-431)
#define NOT_IMPLEMENTED     (-501)
#define VERSION_UNSUPPORTED (-505)

#define METHOD_MAX_BYTES 16
#define LENGTH_MAX_BYTES 15 /* digits; fits an int64_t */

static int find_end(struct slice bytes, size_t *scanned);
static int read_line(struct slice line, struct http_head *h);
static int read_target(struct slice target, struct http_head *h);
static int read_fields(struct slice lines, struct http_head *h);
static int read_field(struct slice line, struct http_field *f);
static int understand(struct http_head *h);
static int understand_field(struct http_head *h, const struct http_field *f, unsigned *seen);

enum seen {
    SEEN_HOST = 1,
    SEEN_LENGTH = 2,
    SEEN_ENCODING = 4,
    SEEN_EXPECT = 8,
    SEEN_CLOSE = 16,
};

int http_head_read(struct slice bytes, size_t *scanned, struct http_head *h)
{
    int size = find_end(bytes, scanned);
    if (size <= 0) {
        return size;
    }
    const char *eol = memmem(bytes.data, (size_t)size, "\r\n", 2);
    size_t line = (size_t)(eol - bytes.data);

    *h = (struct http_head){0};
    int error = read_line((struct slice){bytes.data, line}, h);
    if (error == 0) {
        error = read_fields((struct slice){eol + 2, (size_t)size - line - 4}, h);
    }
    if (error == 0) {
        error = understand(h);
    }
    return error == 0 ? size : error;
}

struct slice http_head_field(const struct http_head *h, const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];
        if (f->name.size == size && strncasecmp(f->name.data, name, size) == 0) {
            return f->value;
        }
    }
    return (struct slice){NULL, 0};
}

/* ---- bytes ---- */

static bool is_harmless(unsigned char c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* How many bytes are fine: 1, or 2 for a line end; 0 while its LF is not there; the status else. */
static int check_bytes(struct slice rest)
{
    if (rest.data[0] != '\r') {
        return is_harmless((unsigned char)rest.data[0]) ? 1 : BAD_REQUEST;
    }
    if (rest.size < 2) {
        return 0;
    }
    return rest.data[1] == '\n' ? 2 : BAD_REQUEST;
}

/* A line feed behind each CR and only there; no other control byte. The size of the head, or 0. */
static int find_end(struct slice bytes, size_t *scanned)
{
    const char *at = bytes.data;
    size_t end = bytes.size < HTTP_HEAD_MAX_BYTES ? bytes.size : HTTP_HEAD_MAX_BYTES;

    while (*scanned < end) {
        size_t i = *scanned;
        int fine = check_bytes((struct slice){at + i, bytes.size - i});
        if (fine <= 0) {
            return fine;
        }
        *scanned += (size_t)fine;
        if (fine == 2 && i >= 2 && memcmp(at + i - 2, "\r\n", 2) == 0) {
            return (int)*scanned;
        }
    }
    return end == HTTP_HEAD_MAX_BYTES ? TOO_LARGE : 0;
}

/* RFC 9110, 5.6.2 */
static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c > 0x7e || !(isalnum(c) || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL))) {
            return false;
        }
    }
    return s.size > 0;
}

static bool is_word(struct slice s, const char *word)
{
    return s.size == strlen(word) && strncasecmp(s.data, word, s.size) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice trim(struct slice s)
{
    while (s.size > 0 && is_blank(s.data[0])) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && is_blank(s.data[s.size - 1])) {
        s.size--;
    }
    return s;
}

/* What stands before the first c, which is taken away with it; all of it if there is none. */
static struct slice take_until(struct slice *rest, char c)
{
    const char *found = rest->size == 0 ? NULL : memchr(rest->data, c, rest->size);
    size_t size = found == NULL ? rest->size : (size_t)(found - rest->data);
    struct slice taken = {rest->data, size};
    size_t used = found == NULL ? size : size + 1;

    rest->data += used;
    rest->size -= used;
    return taken;
}

/* ---- the request line ---- */

static bool is_method(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] < 'A' || s.data[i] > 'Z') {
            return false;
        }
    }
    return s.size > 0 && s.size <= METHOD_MAX_BYTES;
}

static int read_line(struct slice line, struct http_head *h)
{
    h->method = take_until(&line, ' ');
    struct slice target = take_until(&line, ' ');

    if (!is_method(h->method) || line.size != 8 || memcmp(line.data, "HTTP/", 5) != 0) {
        return BAD_REQUEST;
    }
    h->is_1_0 = slice_is(line, "HTTP/1.0");
    if (!h->is_1_0 && !slice_is(line, "HTTP/1.1")) {
        return VERSION_UNSUPPORTED;
    }
    return read_target(target, h);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Of bytes that a %XX stands for, control bytes are refused, too. */
static bool is_plain_target(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c <= 0x20 || c >= 0x7f || c == '#' || c == '\\') {
            return false;
        }
        if (c != '%') {
            continue;
        }
        int high = i + 2 < s.size ? hex_digit(s.data[i + 1]) : -1;
        int low = i + 2 < s.size ? hex_digit(s.data[i + 2]) : -1;
        if (high < 2 || low < 0 || (high == 7 && low == 15)) {
            return false;
        }
        i += 2;
    }
    return true;
}

/* Only a path: no proxy's absolute URI, no "*". */
static int read_target(struct slice target, struct http_head *h)
{
    if (target.size == 0 || target.data[0] != '/' || !is_plain_target(target)) {
        return BAD_REQUEST;
    }
    h->query = target;
    h->path = take_until(&h->query, '?');
    return 0;
}

/* ---- fields ---- */

static int read_fields(struct slice lines, struct http_head *h)
{
    while (lines.size > 0) {
        const char *eol = memmem(lines.data, lines.size, "\r\n", 2);
        size_t size = eol == NULL ? lines.size : (size_t)(eol - lines.data);
        if (h->field_count == HTTP_FIELDS_MAX) {
            return TOO_LARGE;
        }
        if (read_field((struct slice){lines.data, size}, &h->fields[h->field_count++]) != 0) {
            return BAD_REQUEST;
        }
        size_t used = eol == NULL ? size : size + 2;
        lines.data += used;
        lines.size -= used;
    }
    return 0;
}

/* A folded line begins with a blank, which is no token. */
static int read_field(struct slice line, struct http_field *f)
{
    if (memchr(line.data, ':', line.size) == NULL) {
        return BAD_REQUEST;
    }
    f->name = take_until(&line, ':');
    f->value = trim(line);
    return is_token(f->name) ? 0 : BAD_REQUEST;
}

static bool is_host(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c > 0x7e || !(isalnum(c) || (c != 0 && strchr(".-_:[]", c) != NULL))) {
            return false;
        }
    }
    return s.size > 0;
}

static int read_length(struct slice s, int64_t *length)
{
    if (s.size == 0 || s.size > LENGTH_MAX_BYTES) {
        return BAD_REQUEST;
    }
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return BAD_REQUEST;
        }
        *length = *length * 10 + (s.data[i] - '0');
    }
    return 0;
}

/* HTTP/1.1 stays unless it says "close", HTTP/1.0 goes unless it says "keep-alive". */
static void read_connection(struct slice options, struct http_head *h, unsigned *seen)
{
    while (options.size > 0) {
        struct slice option = trim(take_until(&options, ','));
        if (is_word(option, "close")) {
            *seen |= SEEN_CLOSE;
        } else if (is_word(option, "keep-alive")) {
            h->keeps_alive = true;
        }
    }
}

static int understand(struct http_head *h)
{
    unsigned seen = 0;

    h->keeps_alive = !h->is_1_0;
    for (size_t i = 0; i < h->field_count; i++) {
        int error = understand_field(h, &h->fields[i], &seen);
        if (error != 0) {
            return error;
        }
    }
    if ((seen & SEEN_CLOSE) != 0) {
        h->keeps_alive = false;
    }
    bool has_both = (seen & SEEN_LENGTH) != 0 && (seen & SEEN_ENCODING) != 0;
    bool is_chunked_1_0 = h->is_1_0 && (seen & SEEN_ENCODING) != 0;
    bool lacks_host = !h->is_1_0 && (seen & SEEN_HOST) == 0;
    return has_both || is_chunked_1_0 || lacks_host ? BAD_REQUEST : 0;
}

/* Each of those that say where a request ends, or whom it is for, may be there once. */
static int understand_once(unsigned *seen, enum seen which, int error)
{
    bool is_second = (*seen & which) != 0;

    *seen |= which;
    return is_second ? BAD_REQUEST : error;
}

static int understand_field(struct http_head *h, const struct http_field *f, unsigned *seen)
{
    if (is_word(f->name, "host")) {
        h->host = f->value;
        return understand_once(seen, SEEN_HOST, is_host(f->value) ? 0 : BAD_REQUEST);
    }
    if (is_word(f->name, "content-length")) {
        h->length = 0;
        return understand_once(seen, SEEN_LENGTH, read_length(f->value, &h->length));
    }
    if (is_word(f->name, "transfer-encoding")) {
        h->length = HTTP_CHUNKED;
        return understand_once(seen,
                               SEEN_ENCODING,
                               is_word(f->value, "chunked") ? 0 : NOT_IMPLEMENTED);
    }
    if (is_word(f->name, "expect")) {
        h->waits_to_send = is_word(f->value, "100-continue");
        return understand_once(seen, SEEN_EXPECT, h->waits_to_send ? 0 : EXPECTATION_FAILED);
    }
    if (is_word(f->name, "connection")) {
        read_connection(f->value, h, seen);
    }
    return 0;
}
