/* http.c - from a Lua table to an exchange, and from its end to values for the Lua half. */
#include "bindings/http.h"

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "core/base/mem.h"

#include "bindings/http_exchange.h"
#include "bindings/offload.h"
#include "bindings/options.h"
#include "bindings/task.h"

#define DAY_MS ((lua_Integer)86400 * 1000)

struct http {
    struct wait wait; /* first member */
    struct http_exchange exchange;
    char *origin; /* "GET https://example.org"; owned */
    long timeout_ms;
};

static void on_done(struct http_exchange *x, enum http_end end);
static void on_closed(struct http_exchange *x);
static void on_cancel(struct wait *w);

/* ---- arguments ---- */

static long check_ms(lua_State *L, const char *name)
{
    lua_Integer ms = options_integer(L, 1, name, 0);

    if (ms < 1 || ms > DAY_MS) {
        luaL_argerror(L, 1, lua_pushfstring(L, "%s: 1 to 86400000 expected", name));
    }
    return (long)ms;
}

/* No line may end early and become two. The Lua half says it with more words. */
static const char *check_line(lua_State *L, const char *line)
{
    for (const char *p = line; p != NULL && *p != 0; p++) {
        luaL_argcheck(L, (unsigned char)*p >= ' ' || *p == '\t', 1, "headers: control character");
    }
    luaL_argcheck(L, line != NULL, 1, "headers: array of lines expected");
    return line;
}

/* An array of pointers that ends with NULL, in a userdata that stays on the stack. */
static const char *const *push_lines(lua_State *L)
{
    lua_getfield(L, 1, "headers");
    luaL_argcheck(L, lua_istable(L, -1), 1, "headers: array expected");
    size_t count = lua_rawlen(L, -1);
    const char **lines = lua_newuserdatauv(L, (count + 1) * sizeof(*lines), 0);
    for (size_t i = 0; i < count; i++) {
        bool is_text = lua_rawgeti(L, -2, (lua_Integer)i + 1) == LUA_TSTRING;
        lines[i] = check_line(L, is_text ? lua_tostring(L, -1) : NULL);
        lua_pop(L, 1);
    }
    lines[count] = NULL;
    return lines;
}

static struct slice body_option(lua_State *L)
{
    struct slice body = {NULL, 0};

    if (options_text(L, 1, "body", NULL) != NULL) {
        lua_getfield(L, 1, "body");
        body.data = lua_tolstring(L, -1, &body.size);
        lua_pop(L, 1); /* the table holds it */
    }
    return body;
}

static struct http_options check_options(lua_State *L)
{
    lua_Integer redirects = options_integer(L, 1, "redirects", 0);
    lua_Integer version = options_integer(L, 1, "version", HTTP_VERSION_AUTO);

    luaL_argcheck(L, redirects >= 0 && redirects <= 100, 1, "redirects: 0 to 100 expected");
    luaL_argcheck(L, version >= 0 && version <= HTTP_VERSION_2, 1, "version: 0 to 2 expected");
    struct http_options o = {
        .method = check_line(L, options_text(L, 1, "method", NULL)),
        .url = check_line(L, options_text(L, 1, "url", NULL)),
        .body = body_option(L),
        .from_file = options_text(L, 1, "from_file", NULL),
        .to_file = options_text(L, 1, "to_file", NULL),
        .ca_file = options_text(L, 1, "ca_file", NULL),
        .cert_file = options_text(L, 1, "cert_file", NULL),
        .key_file = options_text(L, 1, "key_file", NULL),
        .key_password = options_text(L, 1, "key_password", NULL),
        .username = options_text(L, 1, "username", NULL),
        .password = options_text(L, 1, "password", NULL),
        .proxy = options_text(L, 1, "proxy", NULL),
        .no_proxy = options_text(L, 1, "no_proxy", NULL),
        .limit = options_integer(L, 1, "limit", 0),
        .timeout_ms = check_ms(L, "timeout_ms"),
        .connect_timeout_ms = check_ms(L, "connect_timeout_ms"),
        .redirects = (long)redirects,
        .version = (enum http_version)version,
        .allow_private = options_boolean(L, 1, "allow_private", false),
    };
    return o;
}

int bind_http_perform(lua_State *L)
{
    static const char *const names[] = {"method",     "url",
                                        "headers",    "body",
                                        "from_file",  "to_file",
                                        "ca_file",    "cert_file",
                                        "key_file",   "key_password",
                                        "username",   "password",
                                        "proxy",      "no_proxy",
                                        "limit",      "allow_private",
                                        "timeout_ms", "connect_timeout_ms",
                                        "redirects",  "version",
                                        "origin",     NULL};

    luaL_checktype(L, 1, LUA_TTABLE);
    options_check(L, 1, names);
    struct http_options o = check_options(L);
    const char *origin = options_text(L, 1, "origin", o.url);
    o.headers = push_lines(L);
    struct task *task = task_check(L);
    struct transfers *set = transfers_of(L);

    struct http *h = mem_zalloc(sizeof(*h)); /* from here to the yield nothing may raise */
    h->wait.cancel = on_cancel;
    h->origin = mem_strdup(origin);
    h->timeout_ms = o.timeout_ms;
    h->exchange.owner = h;
    h->exchange.done = on_done;
    h->exchange.closed = on_closed;
    http_exchange_start(&h->exchange, set, task->vm->loop, &o);
    return task_wait(task, &h->wait); /* h is there until on_closed */
}

