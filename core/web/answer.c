/* answer.c - a status, lines, an empty line, the rest. A route cannot smuggle: each line is looked at. */
#include "core/web/answer.h"

#include <ctype.h>
#include <errno.h>

#include "core/base/json_text.h"

static int unpack(struct slice json, struct buffer *text)
{
    struct json_reader r = json_reader_of(json);
    struct slice raw;
    bool escaped;

    if (json_peek(&r) != '"' || json_read_string(&r, &raw, &escaped) != 0 ||
        json_read_end(&r) != 0) {
        return -EBADMSG;
    }
    buffer_clear(text);
    if (escaped) {
        buffer_grew(text, json_unescape(raw, buffer_reserve(text, raw.size)));
    } else {
        buffer_add_slice(text, raw);
    }
    return 0;
}

/* What stands before the next CRLF, which is taken away with it; false if there is none. */
static bool take_line(struct slice *rest, struct slice *line)
{
    const char *end = rest->size == 0 ? NULL : memmem(rest->data, rest->size, "\r\n", 2);

    if (end == NULL) {
        return false;
    }
    *line = (struct slice){rest->data, (size_t)(end - rest->data)};
    rest->data += line->size + 2;
    rest->size -= line->size + 2;
    return true;
}

static bool is_status(struct slice s, unsigned *status)
{
    if (s.size != 3 || s.data[0] < '2' || s.data[0] > '5' || !isdigit((unsigned char)s.data[1]) ||
        !isdigit((unsigned char)s.data[2])) {
        return false;
    }
    *status = (unsigned)((s.data[0] - '0') * 100 + (s.data[1] - '0') * 10 + (s.data[2] - '0'));
    return true;
}

static bool is_field(struct slice line)
{
    size_t name = 0;

    while (name < line.size &&
           (isalnum((unsigned char)line.data[name]) || line.data[name] == '-')) {
        name++;
    }
    for (size_t i = name; i < line.size; i++) {
        unsigned char c = (unsigned char)line.data[i];
        if (c < 0x20 || c == 0x7f) {
            return false;
        }
    }
    return name > 0 && name + 1 < line.size && line.data[name] == ':' && line.data[name + 1] == ' ';
}

int answer_read(struct slice json, struct buffer *text, struct http_answer *a)
{
    struct slice line;

    if (unpack(json, text) != 0) {
        return -EBADMSG;
    }
    struct slice rest = buffer_slice(text);
    *a = (struct http_answer){0};
    if (!take_line(&rest, &line) || !is_status(line, &a->status)) {
        return -EBADMSG;
    }
    a->fields.data = rest.data;
    while (take_line(&rest, &line)) {
        if (line.size == 0) {
            a->fields.size = (size_t)(line.data - a->fields.data);
            a->body = rest;
            return 0;
        }
        if (!is_field(line)) {
            return -EBADMSG;
        }
    }
    return -EBADMSG;
}
