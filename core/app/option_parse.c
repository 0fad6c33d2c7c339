/* option_parse.c - one function a type of value: check it, store it, or say what was expected. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/app/option.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define DEFAULT_EMBEDDED_DIR ".jobq/pg"

static void *field_of(struct config *c, const struct option_row *row);
static void replace(char **text, char *with);
static bool parse_yes_no(const char *value, bool *yes);
static void add_duration(struct buffer *out, int64_t ms);
static void add_size(struct buffer *out, int64_t bytes);
static struct slice next_name(const char **at);
static void forget_setting(struct buffer *settings, struct slice name);

int option_parse_dsn(struct config *c,
                     const struct option_row *row,
                     const char *value,
                     struct buffer *error)
{
    (void)row;
    (void)error;
    replace(&c->conninfo, mem_strdup(value));
    replace(&c->embedded_dir, NULL);
    return 0;
}

/* A folder, or yes for the usual one. */
int option_parse_embedded(struct config *c,
                          const struct option_row *row,
                          const char *value,
                          struct buffer *error)
{
    bool yes = true;
    bool usual = parse_yes_no(value, &yes) || *value == 0;

    (void)row;
    if (!yes) {
        buffer_printf(error, "'%s' is not a folder\nhint: leave embedded out", value);
        return -EINVAL;
    }
    replace(&c->embedded_dir, mem_strdup(usual ? DEFAULT_EMBEDDED_DIR : value));
    replace(&c->conninfo, NULL);
    return 0;
}

int option_parse_integer(struct config *c,
                         const struct option_row *row,
                         const char *value,
                         struct buffer *error)
{
    uint32_t *field = field_of(c, row);
    int64_t number;

    if (!text_integer(value, row->min, row->max, &number)) {
        buffer_printf(error,
                      "'%s' is not an integer from %lld to %lld",
                      value,
                      (long long)row->min,
                      (long long)row->max);
        return -EINVAL;
    }
    *field = (uint32_t)number;
    return 0;
}

int option_parse_duration(struct config *c,
                          const struct option_row *row,
                          const char *value,
                          struct buffer *error)
{
    uint64_t *field = field_of(c, row);
    uint64_t ms;

    if (!text_duration_ms(value, &ms)) {
        buffer_printf(error, "'%s' is not a duration\nhint: write 500ms, 10s, 5m or 2h", value);
        return -EINVAL;
    }
    if (ms < (uint64_t)row->min || ms > (uint64_t)row->max) {
        buffer_printf(error, "'%s' is not a duration from ", value);
        add_duration(error, row->min);
        buffer_add_text(error, " to ");
        add_duration(error, row->max);
        return -EINVAL;
    }
    *field = ms;
    return 0;
}

int option_parse_size(struct config *c,
                      const struct option_row *row,
                      const char *value,
                      struct buffer *error)
{
    uint64_t *field = field_of(c, row);
    uint64_t bytes;

    if (!text_size_bytes(value, &bytes)) {
        buffer_printf(error, "'%s' is not a size\nhint: write 512K, 64M or 2G", value);
        return -EINVAL;
    }
    if (bytes < (uint64_t)row->min || bytes > (uint64_t)row->max) {
        buffer_printf(error, "'%s' is not a size from ", value);
        add_size(error, row->min);
        buffer_add_text(error, " to ");
        add_size(error, row->max);
        return -EINVAL;
    }
    *field = bytes;
    return 0;
}

int option_parse_flag(struct config *c,
                      const struct option_row *row,
                      const char *value,
                      struct buffer *error)
{
    bool *field = field_of(c, row);

    if (!parse_yes_no(value, field)) {
        buffer_printf(error, "'%s' is neither yes nor no", value);
        return -EINVAL;
    }
    return 0;
}

/* One line of UTF-8, since it goes to the log and to PostgreSQL. */
/* A name would have to be looked up, and may be several addresses. */
static bool is_address(const char *host, size_t size)
{
    bool is_6 = size > 2 && host[0] == '[' && host[size - 1] == ']';
    char *text = is_6 ? mem_copy(host + 1, size - 2) : mem_copy(host, size);
    struct in6_addr address;

    bool is_one = inet_pton(is_6 ? AF_INET6 : AF_INET, text, &address) == 1;
    free(text);
    return is_one;
}

/* "127.0.0.1:7070" or "[::1]:7070"; port 0 is any that is free. */
int option_parse_listen(struct config *c,
                        const struct option_row *row,
                        const char *value,
                        struct buffer *error)
{
    const char *colon = strrchr(value, ':');
    int64_t port;

    if (colon == NULL || !is_address(value, (size_t)(colon - value)) ||
        !text_integer(colon + 1, 0, UINT16_MAX, &port)) {
        buffer_printf(error, "'%s' is no address and port, expected e.g. 127.0.0.1:7070", value);
        return -EINVAL;
    }
    replace(field_of(c, row), mem_strdup(value));
    return 0;
}

int option_parse_text(struct config *c,
                      const struct option_row *row,
                      const char *value,
                      struct buffer *error)
{
    struct slice rest = slice_of(value);

    if (rest.size == 0 || rest.size > (size_t)row->max) {
        buffer_printf(error, "%zu bytes, expected 1 to %lld", rest.size, (long long)row->max);
        return -EINVAL;
    }
    while (rest.size > 0) {
        uint32_t code = 0;
        size_t size = text_character(rest, &code);
        if (size == 0 || code < ' ' || code == 0x7F) {
            buffer_add_text(error, "neither control characters nor invalid UTF-8 can stand there");
            return -EINVAL;
        }
        rest.data += size;
        rest.size -= size;
    }
    replace(field_of(c, row), mem_strdup(value));
    return 0;
}

