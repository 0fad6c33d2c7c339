/*
 * json.c - the Lua side of both directions; the texts of numbers and strings are in json_text.c.
 */
#include "bindings/json.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "core/base/json_text.h"

#define ARRAY_NAME "jobq.array"

/* What a table is given room for at first: most job data is small. */
#define FIRST_ROOM 4

/* Keys that are sorted in place; more of them go to a block that Lua owns. */
#define FEW_KEYS 24

/* A kept scratch buffer larger than this is given back after use. */
#define SCRATCH_MAX ((size_t)64 * 1024)

struct decoder {
    lua_State *L;
    struct json_reader in;
    int array_mt; /* stack index of the arrays' metatable */
    int depth;
};

struct encoder {
    lua_State *L;
    struct buffer *out;
    const void *array_mt;
    enum json_nul nul;
    int depth;
    const char *error; /* static text; set once */
    char place[128];   /* ".to[3]", built from the inside out after an error */
};

/* Addresses of these are registry keys. */
static const char array_key = 0;
static const char scratch_key = 0;

static const char too_deep[] = "more than 200 levels, or a table that contains itself";

static int decode_value(struct decoder *d);
static int encode_value(struct encoder *e, int index);

static void push_array_metatable(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key) == LUA_TTABLE) {
        return;
    }
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, ARRAY_NAME);
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, ARRAY_NAME);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
}

bool json_is_array(lua_State *L, int index)
{
    if (lua_rawlen(L, index) > 0) {
        return true;
    }
    if (!lua_getmetatable(L, index)) {
        return false;
    }
    push_array_metatable(L);
    bool is_marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is_marked;
}

void json_mark_array(lua_State *L)
{
    push_array_metatable(L);
    lua_setmetatable(L, -2);
}

/* ---- decoding ---- */

int json_push(lua_State *L, struct slice text)
{
    int top = lua_gettop(L);
    struct decoder d = {.L = L, .in = json_reader_of(text), .array_mt = top + 1};

    if (!lua_checkstack(L, LUA_MINSTACK)) {
        return luaL_error(L, "no stack left to decode JSON");
    }
    push_array_metatable(L);
    int status = decode_value(&d);
    if (status == 0) {
        status = json_read_end(&d.in);
    }
    if (status == 0) {
        lua_replace(L, d.array_mt);
        return 0;
    }
    lua_settop(L, top);
    char found[16];
    struct json_place place = json_place_of(&d.in, found, sizeof(found));
    lua_pushfstring(L,
                    "%s at line %d, column %d, got %s",
                    d.in.error,
                    place.line,
                    place.column,
                    found);
    return -EINVAL;
}

/* Pushes a string. One without escapes is taken as it stands. */
static int decode_string(struct decoder *d)
{
    struct slice raw;
    bool escaped;

    int status = json_read_string(&d->in, &raw, &escaped);
    if (status != 0) {
        return status;
    }
    if (!escaped) {
        lua_pushlstring(d->L, raw.data, raw.size);
        return 0;
    }
    luaL_Buffer buffer; /* the text without escapes is never longer */
    char *to = luaL_buffinitsize(d->L, &buffer, raw.size);
    luaL_pushresultsize(&buffer, json_unescape(raw, to));
    return 0;
}

static int decode_number(struct decoder *d)
{
    struct json_number number;

    int status = json_read_number(&d->in, &number);
    if (status != 0) {
        return status;
    }
    if (number.is_integer) {
        lua_pushinteger(d->L, number.integer);
    } else {
        lua_pushnumber(d->L, number.real);
    }
    return 0;
}

