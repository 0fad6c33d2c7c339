/* subprocess.c - spawn the guard, pump bytes, count what is still open. */
#include "bindings/subprocess.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"

#define BLOCK ((size_t)64 << 10)

static void on_exited(uv_process_t *guard, int64_t status, int signal);
static void on_control(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf);
static void on_output(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf);
static void on_written(uv_write_t *write, int status);
static void on_timeout(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);
static void close_handle(uv_handle_t *handle);
static void check_over(struct subprocess *s);

/* ---- start ---- */

/* Ends of pipes that the program gets; all are ours to close after the spawn. */
struct ends {
    int in;
    int out;
    int err;
};

/* A pipe whose other end is for the program: real pipes, since /dev/stdout cannot be a socket. */
static int open_pipe(uv_pipe_t *pipe, bool is_input, int *theirs)
{
    int fds[2];
    int ours = is_input ? 1 : 0;

    int error = uv_pipe(fds, is_input ? 0 : UV_NONBLOCK_PIPE, is_input ? UV_NONBLOCK_PIPE : 0);
    if (error != 0) {
        return error;
    }
    *theirs = fds[1 - ours];
    error = uv_pipe_open(pipe, fds[ours]);
    if (error != 0) {
        (void)close(fds[ours]);
    }
    return error;
}

static int open_pipes(struct subprocess *s, const struct subprocess_plan *plan, struct ends *ends)
{
    int error = 0;

    if (plan->input.size > 0) {
        error = open_pipe(&s->in, true, &ends->in);
    }
    if (error == 0 && s->out.mode != OUTPUT_FILE) {
        error = open_pipe(&s->out.pipe, false, &ends->out);
    }
    if (error == 0 && s->err.mode != OUTPUT_FILE) {
        error = open_pipe(&s->err.pipe, false, &ends->err);
    }
    return error;
}

