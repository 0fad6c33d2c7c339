/*
 * fs.c - each function: arguments to an operation, its work in the pool, its results to Lua.
 *
 * The works are in fs_work.c and know no Lua.
 */
#include "bindings/fs.h"

#include <stdlib.h>

#include <lauxlib.h>

#include "bindings/fs_tree.h"
#include "bindings/offload.h"
#include "bindings/options.h"

/* A whole file becomes one string in memory; larger ones want compress, copy, or io.open. */
#define READ_MAX ((lua_Integer)64 * 1024 * 1024)

struct fs_op {
    struct offload offload; /* first member */
    struct fs_work work;
    int (*push_result)(struct fs_work *w, lua_State *L);
};

static void on_work(struct offload *o)
{
    struct fs_op *op = (struct fs_op *)o;

    op->work.dropped = &o->dropped;
    op->work.error = op->work.run(&op->work);
}

static int on_push(struct offload *o, lua_State *L)
{
    struct fs_op *op = (struct fs_op *)o;

    if (op->work.error == FS_OUTSIDE) {
        luaL_pushfail(L);
        lua_pushfstring(L, "'%s' is not below '%s'", op->work.to, buffer_text(&op->work.data));
        lua_pushliteral(L, "outside");
        return 3;
    }
    if (op->work.error != 0) {
        return push_errno(L, op->work.path, op->work.error);
    }
    return op->push_result(&op->work, L);
}

static void on_finish(struct offload *o)
{
    struct fs_op *op = (struct fs_op *)o;

    if (offload_dropped(o)) {
        fs_work_undo(&op->work);
    }
    fs_work_fini(&op->work);
    free(op);
}

static const struct offload_steps steps = {on_work, on_push, on_finish};

/* ---- arguments ---- */

const char *check_path(lua_State *L, int arg)
{
    size_t size;
    const char *path = luaL_checklstring(L, arg, &size);

    luaL_argcheck(L, size > 0, arg, "must not be empty");
    luaL_argcheck(L, strlen(path) == size, arg, "must not contain NUL bytes");
    return path;
}

/* Arguments are checked: nothing from here to the yield raises. */
static int start(lua_State *L, struct fs_op op)
{
    struct fs_op *owned = mem_zalloc(sizeof(*owned));

    owned->work = op.work;
    owned->push_result = op.push_result;
    return offload_start(L, &owned->offload, &steps);
}

/* ---- results ---- */

static int push_true(struct fs_work *w, lua_State *L)
{
    (void)w;
    lua_pushboolean(L, 1);
    return 1;
}

static int push_text(struct fs_work *w, lua_State *L)
{
    lua_pushlstring(L, buffer_text(&w->data), w->data.size);
    buffer_fini(&w->data);
    return 1;
}

static int push_bytes(struct fs_work *w, lua_State *L)
{
    lua_pushinteger(L, w->bytes);
    return 1;
}

static int push_found(struct fs_work *w, lua_State *L)
{
    lua_pushboolean(L, w->found);
    return 1;
}

