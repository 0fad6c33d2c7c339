/* executor_test.c - what comes back for what a handler does. */
#include "spec/unit/executor_rig.h"

static void check_load_fails(struct rig *rig, const char *handlers, const char *expected)
{
    struct wire_load_failed m;

    rig_start(rig, handlers, 64 << 20);
    struct frame f = rig_next(rig);
    assert_int_equal(f.type, WIRE_LOAD_FAILED);
    assert_int_equal(wire_get_load_failed(&f, &m), 0);
    assert_is(m.message, expected);
    rig_close(rig);
}

static void tells_kinds(void **state)
{
    struct rig rig;
    (void)state;

    rig_open(&rig);
    rig_write(&rig, "handlers/mail.lua", "local m = require 'lib.m'\nreturn {\n  send = m,\n}");
    rig_write(&rig,
              "handlers/lib/m.lua",
              "return { queue = 'out', timeout = 5, max_attempts = 9, priority = 1,\n"
              "args = { to = 'email[]', n = 'integer?' }, run = function() end }");
    rig_write(&rig, "handlers/_part.lua", "error('is no handler')");
    rig_write(&rig, "handlers/one.lua", "return {\n\n  run = function() end }");
    rig_load(&rig);
    assert_holds(buffer_slice(&rig.kinds), "mail.send out 9 1 5 handlers/mail.lua:3\n{");
    assert_holds(buffer_slice(&rig.kinds), "\"required\":[\"to\"]");
    assert_holds(buffer_slice(&rig.kinds), "one default 3 5 60 handlers/one.lua:3\n\n");
    rig_close(&rig);
}

static void refuses_broken_syntax(void **state)
{
    struct rig rig;
    (void)state;

    rig_open(&rig);
    rig_write(&rig, "handlers/a.lua", "return {\n  x = {\n    queue = 'q'\n    run = 1\n  }\n}\n");
    check_load_fails(&rig,
                     "handlers/\n",
                     "handlers/a.lua:4: '}' expected (to close '{' at line 2) near 'run'\n"
                     "hint: is a comma missing at the end of line 3?");
}

static void refuses_unknown_options(void **state)
{
    struct rig rig;
    (void)state;

    rig_open(&rig);
    rig_write(&rig, "handlers/a.lua", "return {\n x = {\n  timout = 3,\n  run = print } }");
    check_load_fails(&rig,
                     "handlers/\n",
                     "handlers/a.lua:3: unknown option 'timout' in a.x\n"
                     "hint: did you mean 'timeout'?");
}

static void refuses_a_kind_twice(void **state)
{
    struct rig rig;
    (void)state;

    rig_open(&rig);
    rig_write(&rig, "one/mail.lua", "return {\n  send = { run = print } }");
    rig_write(&rig, "two/mail.lua", "return { send = { run = print } }");
    check_load_fails(&rig,
                     "one\ntwo/mail.lua\n",
                     "two/mail.lua:1: kind 'mail.send' is already defined at one/mail.lua:2");
}

static void refuses_empty_and_missing_folders(void **state)
{
    struct rig rig;
    (void)state;

    rig_open(&rig);
    rig_write(&rig, "handlers/readme", "");
    check_load_fails(&rig,
                     "handlers/\n",
                     "no handlers in 'handlers/' (0 .lua files)\n"
                     "hint: jobq new handler hello --dir handlers/");
    rig_open(&rig);
    rig_write(&rig, "handlers/readme", "");
    check_load_fails(&rig,
                     "handlrs/\n",
                     "folder 'handlrs/' does not exist\nhint: did you mean 'handlers/'?");
}

static void refuses_waiting_and_globals_at_file_level(void **state)
{
    struct rig rig;
    (void)state;

    rig_open(&rig);
    rig_write(&rig, "handlers/a.lua", "local jobq = require 'jobq'\njobq.sleep(1)\n");
    check_load_fails(&rig, "handlers\n", "handlers/a.lua:2: jobq.sleep can only wait inside run");
    rig_open(&rig);
    rig_write(&rig, "handlers/a.lua", "\ncount = 0");
    check_load_fails(&rig,
                     "handlers\n",
                     "handlers/a.lua:2: assignment to global 'count'\nhint: write local count");
    rig_open(&rig);
    rig_write(&rig, "handlers/a.lua", "local jobq = require 'jobq'\njobq.smpt.send {}");
    check_load_fails(&rig,
                     "handlers\n",
                     "handlers/a.lua:2: jobq has no field 'smpt'\nhint: did you mean 'smtp'?");
}

