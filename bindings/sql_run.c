/* sql_run.c - statements of a session: values to text, a wait, rows to tables; and the COMMIT. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "core/base/clock.h"
#include "core/db/query.h"
#include "core/db/rows.h"

#include "bindings/json.h"
#include "bindings/runs.h"
#include "bindings/sql.h"
#include "bindings/sql_session.h"
#include "bindings/sql_values.h"

/* A larger result is refused: read in pages. */
#define RESULT_BYTES_MAX ((size_t)64 << 20)

/* A larger result of a job is refused: jobs are not a blob store. */
#define JOB_RESULT_MAX ((size_t)1 << 20)

/* What the server is told beyond the end of the run, which the worker ends itself. */
#define IDLE_GRACE_MS 10000

#define PARAMS_MAX  65535 /* of PostgreSQL's protocol */
#define TEXT_NUMBER 24

struct statement {
    struct wait wait;      /* first member */
    struct sql_session *s; /* borrowed: it stands on the run's stack */
    bool commits;
    struct run *completes; /* the run whose job is completed by it, or NULL */
};

static void on_answer(void *arg, const struct db_answer *answer);
static void on_cancel(struct wait *w);
static int push_unknown(lua_State *L);

/* ---- sending ---- */

/* What is left of the run, rounded up to seconds so that it seldom changes; 0: no end. */
static int64_t left_ms(const struct task *task)
{
    uint64_t now_us = clock_now_us();

    if (task->deadline_us == 0) {
        return 0;
    }
    int64_t left_us = task->deadline_us > now_us ? (int64_t)(task->deadline_us - now_us) : 1;
    return (left_us + 999999) / 1000000 * 1000;
}

static void limit(struct db_session *session, const struct task *task, lua_Number seconds)
{
    int64_t left = left_ms(task);
    int64_t own = seconds > 0 ? (int64_t)ceil(seconds * 1000) : 0;
    bool is_shorter = own > 0 && (left == 0 || own < left);

    db_session_limit(session, is_shorter ? own : left, left == 0 ? 0 : left + IDLE_GRACE_MS);
}

static int push_lost(lua_State *L, const char *why)
{
    luaL_pushfail(L);
    lua_pushliteral(L, "the connection was lost: ");
    lua_pushlstring(L, why, strcspn(why, "\n"));
    lua_concat(L, 2);
    lua_pushliteral(L, "connection_lost");
    return 3;
}

/*
 * Leaves the texts of the parameters, from the table at from, on the stack, which keeps them alive, and
 * on top the array that points at them. 0, or the number of the parameter that PostgreSQL cannot be told.
 */
static lua_Integer push_params(lua_State *L, int from, lua_Integer count, const char ***values)
{
    luaL_checkstack(L, (int)count + 8, "too many parameters");
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, from, i);
        const char *problem = sql_value_to_text(L, lua_gettop(L));
        if (problem != NULL) {
            luaL_error(L, "parameter $%I: %s", i, problem);
        }
    }
    int first = lua_gettop(L) - (int)count + 1;
    *values = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof(**values), 0);
    for (lua_Integer i = 0; i < count; i++) {
        size_t size = 0;
        (*values)[i] = lua_tolstring(L, first + (int)i, &size);
        if ((*values)[i] != NULL && strlen((*values)[i]) != size) {
            return i + 1;
        }
    }
    return 0;
}

static int push_bad_param(lua_State *L, lua_Integer number)
{
    luaL_pushfail(L);
    lua_pushfstring(L, "parameter $%I holds a NUL byte, which text cannot", number);
    lua_pushliteral(L, "22021");
    return 3;
}

/* A connection that was broken before has sent nothing, so a COMMIT did not take place. */
static int push_unsent(lua_State *L, const struct statement *st, int rc)
{
    bool was_broken = rc == -ENOTCONN;

    if (was_broken && st->completes != NULL) {
        st->completes->fate = FATE_OPEN;
    }
    return st->commits && !was_broken ? push_unknown(L)
                                      : push_lost(L, "it broke while nothing was asked");
}

/* Sends and waits; st is copied. */
static int run(lua_State *L,
               struct task *task,
               const struct statement *st,
               const struct db_request *requests,
               size_t count)
{
    struct statement *owned = mem_zalloc(sizeof(*owned)); /* nothing may raise until the yield */

    *owned = *st;
    owned->wait.cancel = on_cancel;
    int rc = db_session_run(st->s->session, requests, count, on_answer, owned);
    if (rc < 0) {
        free(owned);
        return push_unsent(L, st, rc);
    }
    return task_wait(task, &owned->wait); /* owned lives until on_answer or on_cancel */
}

