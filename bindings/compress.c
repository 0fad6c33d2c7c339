/* compress.c - arguments and results; the work itself is in compress_zstd.c and compress_gzip.c. */
#include "bindings/compress.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "bindings/compress_work.h"
#include "bindings/fs.h"
#include "bindings/offload.h"
#include "bindings/options.h"

struct format {
    const char *name;
    int level_default; /* the library's own */
    int level_max;
    int (*compress)(struct compress_work *w);
    int (*decompress)(struct compress_work *w);
};

/* The highest level of zstd is 22, and takes hundreds of MB. */
static const struct format formats[] = {
    {"zstd", 3, 19, zstd_compress, zstd_decompress},
    {"gzip", 6, 9, gzip_compress, gzip_decompress},
};

/* A small file may unpack to a full disk: what a job may write by default. */
#define UNPACKED_MAX ((lua_Integer)1024 * 1024 * 1024)

struct compress {
    struct offload offload; /* first member */
    struct compress_work work;
    int (*run)(struct compress_work *w);
    int error; /* what run returned */
};

static void on_work(struct offload *o)
{
    struct compress *c = (struct compress *)o;

    c->work.dropped = &o->dropped;
    c->error = c->run(&c->work);
}

static int on_push(struct offload *o, lua_State *L)
{
    struct compress *c = (struct compress *)o;

    if (c->error != 0 && c->work.code != NULL) {
        luaL_pushfail(L);
        lua_pushfstring(L, "%s: %s", c->work.subject, c->work.message);
        lua_pushstring(L, c->work.code);
        return 3;
    }
    if (c->error != 0) {
        return push_errno(L, c->work.subject, c->error);
    }
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, c->work.bytes_in);
    lua_setfield(L, -2, "bytes_in");
    lua_pushinteger(L, c->work.bytes_out);
    lua_setfield(L, -2, "bytes_out");
    return 1;
}

static void on_finish(struct offload *o)
{
    struct compress *c = (struct compress *)o;

    free(c->work.from);
    free(c->work.to);
    free(c);
}

static const struct offload_steps steps = {on_work, on_push, on_finish};

static const struct format *check_format(lua_State *L)
{
    const char *name = options_text(L, 3, "format", "zstd");

    for (size_t i = 0; i < LENGTH_OF(formats); i++) {
        if (strcmp(name, formats[i].name) == 0) {
            return &formats[i];
        }
    }
    luaL_argerror(L, 3, lua_pushfstring(L, "format: 'zstd' or 'gzip' expected, got '%s'", name));
    return NULL;
}

static int check_level(lua_State *L, const struct format *format)
{
    lua_Integer level = options_integer(L, 3, "level", format->level_default);

    if (level < 1 || level > format->level_max) {
        luaL_argerror(L,
                      3,
                      lua_pushfstring(L,
                                      "level: integer from 1 to %d expected",
                                      format->level_max));
    }
    return (int)level;
}

/* Arguments are checked: nothing from here to the yield raises. */
static struct compress *new_compress(const char *from, const char *to)
{
    struct compress *c = mem_zalloc(sizeof(*c));

    c->work.from = mem_strdup(from);
    c->work.to = mem_strdup(to);
    return c;
}

int bind_compress_file(lua_State *L)
{
    static const char *const names[] = {"format", "level", NULL};

    const char *from = check_path(L, 1);
    const char *to = check_path(L, 2);
    options_check(L, 3, names);
    const struct format *format = check_format(L);
    int level = check_level(L, format);
    (void)task_check(L);

    struct compress *c = new_compress(from, to);
    c->run = format->compress;
    c->work.level = level;
    c->work.max = INT64_MAX;
    return offload_start(L, &c->offload, &steps);
}

int bind_decompress_file(lua_State *L)
{
    static const char *const names[] = {"format", "max_bytes", NULL};

    const char *from = check_path(L, 1);
    const char *to = check_path(L, 2);
    options_check(L, 3, names);
    const struct format *format = check_format(L);
    lua_Integer max = options_integer(L, 3, "max_bytes", UNPACKED_MAX);
    luaL_argcheck(L, max >= 0, 3, "max_bytes: must not be negative");
    (void)task_check(L);

    struct compress *c = new_compress(from, to);
    c->run = format->decompress;
    c->work.max = max;
    return offload_start(L, &c->offload, &steps);
}
