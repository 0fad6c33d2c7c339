/* http_exchange.c - options for libcurl, and the callbacks in which it asks and tells. */
#include "bindings/http_exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/base/mem.h"

#include "bindings/http_address.h"

/* Header lines of one reply: more than any server sends, less than would hurt. */
#define HEAD_MAX ((size_t)256 << 10)

#define ENCODINGS_ANY  "" /* all that libcurl knows */
/* A pause keeps what a block unpacks to: a thousandfold is bearable, zstd and brotli are not. */
#define ENCODINGS_TAME "gzip, deflate"

static size_t on_header(const char *data, size_t size, size_t count, void *arg);
static size_t on_body(const char *data, size_t size, size_t count, void *arg);
static size_t on_read(char *to, size_t size, size_t count, void *arg);
static int on_seek(void *arg, curl_off_t offset, int origin);
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address);
static int on_connected(void *arg, char *peer, char *local, int peer_port, int local_port);
static void on_done(struct transfer *t, CURLcode result);
static void on_read_step(struct file_reader *r);
static void on_write_step(struct file_writer *w);

static void set_text(CURL *easy, CURLoption option, const char *text)
{
    if (text != NULL) {
        (void)curl_easy_setopt(easy, option, text);
    }
}

static void set_method(struct http_exchange *x, const struct http_options *o)
{
    CURL *easy = x->transfer.easy;

    if (o->from_file != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        (void)curl_easy_setopt(easy, CURLOPT_READDATA, x);
        (void)curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        (void)curl_easy_setopt(easy, CURLOPT_SEEKDATA, x);
    } else if (o->body.data != NULL) {
        x->body = mem_copy(o->body.data, o->body.size);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.size);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, x->body);
    } else if (strcmp(o->method, "HEAD") == 0) {
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, o->method);
}

static void set_headers(struct http_exchange *x, const struct http_options *o)
{
    for (const char *const *line = o->headers; *line != NULL; line++) {
        x->lines = curl_slist_append(x->lines, *line);
    }
    x->lines = curl_slist_append(x->lines, "Expect:"); /* no 100-continue: many servers ignore it */
    (void)curl_easy_setopt(x->transfer.easy, CURLOPT_HTTPHEADER, x->lines);
}

static void set_peer(struct http_exchange *x, const struct http_options *o)
{
    CURL *easy = x->transfer.easy;
    bool is_secure = strncmp(o->url, "https:", 6) == 0;

    (void)curl_easy_setopt(easy, CURLOPT_URL, o->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, is_secure ? "https" : "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, o->redirects > 0 ? 1L : 0L);
    (void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, o->redirects);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, o->proxy == NULL ? "" : o->proxy);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, o->no_proxy == NULL ? "" : o->no_proxy);
    set_text(easy, CURLOPT_CAINFO, o->ca_file);
    set_text(easy, CURLOPT_SSLCERT, o->cert_file);
    set_text(easy, CURLOPT_SSLKEY, o->key_file);
    set_text(easy, CURLOPT_KEYPASSWD, o->key_password);
    set_text(easy, CURLOPT_USERNAME, o->username);
    set_text(easy, CURLOPT_PASSWORD, o->password);
    if (!x->allow_private) {
        (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
        (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, x);
        (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
        (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, x);
    }
}

static void set_options(struct http_exchange *x, const struct http_options *o)
{
    static const long versions[] = {
        [HTTP_VERSION_AUTO] = CURL_HTTP_VERSION_2TLS,
        [HTTP_VERSION_1] = CURL_HTTP_VERSION_1_1,
        [HTTP_VERSION_2] = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
    };
    CURL *easy = x->transfer.easy;

    set_peer(x, o);
    set_headers(x, o);
    set_method(x, o);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, versions[o->version]);
    (void)curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L); /* rather a stream than a connection */
    (void)curl_easy_setopt(easy,
                           CURLOPT_ACCEPT_ENCODING,
                           o->to_file == NULL ? ENCODINGS_ANY : ENCODINGS_TAME);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, o->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, o->connect_timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->error);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
}

static void begin(struct http_exchange *x)
{
    x->is_started = true;
    transfer_start(&x->transfer);
}

void http_exchange_start(struct http_exchange *x,
                         struct transfers *set,
                         uv_loop_t *loop,
                         const struct http_options *options)
{
    x->limit = options->limit;
    x->allow_private = options->allow_private || options->proxy != NULL; /* the proxy connects */
    transfer_init(&x->transfer, set);
    x->transfer.done = on_done;
    x->transfer.owner = x;
    set_options(x, options);
    x->writer.stepped = on_write_step;
    x->writer.owner = x;
    if (options->to_file != NULL) {
        x->wants_file = true;
        file_writer_init(&x->writer, loop, options->to_file);
    }
    uv_update_time(loop); /* the run may have computed since the loop last looked */
    if (options->from_file != NULL) {
        x->reads_file = true;
        x->reader.stepped = on_read_step; /* begins once the size is known */
        x->reader.owner = x;
        file_reader_start(&x->reader, loop, options->from_file);
    } else {
        begin(x);
    }
}

static void release(struct http_exchange *x)
{
    if (x->reader.is_busy || x->writer.is_busy) {
        return; /* its step comes here again */
    }
    file_reader_fini(&x->reader);
    file_writer_fini(&x->writer);
    buffer_fini(&x->head);
    buffer_fini(&x->content);
    free(x->body);
    x->closed(x);
}

void http_exchange_close(struct http_exchange *x)
{
    x->is_closing = true;
    transfer_fini(&x->transfer);
    curl_slist_free_all(x->lines);
    release(x);
}

static void tell(struct http_exchange *x, enum http_end end)
{
    x->is_started = false;
    x->done(x, end);
}

