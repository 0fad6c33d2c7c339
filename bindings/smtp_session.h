/*
 * smtp_session.h - one mail to one server: libcurl connects, speaks TLS and logs in; then the
 * dialogue is ours, so that nothing blocks and a stop never sends half a mail.
 */
#ifndef BINDINGS_SMTP_SESSION_H
#define BINDINGS_SMTP_SESSION_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "bindings/curl.h"
#include "bindings/smtp_dialog.h"

enum smtp_end {
    SMTP_END_SENT,    /* dialog.reply is the server's last word */
    SMTP_END_REFUSED, /* so it is here; its code is 0 if it made no sense */
    SMTP_END_CONNECT, /* result and error say why there is no session */
    SMTP_END_UTF8,    /* an address needs what the server does not offer */
    SMTP_END_LOST,    /* the connection broke */
    SMTP_END_TIMEOUT,
};

/* All borrowed until smtp_session_start() returns; NULL where there is none. */
struct smtp_server {
    const char *url; /* smtp:// or smtps:// */
    bool starttls;
    const char *username;
    const char *password;
    const char *ca_file;
    uint64_t timeout_ms; /* for everything together */
};

struct smtp_session {
    struct smtp_dialog dialog; /* fill in as for smtp_dialog_start() */
    void (*done)(struct smtp_session *s, enum smtp_end end); /* once; call close in it */
    void (*closed)(struct smtp_session *s);                  /* after close: free it */

    void *owner; /* whoever embeds it */

    CURLcode result;
    char error[CURL_ERROR_SIZE];

    /* private */
    struct transfer transfer;
    uv_poll_t poll;
    uv_timer_t timer;
    int open_handles;
    size_t sent; /* of dialog.out */
    bool server_utf8;
};

/* done comes later, never from within. */
void smtp_session_start(struct smtp_session *s,
                        struct transfers *set,
                        uv_loop_t *loop,
                        const struct smtp_server *server);

/* At any time; done is not called any more. The loop owns s until closed(). */
void smtp_session_close(struct smtp_session *s);

#endif
