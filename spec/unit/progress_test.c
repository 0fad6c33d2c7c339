/* progress_test.c - job:progress in a real executor: what travels, and what does not. */
#include "spec/unit/executor_rig.h"

/* Borrowed until the next frame. */
static struct wire_progress next_progress(struct rig *rig)
{
    struct wire_progress m;
    struct frame f = rig_wait_for(rig, WIRE_PROGRESS);

    assert_int_equal(wire_get_progress(&f, &m), 0);
    return m;
}

static void tells_at_once_then_the_last(void **state)
{
    struct rig rig;
    struct wire_progress m;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "return { x = { run = function(job)\n"
                  "  job:progress(0.25, 'a\\0b\\xff')\n"
                  "  job:progress(0.5, 'never seen')\n"
                  "  job:progress(0.75, ('\u00e4'):rep(150))\n"
                  "  jobq.sleep(1000) end } }");
    rig_run(&rig, 7, "t.x", "{}");
    m = next_progress(&rig);
    assert_int_equal(m.run, 7);
    assert_true(m.fraction == 0.25);
    assert_is(m.message, "ab\xef\xbf\xbd");
    m = next_progress(&rig);
    assert_true(m.fraction == 0.75);
    assert_int_equal(m.message.size, 200);
    assert_lacks(m.message, "\xef\xbf\xbd");
    rig_stop_run(&rig, 7, STOP_CANCEL);
    struct wire_outcome o = rig_outcome(&rig);
    assert_verdict(&o, VERDICT_STOPPED);
    rig_close(&rig);
}

static void is_cheap_in_a_loop(void **state)
{
    struct rig rig;
    uint64_t started_ms = clock_now_ms();
    uint64_t told = 0;
    (void)state;

    rig_open_with(&rig,
                  "return { x = { run = function(job)\n"
                  "  for i = 1, 1000000 do job:progress(i / 1000000) end end } }");
    rig_run(&rig, 7, "t.x", "{}");
    for (struct frame f = rig_next(&rig); f.type != WIRE_OUTCOME; f = rig_next(&rig)) {
        told += f.type == WIRE_PROGRESS;
    }
    assert_in_range(told, 1, 1 + (clock_now_ms() - started_ms) / 1000);
    rig_close(&rig);
}

static void is_heard_of_what_computes_on(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "return { x = { run = function(job)\n"
                  "  job:progress(0.5) while true do end end } }");
    rig_run(&rig, 7, "t.x", "{}");
    assert_true(next_progress(&rig).fraction == 0.5);
    rig_stop_computing(&rig, 7, STOP_CANCEL);
    struct wire_outcome o = rig_outcome(&rig);
    assert_verdict(&o, VERDICT_STOPPED);
    rig_close(&rig);
}

/* A run that has ended while its word waited for its time. */
static void forgets_with_the_run(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "return { x = { run = function(job)\n"
                  "  job:progress(0.5) job:progress(0.6) end },\n"
                  "  y = { run = function() require 'jobq'.sleep(1.2) end } }");
    struct wire_outcome o = rig_do(&rig, "t.x", "{}");
    assert_verdict(&o, VERDICT_DONE);
    rig_run(&rig, 7, "t.y", "{}");
    struct frame f = rig_next(&rig);
    while (f.type != WIRE_OUTCOME) {
        assert_int_not_equal(f.type, WIRE_PROGRESS);
        f = rig_next(&rig);
    }
    rig_close(&rig);
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_at_once_then_the_last),
        TEST(is_cheap_in_a_loop),
        TEST(is_heard_of_what_computes_on),
        TEST(forgets_with_the_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
