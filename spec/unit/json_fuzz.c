/*
 * json_fuzz.c - libFuzzer on the JSON codec: what is read must come back when written and read again.
 *
 *   clang-14 -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. $(pkg-config --cflags lua5.4) \
 *     spec/unit/json_fuzz.c bindings/json.c core/base/json_text.c core/base/buffer.c \
 *     $(pkg-config --libs lua5.4) -lm -o /tmp/json_fuzz && /tmp/json_fuzz -max_total_time=60
 */
#include <stdint.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "bindings/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The value on top becomes its text. */
static void write_top(lua_State *L)
{
    lua_pushcfunction(L, bind_json_encode);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lua_State *L;
    struct slice first;

    if (L == NULL) {
        L = luaL_newstate();
    }
    if (json_push(L, (struct slice){(const char *)data, size}) == 0) {
        write_top(L);
        first.data = lua_tolstring(L, 1, &first.size);
        if (json_push(L, first) != 0) {
            abort();
        }
        write_top(L);
        if (!lua_rawequal(L, 1, 2)) {
            abort();
        }
    }
    lua_settop(L, 0);
    return 0;
}