static int decode_array(struct decoder *d)
{
    lua_State *L = d->L;
    lua_Integer count = 0;

    json_skip(&d->in, 1);
    bool empty = json_take(&d->in, ']');
    lua_createtable(L, empty ? 0 : FIRST_ROOM, 0);
    lua_pushvalue(L, d->array_mt);
    lua_setmetatable(L, -2);
    while (!empty) {
        int status = decode_value(d);
        if (status != 0) {
            return status;
        }
        lua_rawseti(L, -2, ++count);
        if (json_take(&d->in, ']')) {
            break;
        }
        if (!json_take(&d->in, ',')) {
            return json_expected(&d->in, "expected ',' or ']'");
        }
    }
    return 0;
}

/* "name": value into the table on top */
static int decode_member(struct decoder *d)
{
    if (json_peek(&d->in) != '"') {
        return json_expected(&d->in, "expected a name in double quotes");
    }
    int status = decode_string(d);
    if (status != 0) {
        return status;
    }
    if (!json_take(&d->in, ':')) {
        return json_expected(&d->in, "expected ':'");
    }
    status = decode_value(d);
    if (status == 0) {
        lua_rawset(d->L, -3);
    }
    return status;
}

static int decode_object(struct decoder *d)
{
    json_skip(&d->in, 1);
    bool empty = json_take(&d->in, '}');
    lua_createtable(d->L, 0, empty ? 0 : FIRST_ROOM);
    while (!empty) {
        int status = decode_member(d);
        if (status != 0) {
            return status;
        }
        if (json_take(&d->in, '}')) {
            break;
        }
        if (!json_take(&d->in, ',')) {
            return json_expected(&d->in, "expected ',' or '}'");
        }
    }
    return 0;
}

static int decode_nested(struct decoder *d, int (*decode)(struct decoder *))
{
    if (d->depth == JSON_DEPTH_MAX || !lua_checkstack(d->L, LUA_MINSTACK)) {
        return json_expected(&d->in, "expected at most 200 levels");
    }
    d->depth++;
    int status = decode(d);
    d->depth--;
    return status;
}

static int decode_value(struct decoder *d)
{
    switch (json_peek(&d->in)) {
    case '{': return decode_nested(d, decode_object);
    case '[': return decode_nested(d, decode_array);
    case '"': return decode_string(d);
    case 't': lua_pushboolean(d->L, 1); return json_read_word(&d->in, "true");
    case 'f': lua_pushboolean(d->L, 0); return json_read_word(&d->in, "false");
    case 'n': lua_pushlightuserdata(d->L, NULL); return json_read_word(&d->in, "null");
    default: return decode_number(d);
    }
}

/* ---- encoding ---- */

static int write_value(lua_State *L, int index, struct buffer *out, enum json_nul nul)
{
    struct encoder e = {.L = L, .out = out, .nul = nul};
    size_t size = out->size;

    index = lua_absindex(L, index);
    int top = lua_gettop(L);
    if (!lua_checkstack(L, LUA_MINSTACK)) {
        return luaL_error(L, "no stack left to encode JSON");
    }
    push_array_metatable(L);
    e.array_mt = lua_topointer(L, -1);
    int status = encode_value(&e, index);
    lua_settop(L, top);
    if (status != 0) {
        out->size = size;
        if (out->data != NULL) {
            out->data[size] = 0;
        }
        const char *place = e.place[0] == '.' ? e.place + 1 : e.place;
        lua_pushfstring(L, "%s%s%s", place, *place == 0 ? "" : ": ", e.error);
    }
    return status;
}

int json_write(lua_State *L, int index, struct buffer *out)
{
    return write_value(L, index, out, JSON_NUL_DROP);
}

static int refuse(struct encoder *e, const char *error)
{
    e->error = error;
    return -EINVAL;
}

/* Puts a step in front of the place; one that does not fit is left out. */
static void add_place(struct encoder *e, const char *step)
{
    size_t have = strlen(e->place);
    size_t size = strlen(step);

    if (e->error != too_deep && have + size < sizeof(e->place)) {
        memmove(e->place + size, e->place, have + 1);
        memcpy(e->place, step, size);
    }
}

