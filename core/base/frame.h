/*
 * frame.h - messages between a supervisor and its executors, as bytes.
 *
 * A frame is its length (u32, of what follows), its type (u8) and its fields in a fixed order. Both
 * ends are the same binary on one machine, so integers travel in the machine's own order and no
 * version is told. Texts are a u32 length and the bytes.
 */
#ifndef CORE_BASE_FRAME_H
#define CORE_BASE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/slice.h"

/* The most that a frame may hold; jobs, errors and results are cut well before. */
#define FRAME_MAX_BYTES (64u << 20)

/* Begins a frame at the end of out; returns the mark that frame_end() needs. */
size_t frame_begin(struct buffer *out, uint8_t type);
void frame_end(struct buffer *out, size_t mark);

void frame_put_u8(struct buffer *out, uint8_t value);
void frame_put_u32(struct buffer *out, uint32_t value);
void frame_put_i64(struct buffer *out, int64_t value);
void frame_put_f64(struct buffer *out, double value);
void frame_put_slice(struct buffer *out, struct slice value);

/* Reads the fields of one frame. After a short or malformed frame every get answers 0 or empty. */
struct frame {
    uint8_t type;
    const char *at;  /* borrowed: next unread byte */
    const char *end; /* borrowed */
    bool malformed;  /* something was missing: treat the peer as broken */
};

/*
 * Takes the next frame from the front of in: its size in bytes with f filled in, 0 when it is not
 * complete yet, -EMSGSIZE when the length is absurd. f borrows from in.
 */
int64_t frame_next(struct slice in, struct frame *f);

uint8_t frame_get_u8(struct frame *f);
uint32_t frame_get_u32(struct frame *f);
int64_t frame_get_i64(struct frame *f);
double frame_get_f64(struct frame *f);
struct slice frame_get_slice(struct frame *f); /* borrowed like the frame */

#endif
