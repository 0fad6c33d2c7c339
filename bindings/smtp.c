/* smtp.c - from a Lua table to a session, and from its end to what the handler gets. */
#include "bindings/smtp.h"

#include <math.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "core/base/mem.h"

#include "bindings/offload.h"
#include "bindings/options.h"
#include "bindings/smtp_session.h"
#include "bindings/task.h"

#define TIMEOUT_S      60
#define IDLE_S_MAX     300
#define RECIPIENTS_MAX 1000

struct smtp {
    struct wait wait; /* first member */
    struct smtp_session session;
    char *place; /* "mx1:25"; owned */
};

static void on_done(struct smtp_session *session, enum smtp_end end);
static void on_session_closed(struct smtp_session *session);
static void on_cancel(struct wait *w);

/* ---- arguments ---- */

/* Nothing that could end a command or a bracket early. The Lua half says it with more words. */
static const char *check_address(lua_State *L, const char *address)
{
    if (address == NULL) {
        luaL_argerror(L, 1, "from, to: address expected");
    }
    for (const char *p = address; p != NULL && *p != 0; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '<' || *p == '>') {
            luaL_argerror(L, 1, "an address with blanks, brackets or control characters");
        }
    }
    return address;
}

/* Leaves the array of recipients on top, all of them checked; returns how many. */
static lua_Integer push_recipients(lua_State *L)
{
    lua_getfield(L, 1, "to");
    luaL_argcheck(L, lua_istable(L, -1), 1, "to: array expected");
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    luaL_argcheck(L, count >= 1 && count <= RECIPIENTS_MAX, 1, "to: 1 to 1000 addresses expected");
    for (lua_Integer i = 1; i <= count; i++) {
        bool is_text = lua_rawgeti(L, -1, i) == LUA_TSTRING;
        (void)check_address(L, is_text ? lua_tostring(L, -1) : NULL);
        lua_pop(L, 1);
    }
    return count;
}

/* Pushes the URL. */
static const char *push_url(lua_State *L, const char *host, int port, const char *tls)
{
    bool is_ip6 = strchr(host, ':') != NULL;

    for (const char *p = host; *p != 0; p++) {
        if (strchr("/?#@[]\\", *p) != NULL || (unsigned char)*p <= ' ') {
            luaL_argerror(L, 1, lua_pushfstring(L, "host: '%s' is not the name of a host", host));
        }
    }
    return lua_pushfstring(L,
                           "%s://%s%s%s:%d",
                           strcmp(tls, "tls") == 0 ? "smtps" : "smtp",
                           is_ip6 ? "[" : "",
                           host,
                           is_ip6 ? "]" : "",
                           port);
}

/* Fills in what points into the table and the stack; its URL is pushed. */
static struct smtp_server check_server(lua_State *L)
{
    const char *tls = options_text(L, 1, "tls", "none");
    lua_Integer port = options_integer(L, 1, "port", 25);

    luaL_argcheck(L, port >= 1 && port <= 65535, 1, "port: integer from 1 to 65535 expected");
    bool known =
        strcmp(tls, "none") == 0 || strcmp(tls, "tls") == 0 || strcmp(tls, "starttls") == 0;
    luaL_argcheck(L, known, 1, "tls: 'none', 'starttls' or 'tls' expected");
    struct smtp_server server = {
        .starttls = strcmp(tls, "starttls") == 0,
        .username = options_text(L, 1, "username", NULL),
        .password = options_text(L, 1, "password", ""),
        .ca_file = options_text(L, 1, "ca_file", NULL),
    };
    server.url = push_url(L, options_text(L, 1, "host", "127.0.0.1"), (int)port, tls);
    return server;
}

static bool is_ascii(const char *text)
{
    for (; *text != 0; text++) {
        if ((unsigned char)*text >= 0x80) {
            return false;
        }
    }
    return true;
}

/* Leaves the array of the message's parts on top, all of them texts. */
static void push_message(lua_State *L)
{
    lua_getfield(L, 1, "message");
    luaL_argcheck(L, lua_istable(L, -1), 1, "message: array expected");
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, -1); i++) {
        luaL_argcheck(L, lua_rawgeti(L, -1, i) == LUA_TSTRING, 1, "message: texts expected");
        lua_pop(L, 1);
    }
}

/* The recipients are on top of the stack, the message is below; nothing here raises. */
static void fill_dialog(lua_State *L, struct smtp_dialog *d, lua_Integer count)
{
    d->to = mem_resize(NULL, (size_t)count, sizeof(*d->to));
    d->nto = (size_t)count;
    d->utf8 = !is_ascii(d->from);
    for (size_t i = 0; i < d->nto; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        d->to[i] = mem_strdup(lua_tostring(L, -1));
        d->utf8 = d->utf8 || !is_ascii(d->to[i]);
        lua_pop(L, 1);
    }
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, -2); i++) {
        struct slice part;
        lua_rawgeti(L, -2, i);
        part.data = lua_tolstring(L, -1, &part.size);
        buffer_add_slice(&d->message, part);
        lua_pop(L, 1);
    }
}

