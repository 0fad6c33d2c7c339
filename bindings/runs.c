/* runs.c - from a run frame to an outcome frame. */
#include "bindings/runs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/text.h"

#include "bindings/json.h"
#include "bindings/run_log.h"
#include "bindings/run_look.h"
#include "bindings/run_steps.h"
#include "bindings/trace.h"

/* More runs at a time than any worker has; a higher name is a broken peer. */
#define NAMES_MAX (1u << 20)

/* A larger result is dropped: jobs are not a blob store. */
#define RESULT_MAX ((size_t)1 << 20)

/* Runs are started for so long, then timers and mail have a turn. */
#define TURN_US 10000u

/* Scratch memory above this is given back after an outcome. */
#define KEPT_BYTES ((size_t)64 << 10)

static void start(struct run *r);
static void on_done(struct task *task, enum task_result result, const char *error);
static void read_verdict(struct run *r, struct wire_outcome *m);
static void heed_fate(struct run *r, struct wire_outcome *m);
static void tell_outcome(struct run *r, struct wire_outcome *m);
static void mark(struct run *r);
static char *stop_text(const struct run *r, enum stop_reason reason);
static void forget(struct run *r);
static char *keep(char **to, struct slice *s);

void runs_init(struct runs *rs,
               struct vm *vm,
               struct channel *channel,
               const struct handlers *handlers)
{
    *rs = (struct runs){.vm = vm, .channel = channel, .handlers = handlers};
    TAILQ_INIT(&rs->queued);
    TAILQ_INIT(&rs->untold);
    TAILQ_INIT(&rs->stopping);
    progress_teller_init(&rs->teller, vm->loop, channel);
}

void runs_close(struct runs *rs)
{
    progress_teller_close(&rs->teller);
}

void runs_fini(struct runs *rs)
{
    free(rs->by_name);
}

int runs_add(struct runs *rs, const struct wire_run *m)
{
    if (m->run >= NAMES_MAX || (m->run < rs->names && rs->by_name[m->run] != NULL)) {
        return -EBADMSG;
    }
    if (m->run >= rs->names) {
        uint32_t names = m->run < 32 ? 64 : m->run * 2;
        rs->by_name = mem_resize(rs->by_name, names, sizeof(struct run *));
        memset(rs->by_name + rs->names, 0, (names - rs->names) * sizeof(struct run *));
        rs->names = names;
    }
    struct run *r = mem_zalloc(sizeof(*r) + m->kind.size + m->queue.size + m->meta.size + 3);
    char *to = r->bytes;
    r->runs = rs;
    r->job = *m;
    keep(&to, &r->job.kind);
    keep(&to, &r->job.queue);
    keep(&to, &r->job.meta);
    r->args = mem_copy(m->args.data, m->args.size);
    r->job.args.data = r->args;
    rs->by_name[m->run] = r;
    rs->count++;
    TAILQ_INSERT_TAIL(&rs->queued, r, link);
    return 0;
}

int runs_stop(struct runs *rs, const struct wire_stop *m)
{
    struct run *r = m->run < rs->names ? rs->by_name[m->run] : NULL;

    if (r == NULL) {
        return 0; /* its outcome and this frame crossed */
    }
    if (m->reason > STOP_SHUTDOWN) {
        return -EBADMSG;
    }
    if (r->stop_text == NULL) {
        r->stop_text = stop_text(r, (enum stop_reason)m->reason);
    }
    if (task_running_root(rs->vm) == &r->task) {
        task_stop(&r->task, r->stop_text); /* the hook that reads this mail ends it */
    } else {
        mark(r);
    }
    return 0;
}

void runs_look(struct runs *rs, const struct wire_look *m)
{
    struct run *r = m->run < rs->names ? rs->by_name[m->run] : NULL;
    struct buffer text = {0};

    if (r == NULL) {
        return; /* its outcome and this frame crossed */
    }
    run_look(r, &text);
    wire_put_sight(channel_out(rs->channel),
                   &(struct wire_sight){.ticket = m->ticket, .text = buffer_slice(&text)});
    channel_send(rs->channel);
    buffer_fini(&text);
}

bool runs_act(struct runs *rs)
{
    uint64_t end_us = clock_now_us() + TURN_US;
    bool is_late = false;
    struct run *r;

    while ((r = TAILQ_FIRST(&rs->stopping)) != NULL) {
        TAILQ_REMOVE(&rs->stopping, r, stop_link);
        r->is_stopping = false;
        if (r->task.vm != NULL) {
            task_stop(&r->task, r->stop_text); /* else start() sees it */
        }
    }
    while (!is_late && (r = TAILQ_FIRST(&rs->queued)) != NULL) {
        TAILQ_REMOVE(&rs->queued, r, link);
        start(r);
        is_late = rs->now_us > end_us;
    }
    runs_tell_started(rs);
    if (channel_is_sending(rs->channel)) {
        channel_send(rs->channel);
    }
    return !TAILQ_EMPTY(&rs->queued);
}