/* ---- the reply ---- */

/* A status line begins a new head: of a redirect's target, or after an interim reply. */
static size_t on_header(const char *data, size_t size, size_t count, void *arg)
{
    struct http_exchange *x = arg;
    struct slice line = {data, size * count};

    if (line.size > 5 && memcmp(line.data, "HTTP/", 5) == 0) {
        buffer_clear(&x->head);
    }
    if (x->head.size + line.size > HEAD_MAX) {
        x->too_large = true;
        return 0;
    }
    buffer_add_slice(&x->head, line);
    return line.size;
}

/* An error page is no file that anybody waits for. */
static void choose_place(struct http_exchange *x)
{
    long status = 0;

    (void)curl_easy_getinfo(x->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    x->has_body = true;
    x->writes_file = x->wants_file && status >= 200 && status < 300;
}

static size_t on_body(const char *data, size_t size, size_t count, void *arg)
{
    struct http_exchange *x = arg;
    struct slice block = {data, size * count};

    if (!x->has_body) {
        choose_place(x);
    }
    if (x->writes_file && file_writer_is_full(&x->writer)) {
        x->write_paused = true;
        return CURL_WRITEFUNC_PAUSE; /* the same block comes again */
    }
    x->received += (int64_t)block.size;
    if (x->received > x->limit) {
        x->too_large = true;
        return 0;
    }
    if (!x->writes_file) {
        buffer_add_slice(&x->content, block);
    } else if (x->writer.error != 0) {
        return 0;
    } else {
        file_writer_add(&x->writer, block);
    }
    return block.size;
}

static enum http_end end_of(const struct http_exchange *x)
{
    if (x->too_large) {
        return HTTP_END_TOO_LARGE;
    }
    if (x->file_error != 0) {
        return HTTP_END_FILE;
    }
    bool not_connected =
        x->result == CURLE_COULDNT_CONNECT || x->result == CURLE_ABORTED_BY_CALLBACK;
    if (not_connected && x->refused[0] != 0) {
        return HTTP_END_PRIVATE;
    }
    return x->result == CURLE_OK ? HTTP_END_REPLY : HTTP_END_FAILED;
}

static void note_file_error(struct http_exchange *x)
{
    bool reading = x->reader.error != 0;

    x->file_error = reading ? x->reader.error : x->writer.error;
    x->failed_file = reading ? x->reader.path : x->writer.path;
}

static void on_done(struct transfer *t, CURLcode result)
{
    struct http_exchange *x = t->owner;

    x->result = result;
    note_file_error(x);
    if (!x->has_body && result == CURLE_OK) {
        choose_place(x); /* an empty file is a file, too */
    }
    if (x->writes_file && result == CURLE_OK && x->file_error == 0) {
        file_writer_commit(&x->writer); /* on_write_step tells */
    } else {
        tell(x, end_of(x));
    }
}

static void on_write_step(struct file_writer *w)
{
    struct http_exchange *x = w->owner;

    if (x->is_closing) {
        release(x);
    } else if (w->is_done || (w->ending && w->error != 0)) {
        note_file_error(x);
        tell(x, end_of(x));
    } else if (x->write_paused) {
        x->write_paused = false;
        (void)curl_easy_pause(x->transfer.easy, CURLPAUSE_CONT);
    }
}

/* ---- the request ---- */

static size_t on_read(char *to, size_t size, size_t count, void *arg)
{
    struct http_exchange *x = arg;
    size_t got = file_reader_take(&x->reader, to, size * count);

    if (got == 0 && x->reader.error != 0) {
        return CURL_READFUNC_ABORT;
    }
    if (got == 0 && !x->reader.at_end) {
        x->read_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    return got;
}

/* A connection that was kept may turn out dead: libcurl then sends it all again on a new one. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct http_exchange *x = arg;
    bool possible = offset == 0 && origin == SEEK_SET && file_reader_rewind(&x->reader);

    return possible ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_CANTSEEK;
}

static void on_read_step(struct file_reader *r)
{
    struct http_exchange *x = r->owner;

    if (x->is_closing) {
        release(x);
    } else if (!x->is_started && r->error != 0) {
        note_file_error(x);
        tell(x, HTTP_END_FILE);
    } else if (!x->is_started) {
        (void)curl_easy_setopt(x->transfer.easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->size);
        begin(x);
    } else if (x->read_paused) {
        x->read_paused = false;
        (void)curl_easy_pause(x->transfer.easy, CURLPAUSE_CONT);
    }
}

/* ---- the peer ---- */

static bool allows(struct http_exchange *x, const struct sockaddr *address)
{
    char host[INET6_ADDRSTRLEN] = "?";
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    if (http_address_is_public(address)) {
        return true;
    }
    if (address->sa_family == AF_INET) {
        memcpy(&in4, address, sizeof(in4));
        (void)inet_ntop(AF_INET, &in4.sin_addr, host, sizeof(host));
    } else if (address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof(in6));
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
    }
    (void)snprintf(x->refused, sizeof(x->refused), "%s", host);
    return false;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    if (!allows(arg, &address->addr)) {
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Also for connections that are used again, which another request may have been allowed to make. */
// NOLINTNEXTLINE(readability-non-const-parameter): libcurl's signature
static int on_connected(void *arg, char *peer, char *local, int peer_port, int local_port)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    bool is_allowed = false;
    (void)local;
    (void)peer_port;
    (void)local_port;

    if (inet_pton(AF_INET, peer, &in4.sin_addr) == 1) {
        is_allowed = allows(arg, (const struct sockaddr *)&in4);
    } else if (inet_pton(AF_INET6, peer, &in6.sin6_addr) == 1) {
        is_allowed = allows(arg, (const struct sockaddr *)&in6);
    }
    return is_allowed ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}
