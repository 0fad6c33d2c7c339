/* task_test.c - coroutines, accounts and stops, without frames. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <uv.h>

#include "core/base/mem.h"

#include "bindings/sleep.h"
#include "bindings/task.h"

#include "spec/unit/unit.h"

#define LIMIT ((int64_t)8 << 20)

struct bench {
    uv_loop_t loop;
    struct pulse pulse;
    struct vm vm;
};

struct trial {
    struct task task;
    enum task_result result;
    int done; /* how often it was told */
    char error[512];
    lua_Integer value; /* first result */
};

static struct trial *to_stop; /* read_mail stops it */

static void read_mail(struct vm *vm)
{
    (void)vm;
    if (to_stop != NULL) {
        task_stop(&to_stop->task, "enough");
        to_stop = NULL;
    }
}

static int interrupt(lua_State *L)
{
    (void)L;
    assert_int_equal(raise(SIGUSR2), 0);
    return 0;
}

static int open_bench(void **state)
{
    struct bench *b = mem_zalloc(sizeof(*b));
    static const luaL_Reg functions[] = {{"sleep", bind_sleep},
                                         {"interrupt", interrupt},
                                         {NULL, NULL}};

    uv_loop_init(&b->loop);
    assert_true(vm_open(&b->vm, &b->loop, &b->pulse));
    b->vm.read_mail = read_mail;
    task_listen(&b->vm, SIGUSR2);
    to_stop = NULL;
    lua_newtable(b->vm.L);
    luaL_setfuncs(b->vm.L, functions, 0);
    lua_getfield(b->vm.L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_insert(b->vm.L, -2);
    lua_setfield(b->vm.L, -2, "t");
    lua_pop(b->vm.L, 1);
    *state = b;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *b = *state;

    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(lua_gettop(b->vm.L), 0);
    vm_close(&b->vm);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    free(b);
    (void)signal(SIGUSR2, SIG_DFL);
    return 0;
}

static void on_done(struct task *t, enum task_result result, const char *error)
{
    struct trial *trial = (struct trial *)t;

    trial->done++;
    trial->result = result;
    if (error != NULL) {
        (void)snprintf(trial->error, sizeof(trial->error), "%s", error);
    } else if (t->nresults > 0) {
        trial->value = lua_tointeger(t->co, -t->nresults);
    }
}

static void start(struct bench *b, struct trial *trial, const char *text)
{
    *trial = (struct trial){0};
    task_init(&trial->task, &b->vm, LIMIT);
    assert_int_equal(luaL_loadbuffer(trial->task.co, text, strlen(text), "=chunk"), LUA_OK);
    task_start(&trial->task, 0, on_done);
}

static int64_t charged(const struct bench *b, const struct trial *trial)
{
    return b->vm.memory.accounts[trial->task.number].bytes;
}

static void reuses_clean_coroutines(void **state)
{
    struct bench *b = *state;
    struct trial one, two, three;

    start(b, &one, "return 5");
    assert_int_equal(one.value, 5);
    start(b, &two, "error('x', 0)");
    assert_ptr_equal(two.task.co, one.task.co);
    assert_int_equal(two.result, TASK_FAILED);
    assert_string_equal(two.error, "x");
    start(b, &three, "return 6");
    assert_int_equal(three.value, 6);
    assert_int_equal(b->vm.ncoroutines, 1);
}

static void wakes_after_a_sleep(void **state)
{
    struct bench *b = *state;
    struct trial one;

    start(b, &one, "require('t').sleep(0.01) return 7");
    assert_int_equal(one.done, 0);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(one.done, 1);
    assert_int_equal(one.value, 7);
}

static void raises_in_a_stopped_wait(void **state)
{
    struct bench *b = *state;
    struct trial one, two;

    start(b, &one, "require('t').sleep(100)");
    start(b, &two, "local ok, why = pcall(require('t').sleep, 100) return ok and 1 or #why");
    task_stop(&one.task, "enough");
    task_stop(&two.task, "enough");
    assert_int_equal(one.result, TASK_STOPPED);
    assert_string_equal(one.error, "chunk:1: enough");
    assert_int_equal(two.result, TASK_OK);
    assert_true(two.task.stopped);
    assert_int_equal(one.done + two.done, 2);
}

static void ends_a_loop_from_outside(void **state)
{
    struct bench *b = *state;
    struct trial one;

    to_stop = &one;
    start(b, &one, "while true do pcall(require('t').interrupt) end");
    assert_int_equal(one.result, TASK_STOPPED);
    assert_non_null(strstr(one.error, "chunk:1: enough\nstack traceback:"));
}

static void goes_on_after_mail_for_others(void **state)
{
    struct bench *b = *state;
    struct trial one;

    start(b, &one, "require('t').interrupt() local n = 0 for i = 1, 9 do n = n + 1 end return n");
    assert_int_equal(one.result, TASK_OK);
    assert_int_equal(one.value, 9);
}

static void charges_whoever_allocates(void **state)
{
    struct bench *b = *state;
    struct trial one, two;

    start(b, &one, "local x = ('x'):rep(1e6) require('t').sleep(0.01) return #x");
    int64_t held = charged(b, &one);
    assert_true(held > 1000000);
    start(b, &two, "local y = ('y'):rep(3e6) y = nil collectgarbage() return 1");
    assert_int_equal(two.result, TASK_OK);
    assert_true(charged(b, &one) <= held);
    assert_true(charged(b, &one) > 1000000);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(one.value, 1000000);
}

static void frees_to_the_owner(void **state)
{
    struct bench *b = *state;
    struct trial one, two;

    start(b, &one, "do local x = ('x'):rep(2e6) end require('t').sleep(0.01) return 1");
    start(b, &two, "collectgarbage() return 1");
    assert_true(charged(b, &one) < 1000000);
    assert_true(charged(b, &two) >= 0);
    uv_run(&b->loop, UV_RUN_DEFAULT);
}

static void refuses_above_the_limit(void **state)
{
    struct bench *b = *state;
    struct trial one, two;

    start(b, &one, "require('t').sleep(0.01) return #('a'):rep(1e6)");
    start(b, &two, "local t = {} for i = 1, 100 do t[i] = ('x'):rep(1e6) end");
    assert_int_equal(two.result, TASK_FAILED);
    assert_string_equal(two.error, "not enough memory");
    assert_string_equal(b->vm.refused_at, "chunk:1: ");
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(one.value, 1000000);
}

static void waits_only_in_the_run_itself(void **state)
{
    struct bench *b = *state;
    struct trial one;

    start(b, &one, "coroutine.wrap(require('t').sleep)(1)");
    assert_int_equal(one.result, TASK_FAILED);
    assert_non_null(strstr(one.error, "can only wait inside run itself, not in a coroutine"));
    start(b, &one, "table.sort({ 2, 1 }, function() require('t').sleep(1) end)");
    assert_int_equal(one.result, TASK_FAILED);
}

static void fails_a_bare_yield(void **state)
{
    struct bench *b = *state;
    struct trial one;

    start(b, &one, "coroutine.yield(1, 2)");
    assert_int_equal(one.result, TASK_FAILED);
    assert_non_null(
        strstr(one.error, "chunk:1: coroutine.yield outside of a coroutine of its own"));
}

static void closes_variables_of_what_it_ends(void **state)
{
    struct bench *b = *state;
    struct trial one, two;

    to_stop = &one;
    start(b,
          &one,
          "local c <close> = setmetatable({}, { __close = function() rawset(_G, 'closed', 11) end "
          "})\n"
          "while true do require('t').interrupt() end");
    assert_int_equal(one.result, TASK_STOPPED);
    start(b, &two, "return closed");
    assert_int_equal(two.value, 11);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reuses_clean_coroutines),
        TEST(wakes_after_a_sleep),
        TEST(raises_in_a_stopped_wait),
        TEST(ends_a_loop_from_outside),
        TEST(goes_on_after_mail_for_others),
        TEST(charges_whoever_allocates),
        TEST(frees_to_the_owner),
        TEST(refuses_above_the_limit),
        TEST(waits_only_in_the_run_itself),
        TEST(fails_a_bare_yield),
        TEST(closes_variables_of_what_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
