/* look_test.c - a real executor says where its runs are. */
#include "spec/unit/executor_rig.h"

#define TICKET 77

/* A bell just before a run begins to compute is not heard: it rings until there is something to read. */
static void ring(struct rig *rig)
{
    struct pollfd fd = {.fd = rig->fd, .events = POLLIN};
    struct slice rest = {rig->in.data + rig->told, rig->in.size - rig->told};
    struct frame f;

    if (frame_next(rest, &f) > 0) {
        return;
    }
    for (int i = 0; i < DEADLINE_MS / 100; i++) {
        kill(rig->pid, EXECUTOR_MAIL_SIGNAL);
        if (poll(&fd, 1, 100) > 0) {
            return;
        }
    }
}

/* Looks as a supervisor does, the mail first, then the bell; the text is borrowed until the next frame. */
static struct slice look(struct rig *rig, uint32_t run)
{
    struct buffer out = {0};
    struct wire_sight m;
    struct frame f;

    wire_put_look(&out, &(struct wire_look){run, TICKET});
    rig_send(rig, &out);
    do {
        ring(rig);
        f = rig_next(rig);
    } while (f.type != WIRE_SIGHT);
    assert_int_equal(wire_get_sight(&f, &m), 0);
    assert_int_equal(m.ticket, TICKET);
    return m.text;
}

/* Looks until the run, which is about to begin, has come to that place. */
static struct slice look_at(struct rig *rig, uint32_t run, const char *place)
{
    struct slice text = look(rig, run);

    while (memmem(text.data, text.size, place, strlen(place)) == NULL) {
        text = look(rig, run);
    }
    return text;
}

static void end(struct rig *rig, uint32_t run)
{
    rig_stop_run(rig, run, STOP_CANCEL);
    kill(rig->pid, EXECUTOR_MAIL_SIGNAL);
    struct wire_outcome m = rig_outcome(rig);
    assert_int_equal(m.run, run);
    assert_verdict(&m, VERDICT_STOPPED);
}

/* The text without its numbers of seconds. */
static void assert_sight(struct slice text, const char *expected)
{
    struct buffer plain = {0};

    for (size_t i = 0; i < text.size;) {
        const char *line = text.data + i;
        size_t length = (size_t)((char *)memchr(line, '\n', text.size - i) - line) + 1;
        if (strncmp(line, "for ", 4) != 0) {
            buffer_add(&plain, line, length);
        }
        i += length;
    }
    assert_is(buffer_slice(&plain), expected);
    buffer_fini(&plain);
}

static void shows_a_run_that_waits(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "local function nap(job)\n"
                  "  job.log:info('soon')\n"
                  "  jobq.sleep(1000)\n"
                  "end\n"
                  "return { x = { run = function(job) nap(job) return true end } }");
    rig_run(&rig, 7, "t.x", "{}");
    rig_wait_for(&rig, WIRE_LOG);
    for (int i = 0; i < 3; i++) {
        assert_sight(look(&rig, 7),
                     "state waiting\nin jobq.sleep\n"
                     "at handlers/t.lua:4: in nap\nat handlers/t.lua:6: in run\n");
    }
    end(&rig, 7);
    rig_close(&rig);
}

static void shows_a_run_that_computes(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "local function spin(job) job.log:info('soon')\n"
                  "  while true do end\n"
                  "end\n"
                  "return { x = { run = function(job) spin(job) return true end },\n"
                  "  y = { run = function(job)\n"
                  "    coroutine.wrap(function() spin(job) return true end)() end },\n"
                  "  nap = { run = function(job) jobq.sleep(1000) end } }");
    rig_run(&rig, 7, "t.nap", "{}");
    rig_run(&rig, 8, "t.x", "{}");
    rig_wait_computing(&rig, 8);
    assert_sight(look_at(&rig, 8, "t.lua:3"),
                 "state computing\nat handlers/t.lua:3: in spin\nat handlers/t.lua:5: in run\n");
    assert_sight(look(&rig, 7), "state waiting\nin jobq.sleep\nat handlers/t.lua:8: in run\n");
    assert_int_equal(atomic_load(&rig.pulse->line), 3);
    assert_string_equal(rig.pulse->source, "handlers/t.lua");
    end(&rig, 8);
    rig_run(&rig, 9, "t.y", "{}");
    rig_wait_computing(&rig, 9);
    assert_sight(look_at(&rig, 9, "t.lua:3"),
                 "state computing\nat handlers/t.lua:3: in spin\n"
                 "at handlers/t.lua:7: in function <handlers/t.lua:7>\n"
                 "at handlers/t.lua:7: in run\n");
    end(&rig, 9);
    end(&rig, 7);
    rig_close(&rig);
}

static void shows_parts(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(&rig,
                  "local jobq = require 'jobq'\n"
                  "return { x = { run = function(job)\n"
                  "  jobq.parallel {\n"
                  "    function() job.log:info('b') jobq.sleep(1000) end,\n"
                  "    function() job.log:info('a') jobq.parallel {\n"
                  "      function() while true do end end } end } end } }");
    rig_run(&rig, 7, "t.x", "{}");
    rig_wait_for(&rig, WIRE_STARTED);
    rig_wait_computing(&rig, 7);
    assert_sight(look_at(&rig, 7, "t.lua:6"),
                 "state waiting\nin jobq.parallel\nat handlers/t.lua:3: in run\n"
                 "part\nstate waiting\nin jobq.parallel\nat handlers/t.lua:5: in fn\n"
                 "part\nstate computing\nat handlers/t.lua:6: in fn\n"
                 "part\nstate waiting\nin jobq.sleep\nat handlers/t.lua:4: in fn\n");
    end(&rig, 7);
    rig_close(&rig);
}

/* A run at its memory limit: to look costs it nothing. */
static void does_not_charge_the_run(void **state)
{
    struct rig rig;
    (void)state;

    rig_open_with(
        &rig,
        "local jobq = require 'jobq'\n"
        "return { nap = { run = function() jobq.sleep(1000) end },\n"
        "  full = { run = function(job)\n"
        "    local t, n = {}, 0\n"
        "    while pcall(function() t[n + 1] = ('x'):rep(1000) .. n end) do n = n + 1 end\n"
        "    while true do end end } }");
    rig_run(&rig, 7, "t.nap", "{}");
    rig_run(&rig, 8, "t.full", "{}");
    rig_wait_computing(&rig, 8);
    look_at(&rig, 8, "t.lua:6");
    for (int i = 0; i < 20; i++) {
        assert_sight(look(&rig, 7), "state waiting\nin jobq.sleep\nat handlers/t.lua:2: in run\n");
    }
    end(&rig, 8);
    end(&rig, 7);
    rig_close(&rig);
}

static void has_no_word_for_what_is_over(void **state)
{
    struct rig rig;
    struct buffer out = {0};
    (void)state;

    rig_open_with(&rig, "return { x = { run = function() end } }");
    wire_put_look(&out, &(struct wire_look){7, TICKET});
    wire_put_look(&out, &(struct wire_look){UINT32_MAX, TICKET});
    rig_send(&rig, &out);
    struct wire_outcome m = rig_do(&rig, "t.x", "{}");
    assert_verdict(&m, VERDICT_DONE);
    rig_close(&rig);
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shows_a_run_that_waits),
        TEST(shows_a_run_that_computes),
        TEST(shows_parts),
        TEST(does_not_charge_the_run),
        TEST(has_no_word_for_what_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
