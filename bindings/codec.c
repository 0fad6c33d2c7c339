/* codec.c - strict both ways: each text has one meaning, each meaning one text. */
#include "bindings/codec.h"

#include <stdint.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode_hex(struct buffer *out, struct slice bytes)
{
    char *to = buffer_reserve(out, bytes.size * 2);

    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        *to++ = hex_digits[byte >> 4];
        *to++ = hex_digits[byte & 15];
    }
    buffer_grew(out, bytes.size * 2);
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool decode_hex(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i + 1 < text.size; i += 2) {
        int high = hex_value(text.data[i]);
        int low = hex_value(text.data[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        buffer_add_char(out, (char)(high << 4 | low));
    }
    return text.size % 2 == 0;
}

/* Three bytes are four digits; what is left over at the end is two or three, and padding. */
static void encode_base64(struct buffer *out, const char *digits, bool is_padded, struct slice s)
{
    for (size_t i = 0; i < s.size; i += 3) {
        size_t count = s.size - i < 3 ? s.size - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (k < count ? (uint8_t)s.data[i + k] : 0);
        }
        char group[4] = "====";
        for (size_t k = 0; k <= count; k++) {
            group[k] = digits[bits >> (18 - 6 * k) & 63];
        }
        buffer_add(out, group, is_padded ? 4 : count + 1);
    }
}

/* count digits, 2 to 4, to count - 1 bytes; the bits that are left over must be zero. */
static bool decode_group(struct buffer *out, const char *digits, const char *group, size_t count)
{
    uint32_t bits = 0;

    for (size_t k = 0; k < 4; k++) {
        const char *digit = k < count ? memchr(digits, group[k], 64) : digits;
        if (digit == NULL) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(digit - digits);
    }
    for (size_t k = 0; k + 1 < count; k++) {
        buffer_add_char(out, (char)(bits >> (16 - 8 * k)));
    }
    return count == 4 || (bits & (0xffffffU >> (8 * (count - 1)))) == 0;
}

static bool decode_base64(struct buffer *out, const char *digits, bool is_padded, struct slice s)
{
    if (is_padded && s.size % 4 != 0) {
        return false;
    }
    for (int i = 0; is_padded && i < 2 && s.size > 0 && s.data[s.size - 1] == '='; i++) {
        s.size--;
    }
    if (s.size % 4 == 1) {
        return false;
    }
    for (size_t i = 0; i < s.size; i += 4) {
        if (!decode_group(out, digits, s.data + i, s.size - i < 4 ? s.size - i : 4)) {
            return false;
        }
    }
    return true;
}

void codec_encode(struct buffer *out, enum codec codec, struct slice bytes)
{
    switch (codec) {
    case CODEC_HEX: encode_hex(out, bytes); break;
    case CODEC_BASE64: encode_base64(out, base64_digits, true, bytes); break;
    case CODEC_BASE64URL: encode_base64(out, base64url_digits, false, bytes); break;
    }
}

bool codec_decode(struct buffer *out, enum codec codec, struct slice text)
{
    switch (codec) {
    case CODEC_HEX: return decode_hex(out, text);
    case CODEC_BASE64: return decode_base64(out, base64_digits, true, text);
    default: return decode_base64(out, base64url_digits, false, text);
    }
}