static int encode_items(struct encoder *e, int index, lua_Integer count)
{
    buffer_add_char(e->out, '[');
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1) {
            buffer_add_char(e->out, ',');
        }
        lua_rawgeti(e->L, index, i);
        int status = encode_value(e, lua_gettop(e->L));
        if (status != 0) {
            char step[32];
            (void)snprintf(step, sizeof(step), "[%lld]", (long long)i);
            add_place(e, step);
            return status;
        }
        lua_pop(e->L, 1);
    }
    buffer_add_char(e->out, ']');
    return 0;
}

static int compare_slices(const void *a, const void *b)
{
    const struct slice *x = a;
    const struct slice *y = b;
    int order = memcmp(x->data, y->data, x->size < y->size ? x->size : y->size);

    if (order != 0) {
        return order;
    }
    return (x->size > y->size) - (x->size < y->size);
}

static void sort_names(struct slice *names, size_t count)
{
    if (count > FEW_KEYS) {
        qsort(names, count, sizeof(*names), compare_slices);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct slice name = names[i];
        size_t at = i;
        while (at > 0 && compare_slices(&names[at - 1], &name) > 0) {
            names[at] = names[at - 1];
            at--;
        }
        names[at] = name;
    }
}

/* The names of the table at index, which keeps them alive. Every key is known to be a string. */
static void take_names(lua_State *L, int index, struct slice *names)
{
    size_t count = 0;

    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        names[count].data = lua_tolstring(L, -1, &names[count].size);
        count++;
    }
    sort_names(names, count);
}

static int encode_member(struct encoder *e, int index, struct slice name)
{
    json_add_string(e->out, name, e->nul);
    buffer_add_char(e->out, ':');
    lua_pushlstring(e->L, name.data, name.size);
    lua_rawget(e->L, index);
    int status = encode_value(e, lua_gettop(e->L));
    if (status != 0) {
        char step[48];
        (void)snprintf(step, sizeof(step), ".%.40s", name.data);
        add_place(e, step);
        return status;
    }
    lua_pop(e->L, 1);
    return 0;
}

static int encode_members(struct encoder *e, int index, size_t count)
{
    struct slice few[FEW_KEYS];
    struct slice *names = few;

    if (count > FEW_KEYS) {
        names = lua_newuserdatauv(e->L, count * sizeof(*names), 0);
    }
    take_names(e->L, index, names);
    buffer_add_char(e->out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buffer_add_char(e->out, ',');
        }
        int status = encode_member(e, index, names[i]);
        if (status != 0) {
            return status;
        }
    }
    buffer_add_char(e->out, '}');
    return 0;
}

/* How many keys of either kind the table at index has; others are counted as neither. */
static size_t count_keys(lua_State *L, int index, size_t *strings, size_t *integers)
{
    size_t all = 0;

    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        all++;
        *strings += lua_type(L, -1) == LUA_TSTRING;
        *integers += lua_isinteger(L, -1);
    }
    return all;
}

static bool is_marked_array(struct encoder *e, int index)
{
    if (!lua_getmetatable(e->L, index)) {
        return false;
    }
    bool marked = lua_topointer(e->L, -1) == e->array_mt;
    lua_pop(e->L, 1);
    return marked;
}

static int encode_table(struct encoder *e, int index)
{
    size_t strings = 0;
    size_t integers = 0;
    size_t all = count_keys(e->L, index, &strings, &integers);
    bool marked = is_marked_array(e, index);

    if (all == strings && !marked) {
        return encode_members(e, index, all);
    }
    if (all == integers && lua_rawlen(e->L, index) == all) {
        return encode_items(e, index, (lua_Integer)all);
    }
    if (all != integers) {
        return refuse(e,
                      marked ? "an array with other keys than 1, 2, 3 has no JSON"
                             : "a table with keys other than strings has no JSON");
    }
    return refuse(e, "an array with holes has no JSON\nhint: put jobq.null where nothing is");
}

