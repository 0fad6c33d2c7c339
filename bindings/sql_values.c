/* sql_values.c - a table of types, and the text form of arrays. */
#include "bindings/sql_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "core/base/buffer.h"
#include "core/base/mem.h"

#include "bindings/json.h"
#include "bindings/vm.h"

/* PostgreSQL's oids: those of pg_type.dat never change. */
enum {
    BOOL = 16,
    BYTEA = 17,
    NAME = 19,
    INT8 = 20,
    INT2 = 21,
    INT4 = 23,
    TEXT = 25,
    OID = 26,
    JSON = 114,
    FLOAT4 = 700,
    FLOAT8 = 701,
    DATE = 1082,
    TIMESTAMP = 1114,
    TIMESTAMPTZ = 1184,
    VARCHAR = 1043,
    NUMERIC = 1700,
    UUID = 2950,
    JSONB = 3802,
};

static const struct {
    uint32_t array;
    uint32_t element;
} arrays[] = {
    {199, JSON},
    {1000, BOOL},
    {1001, BYTEA},
    {1003, NAME},
    {1005, INT2},
    {1007, INT4},
    {1009, TEXT},
    {1015, VARCHAR},
    {1016, INT8},
    {1021, FLOAT4},
    {1022, FLOAT8},
    {1028, OID},
    {1115, TIMESTAMP},
    {1182, DATE},
    {1185, TIMESTAMPTZ},
    {1231, NUMERIC},
    {2951, UUID},
    {3807, JSONB},
};

/* ---- to text ---- */

static const char *add_element(lua_State *L, struct buffer *out);

static void push_number_text(lua_State *L, int index)
{
    char text[32];

    if (lua_isinteger(L, index)) {
        (void)snprintf(text, sizeof(text), LUA_INTEGER_FMT, lua_tointeger(L, index));
    } else {
        (void)snprintf(text, sizeof(text), "%.17g", lua_tonumber(L, index));
    }
    lua_pushstring(L, text);
}

static void add_quoted(struct buffer *out, struct slice text)
{
    buffer_add_char(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            buffer_add_char(out, '\\');
        }
        buffer_add_char(out, text.data[i]);
    }
    buffer_add_char(out, '"');
}

/* The array on top of the stack. */
static const char *add_array(lua_State *L, struct buffer *out)
{
    lua_Integer length = (lua_Integer)lua_rawlen(L, -1);
    const char *problem = lua_checkstack(L, LUA_MINSTACK) ? NULL : "arrays are nested too deep";

    buffer_add_char(out, '{');
    for (lua_Integer i = 1; i <= length && problem == NULL; i++) {
        if (i > 1) {
            buffer_add_char(out, ',');
        }
        lua_rawgeti(L, -1, i);
        problem = add_element(L, out);
        if (problem == NULL) {
            lua_pop(L, 1);
        }
    }
    buffer_add_char(out, '}');
    return problem;
}

static bool is_null(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL;
}

/* The value on top of the stack, which stays there. */
static const char *add_element(lua_State *L, struct buffer *out)
{
    if (is_null(L, -1)) {
        buffer_add_text(out, "NULL");
        return NULL;
    }
    if (lua_type(L, -1) == LUA_TTABLE && json_is_array(L, -1)) {
        return add_array(L, out);
    }
    lua_pushvalue(L, -1);
    const char *problem = sql_value_to_text(L, lua_gettop(L));
    if (problem == NULL && lua_isnil(L, -1)) {
        problem = "an array with holes";
    }
    if (problem == NULL) {
        struct slice text;
        text.data = lua_tolstring(L, -1, &text.size);
        add_quoted(out, text);
        lua_pop(L, 1);
    }
    return problem;
}

static const char *push_table_text(lua_State *L, int index)
{
    struct buffer *out = &vm_of(L)->scratch; /* it hangs there if memory ends */
    size_t before = out->size;
    const char *problem;

    if (json_is_array(L, index)) {
        lua_pushvalue(L, index);
        problem = add_array(L, out);
        if (problem == NULL) {
            lua_pop(L, 1);
        }
    } else {
        problem = json_write(L, index, out) == 0 ? NULL : lua_tostring(L, -1);
    }
    if (problem == NULL) {
        lua_pushlstring(L, out->data + before, out->size - before);
    }
    out->size = before;
    return problem;
}

