/*
 * web.c - a server, executors, and the gateway between them.
 *
 * LOADING --routes are loaded--> SERVING --signal--> DRAINING --all answered, grace over--> (ends)
 */
#include "core/app/web.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/app/engine_parts.h"
#include "core/app/run_lines.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/http/server.h"
#include "core/web/gateway.h"

#define CONNECTIONS_MAX 2000
#define REQUESTS_MAX    1000

/* Executors are looked at, and an ending server is. */
#define TEND_MS 1000u

static const struct http_limits limits = {
    .body_bytes = (size_t)16 << 20,
    .backlog_bytes = (size_t)256 << 10,
    .head_ms = 10000,
    .body_ms = 30000,
    .idle_ms = 60000,
    .write_ms = 30000,
};

enum web_phase {
    WEB_LOADING,
    WEB_SERVING,
    WEB_DRAINING,
};

struct web {
    const struct config *config; /* borrowed */
    uv_loop_t loop;
    uv_signal_t signals[3];
    uv_timer_t tend;
    uv_timer_t grace;
    struct pool *pool;
    struct gateway *gateway;
    struct http_server *server; /* NULL before the routes are loaded */
    struct notifier *notifier;
    struct watch *watch; /* or NULL */
    enum web_phase phase;
    int exit_status;
};

static int serve(struct web *w);
static void reload(struct web *w);
static void drain(struct web *w);
static void end_if_idle(struct web *w);

static void leave(struct web *w, int exit_status)
{
    w->exit_status = exit_status;
    uv_stop(&w->loop);
}

/* ---- executors ---- */

static void on_loaded(void *owner, const struct kind_list *kinds, unsigned generation)
{
    struct web *w = owner;
    const struct kind *kind = kind_by_name(kinds, slice_of(GATEWAY_KIND));

    if (kind == NULL) {
        (void)fprintf(stderr, "jobq-run: the handlers define no kind '" GATEWAY_KIND "'\n");
        leave(w, EXIT_NO_HANDLERS);
        return;
    }
    gateway_serve(w->gateway, kind->timeout_s);
    if (generation > 1) {
        log_info("reloaded", LOG_INT("generation", generation));
        notifier_reloaded(w->notifier, slice_of("serving"));
    } else {
        int exit_status = serve(w);
        if (exit_status != EXIT_DONE) {
            leave(w, exit_status);
        }
    }
}

static void on_load_failed(void *owner, struct slice message, unsigned serving)
{
    struct web *w = owner;

    if (serving == 0) {
        (void)fprintf(stderr, "jobq-run: %.*s\n", (int)message.size, message.data);
        leave(w, EXIT_NO_HANDLERS);
    } else {
        log_error("reload failed", LOG_SLICE("error", message));
        notifier_reloaded(w->notifier, message);
    }
}

static void on_delayed(void *owner, size_t busy)
{
    (void)owner;
    log_warn("reload waits", LOG_INT("executors", busy));
}

static void on_told(void *owner, struct executor *e, struct frame *f)
{
    struct web *w = owner;

    if (f->type == WIRE_LOG) {
        run_lines_tell(f);
    } else if (gateway_told(w->gateway, e, f) < 0) {
        log_debug("frame for a request that is over", LOG_INT("type", f->type));
    }
}

static void on_drained(void *owner)
{
    end_if_idle(owner);
}

static void on_died(void *owner, struct executor *e, uint32_t culprit, const char *why)
{
    struct web *w = owner;

    (void)culprit;
    gateway_lost(w->gateway, e, why);
    end_if_idle(w);
}

static void on_ready(void *owner)
{
    struct web *w = owner;

    gateway_run(w->gateway);
}

static const struct pool_events pool_events =
    {on_loaded, on_load_failed, on_delayed, on_told, on_drained, on_died, on_ready};

static struct executor *pick(void *owner)
{
    struct web *w = owner;

    return pool_pick(w->pool, false);
}

/* ---- clients ---- */

static void on_request(void *owner, struct http_connection *c, const struct http_request *r)
{
    struct web *w = owner;

    gateway_request(w->gateway, c, r);
}

static void on_left(void *owner, struct http_connection *c)
{
    struct web *w = owner;

    gateway_left(w->gateway, c);
}

static void on_refused(void *owner, unsigned status)
{
    (void)owner;
    log_debug("what a client sent was refused", LOG_INT("status", status));
}

static void on_gone(void *owner, struct http_connection *c)
{
    (void)c;
    end_if_idle(owner);
}

static const struct http_events http_events = {on_request, on_left, on_refused, on_gone};

/* "127.0.0.1:7070" or "[::1]:7070", checked by option_parse_listen(). */
static void split(const char *listen, struct buffer *host, int64_t *port)
{
    const char *colon = strrchr(listen, ':');
    size_t size = (size_t)(colon - listen);

    if (listen[0] == '[') {
        listen++;
        size -= 2;
    }
    buffer_add(host, listen, size);
    (void)text_integer(colon + 1, 0, UINT16_MAX, port);
}

