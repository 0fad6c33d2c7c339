/* channel_test.c - two ends of a socket pair: a channel, and a test that plays the peer. */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "core/base/channel.h"
#include "core/base/clock.h"

#include "spec/unit/unit.h"

#define DEADLINE_MS 10000
#define MOST_FRAMES 64

struct rig {
    uv_loop_t loop;
    struct channel *channel;
    int peer;

    /* What was told. */
    uint8_t types[MOST_FRAMES];
    size_t frames;
    size_t bytes; /* of all texts */
    size_t drained;
    size_t lost;
    char why[64];

    /* What to do then. */
    uint8_t close_at_type;
    bool close_when_drained;
    bool close_when_lost;
    struct slice arrives_when_drained; /* and is received from inside */
};

static void on_frame(void *owner, struct frame *f)
{
    struct rig *r = owner;

    assert_true(r->frames < MOST_FRAMES);
    r->types[r->frames++] = f->type;
    r->bytes += frame_get_slice(f).size;
    if (f->type == r->close_at_type) {
        channel_close(r->channel);
    }
}

static void on_drained(void *owner)
{
    struct rig *r = owner;

    r->drained++;
    if (r->arrives_when_drained.size > 0) {
        struct slice more = r->arrives_when_drained;
        r->arrives_when_drained.size = 0;
        assert_int_equal(write(r->peer, more.data, more.size), more.size);
        channel_receive(r->channel);
    }
    if (r->close_when_drained) {
        channel_close(r->channel);
    }
}

static void on_lost(void *owner, const char *why)
{
    struct rig *r = owner;

    r->lost++;
    (void)strncpy(r->why, why, sizeof(r->why) - 1);
    if (r->close_when_lost) {
        channel_close(r->channel);
    }
}

static const struct channel_events events = {
    .frame = on_frame,
    .drained = on_drained,
    .lost = on_lost,
};

