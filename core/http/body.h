/* body.h - the body of a request, by its length or in chunks (RFC 9112, 7.1; no extensions, no trailers). */
#ifndef CORE_HTTP_BODY_H
#define CORE_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"
#include "core/base/slice.h"

enum http_body_state {
    HTTP_BODY_DATA, /* left bytes of a chunk, or of all of it */
    HTTP_BODY_SIZE, /* the line with a chunk's size */
    HTTP_BODY_CRLF, /* the line end behind a chunk */
    HTTP_BODY_LAST, /* the empty line behind the last one */
    HTTP_BODY_DONE,
};

struct http_body {
    enum http_body_state state;
    bool is_chunked;
    size_t max; /* bytes of all of it */
    size_t left;
    struct buffer content; /* owned */
};

/* length as in struct http_head. 0; -413: it says itself that it is longer than max. */
MUST_USE int http_body_open(struct http_body *b, int64_t length, size_t max);

/*
 * Takes from the front of in; *used is how much. 0, whether complete or not (http_body_is_done), or
 * the negative status to refuse it with: -400, -413.
 */
MUST_USE int http_body_take(struct http_body *b, struct slice in, size_t *used);

bool http_body_is_done(const struct http_body *b);

/* Frees the content. */
void http_body_close(struct http_body *b);

#endif
