/* api.c - the table of contents. Adding a function is adding a row. */
#include "bindings/api.h"

#include <string.h>

#include <lauxlib.h>

#include "core/base/mem.h"

#include "bindings/compress.h"
#include "bindings/crypto.h"
#include "bindings/embedded_lua.h"
#include "bindings/fs.h"
#include "bindings/http.h"
#include "bindings/json.h"
#include "bindings/mail.h"
#include "bindings/parallel.h"
#include "bindings/process.h"
#include "bindings/run_log.h"
#include "bindings/run_progress.h"
#include "bindings/run_steps.h"
#include "bindings/runs.h"
#include "bindings/secret.h"
#include "bindings/sleep.h"
#include "bindings/smtp.h"
#include "bindings/socket.h"
#include "bindings/source.h"
#include "bindings/sql.h"
#include "bindings/trace.h"

static const luaL_Reg task_functions[] = {
    {"check", bind_check},
    {"explain", bind_explain},
    {"leave", bind_leave},
    {"memory_error", bind_memory_error},
    {"parallel", bind_parallel},
    {"place", bind_place},
    {"raise", bind_raise},
    {"sleep", bind_sleep},
    {"traceback", bind_traceback},
    {NULL, NULL},
};

static const luaL_Reg run_functions[] = {
    {"field", bind_run_field},
    {"keep_result", bind_run_keep_result},
    {"memo", bind_run_memo},
    {"park", bind_run_park},
    {"place", bind_run_place},
    {"progress", bind_run_progress},
    {NULL, NULL},
};

static const luaL_Reg log_functions[] = {
    {"debug", bind_log_debug},
    {"error", bind_log_error},
    {"info", bind_log_info},
    {"warn", bind_log_warn},
    {NULL, NULL},
};

static const luaL_Reg source_functions[] = {
    {"dump", bind_source_dump},
    {"line", bind_source_line},
    {"list", bind_source_list},
    {"load", bind_source_load},
    {"type", bind_source_type},
    {NULL, NULL},
};

static const luaL_Reg fs_functions[] = {
    {"append", bind_fs_append},
    {"below", bind_fs_below},
    {"copy", bind_fs_copy},
    {"entries", bind_fs_entries},
    {"exists", bind_fs_exists},
    {"list", bind_fs_list},
    {"make_dir", bind_fs_make_dir},
    {"read", bind_fs_read},
    {"remove", bind_fs_remove},
    {"rename", bind_fs_rename},
    {"stat", bind_fs_stat},
    {"temp_dir", bind_fs_temp_dir},
    {"unlink", bind_fs_unlink},
    {"write", bind_fs_write},
    {NULL, NULL},
};

static const luaL_Reg compress_functions[] = {
    {"compress_file", bind_compress_file},
    {"decompress_file", bind_decompress_file},
    {NULL, NULL},
};

static const luaL_Reg http_functions[] = {
    {"perform", bind_http_perform},
    {NULL, NULL},
};

static const luaL_Reg crypto_functions[] = {
    {"agree", bind_crypto_agree},
    {"decode", bind_crypto_decode},
    {"encode", bind_crypto_encode},
    {"equal", bind_crypto_equal},
    {"generate", bind_crypto_generate},
    {"hash", bind_crypto_hash},
    {"hash_file", bind_crypto_hash_file},
    {"hasher", bind_crypto_hasher},
    {"hkdf", bind_crypto_hkdf},
    {"hmac", bind_crypto_hmac},
    {"key_pem", bind_crypto_key_pem},
    {"key_public", bind_crypto_key_public},
    {"key_raw", bind_crypto_key_raw},
    {"key_type", bind_crypto_key_type},
    {"load_pem", bind_crypto_load_pem},
    {"load_raw", bind_crypto_load_raw},
    {"open", bind_crypto_open},
    {"random", bind_crypto_random},
    {"seal", bind_crypto_seal},
    {"sign", bind_crypto_sign},
    {"uuid", bind_crypto_uuid},
    {"verify", bind_crypto_verify},
    {NULL, NULL},
};

static const luaL_Reg process_functions[] = {
    {"result", bind_process_result},
    {"start", bind_process_start},
    {"take", bind_process_take},
    {"wait", bind_process_wait},
    {NULL, NULL},
};

static const luaL_Reg socket_functions[] = {
    {"close", bind_socket_close},
    {"connect", bind_socket_connect},
    {"fill", bind_socket_fill},
    {"shutdown", bind_socket_shutdown},
    {"take", bind_socket_take},
    {"write", bind_socket_write},
    {NULL, NULL},
};

static const luaL_Reg secret_functions[] = {
    {"new", bind_secret_new},
    {"open", bind_secret_open},
    {NULL, NULL},
};

static const luaL_Reg smtp_functions[] = {
    {"deliver", bind_smtp_deliver},
    {"encode_body", bind_mail_encode_body},
    {"encode_bytes", bind_mail_encode_bytes},
    {"encode_header", bind_mail_encode_header},
    {NULL, NULL},
};

static const luaL_Reg sql_functions[] = {
    {"connect", bind_sql_connect},
    {"finish", bind_sql_finish},
    {"pool", bind_sql_pool},
    {"post", bind_sql_post},
    {"query", bind_sql_query},
    {"release", bind_sql_release},
    {"rows", bind_sql_rows},
    {"session", bind_sql_session},
    {"statement", bind_sql_statement},
    {NULL, NULL},
};

struct group {
    const char *name;
    const luaL_Reg *functions;
};

static const struct group groups[] = {
    {"compress", compress_functions},
    {"crypto", crypto_functions},
    {"fs", fs_functions},
    {"http", http_functions},
    {"log", log_functions},
    {"process", process_functions},
    {"run", run_functions},
    {"secret", secret_functions},
    {"smtp", smtp_functions},
    {"socket", socket_functions},
    {"source", source_functions},
    {"sql", sql_functions},
    {"task", task_functions},
};

static int open_embedded(lua_State *L);

void api_open(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, api_push_core);
    lua_setfield(L, -2, "jobq.core");
    for (lua_Integer i = 0; embedded_lua[i].name != NULL; i++) {
        lua_pushinteger(L, i);
        lua_pushcclosure(L, open_embedded, 1);
        lua_setfield(L, -2, embedded_lua[i].name);
    }
    lua_pop(L, 1);
}

int api_push_core(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < LENGTH_OF(groups); i++) {
        lua_newtable(L);
        luaL_setfuncs(L, groups[i].functions, 0);
        lua_setfield(L, -2, groups[i].name);
    }
    json_open(L);
    lua_setfield(L, -2, "json");

    lua_newtable(L); /* core metatable: jobq.job fills it */
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "job_metatable");
    lua_pushcclosure(L, bind_run_begin, 1);
    lua_setfield(L, -2, "begin");
    return 1;
}

/* Frames of a chunk whose name begins with "=jobq" are left out of tracebacks. */
static int open_embedded(lua_State *L)
{
    const struct embedded_lua *module = &embedded_lua[lua_tointeger(L, lua_upvalueindex(1))];

    lua_pushfstring(L, "=%s", module->name);
    if (luaL_loadbufferx(L, module->text, strlen(module->text), lua_tostring(L, -1), "t") != 0) {
        return lua_error(L);
    }
    lua_pushstring(L, module->name);
    lua_call(L, 1, 1);
    return 1;
}
