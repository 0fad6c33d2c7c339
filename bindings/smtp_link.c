/* smtp_link.c - libcurl connects; then its socket is watched here, also while nobody uses it. */
#include "bindings/smtp_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "bindings/task.h"

/* More than mails to one server at a time would need; the oldest makes room. */
#define IDLE_MAX 8u

struct smtp_links {
    uv_loop_t *loop;
    struct transfers *set;
    TAILQ_HEAD(smtp_link_list, smtp_link) idle; /* the last used first */
    size_t nidle;
};

static size_t on_header(const char *data, size_t size, size_t count, void *arg);
static void on_connected(struct transfer *t, CURLcode result);
static void on_ready(uv_poll_t *poll, int status, int events);
static void on_idle_end(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);
static void leave_idle(struct smtp_link *l);
static void drop_idle(struct smtp_link *l);

static const char registry_key = 0; /* its address */

/* ---- those of a state ---- */

/* The state closes; its runs are over. The loop must turn once more to free the rest. */
static int links_gc(lua_State *L)
{
    struct smtp_links *links = lua_touserdata(L, 1);
    struct smtp_link *l;

    while ((l = TAILQ_FIRST(&links->idle)) != NULL) {
        drop_idle(l);
    }
    return 0;
}

struct smtp_links *smtp_links_of(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key) == LUA_TUSERDATA) {
        struct smtp_links *known = lua_touserdata(L, -1);
        lua_pop(L, 1);
        return known;
    }
    lua_pop(L, 1);
    struct transfers *set = transfers_of(L); /* first, so that it is collected last */
    struct smtp_links *links = lua_newuserdatauv(L, sizeof(*links), 0);
    *links = (struct smtp_links){.loop = vm_of(L)->loop, .set = set};
    TAILQ_INIT(&links->idle);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, links_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
    return links;
}

/* ---- servers ---- */

static const char *keep_text(struct smtp_link *l, const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    l->texts[l->ntexts] = mem_strdup(text);
    return l->texts[l->ntexts++];
}

static void keep_server(struct smtp_link *l, const struct smtp_server *from)
{
    l->server = (struct smtp_server){
        .url = keep_text(l, from->url),
        .starttls = from->starttls,
        .username = keep_text(l, from->username),
        .password = keep_text(l, from->password),
        .ca_file = keep_text(l, from->ca_file),
    };
}

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_same_server(const struct smtp_server *a, const struct smtp_server *b)
{
    return is_same_text(a->url, b->url) && a->starttls == b->starttls &&
           is_same_text(a->username, b->username) && is_same_text(a->password, b->password) &&
           is_same_text(a->ca_file, b->ca_file);
}

/* ---- connecting ---- */

static void set_options(struct smtp_link *l)
{
    CURL *easy = l->transfer.easy;
    const struct smtp_server *server = &l->server;

    (void)curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    (void)curl_easy_setopt(easy, CURLOPT_URL, server->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    (void)curl_easy_setopt(easy,
                           CURLOPT_USE_SSL,
                           (long)(server->starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, l->error);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, l);
    if (server->username != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_USERNAME, server->username);
        (void)curl_easy_setopt(easy, CURLOPT_PASSWORD, server->password);
    }
    if (server->ca_file != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, server->ca_file);
    }
}

struct smtp_link *smtp_link_open(struct smtp_links *links,
                                 const struct smtp_server *server,
                                 const struct smtp_link_events *events,
                                 void *user)
{
    struct smtp_link *l = mem_zalloc(sizeof(*l));

    l->links = links;
    keep_server(l, server);
    l->events = events;
    l->user = user;
    transfer_init(&l->transfer, links->set);
    l->transfer.done = on_connected;
    l->transfer.owner = l;
    set_options(l);
    uv_timer_init(links->loop, &l->timer);
    l->timer.data = l;
    l->open_handles = 1;
    transfer_start(&l->transfer);
    return l;
}

static size_t on_header(const char *data, size_t size, size_t count, void *arg)
{
    struct smtp_link *l = arg;
    struct slice line = {data, size * count};

    if (memmem(line.data, line.size, "SMTPUTF8", 8) != NULL) {
        l->takes_utf8 = true;
    }
    l->events->line(l->user, line);
    return line.size;
}

static void on_connected(struct transfer *t, CURLcode result)
{
    struct smtp_link *l = t->owner;
    curl_socket_t socket = CURL_SOCKET_BAD;

    if (result == CURLE_OK) {
        (void)curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &socket);
        if (socket == CURL_SOCKET_BAD ||
            uv_poll_init_socket(l->timer.loop, &l->poll, socket) != 0) {
            result = CURLE_COULDNT_CONNECT;
        } else {
            l->poll.data = l;
            l->open_handles++;
        }
    }
    l->events->connected(l->user, result);
}

