/* wire_test.c - each message there and back, then cut short in every place. */
#include <errno.h>

#include "core/job/wire.h"

#include "spec/unit/unit.h"

/* Puts the frame of type in f, borrowed from out. */
static void take(struct buffer *out, enum wire_type type, struct frame *f)
{
    assert_int_equal(frame_next(buffer_slice(out), f), out->size);
    assert_int_equal(f->type, type);
}

/* Tries the frame in out without its last bytes, and with one too many. */
#define assert_refuses_other_lengths(out, get, message)                                   \
    do {                                                                                  \
        for (size_t length_ = 0; length_ < (out)->size - 5; length_++) {                  \
            struct frame f_ = {.at = (out)->data + 5, .end = (out)->data + 5 + length_};  \
            assert_int_equal(get(&f_, (message)), -EBADMSG);                              \
        }                                                                                 \
        buffer_add_char((out), 0);                                                        \
        struct frame longer_ = {.at = (out)->data + 5, .end = (out)->data + (out)->size}; \
        assert_int_equal(get(&longer_, (message)), -EBADMSG);                             \
    } while (0)

static void carries_config(void **state)
{
    struct wire_config got;
    struct buffer out = {0};
    struct frame f;
    (void)state;

    wire_put_config(&out,
                    &(struct wire_config){.worker_id = 7,
                                          .log_level = 2,
                                          .log_format = 1,
                                          .job_memory = (int64_t)64 << 20,
                                          .load_memory = (int64_t)512 << 20,
                                          .handlers = slice_of("a\nb\n"),
                                          .settings = slice_of("smtp.host=x\n"),
                                          .conninfo = slice_of("dbname=x")});
    take(&out, WIRE_CONFIG, &f);
    assert_int_equal(wire_get_config(&f, &got), 0);
    assert_int_equal(got.worker_id, 7);
    assert_int_equal(got.log_level, 2);
    assert_int_equal(got.log_format, 1);
    assert_int_equal(got.job_memory, (int64_t)64 << 20);
    assert_int_equal(got.load_memory, (int64_t)512 << 20);
    assert_slice(got.handlers, "a\nb\n");
    assert_slice(got.settings, "smtp.host=x\n");
    assert_slice(got.conninfo, "dbname=x");
    assert_refuses_other_lengths(&out, wire_get_config, &got);
    buffer_fini(&out);
}

static void carries_run(void **state)
{
    struct wire_run got;
    struct buffer out = {0};
    struct frame f;
    (void)state;

    wire_put_run(&out,
                 &(struct wire_run){.run = 3,
                                    .job_id = INT64_MAX,
                                    .worker_id = INT64_MAX - 1,
                                    .seq = 17,
                                    .slot = 64,
                                    .created_us = 1,
                                    .run_at_us = -2,
                                    .attempt = 2,
                                    .max_attempts = 5,
                                    .priority = 9,
                                    .timeout_s = 0.5,
                                    .kind = slice_of("email.send"),
                                    .queue = slice_of("email"),
                                    .args = slice_of("{\"a\":1}"),
                                    .meta = slice_of("")});
    take(&out, WIRE_RUN, &f);
    assert_int_equal(wire_get_run(&f, &got), 0);
    assert_int_equal(got.run, 3);
    assert_true(got.job_id == INT64_MAX);
    assert_true(got.worker_id == INT64_MAX - 1 && got.seq == 17 && got.slot == 64);
    assert_true(got.created_us == 1 && got.run_at_us == -2);
    assert_int_equal(got.attempt, 2);
    assert_int_equal(got.max_attempts, 5);
    assert_int_equal(got.priority, 9);
    assert_true(got.timeout_s == 0.5);
    assert_slice(got.kind, "email.send");
    assert_slice(got.queue, "email");
    assert_slice(got.args, "{\"a\":1}");
    assert_slice(got.meta, "");
    assert_refuses_other_lengths(&out, wire_get_run, &got);
    buffer_fini(&out);
}

static void carries_stop_and_started(void **state)
{
    struct wire_stop stop;
    struct wire_started started;
    struct buffer out = {0};
    struct frame f;
    (void)state;

    wire_put_stop(&out, &(struct wire_stop){.run = 4, .reason = STOP_CANCEL});
    take(&out, WIRE_STOP, &f);
    assert_int_equal(wire_get_stop(&f, &stop), 0);
    assert_int_equal(stop.run, 4);
    assert_int_equal(stop.reason, STOP_CANCEL);
    assert_refuses_other_lengths(&out, wire_get_stop, &stop);
    buffer_clear(&out);

    wire_put_started(&out, &(struct wire_started){.run = 5, .started_us = 123456789012});
    take(&out, WIRE_STARTED, &f);
    assert_int_equal(wire_get_started(&f, &started), 0);
    assert_int_equal(started.run, 5);
    assert_true(started.started_us == 123456789012);
    assert_refuses_other_lengths(&out, wire_get_started, &started);
    buffer_fini(&out);
}

