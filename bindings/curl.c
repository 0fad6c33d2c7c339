/*
 * curl.c - libcurl says which sockets to watch and when to be called; the loop does both.
 *
 *   curl: on_watch(fd, in/out) -> uv_poll -> on_ready -> curl_multi_socket_action -> tell_done
 *   curl: on_timeout(ms)       -> uv_timer -> on_timer -> curl_multi_socket_action -> tell_done
 */
#include "bindings/curl.h"

#include <stdlib.h>

#include <lauxlib.h>
#include <uv.h>

#include "core/base/mem.h"

#include "bindings/task.h"

struct transfers {
    CURLM *multi;
    uv_timer_t timer;
};

/* A socket that libcurl wants to know about. The loop owns it until on_watch_closed. */
struct watch {
    uv_poll_t poll;
    struct transfers *set;
    curl_socket_t socket;
};

static int on_watch(CURL *easy, curl_socket_t socket, int what, void *arg, void *assigned);
static int on_timeout(CURLM *multi, long timeout_ms, void *arg);

static const char registry_key = 0; /* its address */

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* The state closes. The loop must turn once more to free the rest. */
static int transfers_gc(lua_State *L)
{
    struct transfers **set = lua_touserdata(L, 1);

    if (*set != NULL) {
        (void)curl_multi_cleanup((*set)->multi);
        uv_close((uv_handle_t *)&(*set)->timer, on_timer_closed);
        *set = NULL;
    }
    return 0;
}

static struct transfers *transfers_open(uv_loop_t *loop)
{
    struct transfers *set = mem_zalloc(sizeof(*set));

    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* counts; the first call does it */
    set->multi = curl_multi_init();
    if (set->multi == NULL) {
        abort();
    }
    uv_timer_init(loop, &set->timer);
    set->timer.data = set;
    (void)curl_multi_setopt(set->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
    (void)curl_multi_setopt(set->multi, CURLMOPT_SOCKETDATA, set);
    (void)curl_multi_setopt(set->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    (void)curl_multi_setopt(set->multi, CURLMOPT_TIMERDATA, set);
    return set;
}

struct transfers *transfers_of(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key) == LUA_TUSERDATA) {
        struct transfers **known = lua_touserdata(L, -1);
        lua_pop(L, 1);
        return *known;
    }
    lua_pop(L, 1);
    struct transfers **set = lua_newuserdatauv(L, sizeof(struct transfers *), 0);
    *set = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, transfers_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    *set = transfers_open(vm_of(L)->loop); /* from here on __gc closes it */
    struct transfers *open = *set;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
    return open;
}

void transfer_init(struct transfer *t, struct transfers *set)
{
    t->set = set;
    t->easy = curl_easy_init();
    if (t->easy == NULL) {
        abort();
    }
    (void)curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L); /* a slow resolver is left behind */
}

void transfer_start(struct transfer *t)
{
    if (curl_multi_add_handle(t->set->multi, t->easy) != CURLM_OK) {
        abort(); /* only memory can be missing */
    }
}

void transfer_fini(struct transfer *t)
{
    (void)curl_multi_remove_handle(t->set->multi, t->easy); /* fine if it was never added */
    curl_easy_cleanup(t->easy);
    t->easy = NULL;
}

/* done() may run a handler that starts further transfers: each one is taken out before. */
static void tell_done(struct transfers *set)
{
    struct CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(set->multi, &left)) != NULL) {
        struct transfer *t = NULL;
        CURLcode result = message->data.result;

        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
        t->done(t, result);
    }
}

/* ---- sockets ---- */

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct transfers *set = watch->set;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    int running;

    flags |= (events & UV_READABLE) ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0;
    (void)curl_multi_socket_action(set->multi, watch->socket, flags, &running);
    tell_done(set);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct watch *watch_open(struct transfers *set, curl_socket_t socket)
{
    struct watch *watch = mem_zalloc(sizeof(*watch));

    watch->set = set;
    watch->socket = socket;
    watch->poll.data = watch;
    if (uv_poll_init_socket(set->timer.loop, &watch->poll, socket) != 0) {
        free(watch);
        return NULL;
    }
    (void)curl_multi_assign(set->multi, socket, watch);
    return watch;
}

/* Called by libcurl, at any time within its functions; 0 or -1. */
static int on_watch(CURL *easy, curl_socket_t socket, int what, void *arg, void *assigned)
{
    struct transfers *set = arg;
    struct watch *watch = assigned;
    (void)easy;

    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            (void)curl_multi_assign(set->multi, socket, NULL);
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        }
        return 0;
    }
    if (watch == NULL) {
        watch = watch_open(set, socket);
    }
    if (watch == NULL) {
        return -1;
    }
    int events = what == CURL_POLL_IN    ? UV_READABLE
                 : what == CURL_POLL_OUT ? UV_WRITABLE
                                         : UV_READABLE | UV_WRITABLE;
    return uv_poll_start(&watch->poll, events, on_ready) == 0 ? 0 : -1;
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer)
{
    struct transfers *set = timer->data;
    int running;

    (void)curl_multi_socket_action(set->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    tell_done(set);
}

/* Called by libcurl. 0 ms too arms the timer: acting here would enter libcurl within itself. */
static int on_timeout(CURLM *multi, long timeout_ms, void *arg)
{
    struct transfers *set = arg;
    (void)multi;

    if (timeout_ms < 0) {
        return uv_timer_stop(&set->timer);
    }
    return uv_timer_start(&set->timer, on_timer, (uint64_t)timeout_ms, 0);
}