const char *sql_value_to_text(lua_State *L, int index)
{
    const char *problem = NULL;

    switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TSTRING: return NULL;
    case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false"); break;
    case LUA_TNUMBER: push_number_text(L, index); break;
    case LUA_TTABLE: problem = push_table_text(L, index); break;
    default:
        problem = is_null(L, index) ? NULL : "not a value for SQL";
        lua_pushnil(L);
        break;
    }
    if (problem == NULL) {
        lua_replace(L, index);
    }
    return problem;
}

/* ---- from text ---- */

static uint32_t element_type(uint32_t array)
{
    for (size_t i = 0; i < LENGTH_OF(arrays); i++) {
        if (arrays[i].array == array) {
            return arrays[i].element;
        }
    }
    return 0;
}

/* {1,NULL,"a \"b\""}, not {{1}} nor [0:1]={1,2}. */
static bool is_plain_array(struct slice text)
{
    bool quoted = false;

    for (size_t i = 1; i < text.size; i++) {
        char c = text.data[i];
        if (c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == '{' && !quoted) {
            return false;
        }
    }
    return text.size >= 2 && text.data[0] == '{';
}

/* Moves *at behind one element and pushes its text; true when it was quoted. */
static bool push_element_text(lua_State *L, const char **at)
{
    bool quoted = **at == '"';
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    *at += quoted;
    while (quoted ? **at != '"' : **at != ',' && **at != '}') {
        *at += **at == '\\';
        luaL_addchar(&b, **at);
        (*at)++;
    }
    *at += quoted;
    *at += **at == ',';
    luaL_pushresult(&b);
    return quoted;
}

static void push_array(lua_State *L, uint32_t element, struct slice text, bool exact)
{
    const char *at = text.data + 1; /* libpq ends values with a 0 */

    lua_newtable(L);
    for (lua_Integer i = 1; *at != '}'; i++) {
        struct slice item;
        bool quoted = push_element_text(L, &at);
        item.data = lua_tolstring(L, -1, &item.size);
        if (!quoted && slice_is(item, "NULL")) {
            lua_pushlightuserdata(L, NULL);
        } else {
            sql_push_value(L, element, item, exact);
        }
        lua_rawseti(L, -3, i);
        lua_pop(L, 1);
    }
    json_mark_array(L);
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* "\x0aff", which is how it comes unless somebody has set bytea_output. */
static void push_bytes(lua_State *L, struct slice text)
{
    luaL_Buffer b;

    if (text.size < 2 || memcmp(text.data, "\\x", 2) != 0) {
        lua_pushlstring(L, text.data, text.size);
        return;
    }
    char *to = luaL_buffinitsize(L, &b, text.size / 2);
    for (size_t i = 2; i + 1 < text.size; i += 2) {
        *to++ = (char)(digit(text.data[i]) << 4 | digit(text.data[i + 1]));
    }
    luaL_pushresultsize(&b, (text.size - 2) / 2);
}

static void push_json(lua_State *L, struct slice text)
{
    if (json_push(L, text) != 0) { /* deeper than ours goes */
        lua_pop(L, 1);
        lua_pushlstring(L, text.data, text.size);
    }
}

static void push_other(lua_State *L, uint32_t type, struct slice text, bool exact)
{
    uint32_t element = element_type(type);

    if (element != 0 && is_plain_array(text)) {
        push_array(L, element, text, exact);
    } else {
        lua_pushlstring(L, text.data, text.size);
    }
}

void sql_push_value(lua_State *L, uint32_t type, struct slice text, bool exact)
{
    switch (type) {
    case BOOL: lua_pushboolean(L, text.data[0] == 't'); return;
    case INT8:
    case INT2:
    case INT4:
    case OID: lua_pushinteger(L, strtoll(text.data, NULL, 10)); return;
    case FLOAT4:
    case FLOAT8: lua_pushnumber(L, strtod(text.data, NULL)); return;
    case NUMERIC:
        if (!exact) {
            lua_pushnumber(L, strtod(text.data, NULL));
            return;
        }
        break;
    case BYTEA:
        if (exact) {
            push_bytes(L, text);
            return;
        }
        break;
    case JSON:
    case JSONB:
        if (exact) {
            push_json(L, text);
            return;
        }
        break;
    default: break;
    }
    push_other(L, type, text, exact);
}
