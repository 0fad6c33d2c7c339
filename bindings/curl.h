/*
 * curl.h - libcurl on the executor's loop: any number of transfers, none of which blocks it.
 *
 * One set a Lua state, made at first use. Not for libcurl's own SMTP: its last step waits for the
 * server's verdict inside the call (7.88), so smtp.c only has the connection made here.
 */
#ifndef BINDINGS_CURL_H
#define BINDINGS_CURL_H

#include <curl/curl.h>

#include <lua.h>

struct transfers;

/* One transfer; embed it. */
struct transfer {
    CURL *easy; /* owned: transfer_init() to transfer_fini() */
    struct transfers *set;
    void *owner; /* whoever embeds it, for done() */

    /* It is over, once, from the loop. easy still answers curl_easy_getinfo(). */
    void (*done)(struct transfer *t, CURLcode result);
};

/* The state's set. May raise, so call it while arguments are checked. Borrowed. */
struct transfers *transfers_of(lua_State *L);

/* An easy handle with what all of ours need; set options, then start. */
void transfer_init(struct transfer *t, struct transfers *set);
void transfer_start(struct transfer *t);

/* Frees it at any time outside of libcurl's callbacks, started or not; done() is not called. */
void transfer_fini(struct transfer *t);

#endif