static void completes(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "return { nothing = { run = function() end },\n"
                  "  yes = { run = function() return true end },\n"
                  "  other = { run = function() return 'hm' end },\n"
                  "  result = { run = function(job) return jobq.done { n = job.args.n } end },\n"
                  "  odd = { run = function() return jobq.done { f = print } end } }");
    struct wire_outcome m = rig_do(&rig, "t.nothing", "{}");
    assert_verdict(&m, VERDICT_DONE);
    assert_int_equal(m.run, 7);
    assert_is(m.result, "");
    m = rig_do(&rig, "t.yes", "{}");
    assert_verdict(&m, VERDICT_DONE);
    m = rig_do(&rig, "t.result", "{\"n\": 9223372036854775807}");
    assert_verdict(&m, VERDICT_DONE);
    assert_is(m.result, "{\"n\":9223372036854775807}");
    m = rig_do(&rig, "t.other", "{}");
    assert_verdict(&m, VERDICT_DONE);
    assert_holds(buffer_slice(&rig.log), "2 run returned a string, which is no verdict");
    m = rig_do(&rig, "t.odd", "{}");
    assert_verdict(&m, VERDICT_DONE);
    assert_is(m.result, "");
    assert_holds(buffer_slice(&rig.log), "2 the result was dropped: ");
    rig_close(&rig);
}

static void fails_with_a_traceback(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "local function total(order)\n"
                  "  return order.customer.name\n"
                  "end\n"
                  "return { bug = { run = function() local t = total({}) return t end },\n"
                  "  yield = { run = function() coroutine.yield() end },\n"
                  "  deep = { run = function() local function f(n)\n"
                  "    local a, b, c, d, e, g = n, n, n, n, n, n\n"
                  "    return a + b + c + d + e + g + f(n) end f(1) end } }");
    struct wire_outcome m = rig_do(&rig, "t.bug", "{}");
    assert_verdict(&m, VERDICT_FAILED);
    assert_true(m.delay_s < 0);
    assert_is(m.error,
              "handlers/t.lua:3: attempt to index a nil value (field 'customer')\n"
              "stack traceback:\n"
              "\thandlers/t.lua:3: in total\n"
              "\thandlers/t.lua:5: in run");
    m = rig_do(&rig, "t.yield", "{}");
    assert_verdict(&m, VERDICT_FAILED);
    assert_holds(m.error,
                 "handlers/t.lua:6: coroutine.yield outside of a coroutine of its own\nhint: ");
    m = rig_do(&rig, "t.deep", "{}");
    assert_verdict(&m, VERDICT_FAILED);
    assert_holds(m.error, "stack overflow");
    assert_holds(m.error, "\n\t...");
    rig_close(&rig);
}

static void takes_errors_of_any_type(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(
        &rig,
        "local Bad = setmetatable({}, { __tostring = function() error('no') end })\n"
        "return { message = { run = function() return nil, 'smtp 421', 'smtp_421' end },\n"
        "  no = { retry_delay = function(n) return n * 10 end,\n"
        "         run = function() return false, 'not now' end },\n"
        "  structured = { run = function() error { message = 'm', code = 'c' } end },\n"
        "  bad = { run = function() error(Bad) end },\n"
        "  delay = { retry_delay = function() error('oh') end, run = error },\n"
        "  none = { run = function() error() end } }");
    struct wire_outcome m = rig_do(&rig, "t.message", "{}");
    assert_verdict(&m, VERDICT_FAILED);
    assert_is(m.error, "smtp 421 (smtp_421)");
    m = rig_do(&rig, "t.no", "{}");
    assert_verdict(&m, VERDICT_FAILED);
    assert_is(m.error, "not now");
    assert_true(m.delay_s == 20.0);
    m = rig_do(&rig, "t.structured", "{}");
    assert_holds(m.error, "m (c)\nstack traceback:\n\thandlers/t.lua:5: in run");
    m = rig_do(&rig, "t.bad", "{}");
    assert_holds(m.error, "error value is a table that has no text\n");
    m = rig_do(&rig, "t.none", "{}");
    assert_holds(m.error, "nil\n");
    m = rig_do(&rig, "t.delay", "{}");
    assert_verdict(&m, VERDICT_FAILED);
    assert_true(m.delay_s < 0);
    assert_holds(buffer_slice(&rig.log), "2 retry_delay: handlers/t.lua:7: oh");
    rig_close(&rig);
}

