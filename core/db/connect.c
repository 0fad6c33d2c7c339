/* connect.c - the blocking half of libpq, for as long as it is needed. */
#include "core/db/connect.h"

#include <stdlib.h>

#include "core/base/mem.h"

struct db_connecting {
    uv_work_t work;
    char *conninfo; /* owned */
    char *name;     /* owned */
    PGconn *pg;     /* the thread's until it is done */
    enum link_failure failure;
    db_connected_fn done; /* NULL once dropped */
    void *arg;
};

static void connect_in_thread(uv_work_t *work);
static void on_connected(uv_work_t *work, int status);

struct db_connecting *db_connect(uv_loop_t *loop,
                                 const char *conninfo,
                                 const char *name,
                                 db_connected_fn done,
                                 void *arg)
{
    struct db_connecting *c = mem_zalloc(sizeof(*c));

    c->work.data = c;
    c->conninfo = mem_strdup(conninfo);
    c->name = mem_strdup(name);
    c->done = done;
    c->arg = arg;
    uv_queue_work(loop, &c->work, connect_in_thread, on_connected);
    return c;
}

void db_connect_drop(struct db_connecting *c)
{
    c->done = NULL;
}

/* The user's words come last and win over ours. */
static void connect_in_thread(uv_work_t *work)
{
    struct db_connecting *c = work->data;
    const char *const keys[] = {"connect_timeout",
                                "tcp_user_timeout",
                                "keepalives_idle",
                                "keepalives_interval",
                                "keepalives_count",
                                "fallback_application_name",
                                "client_encoding",
                                "dbname",
                                NULL};
    const char *const values[] = {"5", "5000", "3", "1", "2", c->name, "UTF8", c->conninfo, NULL};

    c->pg = PQconnectdbParams(keys, values, 1);
    if (PQstatus(c->pg) != CONNECTION_OK) {
        c->failure = refusal_ask(keys, values);
    }
}

static void on_connected(uv_work_t *work, int status)
{
    struct db_connecting *c = work->data;

    (void)status;
    if (c->done == NULL) {
        PQfinish(c->pg);
    } else {
        c->done(c->arg, c->pg, c->failure);
    }
    free(c->conninfo);
    free(c->name);
    free(c);
}
