/* wire.c - the fields of each message, once to write and once to read, side by side. */
#include "core/job/wire.h"

#include <errno.h>

static int checked(const struct frame *f)
{
    return f->malformed || f->at != f->end ? -EBADMSG : 0;
}

void wire_put_plain(struct buffer *out, enum wire_type type)
{
    frame_end(out, frame_begin(out, (uint8_t)type));
}

void wire_put_config(struct buffer *out, const struct wire_config *m)
{
    size_t mark = frame_begin(out, WIRE_CONFIG);

    frame_put_i64(out, m->worker_id);
    frame_put_u8(out, m->log_level);
    frame_put_u8(out, m->log_format);
    frame_put_i64(out, m->job_memory);
    frame_put_i64(out, m->load_memory);
    frame_put_slice(out, m->handlers);
    frame_put_slice(out, m->settings);
    frame_put_slice(out, m->conninfo);
    frame_end(out, mark);
}

int wire_get_config(struct frame *f, struct wire_config *m)
{
    m->worker_id = frame_get_i64(f);
    m->log_level = frame_get_u8(f);
    m->log_format = frame_get_u8(f);
    m->job_memory = frame_get_i64(f);
    m->load_memory = frame_get_i64(f);
    m->handlers = frame_get_slice(f);
    m->settings = frame_get_slice(f);
    m->conninfo = frame_get_slice(f);
    return checked(f);
}

void wire_put_run(struct buffer *out, const struct wire_run *m)
{
    size_t mark = frame_begin(out, WIRE_RUN);

    frame_put_u32(out, m->run);
    frame_put_i64(out, m->job_id);
    frame_put_i64(out, m->worker_id);
    frame_put_i64(out, m->seq);
    frame_put_u32(out, m->slot);
    frame_put_i64(out, m->created_us);
    frame_put_i64(out, m->run_at_us);
    frame_put_u32(out, m->attempt);
    frame_put_u32(out, m->max_attempts);
    frame_put_u32(out, m->priority);
    frame_put_f64(out, m->timeout_s);
    frame_put_slice(out, m->kind);
    frame_put_slice(out, m->queue);
    frame_put_slice(out, m->args);
    frame_put_slice(out, m->meta);
    frame_end(out, mark);
}

int wire_get_run(struct frame *f, struct wire_run *m)
{
    m->run = frame_get_u32(f);
    m->job_id = frame_get_i64(f);
    m->worker_id = frame_get_i64(f);
    m->seq = frame_get_i64(f);
    m->slot = frame_get_u32(f);
    m->created_us = frame_get_i64(f);
    m->run_at_us = frame_get_i64(f);
    m->attempt = frame_get_u32(f);
    m->max_attempts = frame_get_u32(f);
    m->priority = frame_get_u32(f);
    m->timeout_s = frame_get_f64(f);
    m->kind = frame_get_slice(f);
    m->queue = frame_get_slice(f);
    m->args = frame_get_slice(f);
    m->meta = frame_get_slice(f);
    return checked(f);
}

void wire_put_stop(struct buffer *out, const struct wire_stop *m)
{
    size_t mark = frame_begin(out, WIRE_STOP);

    frame_put_u32(out, m->run);
    frame_put_u8(out, m->reason);
    frame_end(out, mark);
}

int wire_get_stop(struct frame *f, struct wire_stop *m)
{
    m->run = frame_get_u32(f);
    m->reason = frame_get_u8(f);
    return checked(f);
}

void wire_put_look(struct buffer *out, const struct wire_look *m)
{
    size_t mark = frame_begin(out, WIRE_LOOK);

    frame_put_u32(out, m->run);
    frame_put_u32(out, m->ticket);
    frame_end(out, mark);
}

int wire_get_look(struct frame *f, struct wire_look *m)
{
    m->run = frame_get_u32(f);
    m->ticket = frame_get_u32(f);
    return checked(f);
}

void wire_put_sight(struct buffer *out, const struct wire_sight *m)
{
    size_t mark = frame_begin(out, WIRE_SIGHT);

    frame_put_u32(out, m->ticket);
    frame_put_slice(out, m->text);
    frame_end(out, mark);
}