int bind_sql_query(lua_State *L)
{
    struct sql_session *s = sql_check_session(L, 1);
    lua_Number seconds = luaL_optnumber(L, 2, 0);
    size_t size;
    const char *sql = luaL_checklstring(L, 3, &size);
    lua_Integer count = luaL_checkinteger(L, 5);
    const char **values;

    luaL_checktype(L, 4, LUA_TTABLE);
    luaL_argcheck(L, strlen(sql) == size, 3, "must not contain NUL bytes");
    luaL_argcheck(L, count >= 0 && count <= PARAMS_MAX, 5, "too many parameters");
    struct task *task = task_check(L);
    lua_Integer bad = push_params(L, 4, count, &values);
    if (bad != 0) {
        return push_bad_param(L, bad);
    }
    if (s->result != NULL) {
        rows_free(s->result);
        s->result = NULL;
    }
    limit(s->session, task, seconds);
    struct db_request request = {.sql = sql, .nparams = (int)count, .values = values};
    return run(L, task, &(struct statement){.s = s}, &request, 1);
}

int bind_sql_post(lua_State *L)
{
    struct sql_session *s = sql_check_session(L, 1);

    db_session_post(s->session, luaL_checkstring(L, 2));
    return 0;
}

/* ---- the COMMIT ---- */

/* The job's place in its lease and its result, as text. */
struct completion {
    char numbers[4][TEXT_NUMBER];
    const char *values[5];
};

static void fill_completion(struct completion *c, const struct run *r, const char *result)
{
    const int64_t numbers[] = {
        r->job.worker_id,
        r->job.seq,
        r->job.slot,
        (int64_t)(clock_now_us() - r->started_us),
    };

    for (size_t i = 0; i < LENGTH_OF(numbers); i++) {
        (void)snprintf(c->numbers[i], TEXT_NUMBER, "%" PRId64, numbers[i]);
        c->values[i] = c->numbers[i];
    }
    c->values[4] = result;
}

/* Pushes the JSON of the value at index, or nil for none; false with a failure pushed. */
static bool push_result_text(lua_State *L, int index)
{
    struct buffer *out = &vm_of(L)->scratch;

    if (lua_isnoneornil(L, index)) {
        lua_pushnil(L);
        return true;
    }
    buffer_clear(out);
    if (json_write(L, index, out) != 0) {
        luaL_argerror(L, index, lua_tostring(L, -1));
    }
    if (out->size > JOB_RESULT_MAX) {
        luaL_pushfail(L);
        lua_pushfstring(L,
                        "the result is %I bytes of JSON, at most %I are kept",
                        (LUAI_UACINT)out->size,
                        (LUAI_UACINT)JOB_RESULT_MAX);
        lua_pushliteral(L, "too_large");
        return false;
    }
    secrets_mask(&vm_of(L)->secrets, out, 0);
    lua_pushlstring(L, out->data, out->size);
    return true;
}

static int push_unknown(lua_State *L)
{
    luaL_pushfail(L);
    lua_pushliteral(L,
                    "the connection was lost before COMMIT was answered: "
                    "nobody knows whether it took place");
    lua_pushliteral(L, "commit_unknown");
    return 3;
}

/* The statements of a COMMIT, in the order in which they go. */
struct last_words {
    struct db_request requests[3];
    size_t count;
};

static void add_request(struct last_words *w, const struct db_request *request)
{
    w->requests[w->count++] = *request;
}

/* The statement before the COMMIT, if there is one, from arg 4 on. 0, or what push_params says. */
static lua_Integer add_statement(lua_State *L, struct last_words *w)
{
    const char **values;

    if (lua_isnoneornil(L, 4)) {
        return 0;
    }
    const char *sql = luaL_checkstring(L, 4);
    lua_Integer count = luaL_checkinteger(L, 6);
    luaL_checktype(L, 5, LUA_TTABLE);
    luaL_argcheck(L, count >= 0 && count <= PARAMS_MAX, 6, "too many parameters");
    lua_Integer bad = push_params(L, 5, count, &values);
    add_request(w, &(struct db_request){.sql = sql, .nparams = (int)count, .values = values});
    return bad;
}

