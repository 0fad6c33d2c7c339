/* smtp_session.c - finds a connection, then pumps bytes between it and the dialogue. */
#include "bindings/smtp_session.h"

#include <errno.h>

#define BLOCK 4096

/* A server that lives answers RSET at once: nothing is to be done for it. */
#define RESET_MS 5000

static void on_line(void *user, struct slice line);
static void on_connected(void *user, CURLcode result);
static void on_ready(void *user, bool is_lost);
static void on_timeout(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);
static void pump(struct smtp_session *s);
static void replace_link(struct smtp_session *s);

static const struct smtp_link_events events = {on_line, on_connected, on_ready};

static void wait_for(struct smtp_session *s, uint64_t ms)
{
    uv_timer_start(&s->timer, on_timeout, ms, 0);
}

static void wait_for_rest(struct smtp_session *s)
{
    uint64_t now_ms = uv_now(s->timer.loop);

    wait_for(s, s->deadline_ms > now_ms ? s->deadline_ms - now_ms : 0);
}

/* Asks the kept connection whether it is one; what it says comes from the loop. */
static void try_kept(struct smtp_session *s)
{
    uint64_t half = s->timeout_ms / 2;

    smtp_dialog_start(&s->dialog, true);
    if (smtp_link_watch(s->link, true) != 0) {
        replace_link(s);
        return;
    }
    wait_for(s, half < RESET_MS ? half : RESET_MS);
}

void smtp_session_start(struct smtp_session *s,
                        struct smtp_links *links,
                        uv_loop_t *loop,
                        const struct smtp_server *server)
{
    uv_update_time(loop); /* the run may have computed since the loop last looked */
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    s->deadline_ms = uv_now(loop) + s->timeout_ms;
    s->link = s->idle_ms == 0 ? NULL : smtp_link_take(links, server, &events, s);
    if (s->link != NULL) {
        try_kept(s);
    } else {
        s->link = smtp_link_open(links, server, &events, s);
        wait_for_rest(s);
    }
}

/* Nothing of the mail was sent yet, so it is not sent twice. Not another kept one: one try is enough. */
static void replace_link(struct smtp_session *s)
{
    struct smtp_link *stale = s->link;

    smtp_dialog_forget(&s->dialog);
    s->sent = 0;
    s->link = smtp_link_open(stale->links, &stale->server, &events, s);
    smtp_link_close(stale);
    wait_for_rest(s);
}

/* What the server says while libcurl speaks with it. */
static void on_line(void *user, struct slice line)
{
    struct smtp_session *s = user;

    (void)smtp_reply_add(&s->dialog.reply, line);
}

static void on_connected(void *user, CURLcode result)
{
    struct smtp_session *s = user;

    s->result = result;
    if (result != CURLE_OK) {
        s->done(s, SMTP_END_CONNECT);
        return;
    }
    smtp_dialog_start(&s->dialog, false);
    pump(s);
}

static int flush(struct smtp_session *s)
{
    struct buffer *out = &s->dialog.out;

    while (s->sent < out->size) {
        ssize_t sent =
            smtp_link_send(s->link, (struct slice){out->data + s->sent, out->size - s->sent});
        if (sent < 0) {
            return sent == -EAGAIN ? 0 : -EPIPE;
        }
        s->sent += (size_t)sent;
    }
    buffer_clear(out);
    s->sent = 0;
    return 0;
}

static bool is_over(const struct smtp_session *s)
{
    return s->dialog.state >= SMTP_SENT;
}

/* Everything that is there: what TLS holds back decrypted would not wake the poll again. */
static int receive(struct smtp_session *s)
{
    char block[BLOCK];

    while (!is_over(s)) {
        ssize_t got = smtp_link_receive(s->link, block, sizeof(block));
        if (got < 0) {
            return got == -EAGAIN ? 0 : -EPIPE;
        }
        bool was_kept = s->dialog.state == SMTP_RSET;
        smtp_dialog_read(&s->dialog, (struct slice){block, (size_t)got});
        if (was_kept && s->dialog.state != SMTP_RSET) {
            wait_for_rest(s);
        }
        if (flush(s) != 0) {
            return -EPIPE;
        }
    }
    return 0;
}

static void pump(struct smtp_session *s)
{
    if (s->dialog.utf8 && !s->link->takes_utf8) {
        s->may_keep = true; /* nothing was sent */
        s->done(s, SMTP_END_UTF8);
        return;
    }
    bool is_lost = flush(s) != 0 || receive(s) != 0;

    if (s->dialog.state == SMTP_STALE || (is_lost && s->dialog.state == SMTP_RSET)) {
        replace_link(s);
    } else if (is_over(s)) {
        s->may_keep = smtp_dialog_may_go_on(&s->dialog);
        s->done(s, s->dialog.state == SMTP_SENT ? SMTP_END_SENT : SMTP_END_REFUSED);
    } else if (is_lost || smtp_link_watch(s->link, s->dialog.out.size > 0) != 0) {
        s->done(s, SMTP_END_LOST);
    }
}

static void on_ready(void *user, bool is_lost)
{
    struct smtp_session *s = user;

    if (!is_lost) {
        pump(s);
    } else if (s->dialog.state == SMTP_RSET) {
        replace_link(s);
    } else {
        s->done(s, SMTP_END_LOST);
    }
}

static void on_timeout(uv_timer_t *timer)
{
    struct smtp_session *s = timer->data;

    if (s->dialog.state == SMTP_RSET) {
        replace_link(s);
    } else {
        s->done(s, SMTP_END_TIMEOUT);
    }
}

void smtp_session_close(struct smtp_session *s)
{
    if (s->may_keep) {
        smtp_link_keep(s->link, s->idle_ms);
    } else {
        smtp_link_close(s->link);
    }
    uv_close((uv_handle_t *)&s->timer, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    struct smtp_session *s = handle->data;

    smtp_dialog_fini(&s->dialog);
    s->closed(s);
}