int wire_get_sight(struct frame *f, struct wire_sight *m)
{
    m->ticket = frame_get_u32(f);
    m->text = frame_get_slice(f);
    return checked(f);
}

void wire_put_kind(struct buffer *out, const struct wire_kind *m)
{
    size_t mark = frame_begin(out, WIRE_KIND);

    frame_put_slice(out, m->name);
    frame_put_slice(out, m->queue);
    frame_put_slice(out, m->summary);
    frame_put_slice(out, m->schema);
    frame_put_slice(out, m->source);
    frame_put_slice(out, m->schedule);
    frame_put_slice(out, m->limits);
    frame_put_u32(out, m->max_attempts);
    frame_put_u32(out, m->priority);
    frame_put_f64(out, m->timeout_s);
    frame_end(out, mark);
}

int wire_get_kind(struct frame *f, struct wire_kind *m)
{
    m->name = frame_get_slice(f);
    m->queue = frame_get_slice(f);
    m->summary = frame_get_slice(f);
    m->schema = frame_get_slice(f);
    m->source = frame_get_slice(f);
    m->schedule = frame_get_slice(f);
    m->limits = frame_get_slice(f);
    m->max_attempts = frame_get_u32(f);
    m->priority = frame_get_u32(f);
    m->timeout_s = frame_get_f64(f);
    return checked(f);
}

void wire_put_load_failed(struct buffer *out, const struct wire_load_failed *m)
{
    size_t mark = frame_begin(out, WIRE_LOAD_FAILED);

    frame_put_slice(out, m->message);
    frame_end(out, mark);
}

int wire_get_load_failed(struct frame *f, struct wire_load_failed *m)
{
    m->message = frame_get_slice(f);
    return checked(f);
}

void wire_put_started(struct buffer *out, const struct wire_started *m)
{
    size_t mark = frame_begin(out, WIRE_STARTED);

    frame_put_u32(out, m->run);
    frame_put_i64(out, m->started_us);
    frame_end(out, mark);
}

int wire_get_started(struct frame *f, struct wire_started *m)
{
    m->run = frame_get_u32(f);
    m->started_us = frame_get_i64(f);
    return checked(f);
}

void wire_put_log(struct buffer *out, const struct wire_log *m)
{
    size_t mark = frame_begin(out, WIRE_LOG);

    frame_put_u32(out, m->run);
    frame_put_i64(out, m->at_us);
    frame_put_u8(out, m->level);
    frame_put_slice(out, m->message);
    frame_put_slice(out, m->fields);
    frame_end(out, mark);
}

int wire_get_log(struct frame *f, struct wire_log *m)
{
    m->run = frame_get_u32(f);
    m->at_us = frame_get_i64(f);
    m->level = frame_get_u8(f);
    m->message = frame_get_slice(f);
    m->fields = frame_get_slice(f);
    return checked(f);
}

void wire_put_progress(struct buffer *out, const struct wire_progress *m)
{
    size_t mark = frame_begin(out, WIRE_PROGRESS);

    frame_put_u32(out, m->run);
    frame_put_i64(out, m->at_us);
    frame_put_f64(out, m->fraction);
    frame_put_slice(out, m->message);
    frame_end(out, mark);
}

int wire_get_progress(struct frame *f, struct wire_progress *m)
{
    m->run = frame_get_u32(f);
    m->at_us = frame_get_i64(f);
    m->fraction = frame_get_f64(f);
    m->message = frame_get_slice(f);
    return checked(f);
}

void wire_put_outcome(struct buffer *out, const struct wire_outcome *m)
{
    size_t mark = frame_begin(out, WIRE_OUTCOME);

    frame_put_u32(out, m->run);
    frame_put_u8(out, m->verdict);
    frame_put_i64(out, m->ran_us);
    frame_put_f64(out, m->delay_s);
    frame_put_slice(out, m->error);
    frame_put_slice(out, m->result);
    frame_end(out, mark);
}

int wire_get_outcome(struct frame *f, struct wire_outcome *m)
{
    m->run = frame_get_u32(f);
    m->verdict = frame_get_u8(f);
    m->ran_us = frame_get_i64(f);
    m->delay_s = frame_get_f64(f);
    m->error = frame_get_slice(f);
    m->result = frame_get_slice(f);
    return checked(f);
}
