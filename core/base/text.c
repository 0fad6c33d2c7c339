/* text.c - small parsers without locale, and a UTF-8 decoder that refuses what PostgreSQL refuses. */
#include "core/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* A number of seconds with more digits is no duration that anybody means. */
#define MOST_DIGITS 12

/* Decimals of a duration are read in millionths. */
#define FRACTION_ONE 1000000u

/* Names are short; a longer text is no misspelt one. */
#define LONGEST_NAME     64
#define LARGEST_DISTANCE 2

#define REPLACEMENT "\xEF\xBF\xBD"

struct unit {
    const char *name;
    uint64_t factor;
};

static bool parse_digits(const char **at, size_t most, uint64_t *value);
static bool parse_fraction(const char **at, uint64_t *millionths);
static bool matches(struct slice pattern, const char *text);
static struct slice next_item(const char **at);
static size_t distance(const char *a, const char *b);
static size_t sequence_length(unsigned char first);

bool text_duration_ms(const char *text, uint64_t *ms)
{
    static const struct unit units[] = {{"", 1000},
                                        {"ms", 1},
                                        {"s", 1000},
                                        {"m", 60000},
                                        {"h", 3600000}};
    uint64_t whole;
    uint64_t millionths;

    if (!parse_digits(&text, MOST_DIGITS, &whole) || !parse_fraction(&text, &millionths)) {
        return false;
    }
    for (size_t i = 0; i < LENGTH_OF(units); i++) {
        if (strcmp(text, units[i].name) == 0) {
            *ms = whole * units[i].factor + millionths * units[i].factor / FRACTION_ONE;
            return true;
        }
    }
    return false;
}

bool text_size_bytes(const char *text, uint64_t *bytes)
{
    static const struct unit units[] = {{"", 1},
                                        {"K", 1u << 10},
                                        {"M", 1u << 20},
                                        {"G", 1u << 30},
                                        {"T", (uint64_t)1 << 40}};
    uint64_t number;

    if (!parse_digits(&text, MOST_DIGITS, &number)) {
        return false;
    }
    for (size_t i = 0; i < LENGTH_OF(units); i++) {
        if (strcasecmp(text, units[i].name) == 0) {
            return !__builtin_mul_overflow(number, units[i].factor, bytes);
        }
    }
    return false;
}

bool text_integer(const char *text, int64_t min, int64_t max, int64_t *value)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    char *end;

    if (*digits < '0' || *digits > '9') {
        return false;
    }
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || *end != 0 || number < min || number > max) {
        return false;
    }
    *value = number;
    return true;
}

bool text_matches(const char *pattern, const char *text)
{
    return matches(slice_of(pattern), text);
}

bool text_matches_list(const char *patterns, const char *text)
{
    bool wanted = false;
    bool any_wanted = false;

    while (*patterns != 0) {
        struct slice item = next_item(&patterns);
        bool refuses = item.size > 0 && item.data[0] == '!';
        if (refuses && matches((struct slice){item.data + 1, item.size - 1}, text)) {
            return false;
        }
        if (item.size > 0 && !refuses) {
            any_wanted = true;
            wanted = wanted || matches(item, text);
        }
    }
    return wanted || !any_wanted;
}

const char *text_nearest(const char *text, const char *const *candidates)
{
    const char *nearest = NULL;
    size_t least = LARGEST_DISTANCE + 1;

    for (; *candidates != NULL; candidates++) {
        size_t d = distance(text, *candidates);
        /* A name of two letters is two steps from every other one. */
        if (d < least && d < strlen(*candidates)) {
            least = d;
            nearest = *candidates;
        }
    }
    return nearest;
}

size_t text_character(struct slice text, uint32_t *code)
{
    static const unsigned char first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text.data;
    size_t size = text.size == 0 ? 0 : sequence_length(bytes[0]);

    if (size == 0 || size > text.size) {
        return 0;
    }
    uint32_t c = bytes[0] & first_bits[size];
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            return 0;
        }
        c = c << 6 | (bytes[i] & 0x3F);
    }
    if (c < smallest[size] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        return 0;
    }
    *code = c;
    return size;
}

void text_add_clean(struct buffer *out, struct slice text, size_t max)
{
    size_t limit = out->size + max;

    while (text.size > 0) {
        uint32_t code = UINT32_MAX;
        size_t size = text_character(text, &code);
        struct slice clean = {text.data, size};
        if (size == 0) {
            clean = slice_of(REPLACEMENT);
            size = 1;
        } else if (code == 0) {
            clean.size = 0;
        }
        if (out->size + clean.size > limit) {
            buffer_printf(out, " [%zu bytes cut]", text.size);
            return;
        }
        buffer_add_slice(out, clean);
        text.data += size;
        text.size -= size;
    }
}

static bool parse_digits(const char **at, size_t most, uint64_t *value)
{
    size_t digits = strspn(*at, "0123456789");

    if (digits == 0 || digits > most) {
        return false;
    }
    *value = 0;
    for (size_t i = 0; i < digits; i++) {
        *value = *value * 10 + (uint64_t)((*at)[i] - '0');
    }
    *at += digits;
    return true;
}

static bool parse_fraction(const char **at, uint64_t *millionths)
{
    *millionths = 0;
    if (**at != '.') {
        return true;
    }
    (*at)++;
    size_t digits = strspn(*at, "0123456789");
    uint64_t place = FRACTION_ONE / 10;
    for (size_t i = 0; i < digits; i++, place /= 10) {
        *millionths += (uint64_t)((*at)[i] - '0') * place;
    }
    *at += digits;
    return digits > 0;
}

/* On a mismatch the last star takes one more character; earlier stars never need to. */
static bool matches(struct slice pattern, const char *text)
{
    size_t at = 0;
    size_t star = SIZE_MAX;
    const char *resume = NULL;

    while (*text != 0) {
        if (at < pattern.size && pattern.data[at] == '*') {
            star = at++;
            resume = text;
        } else if (at < pattern.size && pattern.data[at] == *text) {
            at++;
            text++;
        } else if (star != SIZE_MAX) {
            at = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (at < pattern.size && pattern.data[at] == '*') {
        at++;
    }
    return at == pattern.size;
}

/* Moves *at behind the comma; the item comes without blanks around it. */
static struct slice next_item(const char **at)
{
    const char *start = *at + strspn(*at, " \t");
    size_t size = strcspn(start, ",");

    *at = start + size + (start[size] == ',' ? 1 : 0);
    while (size > 0 && (start[size - 1] == ' ' || start[size - 1] == '\t')) {
        size--;
    }
    return (struct slice){start, size};
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours, one step each. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][LONGEST_NAME + 1];
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);

    if (a_size > LONGEST_NAME || b_size > LONGEST_NAME) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            size_t swap = swapped ? two_above[j - 2] + 1 : SIZE_MAX;
            size_t step = least_of(row[j - 1] + 1, above[j] + 1);
            row[j] = least_of(least_of(step, swap), above[j - 1] + (a[i - 1] != b[j - 1]));
        }
    }
    return rows[a_size % 3][b_size];
}

static size_t sequence_length(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xC2) {
        return 0;
    }
    if (first < 0xE0) {
        return 2;
    }
    if (first < 0xF0) {
        return 3;
    }
    return first < 0xF5 ? 4 : 0;
}