static int serve(struct web *w)
{
    struct buffer host = {0};
    struct buffer address = {0};
    int64_t port = 0;

    split(w->config->serve, &host, &port);
    const struct http_server_options options = {
        .host = buffer_text(&host),
        .port = (uint16_t)port,
        .connections_max = CONNECTIONS_MAX,
        .limits = limits,
    };
    int error = http_server_open(&w->loop, &options, &http_events, w, &w->server);
    if (error == 0) {
        w->phase = WEB_SERVING;
        http_server_address(w->server, &address);
        log_info("serving", LOG_TEXT("address", buffer_text(&address)));
        notifier_ready(w->notifier, slice_of("serving"));
    } else {
        (void)fprintf(stderr,
                      "jobq-run: cannot listen on %s: %s\n",
                      w->config->serve,
                      uv_strerror(error));
    }
    buffer_fini(&host);
    buffer_fini(&address);
    return error == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* ---- signals and time ---- */

static void on_files_changed(void *owner)
{
    reload(owner);
}

static void reload(struct web *w)
{
    if (w->phase == WEB_SERVING) {
        notifier_reloading(w->notifier);
        pool_reload(w->pool);
    }
}

static void on_grace_over(uv_timer_t *timer)
{
    struct web *w = timer->data;

    leave(w, EXIT_DONE);
}

static void drain(struct web *w)
{
    uint64_t grace_ms = w->config->shutdown_grace_ms;

    if (w->phase != WEB_SERVING) {
        leave(w, EXIT_DONE);
        return;
    }
    w->phase = WEB_DRAINING;
    log_info("stopping", LOG_INT("requests", gateway_count(w->gateway)));
    notifier_stopping(w->notifier, grace_ms + TEND_MS);
    uv_timer_start(&w->grace, on_grace_over, grace_ms, 0);
    http_server_drain(w->server);
    end_if_idle(w);
}

static void end_if_idle(struct web *w)
{
    if (w->phase == WEB_DRAINING && http_server_connections(w->server) == 0) {
        leave(w, EXIT_DONE);
    }
}

static void on_signal(uv_signal_t *signal, int signum)
{
    if (signum == SIGHUP) {
        reload(signal->data);
    } else {
        drain(signal->data);
    }
}

static void on_tend(uv_timer_t *timer)
{
    struct web *w = timer->data;

    pool_tend(w->pool);
}

/* ---- the whole ---- */

static void open_parts(struct web *w, const char *conninfo)
{
    static const int signums[] = {SIGTERM, SIGINT, SIGHUP};
    struct pool_options options = engine_pool_options(w->config, conninfo);

    for (size_t i = 0; i < LENGTH_OF(signums); i++) {
        uv_signal_init(&w->loop, &w->signals[i]);
        w->signals[i].data = w;
        uv_signal_start(&w->signals[i], on_signal, signums[i]);
    }
    uv_timer_init(&w->loop, &w->tend);
    uv_timer_init(&w->loop, &w->grace);
    w->tend.data = w->grace.data = w;
    uv_timer_start(&w->tend, on_tend, TEND_MS, TEND_MS);
    w->notifier = notifier_open(&w->loop); /* before there are children */
    w->gateway = gateway_open(&w->loop, REQUESTS_MAX, pick, w);
    w->pool = pool_open(&w->loop, &options, &pool_events, w);
    if (w->config->watch) {
        w->watch = watch_open(&w->loop, buffer_slice(&w->config->handlers), on_files_changed, w);
    }
}

static void close_parts(struct web *w)
{
    if (w->server != NULL) {
        http_server_close(w->server);
    }
    gateway_close(w->gateway);
    pool_close(w->pool);
    notifier_close(w->notifier);
    if (w->watch != NULL) {
        watch_close(w->watch);
    }
    uv_close((uv_handle_t *)&w->tend, NULL);
    uv_close((uv_handle_t *)&w->grace, NULL);
    for (size_t i = 0; i < LENGTH_OF(w->signals); i++) {
        uv_close((uv_handle_t *)&w->signals[i], NULL);
    }
}

int web_run(const struct config *config, const char *conninfo)
{
    struct web w = {.config = config, .exit_status = EXIT_FAILED};

    uv_loop_init(&w.loop);
    open_parts(&w, conninfo);
    uv_run(&w.loop, UV_RUN_DEFAULT); /* until leave() stops it */
    close_parts(&w);
    while (uv_run(&w.loop, UV_RUN_DEFAULT) != 0) {
        /* a late uv_stop() has interrupted it: handles must close all the same */
    }
    if (uv_loop_close(&w.loop) != 0) {
        log_error("handles are left open");
    }
    return w.exit_status;
}
