/*
 * head.h - the head of an HTTP/1 request, read once it is complete, and refused unless it is plain.
 *
 * What other servers have read in two ways is refused, not repaired: so nobody in front of us can see
 * other requests than we do. A request line is METHOD /path HTTP/1.0 or 1.1, lines end with CRLF, a
 * name is a token right before its colon, no value has control bytes and none hides behind a %, there
 * is one Host (RFC 9112), and one Content-Length of digits or "chunked" alone.
 */
#ifndef CORE_HTTP_HEAD_H
#define CORE_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/base/slice.h"

#define HTTP_HEAD_MAX_BYTES ((size_t)16 << 10)
#define HTTP_FIELDS_MAX     64

/* http_head.length of a body in chunks. */
#define HTTP_CHUNKED (-1)

struct http_field {
    struct slice name;
    struct slice value; /* without white space around it */
};

/* All slices are borrowed from the bytes that were read. */
struct http_head {
    struct slice method; /* upper case letters */
    struct slice path;   /* begins with /; as it was sent, with its % */
    struct slice query;  /* behind the ?, or empty */
    struct slice host;   /* empty only where HTTP/1.0 left it out */
    int64_t length;      /* of the body in bytes, 0 without one; or HTTP_CHUNKED */
    bool is_1_0;
    bool keeps_alive;
    bool waits_to_send; /* Expect: 100-continue */
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count;
};

/*
 * Reads a head from the front of bytes: its size with h filled in; 0 when more is needed; else the
 * negative status to refuse it with: -400, -417, -431, -501 or -505. *scanned, 0 at first, is how far
 * the bytes are known to be harmless.
 */
MUST_USE int http_head_read(struct slice bytes, size_t *scanned, struct http_head *h);

/* The value of a field, or empty; name in any case. Fields that come twice: the first. */
struct slice http_head_field(const struct http_head *h, const char *name);

#endif