static void close_ends(const struct ends *ends)
{
    const int fds[] = {ends->in, ends->out, ends->err};

    for (size_t i = 0; i < LENGTH_OF(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
}

static uv_stdio_container_t inherit(int fd)
{
    return fd < 0 ? (uv_stdio_container_t){.flags = UV_IGNORE}
                  : (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = fd};
}

static int spawn(struct subprocess *s,
                 const char *guard,
                 const struct subprocess_plan *plan,
                 const struct ends *ends)
{
    uv_stdio_container_t stdio[] = {
        inherit(ends->in),
        inherit(ends->out),
        inherit(ends->err),
        [GUARD_FD] = {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
                      .data.stream = (uv_stream_t *)&s->control},
    };
    uv_process_options_t options = {
        .exit_cb = on_exited,
        .flags = UV_PROCESS_DETACHED,
        .file = guard,
        .args = plan->args,
        .env = plan->env,
        .stdio = stdio,
        .stdio_count = LENGTH_OF(stdio),
    };

    s->is_spawned = true; /* uv_spawn initialises the handle even when it fails */
    s->handles++;
    s->guard.data = s;
    return uv_spawn(s->timer.loop, &s->guard, &options);
}

static void init_handles(struct subprocess *s, uv_loop_t *loop)
{
    uv_handle_t *const handles[] = {
        (uv_handle_t *)&s->control,
        (uv_handle_t *)&s->in,
        (uv_handle_t *)&s->out.pipe,
        (uv_handle_t *)&s->err.pipe,
        (uv_handle_t *)&s->timer,
    };

    (void)uv_pipe_init(loop, &s->control, 0);
    (void)uv_pipe_init(loop, &s->in, 0);
    (void)uv_pipe_init(loop, &s->out.pipe, 0);
    (void)uv_pipe_init(loop, &s->err.pipe, 0);
    (void)uv_timer_init(loop, &s->timer);
    for (size_t i = 0; i < LENGTH_OF(handles); i++) {
        handles[i]->data = s;
    }
    s->handles = (int)LENGTH_OF(handles);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct subprocess *s = handle->data;
    (void)suggested;

    if (handle == (uv_handle_t *)&s->control) {
        *buf = uv_buf_init((char *)&s->report + s->reported,
                           (unsigned)(sizeof(s->report) - s->reported));
        return;
    }
    struct output *o = handle == (uv_handle_t *)&s->out.pipe ? &s->out : &s->err;
    *buf = uv_buf_init(buffer_reserve(&o->data, BLOCK), BLOCK);
}

static void start_output(struct output *o)
{
    if (o->mode == OUTPUT_FILE) {
        o->is_ended = true;
        close_handle((uv_handle_t *)&o->pipe);
    } else {
        (void)uv_read_start((uv_stream_t *)&o->pipe, on_alloc, on_output);
    }
}

static void start_input(struct subprocess *s)
{
    uv_buf_t buf = uv_buf_init(s->input.data, (unsigned)s->input.size);

    if (s->input.size == 0 ||
        uv_write(&s->write, (uv_stream_t *)&s->in, &buf, 1, on_written) != 0) {
        close_handle((uv_handle_t *)&s->in);
    }
}

int subprocess_start(struct subprocess *s,
                     uv_loop_t *loop,
                     const char *guard,
                     const struct subprocess_plan *plan)
{
    struct ends ends = {-1, -1, -1};

    s->input = plan->input;
    s->started_us = clock_now_us();
    init_handles(s, loop);
    int error = open_pipes(s, plan, &ends);
    error = error != 0 ? error : spawn(s, guard, plan, &ends);
    close_ends(&ends);
    if (error != 0) {
        s->is_over = true;
        return error;
    }
    uv_update_time(loop); /* the run may have computed since the loop last looked */
    if (plan->timeout_ms > 0) {
        uv_timer_start(&s->timer, on_timeout, plan->timeout_ms, 0);
    }
    (void)uv_read_start((uv_stream_t *)&s->control, on_alloc, on_control);
    start_input(s);
    start_output(&s->out);
    start_output(&s->err);
    return 0;
}

/* ---- while it runs ---- */

static void on_written(uv_write_t *write, int status)
{
    struct subprocess *s = write->handle->data;
    (void)status; /* a program need not read what it is given */

    close_handle((uv_handle_t *)&s->in);
}

/* More than max: the rest is dropped once the program is to end anyway. */
static void limit_output(struct subprocess *s, struct output *o)
{
    if (o->data.size <= o->max) {
        return;
    }
    if (o->mode == OUTPUT_PIECES && !s->is_stopping) {
        (void)uv_read_stop((uv_stream_t *)&o->pipe);
        o->is_paused = true;
        return;
    }
    o->data.size = o->max;
    if (!s->is_stopping) {
        s->too_large = o;
        subprocess_terminate(s);
    }
}

static void on_output(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct subprocess *s = stream->data;
    struct output *o = stream == (uv_stream_t *)&s->out.pipe ? &s->out : &s->err;
    (void)buf;

    if (size < 0) {
        o->is_ended = true;
        close_handle((uv_handle_t *)&o->pipe);
        check_over(s);
        return;
    }
    buffer_grew(&o->data, (size_t)size);
    limit_output(s, o);
    if (o->mode == OUTPUT_PIECES && size > 0 && !s->is_closed) {
        s->changed(s);
    }
}

void subprocess_go_on(struct output *o)
{
    buffer_clear(&o->data);
    if (o->is_paused) {
        o->is_paused = false;
        (void)uv_read_start((uv_stream_t *)&o->pipe, on_alloc, on_output);
    }
}

static void on_timeout(uv_timer_t *timer)
{
    struct subprocess *s = timer->data;

    s->timed_out = true;
    subprocess_terminate(s);
}

static void kill_now(struct subprocess *s)
{
    int fd;

    if (!s->control_ended && uv_fileno((uv_handle_t *)&s->control, &fd) == 0) {
        (void)shutdown(fd, SHUT_WR); /* and its report may still come */
    }
}

/* What it still says has to be read, or it could not end. */
void subprocess_terminate(struct subprocess *s)
{
    char byte = GUARD_TERMINATE;
    uv_buf_t buf = uv_buf_init(&byte, 1);

    if (s->is_over) {
        return;
    }
    bool was_stopping = s->is_stopping;
    s->is_stopping = true;
    struct output *const outputs[] = {&s->out, &s->err};
    for (size_t i = 0; i < LENGTH_OF(outputs); i++) {
        if (outputs[i]->is_paused) {
            subprocess_go_on(outputs[i]);
        }
    }
    if (was_stopping || uv_try_write((uv_stream_t *)&s->control, &buf, 1) != 1) {
        kill_now(s);
    }
}

/* ---- the end ---- */

static void on_control(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct subprocess *s = stream->data;
    (void)buf;

    if (size > 0) {
        s->reported += (size_t)size;
        s->has_report = s->reported == sizeof(s->report);
    }
    if (size < 0 || s->has_report) {
        s->control_ended = true;
        close_handle((uv_handle_t *)&s->control);
        check_over(s);
    }
}

static void on_exited(uv_process_t *guard, int64_t status, int signal)
{
    struct subprocess *s = guard->data;
    (void)status;
    (void)signal;

    s->guard_ended = true;
    s->ended_us = clock_now_us();
    close_handle((uv_handle_t *)guard);
    check_over(s);
}

static void check_over(struct subprocess *s)
{
    if (s->is_over || !s->guard_ended || !s->control_ended || !s->out.is_ended ||
        !s->err.is_ended) {
        return;
    }
    s->is_over = true;
    close_handle((uv_handle_t *)&s->timer);
    close_handle((uv_handle_t *)&s->in);
    if (!s->is_closed) {
        s->changed(s);
    }
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, on_closed);
    }
}

static void free_when_unused(struct subprocess *s)
{
    if (s->is_closed && s->handles == 0) {
        buffer_fini(&s->out.data);
        buffer_fini(&s->err.data);
        buffer_fini(&s->input);
        free(s);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct subprocess *s = handle->data;

    s->handles--;
    free_when_unused(s);
}

/* One that never started has all its handles open; one that runs loses them as it ends. */
void subprocess_close(struct subprocess *s)
{
    s->is_closed = true;
    if (s->is_over) {
        if (s->is_spawned) {
            close_handle((uv_handle_t *)&s->guard);
        }
        close_handle((uv_handle_t *)&s->control);
        close_handle((uv_handle_t *)&s->in);
        close_handle((uv_handle_t *)&s->out.pipe);
        close_handle((uv_handle_t *)&s->err.pipe);
        close_handle((uv_handle_t *)&s->timer);
    } else {
        subprocess_terminate(s);
        kill_now(s);
    }
    free_when_unused(s);
}
