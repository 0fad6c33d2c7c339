/* smtp_dialog.c - RFC 5321, the client's side of one mail. */
#include "bindings/smtp_dialog.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"

/* A server that says more than this in one answer is none. */
#define REPLY_MAX       ((size_t)4096)
#define LINE_MAX_BYTES  ((size_t)4096)
#define REPLY_LINES_MAX 200

static void ask_to_mail(struct smtp_dialog *d)
{
    d->state = SMTP_MAIL;
    buffer_printf(&d->out, "MAIL FROM:<%s>%s\r\n", d->from, d->utf8 ? " SMTPUTF8" : "");
}

void smtp_dialog_start(struct smtp_dialog *d, bool is_kept)
{
    if (is_kept) {
        d->state = SMTP_RSET;
        buffer_add_text(&d->out, "RSET\r\n");
    } else {
        ask_to_mail(d);
    }
}

void smtp_dialog_forget(struct smtp_dialog *d)
{
    d->state = SMTP_MAIL;
    buffer_clear(&d->out);
    buffer_clear(&d->in);
    buffer_clear(&d->reply.text);
    d->reply.code = 0;
    d->reply.more = false;
}

void smtp_dialog_fini(struct smtp_dialog *d)
{
    for (size_t i = 0; i < d->nto; i++) {
        free(d->to[i]);
    }
    free(d->to);
    free(d->from);
    buffer_fini(&d->message);
    buffer_fini(&d->out);
    buffer_fini(&d->in);
    buffer_fini(&d->reply.text);
}

const char *smtp_dialog_recipient(const struct smtp_dialog *d)
{
    return d->state == SMTP_REFUSED && d->next > 0 ? d->to[d->next - 1] : NULL;
}

static int code_of(struct slice line)
{
    int code = 0;

    if (line.size < 3 || (line.size > 3 && line.data[3] != ' ' && line.data[3] != '-')) {
        return 0;
    }
    for (int i = 0; i < 3; i++) {
        if (line.data[i] < '0' || line.data[i] > '9') {
            return 0;
        }
        code = code * 10 + (line.data[i] - '0');
    }
    return code;
}

bool smtp_reply_add(struct smtp_reply *r, struct slice line)
{
    while (line.size > 0 &&
           (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r')) {
        line.size--;
    }
    if (!r->more) {
        buffer_clear(&r->text);
        r->lines = 0;
    }
    r->code = ++r->lines > REPLY_LINES_MAX ? 0 : code_of(line);
    r->more = r->code != 0 && line.size > 3 && line.data[3] == '-';
    if (r->text.size > 0) { /* only the first line's code is worth reading */
        buffer_add_char(&r->text, ' ');
        line.data += line.size > 4 ? 4 : line.size;
        line.size -= line.size > 4 ? 4 : line.size;
    }
    if (r->text.size + line.size < REPLY_MAX) {
        text_add_clean(&r->text, line, REPLY_MAX);
    }
    return !r->more;
}

/*
 * The message with every line end as CR LF, whatever it was, and every line that starts with a dot
 * given another. A lone CR or LF must not pass: some servers would see the end of the mail there.
 */
static void add_message(struct smtp_dialog *d)
{
    const char *p = d->message.data;
    const char *end = p + d->message.size;

    while (p < end) {
        const char *start = p;
        while (p < end && *p != '\r' && *p != '\n') {
            p++;
        }
        if (start < end && *start == '.') {
            buffer_add_char(&d->out, '.');
        }
        buffer_add(&d->out, start, (size_t)(p - start));
        buffer_add(&d->out, "\r\n", 2);
        p += p + 1 < end && p[0] == '\r' && p[1] == '\n' ? 2 : 1;
    }
    buffer_add_text(&d->out, ".\r\n");
    buffer_fini(&d->message);
}

static void ask_next_recipient(struct smtp_dialog *d)
{
    if (d->next < d->nto) {
        d->state = SMTP_RCPT;
        buffer_printf(&d->out, "RCPT TO:<%s>\r\n", d->to[d->next++]);
    } else {
        d->state = SMTP_DATA;
        d->next = 0; /* from here on no single one is meant */
        buffer_add_text(&d->out, "DATA\r\n");
    }
}

static void refuse(struct smtp_dialog *d)
{
    d->state = d->state == SMTP_RSET ? SMTP_STALE : SMTP_REFUSED;
}

/* The answer is whole: the next command, or the end. */
static void on_reply(struct smtp_dialog *d)
{
    int expected = d->state == SMTP_DATA ? 3 : 2;

    if (d->reply.code / 100 != expected) {
        refuse(d);
        return;
    }
    switch (d->state) {
    case SMTP_RSET: ask_to_mail(d); break;
    case SMTP_MAIL:
    case SMTP_RCPT: ask_next_recipient(d); break;
    case SMTP_DATA:
        d->state = SMTP_TEXT;
        add_message(d);
        break;
    default: d->state = SMTP_SENT; break;
    }
}

static bool is_over(const struct smtp_dialog *d)
{
    return d->state >= SMTP_SENT;
}

void smtp_dialog_read(struct smtp_dialog *d, struct slice bytes)
{
    buffer_add_slice(&d->in, bytes);
    while (!is_over(d)) {
        const char *end = d->in.size == 0 ? NULL : memchr(d->in.data, '\n', d->in.size);
        if (end == NULL) {
            break;
        }
        size_t size = (size_t)(end - d->in.data) + 1;
        bool whole = smtp_reply_add(&d->reply, (struct slice){d->in.data, size});
        buffer_shift(&d->in, size);
        if (whole) {
            on_reply(d);
        }
    }
    if (d->in.size > LINE_MAX_BYTES) {
        d->reply.code = 0;
        refuse(d);
    }
}

/* 421 is the server's goodbye; and what came too early, or was not wanted any more, is in the way. */
bool smtp_dialog_may_go_on(const struct smtp_dialog *d)
{
    bool is_answer = d->state == SMTP_SENT ||
                     (d->state == SMTP_REFUSED && d->reply.code >= 400 && d->reply.code != 421);

    return is_answer && d->in.size == 0 && d->out.size == 0;
}