/* ---- results ---- */

static int push_reply(lua_State *L, struct http *h)
{
    struct http_exchange *x = &h->exchange;
    CURL *easy = x->transfer.easy;
    const char *url = NULL;
    double seconds = 0;
    long status = 0;
    long version = 0;

    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url);
    (void)curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME, &seconds);
    (void)curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    lua_pushinteger(L, status);
    lua_pushlstring(L, buffer_text(&x->head), x->head.size);
    if (x->writes_file) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, buffer_text(&x->content), x->content.size);
        buffer_fini(&x->content); /* the run may go on for long */
    }
    lua_pushstring(L, url);
    lua_pushnumber(L, seconds);
    lua_pushinteger(L, x->received);
    lua_pushstring(L,
                   version == CURL_HTTP_VERSION_2_0   ? "2"
                   : version == CURL_HTTP_VERSION_1_0 ? "1.0"
                                                      : "1.1");
    return 7;
}

static const char *failure_code(const struct http_exchange *x)
{
    switch (x->result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
    case CURLE_COULDNT_CONNECT: return "connect";
    case CURLE_OPERATION_TIMEDOUT: return "timeout";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return "tls";
    case CURLE_TOO_MANY_REDIRECTS: return "redirects";
    case CURLE_UNSUPPORTED_PROTOCOL: /* of the url, or of what came without a status line */
        return strstr(x->error, "HTTP/0.9") != NULL ? "bad_reply" : "bad_url";
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED: return "bad_url";
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return "bad_reply";
    default: return "closed";
    }
}

static int push_transport_failure(lua_State *L, const struct http *h)
{
    const struct http_exchange *x = &h->exchange;
    const char *why = x->error[0] != 0 ? x->error : curl_easy_strerror(x->result);
    long os_error = 0;

    luaL_pushfail(L);
    (void)curl_easy_getinfo(x->transfer.easy, CURLINFO_OS_ERRNO, &os_error);
    if (x->result == CURLE_OPERATION_TIMEDOUT) {
        char seconds[32];
        (void)snprintf(seconds, sizeof(seconds), "%g", (double)h->timeout_ms / 1000);
        lua_pushfstring(L, "%s: needed more than %s s", h->origin, seconds);
    } else if (x->result == CURLE_LOGIN_DENIED) {
        lua_pushfstring(L, "%s: a url with a user in it\nhint: username, password", h->origin);
    } else if (x->result == CURLE_COULDNT_CONNECT && os_error != 0) {
        lua_pushfstring(L, "%s: %s", h->origin, uv_strerror(-(int)os_error));
    } else {
        lua_pushfstring(L, "%s: %s", h->origin, why);
    }
    lua_pushstring(L, failure_code(x));
    return 3;
}

static int push_end(lua_State *L, struct http *h, enum http_end end)
{
    struct http_exchange *x = &h->exchange;

    switch (end) {
    case HTTP_END_REPLY: return push_reply(L, h);
    case HTTP_END_PRIVATE:
        luaL_pushfail(L);
        lua_pushfstring(L,
                        "%s: %s is no public address\n"
                        "hint: allow_private = true, if it is meant to be reached",
                        h->origin,
                        x->refused);
        lua_pushliteral(L, "private_address");
        return 3;
    case HTTP_END_TOO_LARGE:
        luaL_pushfail(L);
        if (x->received > x->limit) {
            lua_pushfstring(L, "%s: the reply is larger than %I bytes", h->origin, x->limit);
        } else {
            lua_pushfstring(L, "%s: the header of the reply is too large", h->origin);
        }
        lua_pushliteral(L, "too_large");
        return 3;
    case HTTP_END_FILE: return push_errno(L, x->failed_file, x->file_error);
    default: return push_transport_failure(L, h);
    }
}

static void on_done(struct http_exchange *x, enum http_end end)
{
    struct http *h = x->owner;

    task_wake(&h->wait, push_end(h->wait.task->co, h, end));
    http_exchange_close(x);
}

static void on_cancel(struct wait *w)
{
    struct http *h = (struct http *)w;

    http_exchange_close(&h->exchange);
}

static void on_closed(struct http_exchange *x)
{
    struct http *h = x->owner;

    free(h->origin);
    free(h);
}