static int push_names(struct fs_work *w, lua_State *L)
{
    lua_createtable(L, w->nnames, 0);
    for (int i = 0; i < w->nnames; i++) {
        lua_pushstring(L, w->names[i]->d_name);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static void set_entry(lua_State *L, const char *type, int64_t bytes, double mtime)
{
    lua_pushinteger(L, bytes);
    lua_setfield(L, -2, "size");
    lua_pushstring(L, type);
    lua_setfield(L, -2, "type");
    lua_pushnumber(L, mtime);
    lua_setfield(L, -2, "mtime");
}

static int push_stat(struct fs_work *w, lua_State *L)
{
    lua_createtable(L, 0, 3);
    set_entry(L, w->type, w->bytes, w->mtime);
    return 1;
}

static int push_entries(struct fs_work *w, lua_State *L)
{
    lua_createtable(L, (int)w->entry_count, 0);
    for (size_t i = 0; i < w->entry_count; i++) {
        const struct fs_entry *e = &w->entries[i];
        lua_createtable(L, 0, 4);
        lua_pushstring(L, e->name);
        lua_setfield(L, -2, "name");
        set_entry(L, e->type, e->bytes, e->mtime);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- for Lua ---- */

static int with_path(lua_State *L,
                     int (*run)(struct fs_work *),
                     int (*push_result)(struct fs_work *, lua_State *))
{
    const char *path = check_path(L, 1);
    (void)task_check(L);

    return start(L,
                 (struct fs_op){.work = {.run = run, .path = mem_strdup(path)},
                                .push_result = push_result});
}

static int with_text(lua_State *L, int (*run)(struct fs_work *))
{
    const char *path = check_path(L, 1);
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    (void)task_check(L);

    struct fs_op op = {.work = {.run = run, .path = mem_strdup(path)}, .push_result = push_true};
    buffer_add(&op.work.data, text, size);
    return start(L, op);
}

static int with_target(lua_State *L,
                       int (*run)(struct fs_work *),
                       int (*push_result)(struct fs_work *, lua_State *))
{
    const char *from = check_path(L, 1);
    const char *to = check_path(L, 2);
    (void)task_check(L);

    return start(L,
                 (struct fs_op){
                     .work = {.run = run, .path = mem_strdup(from), .to = mem_strdup(to)},
                     .push_result = push_result,
                 });
}

int bind_fs_read(lua_State *L)
{
    static const char *const names[] = {"length", "max_bytes", "offset", NULL};

    const char *path = check_path(L, 1);
    options_check(L, 2, names);
    lua_Integer max = options_integer(L, 2, "max_bytes", READ_MAX);
    luaL_argcheck(L, max >= 0, 2, "max_bytes: must not be negative");
    lua_Integer offset = options_integer(L, 2, "offset", 0);
    luaL_argcheck(L, offset >= 0, 2, "offset: must not be negative");
    lua_Integer length = options_integer(L, 2, "length", LUA_MAXINTEGER);
    luaL_argcheck(L, length >= 0, 2, "length: must not be negative");
    (void)task_check(L);

    struct fs_op op = {.work = {.run = fs_read, .max = max, .offset = offset, .length = length},
                       .push_result = push_text};
    op.work.path = mem_strdup(path);
    return start(L, op);
}

int bind_fs_write(lua_State *L)
{
    return with_text(L, fs_write);
}

int bind_fs_append(lua_State *L)
{
    return with_text(L, fs_append);
}

int bind_fs_stat(lua_State *L)
{
    return with_path(L, fs_stat, push_stat);
}

int bind_fs_list(lua_State *L)
{
    return with_path(L, fs_list, push_names);
}

int bind_fs_make_dir(lua_State *L)
{
    return with_path(L, fs_make_dir, push_true);
}

int bind_fs_remove(lua_State *L)
{
    static const char *const names[] = {"recursive", NULL};

    (void)check_path(L, 1);
    options_check(L, 2, names);
    bool recursive = options_boolean(L, 2, "recursive", false);
    return with_path(L, recursive ? fs_remove_tree : fs_remove, push_true);
}

int bind_fs_rename(lua_State *L)
{
    return with_target(L, fs_rename, push_true);
}

int bind_fs_copy(lua_State *L)
{
    return with_target(L, fs_copy, push_bytes);
}

int bind_fs_exists(lua_State *L)
{
    return with_path(L, fs_exists, push_found);
}

int bind_fs_below(lua_State *L)
{
    return with_target(L, fs_below, push_text);
}

int bind_fs_entries(lua_State *L)
{
    return with_target(L, fs_entries, push_entries);
}

int bind_fs_unlink(lua_State *L)
{
    return with_target(L, fs_unlink, push_true);
}

int bind_fs_temp_dir(lua_State *L)
{
    const char *parent = getenv("TMPDIR");
    struct buffer path = {0};
    (void)task_check(L);

    buffer_printf(&path, "%s/jobq-XXXXXX", parent == NULL || *parent == 0 ? "/tmp" : parent);
    return start(L,
                 (struct fs_op){.work = {.run = fs_temp_dir, .path = path.data},
                                .push_result = push_text});
}