static void obeys_verdicts(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "return { retry = { run = function() return jobq.retry('later', 17) end },\n"
                  "  snooze = { run = function() return jobq.snooze(0.5) end },\n"
                  "  discard = { run = function() return jobq.discard('no such user') end },\n"
                  "  wrong = { run = function() return jobq.snooze('soon') end } }");
    struct wire_outcome m = rig_do(&rig, "t.retry", "{}");
    assert_verdict(&m, VERDICT_FAILED);
    assert_is(m.error, "later");
    assert_true(m.delay_s == 17.0);
    m = rig_do(&rig, "t.snooze", "{}");
    assert_verdict(&m, VERDICT_SNOOZED);
    assert_true(m.delay_s == 0.5);
    m = rig_do(&rig, "t.discard", "{}");
    assert_verdict(&m, VERDICT_DISCARDED);
    assert_is(m.error, "no such user");
    m = rig_do(&rig, "t.wrong", "{}");
    assert_verdict(&m, VERDICT_FAILED);
    assert_holds(m.error, "jobq.snooze: 'soon' is not a number of seconds\n");
    rig_close(&rig);
}

static void checks_arguments(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(
        &rig,
        "local jobq = require 'jobq'\n"
        "return { send = { args = { to = 'email[]', subject = 'string', n = 'integer?' },\n"
        "  run = function(job) return jobq.done(job.args) end } }");
    struct wire_outcome m =
        rig_do(&rig, "t.send", "{\"to\": [\"a@b.org\", \"ann\"], \"subjct\": \"x\"}");
    assert_verdict(&m, VERDICT_DISCARDED);
    assert_is(m.error,
              "t.send: args.subject: missing; args.to[2]: 'ann' is not an email; "
              "args.subjct: unknown field\nhint: did you mean 'subject'?");
    m = rig_do(&rig, "t.send", "[1]");
    assert_verdict(&m, VERDICT_DISCARDED);
    assert_is(m.error, "t.send: args: an array is not an object");
    m = rig_do(&rig, "t.send", "{\"to\": [], \"subject\": \"x\", \"n\": null}");
    assert_verdict(&m, VERDICT_DONE);
    assert_is(m.result, "{\"subject\":\"x\",\"to\":[]}");
    rig_close(&rig);
}

static void shows_the_job(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "return { show = { run = function(job)\n"
                  "    job.log:info('hello', { n = 1 })\n"
                  "    return jobq.done { job.id, job.kind, job.queue, job.attempt,\n"
                  "      job.max_attempts, job.priority, job.created_at, job.run_at, job.tags,\n"
                  "      job.idempotency_key, jobq.config('smtp.host') } end },\n"
                  "  typo = { run = function(job) return job.arg end },\n"
                  "  write = { run = function(job) job.x = 1 end },\n"
                  "  global = { run = function() _G.count = 1 end } }");
    struct wire_outcome m = rig_do(&rig, "t.show", "");
    assert_verdict(&m, VERDICT_DONE);
    assert_is(m.result,
              "[1007,\"t.show\",\"bulk\",2,5,4,1700000000.0,1700000001.5,[\"a\",\"b\"],"
              "\"jobq-1007-60a24181e4000\",\"mx1\"]");
    assert_is(buffer_slice(&rig.log), "1 hello {\"n\":1}\n");
    m = rig_do(&rig, "t.typo", "{}");
    assert_holds(m.error,
                 "handlers/t.lua:7: job has no field 'arg'\nhint: did you mean 'args'?\nstack");
    m = rig_do(&rig, "t.write", "{}");
    assert_holds(m.error, "job is read-only: 'x' cannot be set");
    m = rig_do(&rig, "t.global", "{}");
    assert_holds(m.error, "handlers/t.lua:9: assignment to global 'count'\nhint: write local");
    rig_close(&rig);
}