int bind_sql_finish(lua_State *L)
{
    struct sql_session *s = sql_check_session(L, 1);
    struct run *r = lua_toboolean(L, 2) ? run_check(L) : NULL;
    struct completion completion;
    struct last_words words = {.count = 0};
    struct task *task = task_check(L);

    if (s->is_ended || !s->is_open) {
        luaL_pushfail(L);
        lua_pushliteral(L, "a statement of the transaction has ended it");
        lua_pushliteral(L, "25P01");
        return 3;
    }
    luaL_argcheck(L,
                  r == NULL || r->fate == FATE_OPEN,
                  2,
                  "the job of this run is completed already");
    lua_Integer bad = add_statement(L, &words);
    if (bad != 0) {
        return push_bad_param(L, bad);
    }
    if (r != NULL) {
        if (!push_result_text(L, 3)) {
            return 3;
        }
        fill_completion(&completion, r, lua_tostring(L, -1));
        add_request(&words,
                    &(struct db_request){sql_query_text(SQL_COMPLETE),
                                         LENGTH_OF(completion.values),
                                         completion.values});
        r->fate = FATE_UNKNOWN; /* until the answer is here, which a stop may prevent */
    }
    add_request(&words, &(struct db_request){.sql = "commit"});
    struct statement st = {.s = s, .commits = true, .completes = r};
    return run(L, task, &st, words.requests, words.count);
}

/* ---- answers ---- */

static int push_error(lua_State *L, const struct db_answer *a)
{
    luaL_pushfail(L);
    lua_pushstring(L, a->message);
    lua_pushstring(L, a->sqlstate);
    lua_pushstring(L, a->detail[0] == 0 ? NULL : a->detail);
    lua_pushstring(L, a->hint[0] == 0 ? NULL : a->hint);
    return 5;
}

static int push_answer(lua_State *L, const struct statement *st, const struct db_answer *a)
{
    if (a->lost) {
        return st->commits ? push_unknown(L) : push_lost(L, a->message);
    }
    if (a->result == NULL) {
        return push_error(L, a);
    }
    if (st->commits && strcmp(rows_command(a->result), "COMMIT") != 0) { /* but ROLLBACK */
        luaL_pushfail(L);
        lua_pushliteral(L, "the transaction had failed and was rolled back");
        lua_pushliteral(L, "25P02");
        return 3;
    }
    if (rows_memory(a->result) > RESULT_BYTES_MAX) {
        luaL_pushfail(L);
        lua_pushliteral(L, "the result is larger than 64 MB\nhint: read it in pages");
        lua_pushliteral(L, "too_large");
        return 3;
    }
    lua_pushboolean(L, true);
    return 1;
}

/* An error has undone the completion with all the rest; a lost answer leaves it open what it did. */
static void note_fate(struct run *r, const struct db_answer *a)
{
    if (!a->lost) {
        r->fate = a->result != NULL ? FATE_SETTLED : FATE_OPEN;
    }
}

static void note_transaction(struct sql_session *s)
{
    bool is_open = db_session_is_in_transaction(s->session);

    s->is_ended = s->is_ended || (s->is_open && !is_open);
    s->is_open = is_open;
}

static void on_answer(void *arg, const struct db_answer *answer)
{
    struct statement *st = arg;
    int pushed = push_answer(st->wait.task->co, st, answer);

    st->s->result = answer->result;
    note_transaction(st->s);
    if (st->completes != NULL) {
        note_fate(st->completes, answer);
    }
    task_wake(&st->wait, pushed);
    free(st);
}

/* The server is asked to stop it, the connection goes. */
static void on_cancel(struct wait *w)
{
    struct statement *st = (struct statement *)w;

    sql_session_release(st->s);
    free(st);
}

/* ---- rows ---- */

static void push_row(lua_State *L, const struct pg_result *res, int row)
{
    int columns = rows_columns(res);

    lua_createtable(L, 0, columns);
    for (int column = 0; column < columns; column++) {
        struct slice text;
        if (rows_value(res, row, column, &text)) {
            sql_push_value(L, rows_column_type(res, column), text, true);
            lua_setfield(L, -2, rows_column_name(res, column));
        }
    }
}

static void push_info(lua_State *L, const struct pg_result *res)
{
    int columns = rows_columns(res);

    lua_createtable(L, 0, 2);
    lua_pushinteger(L, rows_affected(res));
    lua_setfield(L, -2, "affected");
    lua_createtable(L, columns, 0);
    for (int column = 0; column < columns; column++) {
        lua_pushstring(L, rows_column_name(res, column));
        lua_rawseti(L, -2, column + 1);
    }
    lua_setfield(L, -2, "columns");
}

/* Inside the run: what the tables take is charged to it. The session holds the result if that raises. */
int bind_sql_rows(lua_State *L)
{
    struct sql_session *s = sql_check_session(L, 1);

    luaL_argcheck(L, s->result != NULL, 1, "no result");
    int count = rows_count(s->result);
    lua_createtable(L, count, 0);
    json_mark_array(L);
    for (int row = 0; row < count; row++) {
        push_row(L, s->result, row);
        lua_rawseti(L, -2, row + 1);
    }
    push_info(L, s->result);
    rows_free(s->result);
    s->result = NULL;
    return 2;
}