static void rig_open(struct rig *r)
{
    int ends[2];

    *r = (struct rig){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    r->channel = channel_open(&r->loop, ends[0], &events, r);
    r->peer = ends[1];
}

/* Everything must have been given back to the loop. */
static void rig_close(struct rig *r)
{
    if (r->peer >= 0) {
        close(r->peer);
    }
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
}

static void peer_sends(struct rig *r, uint8_t type, const char *text)
{
    struct buffer b = {0};
    size_t mark = frame_begin(&b, type);

    frame_put_slice(&b, slice_of(text));
    frame_end(&b, mark);
    assert_int_equal(write(r->peer, b.data, b.size), b.size);
    buffer_fini(&b);
}

static void put(struct rig *r, uint8_t type, struct slice text)
{
    size_t mark = frame_begin(channel_out(r->channel), type);

    frame_put_slice(channel_out(r->channel), text);
    frame_end(channel_out(r->channel), mark);
}

/* Turns the loop until *count has reached at_least. */
static void run_until(struct rig *r, const size_t *count, size_t at_least)
{
    uint64_t deadline_ms = clock_now_ms() + DEADLINE_MS;

    while (*count < at_least) {
        if (clock_now_ms() > deadline_ms) {
            fail_msg("waited for %zu, got %zu", at_least, *count);
        }
        uv_run(&r->loop, UV_RUN_NOWAIT);
    }
}

static void tells_frames_in_order_then_drained(void **state)
{
    struct rig r;
    (void)state;

    rig_open(&r);
    peer_sends(&r, 1, "a");
    peer_sends(&r, 2, "bb");
    peer_sends(&r, 3, "ccc");
    run_until(&r, &r.drained, 1);
    assert_int_equal(r.frames, 3);
    assert_memory_equal(r.types, "\1\2\3", 3);
    assert_int_equal(r.bytes, 6);
    assert_int_equal(r.drained, 1);
    channel_close(r.channel);
    rig_close(&r);
}

static void puts_pieces_together(void **state)
{
    struct rig r;
    struct buffer b = {0};
    (void)state;

    rig_open(&r);
    for (uint8_t type = 1; type <= 2; type++) {
        size_t mark = frame_begin(&b, type);
        frame_put_slice(&b, slice_of("piece"));
        frame_end(&b, mark);
    }
    for (size_t i = 0; i < b.size; i++) {
        assert_int_equal(r.frames, i < b.size / 2 ? 0 : 1);
        assert_int_equal(write(r.peer, b.data + i, 1), 1);
        channel_receive(r.channel);
    }
    assert_int_equal(r.frames, 2);
    assert_int_equal(r.bytes, 10);
    buffer_fini(&b);
    channel_close(r.channel);
    rig_close(&r);
}

static void sends_with_the_next_turn(void **state)
{
    struct rig r;
    char bytes[64];
    (void)state;

    rig_open(&r);
    put(&r, 5, slice_of("x"));
    channel_send(r.channel);
    channel_send(r.channel);
    assert_true(channel_is_sending(r.channel));
    assert_int_equal(recv(r.peer, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
    uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_false(channel_is_sending(r.channel));
    struct frame f;
    ssize_t size = recv(r.peer, bytes, sizeof(bytes), MSG_DONTWAIT);
    assert_int_equal(frame_next((struct slice){bytes, (size_t)size}, &f), size);
    assert_int_equal(f.type, 5);
    channel_close(r.channel);
    rig_close(&r);
}

static void flushes_without_the_loop(void **state)
{
    struct rig r;
    char bytes[64];
    (void)state;

    rig_open(&r);
    put(&r, 5, slice_of("x"));
    channel_flush(r.channel);
    assert_true(recv(r.peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
    channel_close(r.channel);
    rig_close(&r);
}

static void sends_more_than_a_socket_holds(void **state)
{
    struct rig r;
    static char text[4 << 20];
    static char bytes[65536];
    size_t got = 0;
    (void)state;

    rig_open(&r);
    memset(text, 't', sizeof(text));
    put(&r, 5, (struct slice){text, sizeof(text)});
    size_t expected = channel_out(r.channel)->size;
    channel_send(r.channel);
    uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_true(channel_is_sending(r.channel));
    uint64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
    while (got < expected && clock_now_ms() < deadline_ms) {
        ssize_t n = recv(r.peer, bytes, sizeof(bytes), MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(got, expected);
    assert_false(channel_is_sending(r.channel));
    channel_close(r.channel);
    rig_close(&r);
}

static void says_once_that_the_peer_is_gone(void **state)
{
    struct rig r;
    (void)state;

    rig_open(&r);
    peer_sends(&r, 1, "last words");
    close(r.peer);
    r.peer = -1;
    run_until(&r, &r.lost, 1);
    assert_int_equal(r.frames, 1);
    assert_string_equal(r.why, "the other end has closed");
    rig_close(&r);
    assert_int_equal(r.lost, 1);
}

static void takes_half_a_frame_for_a_lost_peer(void **state)
{
    struct rig r;
    (void)state;

    rig_open(&r);
    assert_int_equal(write(r.peer, "\x10\0\0\0\1", 5), 5);
    close(r.peer);
    r.peer = -1;
    run_until(&r, &r.lost, 1);
    assert_int_equal(r.frames, 0);
    rig_close(&r);
}

static void gives_a_hostile_peer_up(void **state)
{
    struct rig r;
    (void)state;

    rig_open(&r);
    peer_sends(&r, 1, "fine");
    assert_int_equal(write(r.peer, "\xFF\xFF\xFF\xFF\1", 5), 5);
    peer_sends(&r, 2, "never told");
    run_until(&r, &r.lost, 1);
    assert_int_equal(r.frames, 1);
    assert_string_equal(r.why, "a frame of absurd length");
    rig_close(&r);
    assert_int_equal(r.lost, 1);
    assert_int_equal(r.frames, 1);
}

static void closes_inside_a_frame(void **state)
{
    struct rig r;
    (void)state;

    rig_open(&r);
    r.close_at_type = 2;
    peer_sends(&r, 1, "");
    peer_sends(&r, 2, "");
    peer_sends(&r, 3, "not told");
    run_until(&r, &r.frames, 2);
    rig_close(&r);
    assert_int_equal(r.frames, 2);
    assert_int_equal(r.drained, 0);
    assert_int_equal(r.lost, 0);
}

static void closes_inside_drained_and_lost(void **state)
{
    struct rig r;
    (void)state;

    rig_open(&r);
    r.close_when_drained = true;
    peer_sends(&r, 1, "");
    run_until(&r, &r.drained, 1);
    rig_close(&r);
    assert_int_equal(r.lost, 0);

    rig_open(&r);
    r.close_when_lost = true;
    close(r.peer);
    r.peer = -1;
    run_until(&r, &r.lost, 1);
    rig_close(&r);
    assert_int_equal(r.lost, 1);
}

static void closes_right_after_opening(void **state)
{
    struct rig r;
    (void)state;

    rig_open(&r);
    put(&r, 1, slice_of("never sent"));
    channel_send(r.channel);
    channel_close(r.channel);
    rig_close(&r);
    assert_int_equal(r.lost, 0);
}

/* A computing executor reads its mail from inside of what drained() has started. */
static void receives_inside_drained(void **state)
{
    struct rig r;
    struct buffer b = {0};
    (void)state;

    rig_open(&r);
    frame_end(&b, frame_begin(&b, 9));
    r.arrives_when_drained = buffer_slice(&b);
    peer_sends(&r, 1, "outer");
    run_until(&r, &r.frames, 2);
    peer_sends(&r, 2, "later");
    run_until(&r, &r.frames, 3);
    assert_memory_equal(r.types, "\1\11\2", 3);
    buffer_fini(&b);
    channel_close(r.channel);
    rig_close(&r);
}

/* The first half was read before, the second half comes while drained() is under way. */
static void completes_a_frame_inside_drained(void **state)
{
    struct rig r;
    struct buffer b = {0};
    (void)state;

    rig_open(&r);
    frame_end(&b, frame_begin(&b, 7));
    frame_end(&b, frame_begin(&b, 8));
    r.arrives_when_drained = (struct slice){b.data + b.size / 2 + 3, b.size / 2 - 3};
    assert_int_equal(write(r.peer, b.data, b.size / 2 + 3), b.size / 2 + 3);
    run_until(&r, &r.drained, 2);
    assert_int_equal(r.frames, 2);
    assert_memory_equal(r.types, "\7\10", 2);
    buffer_fini(&b);
    channel_close(r.channel);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_frames_in_order_then_drained),
        cmocka_unit_test(puts_pieces_together),
        cmocka_unit_test(sends_with_the_next_turn),
        cmocka_unit_test(flushes_without_the_loop),
        cmocka_unit_test(sends_more_than_a_socket_holds),
        cmocka_unit_test(says_once_that_the_peer_is_gone),
        cmocka_unit_test(takes_half_a_frame_for_a_lost_peer),
        cmocka_unit_test(gives_a_hostile_peer_up),
        cmocka_unit_test(closes_inside_a_frame),
        cmocka_unit_test(closes_inside_drained_and_lost),
        cmocka_unit_test(closes_right_after_opening),
        cmocka_unit_test(receives_inside_drained),
        cmocka_unit_test(completes_a_frame_inside_drained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