static void limits_the_hog_only(void **state)
{
    struct rig rig;
    struct wire_outcome m;
    (void)state;

    rig_open_with(
        &rig,
        "local jobq = require 'jobq'\n"
        "local shared = {}\n"
        "return { hog = { run = function()\n"
        "    local t = {}\n"
        "    while true do\n"
        "      t[#t + 1] = ('x'):rep(100000) .. #t\n"
        "    end end },\n"
        "  cache = { run = function() while true do shared[#shared + 1] = 1 end end },\n"
        "  garbage = { run = function() for i = 1, 5000 do local _ = ('x'):rep(1e5) .. i end end "
        "},\n"
        "  modest = { run = function() jobq.sleep(0.2) return jobq.done(#('y'):rep(1e6)) end } }");
    rig_run(&rig, 1, "t.modest", "{}");
    m = rig_do(&rig, "t.hog", "{}");
    assert_int_equal(m.run, 7);
    assert_verdict(&m, VERDICT_FAILED);
    assert_is(m.error,
              "handlers/t.lua:6: this run is at its memory limit of 64 MiB\n"
              "hint: read in pages, or raise the kind's memory option");
    m = rig_outcome(&rig);
    assert_int_equal(m.run, 1);
    assert_verdict(&m, VERDICT_DONE);
    assert_is(m.result, "1000000");
    m = rig_do(&rig, "t.garbage", "{}");
    assert_verdict(&m, VERDICT_DONE);
    m = rig_do(&rig, "t.cache", "{}");
    assert_holds(m.error, "memory limit of 64 MiB");
    m = rig_do(&rig, "t.modest", "{}");
    assert_verdict(&m, VERDICT_DONE);
    rig_close(&rig);
}

static void stops_what_computes(void **state)
{
    static const char *const kinds[] =
        {"t.loop", "t.pcall", "t.nested", "t.sort", "t.nested_sort", "t.close"};
    struct rig rig;
    (void)state;

    rig_open_with(
        &rig,
        "local jobq = require 'jobq'\n"
        "local function spin() while true do end end\n"
        "local function stubborn() while true do pcall(spin) end end\n"
        "local function sort() while true do\n"
        "  pcall(table.sort, { 3, 2, 1 }, function() spin() end) end end\n"
        "return { loop = { run = function() while true do end end },\n"
        "  pcall = { run = stubborn },\n"
        "  nested = { run = function() coroutine.wrap(function()\n"
        "    coroutine.wrap(stubborn)() end)() end },\n"
        "  sort = { run = sort },\n"
        "  nested_sort = { run = function()\n"
        "    while true do pcall(table.sort, { 2, 1 }, function() coroutine.wrap(sort)() end) end\n"
        "  end },\n"
        "  close = { run = function()\n"
        "    local c <close> = setmetatable({}, { __close = function() error('x') end })\n"
        "    stubborn() end } }");
    for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
        rig_run(&rig, 7, kinds[i], "{}");
        rig_stop_computing(&rig, 7, STOP_DEADLINE);
        struct wire_outcome m = rig_outcome(&rig);
        assert_verdict(&m, VERDICT_STOPPED);
        assert_holds(m.error, "handlers/t.lua:");
        assert_holds(m.error, " s without waiting (timeout is 30 s)\nhint: ");
    }
    rig_close(&rig);
}

