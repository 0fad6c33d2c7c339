/* crypto.c - hashes, encodings and random bytes. */
#include "bindings/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#include "bindings/codec.h"
#include "bindings/fs.h"
#include "bindings/offload.h"

#define HASHER_NAME "jobq.hasher"

/* Bytes of one call: more is a mistake. */
#define RANDOM_MAX (1 << 20)

#define BLOCK ((size_t)256 << 10)

/* ---- arguments and results ---- */

int check_name(lua_State *L, int arg, const char *what, const char *const *names)
{
    const char *name = luaL_checkstring(L, arg);

    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    const char *near = text_nearest(name, names);
    lua_pushfstring(L,
                    near != NULL ? "unknown %s '%s'\nhint: did you mean '%s'?" : "unknown %s '%s'",
                    what,
                    name,
                    near);
    return luaL_argerror(L, arg, lua_tostring(L, -1));
}

const EVP_MD *check_hash(lua_State *L, int arg)
{
    static const char *const names[] =
        {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512", NULL};
    const EVP_MD *const hashes[] = {
        EVP_md5(),
        EVP_sha1(),
        EVP_sha224(),
        EVP_sha256(),
        EVP_sha384(),
        EVP_sha512(),
        EVP_sha3_256(),
        EVP_sha3_512(),
    };

    return hashes[check_name(L, arg, "hash", names)];
}

struct slice check_bytes(lua_State *L, int arg)
{
    struct slice bytes;

    bytes.data = luaL_checklstring(L, arg, &bytes.size);
    return bytes;
}

static enum codec check_codec(lua_State *L, int arg)
{
    static const char *const names[] = {"hex", "base64", "base64url", NULL};

    return (enum codec)check_name(L, arg, "encoding", names);
}

int push_bytes(lua_State *L, struct slice bytes, int arg)
{
    struct buffer *scratch = &vm_of(L)->scratch;

    if (lua_isnoneornil(L, arg)) {
        lua_pushlstring(L, bytes.data, bytes.size);
        return 1;
    }
    buffer_clear(scratch);
    codec_encode(scratch, check_codec(L, arg), bytes);
    lua_pushlstring(L, buffer_text(scratch), scratch->size);
    return 1;
}

int crypto_fail(lua_State *L)
{
    char why[256];

    ERR_error_string_n(ERR_get_error(), why, sizeof(why));
    ERR_clear_error();
    return luaL_error(L, "openssl: %s", why);
}

/* ---- hashes ---- */

int bind_crypto_hash(lua_State *L)
{
    const EVP_MD *hash = check_hash(L, 1);
    struct slice text = check_bytes(L, 2);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (EVP_Digest(text.data, text.size, digest, &size, hash, NULL) != 1) {
        return crypto_fail(L);
    }
    return push_bytes(L, (struct slice){(char *)digest, size}, 3);
}

int bind_crypto_hmac(lua_State *L)
{
    const EVP_MD *hash = check_hash(L, 1);
    struct slice key = check_bytes(L, 2);
    struct slice text = check_bytes(L, 3);
    unsigned char code[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    luaL_argcheck(L, key.size <= INT32_MAX, 2, "is too long");
    const unsigned char *bytes = (const unsigned char *)text.data;
    if (HMAC(hash, key.data, (int)key.size, bytes, text.size, code, &size) == NULL) {
        return crypto_fail(L);
    }
    return push_bytes(L, (struct slice){(char *)code, size}, 4);
}

static EVP_MD_CTX **check_hasher(lua_State *L)
{
    EVP_MD_CTX **hasher = luaL_checkudata(L, 1, HASHER_NAME);

    luaL_argcheck(L, *hasher != NULL, 1, "is finished");
    return hasher;
}

static int hasher_add(lua_State *L)
{
    EVP_MD_CTX **hasher = check_hasher(L);
    struct slice text = check_bytes(L, 2);

    if (EVP_DigestUpdate(*hasher, text.data, text.size) != 1) {
        return crypto_fail(L);
    }
    lua_settop(L, 1);
    return 1;
}

static int hasher_gc(lua_State *L)
{
    EVP_MD_CTX **hasher = luaL_checkudata(L, 1, HASHER_NAME);

    EVP_MD_CTX_free(*hasher);
    *hasher = NULL;
    return 0;
}

static int hasher_finish(lua_State *L)
{
    EVP_MD_CTX **hasher = check_hasher(L);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (EVP_DigestFinal_ex(*hasher, digest, &size) != 1) {
        return crypto_fail(L);
    }
    (void)hasher_gc(L);
    return push_bytes(L, (struct slice){(char *)digest, size}, 2);
}

int bind_crypto_hasher(lua_State *L)
{
    static const luaL_Reg methods[] = {{"add", hasher_add},
                                       {"finish", hasher_finish},
                                       {NULL, NULL}};
    const EVP_MD *hash = check_hash(L, 1);
    EVP_MD_CTX **hasher = lua_newuserdatauv(L, sizeof(EVP_MD_CTX *), 0);

    *hasher = NULL;
    if (luaL_newmetatable(L, HASHER_NAME)) {
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, hasher_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    *hasher = EVP_MD_CTX_new();
    if (*hasher == NULL || EVP_DigestInit_ex(*hasher, hash, NULL) != 1) {
        return crypto_fail(L);
    }
    return 1;
}

/* ---- the hash of a file ---- */

struct hash_file {
    struct offload offload; /* first member */
    const EVP_MD *hash;
    char *path; /* owned */
    int error;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size;
};

static int read_into(struct hash_file *h, EVP_MD_CTX *context, int fd)
{
    char *block = mem_zalloc(BLOCK);
    ssize_t got = 1;

    while (got != 0 && !offload_dropped(&h->offload)) {
        got = read(fd, block, BLOCK);
        if (got < 0 && errno != EINTR) {
            h->error = -errno;
            break;
        }
        (void)EVP_DigestUpdate(context, block, got > 0 ? (size_t)got : 0);
    }
    free(block);
    return h->error;
}

static void on_work(struct offload *o)
{
    struct hash_file *h = (struct hash_file *)o;
    int fd = open(h->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        h->error = -errno;
        return;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestInit_ex(context, h->hash, NULL) != 1) {
        h->error = -ENOMEM;
    } else if (read_into(h, context, fd) == 0) {
        (void)EVP_DigestFinal_ex(context, h->digest, &h->size);
    }
    EVP_MD_CTX_free(context);
    (void)close(fd);
}

static int on_push(struct offload *o, lua_State *L)
{
    struct hash_file *h = (struct hash_file *)o;

    if (h->error != 0) {
        return push_errno(L, h->path, h->error);
    }
    lua_pushlstring(L, (char *)h->digest, h->size);
    return 1;
}

static void on_finish(struct offload *o)
{
    struct hash_file *h = (struct hash_file *)o;

    free(h->path);
    free(h);
}

/* The digest comes as it is: the Lua half encodes it. */
int bind_crypto_hash_file(lua_State *L)
{
    static const struct offload_steps steps = {on_work, on_push, on_finish};
    const EVP_MD *hash = check_hash(L, 1);
    const char *path = check_path(L, 2);
    (void)task_check(L);

    struct hash_file *h = mem_zalloc(sizeof(*h));
    h->hash = hash;
    h->path = mem_strdup(path);
    return offload_start(L, &h->offload, &steps);
}

/* ---- encodings ---- */

int bind_crypto_encode(lua_State *L)
{
    struct slice bytes = check_bytes(L, 1);

    (void)check_codec(L, 2);
    return push_bytes(L, bytes, 2);
}

int bind_crypto_decode(lua_State *L)
{
    static const char *const names[] = {"hex", "base64", "base64url"};
    struct buffer *scratch = &vm_of(L)->scratch;
    struct slice text = check_bytes(L, 1);
    enum codec codec = check_codec(L, 2);

    buffer_clear(scratch);
    if (!codec_decode(scratch, codec, text)) {
        lua_pushfstring(L, "the text is not %s", names[codec]);
        return push_failure(L, lua_tostring(L, -1), "bad_encoding");
    }
    lua_pushlstring(L, buffer_text(scratch), scratch->size);
    return 1;
}

/* ---- random ---- */

void crypto_random(void *bytes, size_t size)
{
    char *p = bytes;

    while (size > 0) {
        ssize_t got = getrandom(p, size, 0);
        if (got > 0) {
            p += got;
            size -= (size_t)got;
        }
    }
}

int bind_crypto_random(lua_State *L)
{
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_Buffer bytes;

    luaL_argcheck(L, count >= 1 && count <= RANDOM_MAX, 1, "1 to 1048576 bytes expected");
    lua_settop(L, 2);
    crypto_random(luaL_buffinitsize(L, &bytes, (size_t)count), (size_t)count);
    luaL_pushresultsize(&bytes, (size_t)count);
    return push_bytes(L, check_bytes(L, 3), 2);
}

/* RFC 9562, 5.7: milliseconds, then their fraction, so that UUIDs of one process have an order. */
static void stamp_time(unsigned char *uuid)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    uint64_t fraction = ((uint64_t)now.tv_nsec % 1000000) * 4096 / 1000000;
    for (int i = 0; i < 6; i++) {
        uuid[i] = (unsigned char)(ms >> (40 - 8 * i));
    }
    uuid[6] = (unsigned char)(fraction >> 8);
    uuid[7] = (unsigned char)fraction;
}

int bind_crypto_uuid(lua_State *L)
{
    lua_Integer version = luaL_optinteger(L, 1, 4);
    unsigned char uuid[16];
    char text[40];

    luaL_argcheck(L, version == 4 || version == 7, 1, "4 or 7 expected");
    crypto_random(uuid, sizeof(uuid));
    if (version == 7) {
        stamp_time(uuid);
    }
    uuid[6] = (unsigned char)((uuid[6] & 0x0f) | (version << 4));
    uuid[8] = (unsigned char)((uuid[8] & 0x3f) | 0x80);
    char *to = text;
    for (int i = 0; i < 16; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        to += snprintf(to, 4, dash ? "-%02x" : "%02x", uuid[i]);
    }
    lua_pushlstring(L, text, (size_t)(to - text));
    return 1;
}

/* Their sizes are no secret. */
int bind_crypto_equal(lua_State *L)
{
    struct slice a = check_bytes(L, 1);
    struct slice b = check_bytes(L, 2);

    lua_pushboolean(L, a.size == b.size && CRYPTO_memcmp(a.data, b.data, a.size) == 0);
    return 1;
}