void runs_tell_started(struct runs *rs)
{
    struct run *r;

    while ((r = TAILQ_FIRST(&rs->untold)) != NULL) {
        TAILQ_REMOVE(&rs->untold, r, link);
        r->is_told = true;
        wire_put_started(channel_out(rs->channel),
                         &(struct wire_started){r->job.run, (int64_t)r->started_us});
    }
}

struct run *run_check(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct task *t = task_running_root(vm);

    if (t == NULL || vm->owner == NULL) { /* a plain lua5.4 has tasks, but no jobs */
        luaL_error(L, "a job can only be used inside run");
    }
    return (struct run *)t;
}

/* What handlers read most is there at once; jobq.job's __index asks for the rest. */
int bind_run_begin(lua_State *L)
{
    struct run *r = run_check(L);

    lua_createtable(L, 0, 4);
    lua_pushinteger(L, r->job.job_id);
    lua_setfield(L, -2, "id");
    lua_pushinteger(L, r->job.attempt);
    lua_setfield(L, -2, "attempt");
    if (r->job.args.size == 0) {
        lua_newtable(L);
    } else if (json_push(L, r->job.args) != 0) {
        return luaL_error(L, "args are no JSON: %s", lua_tostring(L, -1));
    }
    lua_setfield(L, -2, "args");
    lua_pushvalue(L, lua_upvalueindex(1)); /* jobq.job's metatable */
    lua_setmetatable(L, -2);
    free(r->args);
    r->args = NULL;
    r->job.args = (struct slice){NULL, 0};
    return 1;
}

int bind_run_keep_result(lua_State *L)
{
    struct buffer *out = &vm_of(L)->result;

    buffer_clear(out);
    if (json_write(L, 1, out) != 0) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (out->size > RESULT_MAX) {
        lua_pushnil(L);
        lua_pushfstring(L,
                        "%d bytes of JSON, at most %d are kept",
                        (int)out->size,
                        (int)RESULT_MAX);
        buffer_clear(out);
        return 2;
    }
    lua_pushboolean(L, true);
    return 1;
}

static void start(struct run *r)
{
    struct runs *rs = r->runs;

    if (r->stop_text != NULL) {
        tell_outcome(r, &(struct wire_outcome){.verdict = VERDICT_STOPPED, .delay_s = -1});
        return;
    }
    r->handler = handlers_find(rs->handlers, rs->vm->L, r->job.kind);
    if (r->handler == NULL) {
        tell_outcome(r,
                     &(struct wire_outcome){.verdict = VERDICT_FAILED,
                                            .delay_s = -1,
                                            .error = slice_of("this executor lacks the handler")});
        return;
    }
    r->started_us = rs->now_us = clock_now_us();
    r->task.name = r->job.run;
    r->task.deadline_us = r->started_us + (uint64_t)(r->job.timeout_s * 1e6);
    TAILQ_INSERT_TAIL(&rs->untold, r, link);
    task_init(&r->task, rs->vm, r->handler->memory);
    handlers_push(rs->handlers, r->task.co, r->handler);
    task_start(&r->task, 1, on_done);
}

static void on_done(struct task *task, enum task_result result, const char *error)
{
    struct run *r = (struct run *)task;
    struct vm *vm = task->vm;
    struct wire_outcome m = {.delay_s = -1};

    r->runs->now_us = clock_now_us();
    m.ran_us = (int64_t)(r->runs->now_us - r->started_us);
    if (result == TASK_OK) {
        read_verdict(r, &m);
    } else if (result == TASK_LEFT) {
        m.verdict = task->stopped ? VERDICT_STOPPED : VERDICT_PARKED;
        m.delay_s = r->park_s;
    } else {
        m.verdict = result == TASK_STOPPED ? VERDICT_STOPPED : VERDICT_FAILED;
        m.error = slice_of(error);
    }
    if (m.error.size > 0) {
        buffer_clear(&vm->scratch);
        if (slice_is(m.error, VM_MEMORY_ERROR)) {
            trace_add_memory_error(&vm->scratch, vm, task->number);
        } else {
            text_add_clean(&vm->scratch, m.error, TRACE_ERROR_MAX);
        }
        secrets_mask(&vm->secrets, &vm->scratch, 0);
        m.error = buffer_slice(&vm->scratch);
    }
    heed_fate(r, &m);
    tell_outcome(r, &m); /* frees r */
}