int bind_smtp_deliver(lua_State *L)
{
    static const char *const names[] = {"host",
                                        "port",
                                        "tls",
                                        "username",
                                        "password",
                                        "ca_file",
                                        "timeout",
                                        "idle",
                                        "from",
                                        "to",
                                        "message",
                                        NULL};

    luaL_checktype(L, 1, LUA_TTABLE);
    options_check(L, 1, names);
    struct smtp_server server = check_server(L);
    lua_Integer timeout_s = options_integer(L, 1, "timeout", TIMEOUT_S);
    luaL_argcheck(L,
                  timeout_s >= 1 && timeout_s <= 86400,
                  1,
                  "timeout: 1 to 86400 seconds expected");
    lua_Integer idle_s = options_integer(L, 1, "idle", 0);
    luaL_argcheck(L, idle_s >= 0 && idle_s <= IDLE_S_MAX, 1, "idle: 0 to 300 seconds expected");
    const char *from = check_address(L, options_text(L, 1, "from", NULL));
    push_message(L);
    lua_Integer count = push_recipients(L);
    struct task *task = task_check(L);
    struct smtp_links *links = smtp_links_of(L);

    struct smtp *s = mem_zalloc(sizeof(*s)); /* from here to the yield nothing may raise */
    s->wait.cancel = on_cancel;
    s->place = mem_strdup(strstr(server.url, "://") + 3);
    s->session.owner = s;
    s->session.done = on_done;
    s->session.closed = on_session_closed;
    s->session.timeout_ms = (uint64_t)timeout_s * 1000;
    s->session.idle_ms = (uint64_t)idle_s * 1000;
    s->session.dialog.from = mem_strdup(from);
    fill_dialog(L, &s->session.dialog, count);
    smtp_session_start(&s->session, links, task->vm->loop, &server);
    return task_wait(task, &s->wait); /* the loop owns s until on_session_closed */
}

/* ---- results ---- */

static int push_reply_failure(lua_State *L, const struct smtp *s)
{
    const struct smtp_reply *reply = &s->session.dialog.reply;
    const char *recipient = smtp_dialog_recipient(&s->session.dialog);

    luaL_pushfail(L);
    if (reply->code == 0) {
        lua_pushfstring(L, "what answers at %s does not speak smtp", s->place);
        lua_pushliteral(L, "closed");
        return 3;
    }
    lua_pushfstring(L,
                    "smtp %s%s%s%s",
                    buffer_text(&reply->text),
                    recipient == NULL ? "" : " (",
                    recipient == NULL ? "" : recipient,
                    recipient == NULL ? "" : ")");
    switch (reply->code) {
    case 530: /* these four are about us and the server, not about the mail */
    case 534:
    case 535:
    case 538: lua_pushliteral(L, "login"); break;
    default: lua_pushfstring(L, "smtp_%d", reply->code); break;
    }
    return 3;
}

static const char *connect_code(CURLcode result)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT: return "connect";
    case CURLE_OPERATION_TIMEDOUT: return "timeout";
    case CURLE_LOGIN_DENIED: return "login";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_USE_SSL_FAILED: return "tls";
    default: return "closed";
    }
}

static int push_connect_failure(lua_State *L, const struct smtp *s)
{
    const struct smtp_session *session = &s->session;

    if (session->dialog.reply.code >= 400) {
        return push_reply_failure(L, s);
    }
    int os_error = smtp_link_errno(session->link);
    const char *said = session->link->error;
    const char *why = said[0] != 0 ? said : curl_easy_strerror(session->result);
    if (session->result == CURLE_COULDNT_CONNECT && os_error != 0) {
        why = uv_strerror(-os_error);
    }
    luaL_pushfail(L);
    lua_pushfstring(L, "cannot reach the smtp server at %s: %s", s->place, why);
    lua_pushstring(L, connect_code(session->result));
    return 3;
}

static int push_end(lua_State *L, const struct smtp *s, enum smtp_end end)
{
    switch (end) {
    case SMTP_END_SENT: lua_pushstring(L, buffer_text(&s->session.dialog.reply.text)); return 1;
    case SMTP_END_REFUSED: return push_reply_failure(L, s);
    case SMTP_END_CONNECT: return push_connect_failure(L, s);
    case SMTP_END_UTF8:
        luaL_pushfail(L);
        lua_pushfstring(L, "the smtp server at %s takes no addresses beyond ascii", s->place);
        lua_pushliteral(L, "bad_address");
        return 3;
    case SMTP_END_LOST:
        luaL_pushfail(L);
        lua_pushfstring(L, "the smtp server at %s closed the connection", s->place);
        lua_pushliteral(L, "closed");
        return 3;
    default:
        luaL_pushfail(L);
        lua_pushfstring(L,
                        "the smtp server at %s needed more than %d s",
                        s->place,
                        (int)(s->session.timeout_ms / 1000));
        lua_pushliteral(L, "timeout");
        return 3;
    }
}

static void on_done(struct smtp_session *session, enum smtp_end end)
{
    struct smtp *s = session->owner;
    int pushed = push_end(s->wait.task->co, s, end);

    smtp_session_close(session);
    task_wake(&s->wait, pushed);
}

static void on_cancel(struct wait *w)
{
    struct smtp *s = (struct smtp *)w;

    smtp_session_close(&s->session);
}

static void on_session_closed(struct smtp_session *session)
{
    struct smtp *s = session->owner;

    free(s->place);
    free(s);
}
