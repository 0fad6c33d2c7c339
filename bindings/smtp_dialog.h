/*
 * smtp_dialog.h - the dialogue that hands a mail over, once the session is open. Moves no bytes
 * itself: what arrives goes in, what is to be sent is in `out`.
 *
 *   MAIL -> RCPT (each) -> DATA -> TEXT -> SENT       or from anywhere: REFUSED
 *
 * On a connection that has seen other mails RSET comes first, and STALE if it gets no good answer.
 */
#ifndef BINDINGS_SMTP_DIALOG_H
#define BINDINGS_SMTP_DIALOG_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/slice.h"

enum smtp_state {
    SMTP_RSET,
    SMTP_MAIL,
    SMTP_RCPT,
    SMTP_DATA,
    SMTP_TEXT,
    SMTP_SENT, /* this one and what follows are the end */
    SMTP_REFUSED,
    SMTP_STALE,
};

/* The last whole answer of the server. */
struct smtp_reply {
    int code;           /* 250; 0 while there was none, or it was no answer at all */
    struct buffer text; /* its lines, code included, joined with blanks */
    int lines;
    bool more; /* a further line of it must follow */
};

struct smtp_dialog {
    enum smtp_state state;
    char *from; /* owned, as is each of to; plain addresses */
    char **to;
    size_t nto;
    size_t next;           /* the recipient asked about, or the next one */
    struct buffer message; /* header and body */
    bool utf8;             /* an address needs SMTPUTF8 */
    struct buffer out;     /* what is to be sent; the caller shifts it */
    struct buffer in;
    struct smtp_reply reply;
};

/* Puts the first command into out. Fill in from, to, nto, message and utf8 before. */
void smtp_dialog_start(struct smtp_dialog *d, bool is_kept);

/* Before it is started again on another connection; only RSET may have been sent. */
void smtp_dialog_forget(struct smtp_dialog *d);

/* Takes what the server sent. Look at state afterwards. */
void smtp_dialog_read(struct smtp_dialog *d, struct slice bytes);

/* At its end: whether the server now expects a command, so that another mail may follow. */
bool smtp_dialog_may_go_on(const struct smtp_dialog *d);

void smtp_dialog_fini(struct smtp_dialog *d);

/* One line of an answer, its end included or not; true when the answer is whole. */
bool smtp_reply_add(struct smtp_reply *r, struct slice line);

/* The recipient that was refused, or NULL. Borrowed. */
const char *smtp_dialog_recipient(const struct smtp_dialog *d);

#endif