static void carries_kind(void **state)
{
    struct wire_kind got;
    struct buffer out = {0};
    struct frame f;
    (void)state;

    wire_put_kind(&out,
                  &(struct wire_kind){.name = slice_of("a.b"),
                                      .queue = slice_of("q"),
                                      .summary = slice_of("s"),
                                      .schema = slice_of("{}"),
                                      .source = slice_of("a.lua:3"),
                                      .schedule = slice_of("{}"),
                                      .limits = slice_of("[]"),
                                      .max_attempts = 3,
                                      .priority = 5,
                                      .timeout_s = 60});
    take(&out, WIRE_KIND, &f);
    assert_int_equal(wire_get_kind(&f, &got), 0);
    assert_slice(got.name, "a.b");
    assert_slice(got.queue, "q");
    assert_slice(got.summary, "s");
    assert_slice(got.schema, "{}");
    assert_slice(got.source, "a.lua:3");
    assert_slice(got.schedule, "{}");
    assert_slice(got.limits, "[]");
    assert_int_equal(got.max_attempts, 3);
    assert_int_equal(got.priority, 5);
    assert_true(got.timeout_s == 60);
    assert_refuses_other_lengths(&out, wire_get_kind, &got);
    buffer_fini(&out);
}

static void carries_log_and_load_failed(void **state)
{
    struct wire_log got;
    struct wire_load_failed failed;
    struct buffer out = {0};
    struct frame f;
    (void)state;

    wire_put_log(&out,
                 &(struct wire_log){.run = 1,
                                    .at_us = 2,
                                    .level = 3,
                                    .message = {"with\0zero", 9},
                                    .fields = slice_of("{}")});
    take(&out, WIRE_LOG, &f);
    assert_int_equal(wire_get_log(&f, &got), 0);
    assert_int_equal(got.run, 1);
    assert_true(got.at_us == 2);
    assert_int_equal(got.level, 3);
    assert_int_equal(got.message.size, 9);
    assert_memory_equal(got.message.data, "with\0zero", 9);
    assert_slice(got.fields, "{}");
    assert_refuses_other_lengths(&out, wire_get_log, &got);
    buffer_clear(&out);

    wire_put_load_failed(&out, &(struct wire_load_failed){.message = slice_of("a.lua:1: no")});
    take(&out, WIRE_LOAD_FAILED, &f);
    assert_int_equal(wire_get_load_failed(&f, &failed), 0);
    assert_slice(failed.message, "a.lua:1: no");
    assert_refuses_other_lengths(&out, wire_get_load_failed, &failed);
    buffer_fini(&out);
}

static void carries_progress(void **state)
{
    struct wire_progress got;
    struct buffer out = {0};
    struct frame f;
    (void)state;

    wire_put_progress(&out, &(struct wire_progress){1, 2, 0.4, slice_of("resizing")});
    take(&out, WIRE_PROGRESS, &f);
    assert_int_equal(wire_get_progress(&f, &got), 0);
    assert_int_equal(got.run, 1);
    assert_true(got.at_us == 2);
    assert_true(got.fraction == 0.4);
    assert_slice(got.message, "resizing");
    assert_refuses_other_lengths(&out, wire_get_progress, &got);
    buffer_fini(&out);
}

static void carries_look_and_sight(void **state)
{
    struct wire_look look;
    struct wire_sight sight;
    struct buffer out = {0};
    struct frame f;
    (void)state;

    wire_put_look(&out, &(struct wire_look){1, 2});
    take(&out, WIRE_LOOK, &f);
    assert_int_equal(wire_get_look(&f, &look), 0);
    assert_int_equal(look.run, 1);
    assert_int_equal(look.ticket, 2);
    assert_refuses_other_lengths(&out, wire_get_look, &look);
    buffer_clear(&out);
    wire_put_sight(&out, &(struct wire_sight){3, slice_of("state waiting")});
    take(&out, WIRE_SIGHT, &f);
    assert_int_equal(wire_get_sight(&f, &sight), 0);
    assert_int_equal(sight.ticket, 3);
    assert_slice(sight.text, "state waiting");
    assert_refuses_other_lengths(&out, wire_get_sight, &sight);
    buffer_fini(&out);
}

static void carries_outcome(void **state)
{
    struct wire_outcome got;
    struct buffer out = {0};
    struct frame f;
    (void)state;

    wire_put_outcome(&out,
                     &(struct wire_outcome){.run = 8,
                                            .verdict = VERDICT_FAILED,
                                            .ran_us = 77,
                                            .delay_s = -1,
                                            .error = slice_of("boom"),
                                            .result = slice_of("")});
    take(&out, WIRE_OUTCOME, &f);
    assert_int_equal(wire_get_outcome(&f, &got), 0);
    assert_int_equal(got.run, 8);
    assert_int_equal(got.verdict, VERDICT_FAILED);
    assert_true(got.ran_us == 77 && got.delay_s == -1);
    assert_slice(got.error, "boom");
    assert_slice(got.result, "");
    assert_refuses_other_lengths(&out, wire_get_outcome, &got);
    buffer_fini(&out);
}

static void carries_messages_without_fields(void **state)
{
    struct buffer out = {0};
    struct frame f;
    (void)state;

    wire_put_plain(&out, WIRE_QUIT);
    take(&out, WIRE_QUIT, &f);
    assert_ptr_equal(f.at, f.end);
    buffer_clear(&out);
    wire_put_plain(&out, WIRE_LOADED);
    take(&out, WIRE_LOADED, &f);
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_config),
        cmocka_unit_test(carries_run),
        cmocka_unit_test(carries_stop_and_started),
        cmocka_unit_test(carries_kind),
        cmocka_unit_test(carries_log_and_load_failed),
        cmocka_unit_test(carries_progress),
        cmocka_unit_test(carries_look_and_sight),
        cmocka_unit_test(carries_outcome),
        cmocka_unit_test(carries_messages_without_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
