/*
 * smtp_link.h - connections to mail servers, logged in by libcurl, and kept for the next mail.
 *
 *   open --> connecting --> in use <--> idle --> closed
 *
 * An idle one holds up nobody: neither the end of the process nor, when the server has closed it, the
 * next mail, since that is noticed at once, or else by whoever takes it.
 */
#ifndef BINDINGS_SMTP_LINK_H
#define BINDINGS_SMTP_LINK_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <uv.h>

#include "core/base/mem.h"
#include "core/base/slice.h"

#include "bindings/curl.h"

struct smtp_link;
struct smtp_links;

/* NULL where there is none. */
struct smtp_server {
    const char *url; /* smtp:// or smtps:// */
    bool starttls;
    const char *username;
    const char *password;
    const char *ca_file;
};

/* What its user wants to hear; calls come from the loop, and may close or keep the link. */
struct smtp_link_events {
    void (*line)(void *user, struct slice line); /* what the server says while it connects */
    void (*connected)(void *user, CURLcode result);
    void (*ready)(void *user, bool is_lost); /* to receive, or to send if asked for */
};

struct smtp_link {
    struct smtp_links *links; /* borrowed */
    struct smtp_server server;
    const struct smtp_link_events *events; /* static */
    void *user;                            /* NULL while idle */
    bool takes_utf8;                       /* the server offers SMTPUTF8 */
    char error[CURL_ERROR_SIZE];

    /* private */
    struct transfer transfer;
    uv_poll_t poll;
    uv_timer_t timer;
    int open_handles;
    char *texts[4]; /* owned; what server consists of */
    size_t ntexts;
    TAILQ_ENTRY(smtp_link) entry; /* among the idle ones */
};

/* Those of the state. May raise, so call it while arguments are checked. Borrowed. */
struct smtp_links *smtp_links_of(lua_State *L);

/* An idle one to that very server, with the same login; or NULL. */
struct smtp_link *smtp_link_take(struct smtp_links *links,
                                 const struct smtp_server *server,
                                 const struct smtp_link_events *events,
                                 void *user);

/* A new one; connected() comes later, never from within. server is copied. */
struct smtp_link *smtp_link_open(struct smtp_links *links,
                                 const struct smtp_server *server,
                                 const struct smtp_link_events *events,
                                 void *user);

/* All that can be sent, or received, now: how much; -EAGAIN; or -EPIPE when the connection is over. */
MUST_USE ssize_t smtp_link_send(struct smtp_link *l, struct slice bytes);
MUST_USE ssize_t smtp_link_receive(struct smtp_link *l, char *to, size_t size);

/* From here on ready() is called; to_send: also when there is room to send. */
MUST_USE int smtp_link_watch(struct smtp_link *l, bool to_send);

/* The system's word for why it could not connect; 0 if there is none. */
int smtp_link_errno(const struct smtp_link *l);

/* For the next mail, as long as that; 0: says QUIT and closes. The server must expect a command. */
void smtp_link_keep(struct smtp_link *l, uint64_t idle_ms);

/* At any time. The loop owns l from here on. */
void smtp_link_close(struct smtp_link *l);

#endif
