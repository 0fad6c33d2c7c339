/* body.c - a state a part, until nothing more can be done with what has come. */
#include "core/http/body.h"

#include <string.h>

#define BAD_REQUEST (-400)
#define TOO_LARGE   (-413)

/* Digits of a chunk's size; more than fits any limit. */
#define SIZE_MAX_DIGITS 8

/* Bytes taken, 0 when a line is not complete, or the negative status. */
typedef int (*step_fn)(struct http_body *b, struct slice in);

static int take_data(struct http_body *b, struct slice in);
static int take_size(struct http_body *b, struct slice in);
static int take_line_end(struct http_body *b, struct slice in);

int http_body_open(struct http_body *b, int64_t length, size_t max)
{
    *b = (struct http_body){.max = max, .is_chunked = length < 0, .state = HTTP_BODY_SIZE};
    if (length < 0) {
        return 0;
    }
    if ((uint64_t)length > max) {
        return TOO_LARGE;
    }
    b->left = (size_t)length;
    b->state = length == 0 ? HTTP_BODY_DONE : HTTP_BODY_DATA;
    return 0;
}

int http_body_take(struct http_body *b, struct slice in, size_t *used)
{
    static const step_fn steps[] = {
        [HTTP_BODY_DATA] = take_data,
        [HTTP_BODY_SIZE] = take_size,
        [HTTP_BODY_CRLF] = take_line_end,
        [HTTP_BODY_LAST] = take_line_end,
    };

    *used = 0;
    while (b->state != HTTP_BODY_DONE && *used < in.size) {
        int taken = steps[b->state](b, (struct slice){in.data + *used, in.size - *used});
        if (taken <= 0) {
            return taken;
        }
        *used += (size_t)taken;
    }
    return 0;
}

bool http_body_is_done(const struct http_body *b)
{
    return b->state == HTTP_BODY_DONE;
}

void http_body_close(struct http_body *b)
{
    buffer_fini(&b->content);
}

static int take_data(struct http_body *b, struct slice in)
{
    size_t size = in.size < b->left ? in.size : b->left;

    buffer_add(&b->content, in.data, size);
    b->left -= size;
    if (b->left == 0) {
        b->state = b->is_chunked ? HTTP_BODY_CRLF : HTTP_BODY_DONE;
    }
    return (int)size;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal digits and nothing else before the line end. */
static int take_size(struct http_body *b, struct slice in)
{
    size_t size = 0;
    size_t i = 0;

    while (i < in.size && digit(in.data[i]) >= 0) {
        size = size * 16 + (size_t)digit(in.data[i]);
        if (++i > SIZE_MAX_DIGITS) {
            return BAD_REQUEST;
        }
    }
    if (i == in.size || (in.data[i] == '\r' && i + 1 == in.size)) {
        return 0;
    }
    if (i == 0 || in.data[i] != '\r' || in.data[i + 1] != '\n') {
        return BAD_REQUEST;
    }
    if (size > b->max - b->content.size) {
        return TOO_LARGE;
    }
    b->left = size;
    b->state = size == 0 ? HTTP_BODY_LAST : HTTP_BODY_DATA;
    return (int)i + 2;
}

static int take_line_end(struct http_body *b, struct slice in)
{
    if (in.data[0] != '\r' || (in.size > 1 && in.data[1] != '\n')) {
        return BAD_REQUEST;
    }
    if (in.size < 2) {
        return 0;
    }
    b->state = b->state == HTTP_BODY_LAST ? HTTP_BODY_DONE : HTTP_BODY_SIZE;
    return 2;
}