static void stops_what_waits(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "return { wait = { run = function(job) jobq.sleep(1000) end },\n"
                  "  clean = { run = function(job)\n"
                  "    local c <close> = setmetatable({}, { __close = function()\n"
                  "      jobq.sleep(0.01) job.log:info('cleaned') end })\n"
                  "    jobq.sleep(1000) end },\n"
                  "  survive = { run = function() pcall(jobq.sleep, 1000) return true end },\n"
                  "  block = { run = function(job) while true do end end } }");
    rig_run(&rig, 1, "t.wait", "{}");
    rig_wait_for(&rig, WIRE_STARTED);
    rig_stop_run(&rig, 1, STOP_CANCEL);
    struct wire_outcome m = rig_outcome(&rig);
    assert_verdict(&m, VERDICT_STOPPED);
    assert_holds(m.error, "handlers/t.lua:2: the job was cancelled\nstack traceback:");

    rig_run(&rig, 2, "t.clean", "{}");
    rig_wait_for(&rig, WIRE_STARTED);
    rig_stop_run(&rig, 2, STOP_SHUTDOWN);
    m = rig_outcome(&rig);
    assert_verdict(&m, VERDICT_STOPPED);
    assert_is(buffer_slice(&rig.log), "1 cleaned \n");

    rig_run(&rig, 3, "t.survive", "{}");
    rig_wait_for(&rig, WIRE_STARTED);
    rig_stop_run(&rig, 3, STOP_DEADLINE);
    m = rig_outcome(&rig);
    assert_verdict(&m, VERDICT_DONE);

    /* the stop of a waiting run arrives while another computes */
    rig_run(&rig, 4, "t.wait", "{}");
    rig_wait_for(&rig, WIRE_STARTED);
    rig_run(&rig, 5, "t.block", "{}");
    rig_wait_computing(&rig, 5);
    rig_stop_run(&rig, 4, STOP_CANCEL);
    rig_stop_computing(&rig, 5, STOP_DEADLINE);
    m = rig_outcome(&rig);
    assert_int_equal(m.run, 5);
    m = rig_outcome(&rig);
    assert_int_equal(m.run, 4);
    assert_verdict(&m, VERDICT_STOPPED);
    rig_close(&rig);
}

static void stops_what_has_not_begun(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig, "return { run = function() while true do end end }");
    rig_run(&rig, 1, "t", "{}");
    rig_run(&rig, 2, "t", "{}");
    rig_stop_run(&rig, 2, STOP_SHUTDOWN);
    rig_stop_computing(&rig, 1, STOP_DEADLINE);
    struct wire_outcome m = rig_outcome(&rig);
    assert_int_equal(m.run, 1);
    m = rig_outcome(&rig);
    assert_int_equal(m.run, 2);
    assert_verdict(&m, VERDICT_STOPPED);
    rig_close(&rig);
}