/*
 * After a COMMIT without an answer the run counts as failed, whatever it says: settling that is refused
 * if the COMMIT took place, and gives the job another run if it did not. A stop is as good.
 */
static void heed_fate(struct run *r, struct wire_outcome *m)
{
    if (r->fate == FATE_UNKNOWN && m->verdict != VERDICT_STOPPED) {
        bool has_failed = m->verdict == VERDICT_FAILED;
        m->error = has_failed ? m->error : slice_of("nobody knows whether its COMMIT took place");
        m->delay_s = has_failed ? m->delay_s : -1;
        m->verdict = VERDICT_FAILED;
        m->result = slice_of("");
    } else if (r->fate == FATE_SETTLED) {
        if (m->verdict != VERDICT_DONE) {
            log_warn("a run did not end well after it had completed its job",
                     LOG_INT("job_id", r->job.job_id),
                     LOG_SLICE("error", m->error));
        }
        *m = (struct wire_outcome){.verdict = VERDICT_SETTLED, .ran_us = m->ran_us, .delay_s = -1};
    }
}

/* The runner returns nothing for a plain success, else verdict, error or nil, delay or nil. */
static void read_verdict(struct run *r, struct wire_outcome *m)
{
    lua_State *co = r->task.co;
    int first = lua_gettop(co) - r->task.nresults + 1;

    if (r->task.nresults > 0) {
        size_t size = 0;
        m->verdict = (uint8_t)lua_tointeger(co, first);
        m->error.data = lua_tolstring(co, first + 1, &size);
        m->error.size = size;
        m->delay_s = lua_isnumber(co, first + 2) ? lua_tonumber(co, first + 2) : -1;
    }
    if (m->verdict == VERDICT_FAILED && r->task.stopped) {
        m->verdict = VERDICT_STOPPED;
    }
    if (m->verdict == VERDICT_DONE) {
        secrets_mask(&r->task.vm->secrets, &r->task.vm->result, 0);
        m->result = buffer_slice(&r->task.vm->result);
    }
}

static void tell_outcome(struct run *r, struct wire_outcome *m)
{
    struct runs *rs = r->runs;

    run_log_finish(r);
    m->run = r->job.run;
    wire_put_outcome(channel_out(rs->channel), m);
    channel_send(rs->channel);
    forget(r);
    buffer_clear(&rs->vm->result);
    if (rs->vm->scratch.capacity > KEPT_BYTES) {
        buffer_fini(&rs->vm->scratch);
    }
    if (rs->vm->result.capacity > KEPT_BYTES) {
        buffer_fini(&rs->vm->result);
    }
    if (rs->count == 0) {
        rs->emptied(rs);
    }
}

static void mark(struct run *r)
{
    if (!r->is_stopping) {
        r->is_stopping = true;
        TAILQ_INSERT_TAIL(&r->runs->stopping, r, stop_link);
    }
}

static char *stop_text(const struct run *r, enum stop_reason reason)
{
    bool computes = task_running_root(r->runs->vm) == &r->task;
    uint64_t ran_us = r->started_us == 0 ? 0 : clock_now_us() - r->started_us;
    char text[256];

    switch (reason) {
    case STOP_CANCEL: return mem_strdup("the job was cancelled");
    case STOP_SHUTDOWN: return mem_strdup("the worker is shutting down");
    case STOP_NONE:
    case STOP_DEADLINE: break;
    }
    (void)snprintf(text,
                   sizeof(text),
                   "stopped after %.*f s%s (timeout is %g s)%s",
                   ran_us < 10000000 ? 1 : 0,
                   (double)ran_us / 1e6,
                   computes ? " without waiting" : "",
                   r->job.timeout_s,
                   computes ? "\nhint: call jobq.sleep(0) in long loops, or raise timeout" : "");
    return mem_strdup(text);
}

static void forget(struct run *r)
{
    struct runs *rs = r->runs;

    rs->by_name[r->job.run] = NULL;
    rs->count--;
    if (r->started_us != 0 && !r->is_told) {
        TAILQ_REMOVE(&rs->untold, r, link);
    }
    if (r->is_stopping) {
        TAILQ_REMOVE(&rs->stopping, r, stop_link);
    }
    run_progress_forget(r);
    run_steps_forget(r);
    free(r->args);
    free(r->stop_text);
    free(r);
}

/* Copies a borrowed slice to where *to points, behind it a terminator. */
static char *keep(char **to, struct slice *s)
{
    char *at = *to;

    if (s->size > 0) {
        memcpy(at, s->data, s->size);
    }
    s->data = at;
    *to = at + s->size + 1;
    return at;
}
