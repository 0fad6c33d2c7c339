/*
 * channel.h - frames over a local socket on the event loop; one end is a supervisor, the other an
 * executor.
 *
 * Writing never blocks: frames gather in `out` and leave together when the loop comes round, so a
 * burst of small frames is one system call. Reading may also happen outside of the loop
 * (channel_receive), which is how a computing executor gets its mail.
 */
#ifndef CORE_BASE_CHANNEL_H
#define CORE_BASE_CHANNEL_H

#include <stdbool.h>

#include <uv.h>

#include "core/base/buffer.h"
#include "core/base/frame.h"
#include "core/base/mem.h"

struct channel;

struct channel_events {
    /* One frame, borrowed until the callback returns. May close the channel, may not receive. */
    void (*frame)(void *owner, struct frame *f);
    /* After all frames of one read were told: a moment to act on all of them. May be NULL. */
    void (*drained)(void *owner);
    /* The peer is gone or talks nonsense; why is borrowed. The channel closes itself afterwards. */
    void (*lost)(void *owner, const char *why);
};

/* Takes fd, a connected stream socket, and watches it. Owned by the caller until channel_close(). */
struct channel *channel_open(uv_loop_t *loop,
                             int fd,
                             const struct channel_events *events,
                             void *owner);

/* Where the next frame is put: frame_begin(channel_out(c), ...) ... frame_end(); then send. */
struct buffer *channel_out(struct channel *c);

/* Has what is in `out` sent at the end of this turn of the loop. */
void channel_send(struct channel *c);

/* Writes what the socket takes right now; for a last word before exit or a long computation. */
void channel_flush(struct channel *c);

/* True while something waits in `out`. */
bool channel_is_sending(const struct channel *c);

/* Reads what has arrived, without waiting, and tells it through events. Callable from anywhere. */
void channel_receive(struct channel *c);

/* Closes and frees, also from inside a callback. What waits in `out` is lost. */
void channel_close(struct channel *c);

#endif