static void finishes_before_it_quits(void **state)
{
    struct rig rig;
    struct buffer out = {0};
    int status = -1;
    (void)state;

    rig_open_with(&rig, "return { run = function() require('jobq').sleep(0.05) end }");
    rig_run(&rig, 1, "t", "{}");
    wire_put_plain(&out, WIRE_QUIT);
    rig_send(&rig, &out);
    struct wire_outcome m = rig_outcome(&rig);
    assert_verdict(&m, VERDICT_DONE);
    assert_true(m.ran_us >= 45000);
    waitpid(rig.pid, &status, 0);
    rig_forget(&rig);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void ends_with_its_supervisor(void **state)
{
    struct rig rig;
    int status = 0;
    (void)state;

    rig_open_with(&rig, "return { run = function() require('jobq').sleep(1000) end }");
    rig_run(&rig, 1, "t", "{}");
    rig_wait_for(&rig, WIRE_STARTED);
    shutdown(rig.fd, SHUT_RDWR);
    waitpid(rig.pid, &status, 0);
    rig_forget(&rig);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void cleans_and_cuts(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "return { dirty = { run = function() error('a\\0b\\xff c', 0) end },\n"
                  "  long = { run = function() error(('e'):rep(10 << 20), 0) end },\n"
                  "  chatty = { run = function(job)\n"
                  "    for i = 1, 1200 do job.log:info(i) end\n"
                  "  end },\n"
                  "  loud = { run = function(job) job.log:warn(('w'):rep(1 << 20)) end } }");
    struct wire_outcome m = rig_do(&rig, "t.dirty", "{}");
    assert_holds(m.error, "ab\xef\xbf\xbd c\nstack traceback:");
    m = rig_do(&rig, "t.long", "{}");
    assert_true(m.error.size <= 66 << 10);
    assert_holds(m.error, "stack traceback:\n\thandlers/t.lua:2: in run");
    (void)rig_do(&rig, "t.chatty", "{}");
    assert_holds(buffer_slice(&rig.log), "1 1000 \n2 200 more lines dropped \n");
    assert_lacks(buffer_slice(&rig.log), "1 1001 ");
    buffer_clear(&rig.log);
    (void)rig_do(&rig, "t.loud", "{}");
    assert_true(rig.log.size < 9 << 10);
    rig_close(&rig);
}

static void keeps_the_sandbox_closed(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(
        &rig,
        "return { gone = { run = function()\n"
        "    assert(not debug and not os.exit and not os.execute and not io.popen)\n"
        "    assert(not pcall(require, 'debug') and not dofile and not loadfile and io.open)\n"
        "    assert(not pcall(setmetatable, {}, { __gc = print }))\n"
        "    assert(not pcall(collectgarbage, 'stop') and collectgarbage('count') > 0)\n"
        "    assert(not load('\\27Lua') and load('return 1')() == 1)\n"
        "    local env = {}; load('x = 1', 'c', 'bt', env)(); assert(env.x == 1)\n"
        "    local co = coroutine.wrap(function(...) local n = coroutine.yield(...) return n end)\n"
        "    assert(select('#', co(1, 2, 3)) == 3 and co(5) == 5 and not pcall(co))\n"
        "  end } }");
    struct wire_outcome m = rig_do(&rig, "t.gone", "{}");
    assert_verdict(&m, VERDICT_DONE);
    rig_close(&rig);
}

static void carries_ten_thousand_sleepers(void **state)
{
    enum {
        COUNT = 10000
    };
    struct rig rig;
    struct buffer out = {0};
    (void)state;

    rig_open_with(&rig, "return { run = function(job) require('jobq').sleep(job.args.s) end }");
    uint64_t before = atomic_load(&rig.pulse->lua_bytes);
    for (uint32_t i = 0; i < COUNT; i++) {
        wire_put_run(&out,
                     &(struct wire_run){.run = i,
                                        .job_id = i,
                                        .attempt = 1,
                                        .max_attempts = 3,
                                        .timeout_s = 60,
                                        .kind = slice_of("t"),
                                        .queue = slice_of("default"),
                                        .args = slice_of("{\"s\": 1000}")});
    }
    rig_send(&rig, &out);
    for (int i = 0; i < COUNT; i++) {
        rig_wait_for(&rig, WIRE_STARTED);
    }
    uint64_t each = (atomic_load(&rig.pulse->lua_bytes) - before) / COUNT;
    if (each > 4096) {
        fail_msg("a sleeping run holds %d bytes of Lua memory", (int)each);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        wire_put_stop(&out, &(struct wire_stop){i, STOP_SHUTDOWN});
    }
    rig_send(&rig, &out);
    for (int i = 0; i < COUNT; i++) {
        struct wire_outcome m = rig_outcome(&rig);
        assert_verdict(&m, VERDICT_STOPPED);
    }
    rig_close(&rig);
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_kinds),
        TEST(refuses_broken_syntax),
        TEST(refuses_unknown_options),
        TEST(refuses_a_kind_twice),
        TEST(refuses_empty_and_missing_folders),
        TEST(refuses_waiting_and_globals_at_file_level),
        TEST(completes),
        TEST(fails_with_a_traceback),
        TEST(takes_errors_of_any_type),
        TEST(obeys_verdicts),
        TEST(checks_arguments),
        TEST(shows_the_job),
        TEST(limits_the_hog_only),
        TEST(stops_what_computes),
        TEST(stops_what_waits),
        TEST(stops_what_has_not_begun),
        TEST(finishes_before_it_quits),
        TEST(ends_with_its_supervisor),
        TEST(cleans_and_cuts),
        TEST(keeps_the_sandbox_closed),
        TEST(carries_ten_thousand_sleepers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
