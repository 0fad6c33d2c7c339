/* file_stream.c - what a step does in its thread, and what comes after it in the loop. */
#include "bindings/file_stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A block: large enough that steps are few, small enough that ten thousand streams fit. */
#define BLOCK ((size_t)256 << 10)

static void queue(uv_loop_t *loop, uv_work_t *work, uv_work_cb step, uv_after_work_cb after)
{
    int status = uv_queue_work(loop, work, step, after);

    assert(status == 0); /* it only fails without a work function */
    (void)status;
}

/* ---- reading ---- */

static int open_to_read(struct file_reader *r)
{
    struct stat st;

    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hold the thread */
    if (r->fd < 0 || fstat(r->fd, &st) != 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    }
    r->size = st.st_size;
    return 0;
}

static void read_block(uv_work_t *work)
{
    struct file_reader *r = work->data;
    ssize_t got;

    if (r->fd < 0) {
        r->error = open_to_read(r);
    }
    if (r->error != 0) {
        return;
    }
    size_t left = (size_t)(r->size - r->at); /* what is appended meanwhile is not ours */
    size_t room = left < BLOCK ? left : BLOCK;
    do {
        got = pread(r->fd, buffer_reserve(&r->block, room), room, r->at);
    } while (got < 0 && errno == EINTR);
    if (got < 0 || (got == 0 && room > 0)) {
        r->error = got < 0 ? -errno : -EIO; /* it became shorter */
        return;
    }
    buffer_grew(&r->block, (size_t)got);
    r->at += got;
}

static void on_read(uv_work_t *work, int status)
{
    struct file_reader *r = work->data;
    (void)status;

    r->is_busy = false;
    r->at_end = r->error == 0 && r->block.size == 0;
    r->stepped(r);
}

static void read_on(struct file_reader *r)
{
    buffer_clear(&r->block);
    r->taken = 0;
    r->is_busy = true;
    queue(r->loop, &r->work, read_block, on_read);
}

void file_reader_start(struct file_reader *r, uv_loop_t *loop, const char *path)
{
    r->loop = loop;
    r->path = mem_strdup(path);
    r->fd = -1;
    r->work.data = r;
    read_on(r);
}

size_t file_reader_take(struct file_reader *r, char *to, size_t room)
{
    if (r->is_busy || r->at_end || r->error != 0) {
        return 0;
    }
    size_t left = r->block.size - r->taken;
    size_t size = left < room ? left : room;
    if (size == 0) {
        read_on(r);
        return 0;
    }
    memcpy(to, r->block.data + r->taken, size);
    r->taken += size;
    return size;
}

bool file_reader_rewind(struct file_reader *r)
{
    if (r->is_busy || r->error != 0) {
        return false;
    }
    buffer_clear(&r->block);
    r->taken = 0;
    r->at = 0;
    r->at_end = false;
    return true;
}

void file_reader_fini(struct file_reader *r)
{
    assert(!r->is_busy);
    if (r->path != NULL && r->fd >= 0) {
        (void)close(r->fd);
    }
    buffer_fini(&r->block);
    free(r->path);
    r->path = NULL;
}

/* ---- writing ---- */

static void write_block(uv_work_t *work)
{
    struct file_writer *w = work->data;

    if (!w->is_open) {
        w->error = new_file_open(&w->file, w->path);
        w->is_open = w->error == 0;
    }
    if (w->error == 0 && w->block.size > 0) {
        w->error = new_file_add(&w->file, w->block.data, w->block.size);
    }
    if (w->error == 0 && w->commit) {
        w->error = new_file_commit(&w->file);
        w->is_done = w->error == 0;
    }
}

static void on_written(uv_work_t *work, int status);

/* commit holds for a step that takes all there is, so it is set no earlier. */
static void write_on(struct file_writer *w)
{
    struct buffer empty = w->block;

    w->block = w->gathered;
    w->gathered = empty;
    buffer_clear(&w->gathered);
    w->commit = w->ending;
    w->is_busy = true;
    queue(w->loop, &w->work, write_block, on_written);
}

static void on_written(uv_work_t *work, int status)
{
    struct file_writer *w = work->data;
    (void)status;

    w->is_busy = false;
    if (w->error == 0 && !w->is_done && (w->ending || w->gathered.size >= BLOCK)) {
        write_on(w);
    }
    w->stepped(w);
}

void file_writer_init(struct file_writer *w, uv_loop_t *loop, const char *path)
{
    w->loop = loop;
    w->path = mem_strdup(path);
    w->file.fd = -1;
    w->work.data = w;
}

bool file_writer_is_full(const struct file_writer *w)
{
    return w->is_busy && w->gathered.size >= BLOCK;
}

void file_writer_add(struct file_writer *w, struct slice data)
{
    buffer_add_slice(&w->gathered, data);
    if (!w->is_busy && w->gathered.size >= BLOCK && w->error == 0) {
        write_on(w);
    }
}

void file_writer_commit(struct file_writer *w)
{
    w->ending = true;
    if (!w->is_busy) {
        write_on(w);
    }
}

void file_writer_fini(struct file_writer *w)
{
    assert(!w->is_busy);
    if (w->is_open) {
        new_file_abandon(&w->file); /* nothing is left of it after a commit */
    }
    buffer_fini(&w->gathered);
    buffer_fini(&w->block);
    free(w->path);
    w->path = NULL;
}
