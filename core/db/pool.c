/*
 * pool.c - who may use which connection.
 *
 *   connecting --> lent <--> idle --> closed
 *                   |  ^
 *                   v  |
 *                 cleaning: its rollback is under way
 *
 * `count` are all of these. What a session does is in session.c.
 */
#include "core/db/pool.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/db/connect.h"
#include "core/db/session.h"

static void on_connected(void *arg, PGconn *pg, enum link_failure failure);
static void on_reap(uv_timer_t *timer);
static void on_usher(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);
static void connect_more(struct db_pool *p);

/* A try to connect; the pool may go before it ends. */
struct
try {
    struct db_pool *pool;
    struct db_connecting *connecting;
    TAILQ_ENTRY(try) link;
};

struct db_pool {
    uv_loop_t *loop;
    char *conninfo; /* owned */
    const char *name;
    size_t most;
    size_t count; /* connections and tries */
    size_t trying;
    size_t waiting;
    uint64_t idle_ms;
    struct db_session_list idle; /* the last used first */
    struct db_session_list cleaning;
    TAILQ_HEAD(, db_turn) line;
    TAILQ_HEAD(, try) tries;
    uv_timer_t reaper;
    uv_timer_t usher; /* takes those in line to what has become idle */
    int open_handles;
};

struct db_pool *db_pool_open(uv_loop_t *loop, const struct db_pool_options *options)
{
    struct db_pool *p = mem_zalloc(sizeof(*p));

    p->loop = loop;
    p->conninfo = mem_strdup(options->conninfo);
    p->name = options->name;
    p->most = options->most;
    p->idle_ms = options->idle_ms;
    TAILQ_INIT(&p->idle);
    TAILQ_INIT(&p->cleaning);
    TAILQ_INIT(&p->line);
    TAILQ_INIT(&p->tries);
    uv_timer_init(loop, &p->reaper);
    uv_unref((uv_handle_t *)&p->reaper);
    p->reaper.data = p;
    uv_timer_init(loop, &p->usher);
    p->usher.data = p;
    p->open_handles = 2;
    return p;
}

void db_pool_close(struct db_pool *p)
{
    struct db_session *s;
    struct try *t;

    while ((s = TAILQ_FIRST(&p->idle)) != NULL || (s = TAILQ_FIRST(&p->cleaning)) != NULL) {
        TAILQ_REMOVE(s->state == SESSION_IDLE ? &p->idle : &p->cleaning, s, link);
        session_free(s);
    }
    while ((t = TAILQ_FIRST(&p->tries)) != NULL) {
        TAILQ_REMOVE(&p->tries, t, link);
        db_connect_drop(t->connecting);
        free(t);
    }
    uv_close((uv_handle_t *)&p->reaper, on_closed);
    uv_close((uv_handle_t *)&p->usher, on_closed);
}

/* An idle session that is idle no more, or NULL. */
static struct db_session *lend(struct db_pool *p)
{
    struct db_session *s = TAILQ_FIRST(&p->idle);

    if (s != NULL) {
        TAILQ_REMOVE(&p->idle, s, link);
        s->state = SESSION_LENT;
        db_hold_loop(s->conn, true);
    }
    return s;
}

struct db_session *db_pool_take(struct db_pool *p)
{
    return TAILQ_EMPTY(&p->line) ? lend(p) : NULL; /* nobody is passed over */
}

void db_pool_wait(struct db_pool *p, struct db_turn *t)
{
    TAILQ_INSERT_TAIL(&p->line, t, link);
    p->waiting++;
    connect_more(p);
}

void db_pool_leave(struct db_pool *p, struct db_turn *t)
{
    TAILQ_REMOVE(&p->line, t, link);
    p->waiting--;
}

/* The first in line, who is in it no more; or NULL. */
static struct db_turn *call_next(struct db_pool *p)
{
    struct db_turn *t = TAILQ_FIRST(&p->line);

    if (t != NULL) {
        db_pool_leave(p, t);
    }
    return t;
}

/* As many tries as there are people waiting, while there is room. */
static void connect_more(struct db_pool *p)
{
    while (p->trying < p->waiting && p->count < p->most) {
        struct try *t = mem_zalloc(sizeof(*t));
        t->pool = p;
        t->connecting = db_connect(p->loop, p->conninfo, p->name, on_connected, t);
        TAILQ_INSERT_TAIL(&p->tries, t, link);
        p->trying++;
        p->count++;
    }
}

static void on_connected(void *arg, PGconn *pg, enum link_failure failure)
{
    struct try *t = arg;
    struct db_pool *p = t->pool;

    (void)failure;
    TAILQ_REMOVE(&p->tries, t, link);
    free(t);
    p->trying--;
    if (PQstatus(pg) == CONNECTION_OK) {
        pool_put(p, session_new(p, p->loop, pg));
        on_usher(&p->usher);
        return;
    }
    p->count--;
    struct db_turn *next = call_next(p);
    if (next != NULL) {
        next->told(next, NULL, PQerrorMessage(pg));
    }
    PQfinish(pg);
    connect_more(p); /* each failure is told to one of those who wait */
}

void pool_put(struct db_pool *p, struct db_session *s)
{
    s->state = SESSION_IDLE;
    s->idle_since_ms = clock_now_ms();
    db_hold_loop(s->conn, false);
    TAILQ_INSERT_HEAD(&p->idle, s, link);
    if (!uv_is_active((uv_handle_t *)&p->reaper)) {
        uv_timer_start(&p->reaper, on_reap, p->idle_ms, p->idle_ms);
    }
    if (!TAILQ_EMPTY(&p->line)) {
        uv_timer_start(&p->usher, on_usher, 0, 0); /* who gives it back may be inside a run */
    }
}

void pool_clean(struct db_pool *p, struct db_session *s)
{
    s->state = SESSION_CLEANING;
    TAILQ_INSERT_TAIL(&p->cleaning, s, link);
}

void pool_cleaned(struct db_pool *p, struct db_session *s, bool is_clean)
{
    TAILQ_REMOVE(&p->cleaning, s, link);
    if (is_clean) {
        pool_put(p, s);
    } else {
        pool_forget(p, s);
    }
}

static void on_usher(uv_timer_t *timer)
{
    struct db_pool *p = timer->data;
    struct db_turn *next;

    while (!TAILQ_EMPTY(&p->idle) && (next = call_next(p)) != NULL) {
        next->told(next, lend(p), NULL);
    }
}

void pool_forget(struct db_pool *p, struct db_session *s)
{
    session_free(s);
    p->count--;
    connect_more(p);
}

void pool_idle_lost(struct db_pool *p, struct db_session *s)
{
    TAILQ_REMOVE(&p->idle, s, link);
    pool_forget(p, s);
}

static void on_reap(uv_timer_t *timer)
{
    struct db_pool *p = timer->data;
    uint64_t now_ms = clock_now_ms();
    struct db_session *s;

    while ((s = TAILQ_LAST(&p->idle, db_session_list)) != NULL &&
           now_ms - s->idle_since_ms >= p->idle_ms) {
        pool_idle_lost(p, s);
    }
    if (s == NULL) {
        uv_timer_stop(timer);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct db_pool *p = handle->data;

    if (--p->open_handles == 0) {
        free(p->conninfo);
        free(p);
    }
}
