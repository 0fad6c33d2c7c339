/* codec.h - bytes as text and back: hex, base64 (RFC 4648, 4) and base64url without padding (5). */
#ifndef BINDINGS_CODEC_H
#define BINDINGS_CODEC_H

#include <stdbool.h>

#include "core/base/buffer.h"

enum codec {
    CODEC_HEX, /* lower case; either case is read */
    CODEC_BASE64,
    CODEC_BASE64URL,
};

void codec_encode(struct buffer *out, enum codec codec, struct slice bytes);

/* False if the text is not exactly what encode makes of some bytes; out holds part of them then. */
bool codec_decode(struct buffer *out, enum codec codec, struct slice text);

#endif