int smtp_link_errno(const struct smtp_link *l)
{
    long error = 0;

    (void)curl_easy_getinfo(l->transfer.easy, CURLINFO_OS_ERRNO, &error);
    return (int)error;
}

/* ---- in use ---- */

ssize_t smtp_link_send(struct smtp_link *l, struct slice bytes)
{
    size_t sent = 0;
    CURLcode result = curl_easy_send(l->transfer.easy, bytes.data, bytes.size, &sent);

    return result == CURLE_OK ? (ssize_t)sent : result == CURLE_AGAIN ? -EAGAIN : -EPIPE;
}

ssize_t smtp_link_receive(struct smtp_link *l, char *to, size_t size)
{
    size_t got = 0;
    CURLcode result = curl_easy_recv(l->transfer.easy, to, size, &got);

    if (result == CURLE_AGAIN) {
        return -EAGAIN;
    }
    return result == CURLE_OK && got > 0 ? (ssize_t)got : -EPIPE;
}

int smtp_link_watch(struct smtp_link *l, bool to_send)
{
    return uv_poll_start(&l->poll, UV_READABLE | (to_send ? UV_WRITABLE : 0), on_ready);
}

/* A server has nothing to say to an idle link but goodbye; TLS may have something of its own. */
static bool is_over(struct smtp_link *l)
{
    char byte;

    return smtp_link_receive(l, &byte, 1) != -EAGAIN;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct smtp_link *l = poll->data;
    (void)events;

    if (l->user != NULL) {
        l->events->ready(l->user, status < 0);
    } else if (status < 0 || is_over(l)) {
        leave_idle(l);
        smtp_link_close(l);
    }
}

/* ---- idle ---- */

static void leave_idle(struct smtp_link *l)
{
    TAILQ_REMOVE(&l->links->idle, l, entry);
    l->links->nidle--;
}

/* It goes if it can go at once; nobody waits for the answer. */
static void say_quit(struct smtp_link *l)
{
    static const char quit[] = "QUIT\r\n";
    ssize_t sent = smtp_link_send(l, (struct slice){quit, sizeof(quit) - 1});

    (void)sent;
}

static void drop_idle(struct smtp_link *l)
{
    leave_idle(l);
    say_quit(l);
    smtp_link_close(l);
}

void smtp_link_keep(struct smtp_link *l, uint64_t idle_ms)
{
    struct smtp_links *links = l->links;

    l->user = NULL;
    if (idle_ms == 0 || smtp_link_watch(l, false) != 0) {
        say_quit(l);
        smtp_link_close(l);
        return;
    }
    if (links->nidle == IDLE_MAX) {
        drop_idle(TAILQ_LAST(&links->idle, smtp_link_list));
    }
    TAILQ_INSERT_HEAD(&links->idle, l, entry);
    links->nidle++;
    uv_unref((uv_handle_t *)&l->poll);
    uv_unref((uv_handle_t *)&l->timer);
    uv_timer_start(&l->timer, on_idle_end, idle_ms, 0);
}

static void on_idle_end(uv_timer_t *timer)
{
    drop_idle(timer->data);
}

struct smtp_link *smtp_link_take(struct smtp_links *links,
                                 const struct smtp_server *server,
                                 const struct smtp_link_events *events,
                                 void *user)
{
    struct smtp_link *l;

    TAILQ_FOREACH(l, &links->idle, entry)
    {
        if (is_same_server(&l->server, server)) {
            leave_idle(l);
            uv_timer_stop(&l->timer);
            uv_ref((uv_handle_t *)&l->poll);
            uv_ref((uv_handle_t *)&l->timer);
            l->events = events;
            l->user = user;
            return l;
        }
    }
    return NULL;
}

/* ---- the end ---- */

/* The poll handle goes before the socket that it watches. */
void smtp_link_close(struct smtp_link *l)
{
    if (l->open_handles > 1) {
        uv_close((uv_handle_t *)&l->poll, on_closed);
    }
    uv_close((uv_handle_t *)&l->timer, on_closed);
    transfer_fini(&l->transfer);
}

static void on_closed(uv_handle_t *handle)
{
    struct smtp_link *l = handle->data;

    if (--l->open_handles == 0) {
        for (size_t i = 0; i < l->ntexts; i++) {
            free(l->texts[i]);
        }
        free(l);
    }
}
