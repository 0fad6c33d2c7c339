/*
 * http_exchange.h - one request and its reply, redirects included, by libcurl; bodies come from and
 * go to memory or files.
 *
 * What the peer sends is limited after it was unpacked. Addresses that are not public are refused
 * where the socket is made, and again when a connection is used anew.
 */
#ifndef BINDINGS_HTTP_EXCHANGE_H
#define BINDINGS_HTTP_EXCHANGE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "bindings/curl.h"
#include "bindings/file_stream.h"

enum http_end {
    HTTP_END_REPLY,     /* status, head, and a body in content or in the file */
    HTTP_END_FAILED,    /* result and error say why there is no reply */
    HTTP_END_PRIVATE,   /* refused lies in no public range */
    HTTP_END_TOO_LARGE, /* more than limit */
    HTTP_END_FILE,      /* file_error, of from_file or to_file */
};

enum http_version {
    HTTP_VERSION_AUTO, /* HTTP/2 where TLS agrees on it */
    HTTP_VERSION_1,
    HTTP_VERSION_2, /* also in the open, without asking first */
};

/* All borrowed until http_exchange_start() returns; NULL where there is none. */
struct http_options {
    const char *method;         /* upper case */
    const char *url;            /* http:// or https:// */
    const char *const *headers; /* "Name: value", NULL behind the last */
    struct slice body;          /* data NULL: none */
    const char *from_file;      /* instead of body */
    const char *to_file;        /* for the body of a 2xx reply */
    const char *ca_file;        /* NULL: the system's */
    const char *cert_file;
    const char *key_file;
    const char *key_password;
    const char *username;
    const char *password;
    const char *proxy; /* NULL: none, whatever the environment says */
    const char *no_proxy;
    int64_t limit; /* bytes of the reply's body */
    long timeout_ms;
    long connect_timeout_ms;
    long redirects; /* at most; 0: a redirect is a reply */
    enum http_version version;
    bool allow_private;
};

struct http_exchange {
    void (*done)(struct http_exchange *x, enum http_end end); /* once; call close in it, or later */
    void (*closed)(struct http_exchange *x); /* after close, perhaps within it: free it */
    void *owner;

    CURLcode result;
    char error[CURL_ERROR_SIZE];
    char refused[64]; /* an address */
    int file_error;
    const char *failed_file; /* which one; borrowed until close */
    struct buffer head;      /* of the last reply: status line and header lines */
    struct buffer content;   /* the body that went to no file */
    int64_t received;        /* bytes of the body, unpacked */

    /* private */
    struct transfer transfer;
    struct curl_slist *lines; /* owned */
    char *body;               /* owned */
    struct file_reader reader;
    struct file_writer writer;
    int64_t limit;
    bool allow_private;
    bool reads_file;
    bool wants_file;  /* to_file was given */
    bool writes_file; /* and the reply is such that it gets there */
    bool has_body;    /* some of it came */
    bool read_paused;
    bool write_paused;
    bool too_large;
    bool is_started; /* done() was not called yet, and curl knows of it */
    bool is_closing;
};

/* x is all zero but for done, closed and owner. done comes later, never from within. */
void http_exchange_start(struct http_exchange *x,
                         struct transfers *set,
                         uv_loop_t *loop,
                         const struct http_options *options);

/* At any time; done is not called any more. */
void http_exchange_close(struct http_exchange *x);

#endif
