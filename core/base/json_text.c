/* json_text.c - the tokens of RFC 8259, strictly, and nothing beyond them. */
#include "core/base/json_text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Numbers up to this long are read without another allocation. */
#define NUMBER_TEXT 256

/* Digits and powers of ten that a double holds exactly. */
#define DIGITS_EXACT 15
#define POWER_EXACT  22

/* Doubles with so many digits behind the point, below so much, are written without printf. */
#define SHORT_DIGITS 6
#define SHORT_MAX    1e9

static const double powers[POWER_EXACT + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const char hex_digits[] = "0123456789abcdef";

struct json_reader json_reader_of(struct slice text)
{
    return (struct json_reader){.start = text.data,
                                .at = text.data,
                                .end = text.size == 0 ? text.data : text.data + text.size};
}

static void skip_space(struct json_reader *r)
{
    while (r->at < r->end &&
           (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')) {
        r->at++;
    }
}

char json_peek(struct json_reader *r)
{
    skip_space(r);
    if (r->at == r->end) {
        return '\0';
    }
    return *r->at;
}

bool json_take(struct json_reader *r, char c)
{
    skip_space(r);
    if (r->at == r->end || *r->at != c) {
        return false;
    }
    r->at++;
    return true;
}

void json_skip(struct json_reader *r, size_t size)
{
    r->at += size;
}

int json_expected(struct json_reader *r, const char *what)
{
    r->error = what;
    return -EINVAL;
}

struct json_place json_place_of(const struct json_reader *r, char *found, size_t size)
{
    struct json_place place = {1, 1};

    for (const char *p = r->start; p < r->at; p++) {
        place.column++;
        if (*p == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    unsigned char c = r->at < r->end ? (unsigned char)*r->at : 0;
    if (r->at == r->end) {
        (void)snprintf(found, size, "the end");
    } else if (c > ' ' && c < 0x7f) {
        (void)snprintf(found, size, "'%c'", c);
    } else {
        (void)snprintf(found, size, "byte 0x%02x", c);
    }
    return place;
}

int json_read_word(struct json_reader *r, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0) {
        return json_expected(r, "expected a value");
    }
    r->at += size;
    return 0;
}

int json_read_end(struct json_reader *r)
{
    skip_space(r);
    return r->at == r->end ? 0 : json_expected(r, "expected the end of the document");
}

/* ---- UTF-8 ---- */

static bool is_tail(const unsigned char *p)
{
    return (*p & 0xc0) == 0x80;
}

/* Bytes of the character at p that starts with 0x80 or more; 0 if it is invalid or cut off. */
static size_t utf8_size(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;

    if (left >= 2 && p[0] >= 0xc2 && p[0] <= 0xdf) {
        return is_tail(p + 1) ? 2 : 0;
    }
    if (left >= 3 && p[0] >= 0xe0 && p[0] <= 0xef) {
        bool overlong = p[0] == 0xe0 && p[1] < 0xa0;
        bool surrogate = p[0] == 0xed && p[1] > 0x9f;
        return !overlong && !surrogate && is_tail(p + 1) && is_tail(p + 2) ? 3 : 0;
    }
    if (left >= 4 && p[0] >= 0xf0 && p[0] <= 0xf4) {
        bool overlong = p[0] == 0xf0 && p[1] < 0x90;
        bool beyond = p[0] == 0xf4 && p[1] > 0x8f;
        return !overlong && !beyond && is_tail(p + 1) && is_tail(p + 2) && is_tail(p + 3) ? 4 : 0;
    }
    return 0;
}

static size_t utf8_put(char *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | (code >> 6));
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | (code >> 12));
        to[1] = (char)(0x80 | ((code >> 6) & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | (code >> 18));
    to[1] = (char)(0x80 | ((code >> 12) & 0x3f));
    to[2] = (char)(0x80 | ((code >> 6) & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* ---- strings in ---- */

/* Four hexadecimal digits at p; -1 if they are none. */
static int32_t read_hex4(const char *p, const char *end)
{
    int32_t value = 0;

    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char lower = (char)(p[i] | 0x20);
        if (p[i] >= '0' && p[i] <= '9') {
            value = value * 16 + (p[i] - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            value = value * 16 + (lower - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

static bool is_high_surrogate(int32_t code)
{
    return code >= 0xd800 && code <= 0xdbff;
}

static bool is_low_surrogate(int32_t code)
{
    return code >= 0xdc00 && code <= 0xdfff;
}

/* At the u of \uXXXX, which may be half of a pair: passes over it. */
static int check_unicode(struct json_reader *r)
{
    int32_t code = read_hex4(r->at + 1, r->end);

    if (code < 0) {
        return json_expected(r, "expected four hexadecimal digits after \\u");
    }
    if (is_low_surrogate(code)) {
        return json_expected(r, "expected the first half of a surrogate pair");
    }
    if (!is_high_surrogate(code)) {
        r->at += 5;
        return 0;
    }
    if (r->end - r->at < 7 || r->at[5] != '\\' || r->at[6] != 'u' ||
        !is_low_surrogate(read_hex4(r->at + 7, r->end))) {
        return json_expected(r, "expected both halves of a surrogate pair");
    }
    r->at += 11;
    return 0;
}

/* At a backslash: passes over the escape. */
static int check_escape(struct json_reader *r)
{
    r->at++;
    if (r->at < r->end && *r->at == 'u') {
        return check_unicode(r);
    }
    if (r->at == r->end || *r->at == '\0' || strchr("\"\\/bfnrt", *r->at) == NULL) {
        return json_expected(r, "expected one of \" \\ / b f n r t u after a backslash");
    }
    r->at++;
    return 0;
}

/* At neither a plain character nor the closing quote: passes over it. */
static int check_special(struct json_reader *r, bool *escaped)
{
    unsigned char c = (unsigned char)*r->at;

    if (c == '\\') {
        *escaped = true;
        return check_escape(r);
    }
    if (c < 0x20) {
        return json_expected(r, "expected control characters to be escaped");
    }
    size_t size = utf8_size(r->at, (size_t)(r->end - r->at));
    if (size == 0) {
        return json_expected(r, "expected UTF-8");
    }
    r->at += size;
    return 0;
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

int json_read_string(struct json_reader *r, struct slice *raw, bool *escaped)
{
    const char *start = ++r->at; /* behind the quote that the caller has seen */

    *escaped = false;
    for (;;) {
        while (r->at < r->end && is_plain(*r->at)) {
            r->at++;
        }
        if (r->at == r->end) {
            return json_expected(r, "expected a closing '\"'");
        }
        if (*r->at == '"') {
            *raw = (struct slice){start, (size_t)(r->at - start)};
            r->at++;
            return 0;
        }
        int status = check_special(r, escaped);
        if (status != 0) {
            return status;
        }
    }
}

/* *p stands at the u of a checked \uXXXX and ends behind it, or behind the second half. */
static size_t unescape_unicode(const char **p, const char *end, char *to)
{
    uint32_t code = (uint32_t)read_hex4(*p + 1, end);

    *p += 5;
    if (is_high_surrogate((int32_t)code)) {
        uint32_t low = (uint32_t)read_hex4(*p + 2, end);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        *p += 6;
    }
    return utf8_put(to, code);
}

static char unescape_char(char c)
{
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return c;
    }
}

size_t json_unescape(struct slice raw, char *to)
{
    const char *p = raw.data;
    const char *end = raw.data + raw.size;
    char *start = to;

    while (p < end) {
        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        p++;
        if (*p == 'u') {
            to += unescape_unicode(&p, end, to);
        } else {
            *to++ = unescape_char(*p++);
        }
    }
    return (size_t)(to - start);
}

/* ---- numbers in ---- */

static size_t skip_digits(struct json_reader *r)
{
    const char *start = r->at;

    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    return (size_t)(r->at - start);
}

/* Fraction and exponent, if any. */
static int skip_rest(struct json_reader *r)
{
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (skip_digits(r) == 0) {
            return json_expected(r, "expected a digit");
        }
    }
    if (r->at < r->end && (*r->at | 0x20) == 'e') {
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-')) {
            r->at++;
        }
        if (skip_digits(r) == 0) {
            return json_expected(r, "expected a digit");
        }
    }
    return 0;
}

static bool to_integer(struct slice text, int64_t *value)
{
    bool negative = text.data[0] == '-';
    int64_t sum = 0;

    for (size_t i = negative; i < text.size; i++) {
        int digit = text.data[i] - '0';
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, digit, &sum)) { /* downwards: the minimum has no positive */
            return false;
        }
    }
    if (!negative && sum == INT64_MIN) {
        return false;
    }
    *value = negative ? sum : -sum;
    return true;
}

/* Few digits and a small negative power of ten: one division of two exact doubles is exact. */
static bool to_short_real(struct slice text, double *value)
{
    bool negative = text.data[0] == '-';
    int64_t sum = 0;
    size_t fraction = 0;
    bool in_fraction = false;

    if (text.size > DIGITS_EXACT) {
        return false;
    }
    for (size_t i = negative; i < text.size; i++) {
        char c = text.data[i];
        if (c == '.') {
            in_fraction = true;
            continue;
        }
        if (c < '0' || c > '9') {
            return false;
        }
        sum = sum * 10 + (c - '0');
        fraction += in_fraction;
    }
    double magnitude = (double)sum / powers[fraction];
    *value = negative ? -magnitude : magnitude;
    return true;
}

/* strtod wants a terminator, and the locale's point. */
static double to_real(struct slice text)
{
    char small[NUMBER_TEXT];
    char *copy = small;
    double value;

    if (to_short_real(text, &value)) {
        return value;
    }
    if (text.size >= sizeof(small)) {
        copy = mem_zalloc(text.size + 1);
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    char *point = strchr(copy, '.');
    if (point != NULL) {
        *point = localeconv()->decimal_point[0];
    }
    value = strtod(copy, NULL);
    if (copy != small) {
        free(copy);
    }
    return value;
}

int json_read_number(struct json_reader *r, struct json_number *number)
{
    const char *start = r->at;

    if (r->at < r->end && *r->at == '-') {
        r->at++;
    }
    const char *digits = r->at;
    if (skip_digits(r) == 0) {
        return json_expected(r, r->at == start ? "expected a value" : "expected a digit");
    }
    if (*digits == '0' && r->at - digits > 1) {
        r->at = digits + 1;
        return json_expected(r, "expected no digit after a leading 0");
    }
    const char *integer_end = r->at;
    int status = skip_rest(r);
    if (status != 0) {
        return status;
    }
    struct slice text = {start, (size_t)(r->at - start)};
    number->is_integer = r->at == integer_end && to_integer(text, &number->integer);
    if (!number->is_integer) {
        number->real = to_real(text);
        if (isinf(number->real)) {
            r->at = start;
            return json_expected(r, "expected a number within the range of a double");
        }
    }
    return 0;
}

/* ---- out ---- */

static void add_escape(struct buffer *out, unsigned char c)
{
    static const char names[] = "btn\0fr"; /* of 0x08 to 0x0d */
    char text[6] = {'\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15]};

    if (c == '"' || c == '\\') {
        text[1] = (char)c;
        buffer_add(out, text, 2);
    } else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        text[1] = names[c - 0x08];
        buffer_add(out, text, 2);
    } else {
        buffer_add(out, text, 6);
    }
}

/* The character at text that is not plain; returns its size. */
static size_t add_special(struct buffer *out, struct slice text, enum json_nul nul)
{
    unsigned char c = (unsigned char)text.data[0];

    if (c < 0x80) {
        if (c != 0 || nul == JSON_NUL_ESCAPE) {
            add_escape(out, c);
        }
        return 1;
    }
    size_t size = utf8_size(text.data, text.size);
    if (size == 0) {
        buffer_add(out, "\xef\xbf\xbd", 3);
        return 1;
    }
    buffer_add(out, text.data, size);
    return size;
}

void json_add_string(struct buffer *out, struct slice text, enum json_nul nul)
{
    size_t at = 0;

    buffer_add_char(out, '"');
    while (at < text.size) {
        size_t start = at;
        while (at < text.size && is_plain(text.data[at])) {
            at++;
        }
        buffer_add(out, text.data + start, at - start);
        if (at < text.size) {
            at += add_special(out, (struct slice){text.data + at, text.size - at}, nul);
        }
    }
    buffer_add_char(out, '"');
}

void json_add_integer(struct buffer *out, int64_t value)
{
    char digits[24];
    char *p = digits + sizeof(digits);
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do {
        *--p = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        *--p = '-';
    }
    buffer_add(out, p, (size_t)(digits + sizeof(digits) - p));
}

/*
 * A double that is m / 10^n for a small n and an m that a double holds exactly is read back from
 * these digits: the quotient of two exact doubles is the nearest one to it.
 */
static bool add_short_real(struct buffer *out, double value)
{
    double magnitude = fabs(value);
    size_t digits = 0;

    while (digits <= SHORT_DIGITS &&
           nearbyint(magnitude * powers[digits]) / powers[digits] != magnitude) {
        digits++;
    }
    if (digits > SHORT_DIGITS || magnitude >= SHORT_MAX || (value == 0 && signbit(value))) {
        return false;
    }
    uint64_t m = (uint64_t)nearbyint(magnitude * powers[digits]);
    uint64_t unit = (uint64_t)powers[digits];
    if (value < 0) {
        buffer_add_char(out, '-');
    }
    json_add_integer(out, (int64_t)(m / unit));
    buffer_add_char(out, '.');
    for (unit /= 10; unit > 0; unit /= 10) {
        buffer_add_char(out, (char)('0' + m / unit % 10));
    }
    if (digits == 0) {
        buffer_add_char(out, '0');
    }
    return true;
}

int json_add_real(struct buffer *out, double value)
{
    char text[40];
    int size = 0;

    if (!isfinite(value)) {
        return -EINVAL;
    }
    if (add_short_real(out, value)) {
        return 0;
    }
    for (int precision = 15; precision <= 17; precision++) {
        size = snprintf(text, sizeof(text), "%.*g", precision, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    bool whole = true;
    for (int i = 0; i < size; i++) {
        char c = text[i];
        bool is_digit = c >= '0' && c <= '9';
        whole = whole && (is_digit || c == '-');
        if (!is_digit && strchr("-+e", c) == NULL) {
            text[i] = '.'; /* some locales write a comma */
        }
    }
    buffer_add(out, text, (size_t)size);
    if (whole) {
        buffer_add_text(out, ".0"); /* so that it is read as a double again */
    }
    return 0;
}
