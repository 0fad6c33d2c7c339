/* json_test.c - what only C sees of the codec: memory that runs out, and what PostgreSQL gets. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <lauxlib.h>

#include "bindings/json.h"

#include "unit.h"

#define DOCUMENT                                                                           \
    "{\"to\":[\"ann@example.org\",\"b\\u00e9\\n\"],\"deep\":[[[{\"x\":[1,2.5,null]}]]],"   \
    "\"text\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"," \
    "\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":[],\"k\":{}}"

/* Fails for good from the allocation that brings left to 0. */
struct meter {
    int left;
    int64_t bytes;
};

static void *allocate(void *ud, void *block, size_t old_size, size_t new_size)
{
    struct meter *m = ud;
    size_t held = block == NULL ? 0 : old_size;

    if (new_size > held && (m->left == 0 || --m->left == 0)) {
        return NULL;
    }
    m->bytes += (int64_t)new_size - (int64_t)held;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, new_size);
}

static int there_and_back(lua_State *L)
{
    struct slice text = {lua_touserdata(L, 1), strlen(DOCUMENT)};

    lua_pushcfunction(L, bind_json_decode);
    lua_pushlstring(L, text.data, text.size);
    lua_call(L, 1, 1);
    lua_pushcfunction(L, bind_json_encode);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    return 1;
}

static bool runs_within(int allocations)
{
    static char document[] = DOCUMENT;
    struct meter meter = {.left = INT32_MAX};

    lua_State *L = lua_newstate(allocate, &meter);
    assert_non_null(L);
    meter.left = allocations;
    lua_pushcfunction(L, there_and_back);
    lua_pushlightuserdata(L, document);
    int status = lua_pcall(L, 1, 1, 0);
    assert_true(status == LUA_OK || status == LUA_ERRMEM);
    meter.left = INT32_MAX;
    lua_close(L);
    assert_int_equal(meter.bytes, 0);
    return status == LUA_OK;
}

/* The sanitizers look at what is ours, the meter at what is Lua's. */
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    int allocations = 1;

    while (!runs_within(allocations)) {
        allocations++;
    }
    assert_in_range(allocations, 20, 1000);
}

static void failure_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    lua_State *L = luaL_newstate();
    struct buffer out = {0};

    buffer_add_text(&out, "before");
    lua_newtable(L);
    lua_pushinteger(L, 1);
    lua_setfield(L, -2, "a");
    lua_pushcfunction(L, there_and_back);
    lua_setfield(L, -2, "b");
    assert_int_equal(json_write(L, 1, &out), -EINVAL);
    assert_string_equal(lua_tostring(L, -1), "b: a function has no JSON");
    assert_int_equal(lua_gettop(L), 2);
    assert_string_equal(buffer_text(&out), "before");

    lua_pushinteger(L, 42);
    assert_int_equal(json_write(L, -1, &out), 0);
    assert_string_equal(buffer_text(&out), "before42");
    buffer_fini(&out);
    lua_close(L);
}

/* jsonb and ->> refuse \u0000. */
static void nul_bytes_are_dropped_for_postgres(void **state)
{
    (void)state;
    lua_State *L = luaL_newstate();
    struct buffer out = {0};

    lua_pushlstring(L, "a\0b\xff", 4);
    assert_int_equal(json_write(L, -1, &out), 0);
    assert_string_equal(buffer_text(&out), "\"ab\xef\xbf\xbd\"");
    buffer_fini(&out);
    lua_close(L);
}

static void no_text_is_no_value(void **state)
{
    (void)state;
    lua_State *L = luaL_newstate();

    assert_int_equal(json_push(L, (struct slice){0}), -EINVAL);
    assert_string_equal(lua_tostring(L, -1), "expected a value at line 1, column 1, got the end");
    assert_int_equal(lua_gettop(L), 1);
    lua_close(L);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(failure_leaves_the_buffer_as_it_was),
        cmocka_unit_test(nul_bytes_are_dropped_for_postgres),
        cmocka_unit_test(no_text_is_no_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
