/*
 * log.c - text for people, logfmt and JSON for programs.
 *
 * text    14:02:11.204 warn  job failed  job_id=42 error="no such file"
 * logfmt  time=2026-02-03T14:02:11.204Z level=warn msg="job failed" job_id=42 error="no such file"
 * json    {"time":"2026-02-03T14:02:11.204Z","level":"warn","msg":"job failed","job_id":42, ...}
 *
 * Values come from users. Whatever could end a line, close a quote, or speak to a terminal leaves
 * escaped, so no value can forge a line or a field.
 */
#include "core/base/log.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"
#include "core/base/text.h"

/* With a few fields beside it a line stays below PIPE_BUF, so processes never mix their lines. */
#define LONGEST_VALUE 3000

/* A reader of our stderr that stands still longer than that misses lines; jobs go on. */
#define WRITE_WAIT_MS 100

static struct {
    enum log_level level;
    enum log_format format;
    bool coloured;
} settings = {.level = LOG_INFO, .format = LOG_FORMAT_LOGFMT};

static const char *const level_names[] =
    {[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};
static const char *const level_colours[] =
    {[LOG_DEBUG] = "\033[2m", [LOG_INFO] = "", [LOG_WARN] = "\033[33m", [LOG_ERROR] = "\033[31m"};
static const char *const format_names[] =
    {[LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_LOGFMT] = "logfmt", [LOG_FORMAT_JSON] = "json"};

static bool wants_colour(void);
static void add_text_head(struct buffer *line, enum log_level level, const char *message);
static void add_logfmt_head(struct buffer *line, enum log_level level, const char *message);
static void add_json_head(struct buffer *line, enum log_level level, const char *message);
static void add_plain_field(struct buffer *line, const struct log_field *f);
static void add_json_field(struct buffer *line, const struct log_field *f);
static void add_time(struct buffer *line);
static void add_key(struct buffer *line, const char *key);
static void add_value(struct buffer *line, struct slice value);
static void add_quoted(struct buffer *line, struct slice value);
static void add_escaped(struct buffer *line, struct slice value);
static void add_real(struct buffer *line, double value, bool json);
static void write_line(const struct buffer *line);

void log_configure(enum log_level level, enum log_format format)
{
    settings.level = level;
    settings.format = format;
    settings.coloured = format == LOG_FORMAT_TEXT && wants_colour();
}

bool log_enabled(enum log_level level)
{
    return level >= settings.level;
}

bool log_level_parse(const char *text, enum log_level *level)
{
    for (size_t i = 0; i < LENGTH_OF(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(const char *text, enum log_format *format)
{
    for (size_t i = 0; i < LENGTH_OF(format_names); i++) {
        if (strcmp(text, format_names[i]) == 0) {
            *format = (enum log_format)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    struct buffer line = {0};
    bool json = settings.format == LOG_FORMAT_JSON;

    if (!log_enabled(level)) {
        return;
    }
    switch (settings.format) {
    case LOG_FORMAT_TEXT: add_text_head(&line, level, message); break;
    case LOG_FORMAT_LOGFMT: add_logfmt_head(&line, level, message); break;
    case LOG_FORMAT_JSON: add_json_head(&line, level, message); break;
    }
    if (settings.format == LOG_FORMAT_TEXT && fields[1].key != NULL) {
        buffer_add_char(&line, ' ');
    }
    for (const struct log_field *f = fields + 1; f->key != NULL; f++) {
        if (json) {
            add_json_field(&line, f);
        } else {
            add_plain_field(&line, f);
        }
    }
    buffer_add_text(&line, json ? "}\n" : "\n");
    write_line(&line);
    buffer_fini(&line);
}

/* no-color.org: the variable counts when it is not empty. */
static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && (no_color == NULL || *no_color == 0) && term != NULL &&
           strcmp(term, "dumb") != 0;
}

/* People read local time; two blanks end the message. */
static void add_text_head(struct buffer *line, enum log_level level, const char *message)
{
    struct timespec now;
    struct tm local;
    const char *colour = settings.coloured ? level_colours[level] : "";

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    buffer_printf(line,
                  "%02d:%02d:%02d.%03d ",
                  local.tm_hour,
                  local.tm_min,
                  local.tm_sec,
                  (int)(now.tv_nsec / 1000000));
    buffer_printf(line, "%s%-5s%s ", colour, level_names[level], *colour == 0 ? "" : "\033[0m");
    add_escaped(line, slice_of(message));
}

static void add_logfmt_head(struct buffer *line, enum log_level level, const char *message)
{
    buffer_add_text(line, "time=");
    add_time(line);
    buffer_printf(line, " level=%s msg=", level_names[level]);
    add_value(line, slice_of(message));
}

static void add_json_head(struct buffer *line, enum log_level level, const char *message)
{
    buffer_add_text(line, "{\"time\":\"");
    add_time(line);
    buffer_printf(line, "\",\"level\":\"%s\",\"msg\":", level_names[level]);
    add_quoted(line, slice_of(message));
}

static void add_plain_field(struct buffer *line, const struct log_field *f)
{
    buffer_add_char(line, ' ');
    add_key(line, f->key);
    buffer_add_char(line, '=');
    switch (f->type) {
    case LOG_FIELD_INT: buffer_printf(line, "%lld", (long long)f->value.integer); break;
    case LOG_FIELD_REAL: add_real(line, f->value.real, false); break;
    case LOG_FIELD_SLICE: add_value(line, f->value.slice); break;
    }
}

static void add_json_field(struct buffer *line, const struct log_field *f)
{
    buffer_add_char(line, ',');
    add_quoted(line, slice_of(f->key));
    buffer_add_char(line, ':');
    switch (f->type) {
    case LOG_FIELD_INT: buffer_printf(line, "%lld", (long long)f->value.integer); break;
    case LOG_FIELD_REAL: add_real(line, f->value.real, true); break;
    case LOG_FIELD_SLICE: add_quoted(line, f->value.slice); break;
    }
}

static void add_time(struct buffer *line)
{
    struct timespec now;
    struct tm utc;
    char text[sizeof("2026-02-03T14:02:11")];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    if (strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        text[0] = 0;
    }
    buffer_printf(line, "%s.%03dZ", text, (int)(now.tv_nsec / 1000000));
}

static bool is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7F && c != '"' && c != '=' && c != '\\';
}

static void add_key(struct buffer *line, const char *key)
{
    for (; *key != 0; key++) {
        bool plain = is_plain((unsigned char)*key);
        buffer_add(line, plain ? key : "_", 1);
    }
}

static void add_value(struct buffer *line, struct slice value)
{
    bool plain = value.size > 0 && value.size <= LONGEST_VALUE;

    for (size_t i = 0; i < value.size && plain; i++) {
        plain = is_plain((unsigned char)value.data[i]);
    }
    if (plain) {
        buffer_add_slice(line, value);
    } else {
        add_quoted(line, value);
    }
}

static void add_quoted(struct buffer *line, struct slice value)
{
    buffer_add_char(line, '"');
    add_escaped(line, value);
    buffer_add_char(line, '"');
}

/* C0 and C1 controls drive terminals; these others break lines or turn their direction around. */
static bool is_hidden(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x200B && code <= 0x200F) ||
           (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0xFEFF;
}

static void add_character(struct buffer *line, uint32_t code, struct slice bytes)
{
    if (code == '"' || code == '\\') {
        buffer_printf(line, "\\%c", (char)code);
    } else if (code == '\n') {
        buffer_add_text(line, "\\n");
    } else if (code == '\t') {
        buffer_add_text(line, "\\t");
    } else if (is_hidden(code)) {
        buffer_printf(line, "\\u%04x", (unsigned)code);
    } else {
        buffer_add_slice(line, bytes);
    }
}

static void add_escaped(struct buffer *line, struct slice value)
{
    struct buffer clean = {0};

    text_add_clean(&clean, value, LONGEST_VALUE);
    struct slice rest = buffer_slice(&clean);
    while (rest.size > 0) {
        uint32_t code = 0;
        size_t size = text_character(rest, &code);
        add_character(line, code, (struct slice){rest.data, size});
        rest.data += size;
        rest.size -= size;
    }
    buffer_fini(&clean);
}

/* JSON has no word for infinity or not-a-number. */
static void add_real(struct buffer *line, double value, bool json)
{
    if (json && !isfinite(value)) {
        buffer_add_text(line, "null");
    } else {
        buffer_printf(line, "%.15g", value);
    }
}

/* True if a write that failed may be tried again. */
static bool can_write_again(void)
{
    struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};

    return errno == EINTR || (errno == EAGAIN && poll(&writable, 1, WRITE_WAIT_MS) > 0);
}

/* One write, so lines of several processes do not mix; the loop is for the rare partial one. */
static void write_line(const struct buffer *line)
{
    size_t sent = 0;
    int error = errno;

    while (sent < line->size) {
        ssize_t n = write(STDERR_FILENO, line->data + sent, line->size - sent);
        if (n >= 0) {
            sent += (size_t)n;
        } else if (!can_write_again()) {
            break;
        }
    }
    errno = error;
}
