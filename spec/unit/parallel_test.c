/* parallel_test.c - jobq.parallel in a real executor: stops, the job, memory. */
#include "spec/unit/executor_rig.h"

static void stops_a_part_that_computes(void **state)
{
    static const char *const kinds[] = {"t.flat", "t.nested", "t.caught"};
    struct rig rig;
    (void)state;

    rig_open_with(
        &rig,
        "local jobq = require 'jobq'\n"
        "local job\n"
        "local function spin() job.log:info('soon') jobq.sleep(0.01)\n"
        "  while true do pcall(error) end end\n"
        "local function wait() jobq.sleep(1000) end\n"
        "local function both() jobq.parallel { wait, spin } end\n"
        "return { flat = { run = function(this) job = this both() end },\n"
        "  nested = { run = function(this) job = this jobq.parallel { wait, both, wait } end },\n"
        "  caught = { run = function(this) job = this jobq.parallel { wait, function()\n"
        "    pcall(both) end } end } }");
    for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
        rig_run(&rig, 7, kinds[i], "{}");
        rig_wait_for(&rig, WIRE_LOG);
        rig_stop_computing(&rig, 7, STOP_DEADLINE);
        struct wire_outcome m = rig_outcome(&rig);
        assert_verdict(&m, VERDICT_STOPPED);
        assert_holds(m.error, "handlers/t.lua:");
        assert_holds(m.error, " s without waiting (timeout is 30 s)\nhint: ");
    }
    rig_close(&rig);
}

static void stops_parts_that_wait(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "local function clean(job) return function()\n"
                  "  local c <close> = setmetatable({}, { __close = function()\n"
                  "    jobq.sleep(0.01) job.log:info('cleaned') end })\n"
                  "  job.log:info('waits') jobq.sleep(1000) end end\n"
                  "return { wait = { run = function(job)\n"
                  "  jobq.parallel { clean(job), function()\n"
                  "    jobq.parallel { clean(job), clean(job) } end } end } }");
    rig_run(&rig, 7, "t.wait", "{}");
    for (int i = 0; i < 3; i++) {
        rig_wait_for(&rig, WIRE_LOG);
    }
    rig_stop_run(&rig, 7, STOP_CANCEL);
    struct wire_outcome m = rig_outcome(&rig);
    assert_verdict(&m, VERDICT_STOPPED);
    assert_holds(m.error, "handlers/t.lua:7: the job was cancelled\nstack traceback:");
    assert_is(buffer_slice(&rig.log),
              "1 waits \n1 waits \n1 waits \n1 cleaned \n1 cleaned \n1 cleaned \n");
    rig_close(&rig);
}

static void shows_the_job_to_all_parts(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "return { x = { run = function(job)\n"
                  "  local v = jobq.parallel { function() jobq.sleep(0) return job.queue end,\n"
                  "    function() job.log:info('from a part') return job.priority end }\n"
                  "  return jobq.done(v[1] .. v[2]) end } }");
    struct wire_outcome m = rig_do(&rig, "t.x", "{}");
    assert_verdict(&m, VERDICT_DONE);
    assert_is(m.result, "\"bulk4\"");
    assert_is(buffer_slice(&rig.log), "1 from a part \n");
    rig_close(&rig);
}

static void charges_the_run(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "local function hold(bytes) return function()\n"
                  "  local x = ('x'):rep(bytes) jobq.sleep(0.01) return #x end end\n"
                  "local function all(n, bytes) local t = {}\n"
                  "  for i = 1, n do t[i] = hold(bytes) end\n"
                  "  return jobq.parallel(t) end\n"
                  "return { much = { run = function() all(10, 8e6) end },\n"
                  "  fits = { run = function() all(10, 5e6) end },\n"
                  "  again = { run = function() for i = 1, 5 do all(3, 8e6) end end } }");
    struct wire_outcome m = rig_do(&rig, "t.much", "{}");
    assert_verdict(&m, VERDICT_FAILED);
    assert_is(m.error,
              "handlers/t.lua:3: this run is at its memory limit of 64 MiB\n"
              "hint: read in pages, or raise the kind's memory option\n"
              "stack traceback:\n\thandlers/t.lua:7: in run");
    m = rig_do(&rig, "t.fits", "{}");
    assert_verdict(&m, VERDICT_DONE);
    m = rig_do(&rig, "t.again", "{}");
    assert_verdict(&m, VERDICT_DONE);
    rig_close(&rig);
}

static void fails_with_both_tracebacks(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "local function part()\n"
                  "  error('boom')\n"
                  "end\n"
                  "return { x = { run = function()\n"
                  "  jobq.parallel { part }\n"
                  "end } }");
    struct wire_outcome m = rig_do(&rig, "t.x", "{}");
    assert_verdict(&m, VERDICT_FAILED);
    assert_is(m.error,
              "handlers/t.lua:3: boom\nstack traceback:\n\thandlers/t.lua:3: in fn\n"
              "stack traceback:\n\thandlers/t.lua:6: in run");
    rig_close(&rig);
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stops_a_part_that_computes),
        TEST(stops_parts_that_wait),
        TEST(shows_the_job_to_all_parts),
        TEST(charges_the_run),
        TEST(fails_with_both_tracebacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