static int encode_nested(struct encoder *e, int index)
{
    if (e->depth == JSON_DEPTH_MAX || !lua_checkstack(e->L, LUA_MINSTACK)) {
        return refuse(e, too_deep);
    }
    e->depth++;
    int status = encode_table(e, index);
    e->depth--;
    return status;
}

static int encode_number(struct encoder *e, int index)
{
    if (lua_isinteger(e->L, index)) {
        json_add_integer(e->out, lua_tointeger(e->L, index));
        return 0;
    }
    if (json_add_real(e->out, lua_tonumber(e->L, index)) != 0) {
        return refuse(e, "nan and infinity have no JSON");
    }
    return 0;
}

/* index is absolute; the stack may be higher afterwards only on failure. */
static int encode_value(struct encoder *e, int index)
{
    int top = lua_gettop(e->L);
    struct slice text;
    int status = 0;

    switch (lua_type(e->L, index)) {
    case LUA_TNIL: buffer_add_text(e->out, "null"); return 0;
    case LUA_TBOOLEAN:
        buffer_add_text(e->out, lua_toboolean(e->L, index) ? "true" : "false");
        return 0;
    case LUA_TNUMBER: return encode_number(e, index);
    case LUA_TSTRING:
        text.data = lua_tolstring(e->L, index, &text.size);
        json_add_string(e->out, text, e->nul);
        return 0;
    case LUA_TTABLE:
        status = encode_nested(e, index);
        lua_settop(e->L, top);
        return status;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(e->L, index) == NULL) {
            buffer_add_text(e->out, "null");
            return 0;
        }
        break;
    case LUA_TUSERDATA:
        if (luaL_testudata(e->L, index, "jobq.secret") != NULL) {
            return refuse(e, "a secret has no JSON\nhint: its reveal() gives a text");
        }
        break;
    case LUA_TFUNCTION: return refuse(e, "a function has no JSON");
    default: break;
    }
    return refuse(e, "a userdata or coroutine has no JSON");
}

/* ---- for Lua ---- */

static int scratch_gc(lua_State *L)
{
    buffer_fini(lua_touserdata(L, 1));
    return 0;
}

/* Pushes the state's one buffer, empty. Nothing runs while it is in use that could use it too. */
static struct buffer *push_scratch(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &scratch_key) == LUA_TUSERDATA) {
        struct buffer *kept = lua_touserdata(L, -1);
        buffer_clear(kept);
        return kept;
    }
    lua_pop(L, 1);
    struct buffer *fresh = lua_newuserdatauv(L, sizeof(*fresh), 0);
    *fresh = (struct buffer){0};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, scratch_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &scratch_key);
    return fresh;
}

int bind_json_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    struct buffer *out = push_scratch(L);

    if (write_value(L, 1, out, JSON_NUL_ESCAPE) != 0) {
        return luaL_error(L, "%s", lua_tostring(L, -1));
    }
    lua_pushlstring(L, out->data, out->size);
    if (out->capacity > SCRATCH_MAX) {
        buffer_fini(out);
    }
    return 1;
}

int bind_json_decode(lua_State *L)
{
    struct slice text;

    text.data = luaL_checklstring(L, 1, &text.size);
    if (json_push(L, text) == 0) {
        return 1;
    }
    luaL_pushfail(L);
    lua_insert(L, -2);
    lua_pushliteral(L, "json_invalid");
    return 3;
}

int bind_json_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    push_array_metatable(L);
    if (lua_getmetatable(L, 1)) {
        luaL_argcheck(L, lua_rawequal(L, -1, -2), 1, "has a metatable already");
        lua_pop(L, 1);
    }
    lua_setmetatable(L, 1);
    return 1;
}

void json_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"encode", bind_json_encode},
        {"decode", bind_json_decode},
        {"array", bind_json_array},
        {NULL, NULL},
    };

    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
}
