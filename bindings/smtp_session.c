/* smtp_session.c - connect by libcurl, then pump bytes between its connection and the dialogue. */
#include "bindings/smtp_session.h"

#include <stdlib.h>

#include "core/base/mem.h"

#define BLOCK 4096

static size_t on_header(const char *data, size_t size, size_t count, void *arg);
static void on_connected(struct transfer *t, CURLcode result);
static void on_ready(uv_poll_t *poll, int status, int events);
static void on_timeout(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);

static void set_options(struct smtp_session *s, const struct smtp_server *server)
{
    CURL *easy = s->transfer.easy;

    (void)curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    (void)curl_easy_setopt(easy, CURLOPT_URL, server->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    (void)curl_easy_setopt(easy,
                           CURLOPT_USE_SSL,
                           (long)(server->starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, s->error);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, s);
    if (server->username != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_USERNAME, server->username);
        (void)curl_easy_setopt(easy, CURLOPT_PASSWORD, server->password);
    }
    if (server->ca_file != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, server->ca_file);
    }
}

void smtp_session_start(struct smtp_session *s,
                        struct transfers *set,
                        uv_loop_t *loop,
                        const struct smtp_server *server)
{
    transfer_init(&s->transfer, set);
    s->transfer.done = on_connected;
    s->transfer.owner = s;
    set_options(s, server);
    uv_update_time(loop); /* the run may have computed since the loop last looked */
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    s->open_handles = 1;
    uv_timer_start(&s->timer, on_timeout, server->timeout_ms, 0);
    transfer_start(&s->transfer);
}

/* What the server says while libcurl speaks with it. */
static size_t on_header(const char *data, size_t size, size_t count, void *arg)
{
    struct smtp_session *s = arg;
    struct slice line = {data, size * count};

    (void)smtp_reply_add(&s->dialog.reply, line);
    if (memmem(line.data, line.size, "SMTPUTF8", 8) != NULL) {
        s->server_utf8 = true;
    }
    return line.size;
}

static int flush(struct smtp_session *s)
{
    struct buffer *out = &s->dialog.out;

    while (s->sent < out->size) {
        size_t sent = 0;
        CURLcode result =
            curl_easy_send(s->transfer.easy, out->data + s->sent, out->size - s->sent, &sent);
        if (result == CURLE_AGAIN) {
            return 0;
        }
        if (result != CURLE_OK) {
            return -1;
        }
        s->sent += sent;
    }
    buffer_clear(out);
    s->sent = 0;
    return 0;
}

/* Everything that is there: what TLS holds back decrypted would not wake the poll again. */
static int receive(struct smtp_session *s)
{
    char block[BLOCK];

    while (s->dialog.state != SMTP_SENT && s->dialog.state != SMTP_REFUSED) {
        size_t got = 0;
        CURLcode result = curl_easy_recv(s->transfer.easy, block, sizeof(block), &got);
        if (result == CURLE_AGAIN) {
            return 0;
        }
        if (result != CURLE_OK || got == 0) {
            return -1;
        }
        smtp_dialog_read(&s->dialog, (struct slice){block, got});
        if (flush(s) != 0) {
            return -1;
        }
    }
    return 0;
}

static void watch(struct smtp_session *s)
{
    int events = UV_READABLE | (s->dialog.out.size > 0 ? UV_WRITABLE : 0);

    if (uv_poll_start(&s->poll, events, on_ready) != 0) {
        s->done(s, SMTP_END_LOST);
    }
}

static void pump(struct smtp_session *s)
{
    bool lost = flush(s) != 0 || receive(s) != 0;

    if (s->dialog.state == SMTP_SENT) { /* even if QUIT could not be said any more */
        s->done(s, SMTP_END_SENT);
    } else if (s->dialog.state == SMTP_REFUSED) {
        s->done(s, SMTP_END_REFUSED);
    } else if (lost) {
        s->done(s, SMTP_END_LOST);
    } else {
        watch(s);
    }
}

static void on_connected(struct transfer *t, CURLcode result)
{
    struct smtp_session *s = t->owner;
    curl_socket_t socket = CURL_SOCKET_BAD;

    s->result = result;
    if (result == CURLE_OK) {
        (void)curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &socket);
    }
    if (socket == CURL_SOCKET_BAD || uv_poll_init_socket(s->timer.loop, &s->poll, socket) != 0) {
        s->done(s, SMTP_END_CONNECT);
        return;
    }
    s->poll.data = s;
    s->open_handles++;
    if (s->dialog.utf8 && !s->server_utf8) {
        s->done(s, SMTP_END_UTF8);
        return;
    }
    smtp_dialog_start(&s->dialog);
    pump(s);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct smtp_session *s = poll->data;
    (void)events;

    if (status < 0) {
        s->done(s, SMTP_END_LOST);
    } else {
        pump(s);
    }
}

static void on_timeout(uv_timer_t *timer)
{
    struct smtp_session *s = timer->data;

    s->done(s, SMTP_END_TIMEOUT);
}

/* The poll handle goes before the socket that it watches. */
void smtp_session_close(struct smtp_session *s)
{
    if (s->open_handles > 1) {
        uv_close((uv_handle_t *)&s->poll, on_closed);
    }
    uv_close((uv_handle_t *)&s->timer, on_closed);
    transfer_fini(&s->transfer);
}

static void on_closed(uv_handle_t *handle)
{
    struct smtp_session *s = handle->data;

    if (--s->open_handles == 0) {
        smtp_dialog_fini(&s->dialog);
        s->closed(s);
    }
}