int option_parse_queues(struct config *c,
                        const struct option_row *row,
                        const char *value,
                        struct buffer *error)
{
    size_t count = 0;
    const char *at = value;

    (void)row;
    option_free_list(c->queues);
    c->queues = mem_zalloc(sizeof(char *));
    do {
        struct slice name = next_name(&at);
        if (name.size == 0) {
            buffer_printf(error, "'%s' has an empty name in it, expected A,B", value);
            return -EINVAL;
        }
        c->queues = mem_resize(c->queues, count + 2, sizeof(char *));
        c->queues[count++] = mem_copy(name.data, name.size);
        c->queues[count] = NULL;
    } while (at != NULL);
    return 0;
}

int option_parse_setting(struct config *c,
                         const struct option_row *row,
                         const char *value,
                         struct buffer *error)
{
    const char *equals = strchr(value, '=');

    (void)row;
    if (equals == NULL) {
        buffer_printf(error, "'%s' is not NAME=VALUE", value);
        return -EINVAL;
    }
    return option_set(c, (struct slice){value, (size_t)(equals - value)}, equals + 1, error);
}

int option_parse_format(struct config *c,
                        const struct option_row *row,
                        const char *value,
                        struct buffer *error)
{
    if (!log_format_parse(value, &c->log_format)) {
        buffer_printf(error, "'%s' is none of %s", value, row->help);
        return -EINVAL;
    }
    return 0;
}

int option_parse_level(struct config *c,
                       const struct option_row *row,
                       const char *value,
                       struct buffer *error)
{
    if (!log_level_parse(value, &c->log_level)) {
        buffer_printf(error, "'%s' is none of %s", value, row->help);
        return -EINVAL;
    }
    return 0;
}

bool option_is_setting(struct slice name)
{
    bool word_begins = true;
    size_t dots = 0;

    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = c >= '0' && c <= '9';
        if (!letter && (word_begins || (!digit && c != '.'))) {
            return false;
        }
        word_begins = c == '.';
        dots += c == '.' ? 1 : 0;
    }
    return dots > 0 && !word_begins;
}

int option_set(struct config *c, struct slice name, const char *value, struct buffer *error)
{
    if (!option_is_setting(name)) {
        buffer_printf(error, "'%.*s' is not a name like smtp.host", (int)name.size, name.data);
        return -EINVAL;
    }
    if (strchr(value, '\n') != NULL) {
        buffer_printf(error, "the value of %.*s has several lines", (int)name.size, name.data);
        return -EINVAL;
    }
    forget_setting(&c->settings, name);
    buffer_add_slice(&c->settings, name);
    buffer_printf(&c->settings, "=%s\n", value);
    return 0;
}

void option_free_list(char **list)
{
    for (char **item = list; item != NULL && *item != NULL; item++) {
        free(*item);
    }
    free((void *)list);
}

static void *field_of(struct config *c, const struct option_row *row)
{
    return (char *)c + row->offset;
}

static void replace(char **text, char *with)
{
    free(*text);
    *text = with;
}

static bool is_one_of(const char *value, const char *const *words)
{
    while (*words != NULL && strcasecmp(*words, value) != 0) {
        words++;
    }
    return *words != NULL;
}

static bool parse_yes_no(const char *value, bool *yes)
{
    static const char *const yes_words[] = {"yes", "true", "on", "1", NULL};
    static const char *const no_words[] = {"no", "false", "off", "0", NULL};

    if (!is_one_of(value, yes_words) && !is_one_of(value, no_words)) {
        return false;
    }
    *yes = is_one_of(value, yes_words);
    return true;
}

static void add_duration(struct buffer *out, int64_t ms)
{
    if (ms % 3600000 == 0 && ms > 0) {
        buffer_printf(out, "%lldh", (long long)(ms / 3600000));
    } else if (ms % 1000 == 0) {
        buffer_printf(out, "%llds", (long long)(ms / 1000));
    } else {
        buffer_printf(out, "%lldms", (long long)ms);
    }
}

static void add_size(struct buffer *out, int64_t bytes)
{
    static const char units[] = "KMGT";
    size_t unit = 0;

    bytes >>= 10;
    while (bytes % 1024 == 0 && unit + 2 < sizeof(units)) {
        bytes >>= 10;
        unit++;
    }
    buffer_printf(out, "%lld%c", (long long)bytes, units[unit]);
}

/* The text up to a comma, without blanks around it; *at is NULL behind the last. */
static struct slice next_name(const char **at)
{
    const char *start = *at + strspn(*at, " \t");
    size_t size = strcspn(start, ",");

    *at = start[size] == ',' ? start + size + 1 : NULL;
    while (size > 0 && (start[size - 1] == ' ' || start[size - 1] == '\t')) {
        size--;
    }
    return (struct slice){start, size};
}

/* Removes the line NAME=... if there is one. */
static void forget_setting(struct buffer *settings, struct slice name)
{
    size_t at = 0;

    while (at < settings->size) {
        char *line = settings->data + at;
        size_t size = (size_t)(strchr(line, '\n') + 1 - line);
        if (size > name.size && memcmp(line, name.data, name.size) == 0 && line[name.size] == '=') {
            memmove(line, line + size, settings->size - at - size + 1);
            settings->size -= size;
        } else {
            at += size;
        }
    }
}
