/*
 * smtp_session.h - one mail to one server, over a connection that is kept from the last mail or new.
 * The dialogue is ours, so that nothing blocks and a stop never sends half a mail.
 *
 *   (kept) -> RSET -> the mail          no answer, or no good one: as if there had been none
 *   (none) -> connect -> the mail
 */
#ifndef BINDINGS_SMTP_SESSION_H
#define BINDINGS_SMTP_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "bindings/smtp_dialog.h"
#include "bindings/smtp_link.h"

enum smtp_end {
    SMTP_END_SENT,    /* dialog.reply is the server's last word */
    SMTP_END_REFUSED, /* so it is here; its code is 0 if it made no sense */
    SMTP_END_CONNECT, /* result and link say why there is no session */
    SMTP_END_UTF8,    /* an address needs what the server does not offer */
    SMTP_END_LOST,    /* the connection broke */
    SMTP_END_TIMEOUT,
};

struct smtp_session {
    struct smtp_dialog dialog; /* fill in as for smtp_dialog_start() */
    void (*done)(struct smtp_session *s, enum smtp_end end); /* once; call close in it */
    void (*closed)(struct smtp_session *s);                  /* after close: free it */
    uint64_t timeout_ms;                                     /* for everything together */
    uint64_t idle_ms; /* how long its connection is kept for the next mail; 0: not at all */

    void *owner; /* whoever embeds it */

    CURLcode result;
    struct smtp_link *link; /* until closed */

    /* private */
    uv_timer_t timer;
    uint64_t deadline_ms; /* as uv_now() says it */
    size_t sent;          /* of dialog.out */
    bool may_keep;        /* the server expects a command */
};

/* done comes later, never from within. server is borrowed until this returns. */
void smtp_session_start(struct smtp_session *s,
                        struct smtp_links *links,
                        uv_loop_t *loop,
                        const struct smtp_server *server);

/* At any time; done is not called any more. The loop owns s until closed(). */
void smtp_session_close(struct smtp_session *s);

#endif
