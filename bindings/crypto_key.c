/* crypto_key.c - keys: made, read and written. A key is a userdata that owns an EVP_PKEY. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <string.h>

#include <lauxlib.h>

#include "core/base/mem.h"

#include "bindings/crypto.h"
#include "bindings/offload.h"

#define KEY_NAME "jobq.key"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

/* Of a P-256 scalar, and of a point in uncompressed form. */
#define P256_PRIVATE 32
#define P256_PUBLIC  65

static const char *const type_names[] = {"ed25519", "x25519", "p256", "rsa", NULL};

/* ---- the userdata ---- */

struct key *check_key(lua_State *L, int arg)
{
    return luaL_checkudata(L, arg, KEY_NAME);
}

static int key_gc(lua_State *L)
{
    struct key *key = check_key(L, 1);

    EVP_PKEY_free(key->pkey);
    key->pkey = NULL;
    return 0;
}

/* Empty yet, so that what is made afterwards has an owner. */
static struct key *push_key(lua_State *L)
{
    struct key *key = lua_newuserdatauv(L, sizeof(*key), 0);

    *key = (struct key){0};
    if (luaL_newmetatable(L, KEY_NAME)) {
        lua_pushcfunction(L, key_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    return key;
}

static int bad_key(lua_State *L, const char *why)
{
    ERR_clear_error();
    return push_failure(L, why, "bad_key");
}

/* Takes pkey into the key on top of the stack, if it is of a known type. Returns what Lua gets. */
static int take(lua_State *L, struct key *key, EVP_PKEY *pkey, bool is_private)
{
    char group[32] = "";
    key->pkey = pkey;
    key->is_private = is_private;

    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_ED25519: key->type = KEY_ED25519; return 1;
    case EVP_PKEY_X25519: key->type = KEY_X25519; return 1;
    case EVP_PKEY_RSA:
        key->type = KEY_RSA;
        return EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN
                   ? 1
                   : bad_key(L, "an rsa key of less than 2048 bits");
    case EVP_PKEY_EC:
        key->type = KEY_P256;
        (void)EVP_PKEY_get_utf8_string_param(pkey,
                                             OSSL_PKEY_PARAM_GROUP_NAME,
                                             group,
                                             sizeof(group),
                                             NULL);
        return strcmp(group, "prime256v1") == 0 ? 1 : bad_key(L, "a curve other than p256");
    default: return bad_key(L, "a key of another type than ed25519, x25519, p256 and rsa");
    }
}

/* ---- PEM ---- */

/* Without one, a key that wants a password is refused, rather than asked for at a terminal. */
static int on_password(char *to, int size, int writing, void *arg)
{
    struct slice *password = arg;
    (void)writing;

    if (password->data == NULL || password->size > (size_t)size) {
        return -1;
    }
    memcpy(to, password->data, password->size);
    return (int)password->size;
}

int bind_crypto_load_pem(lua_State *L)
{
    struct slice text = check_bytes(L, 1);
    struct slice password = {NULL, 0};

    if (!lua_isnoneornil(L, 2)) {
        password = check_bytes(L, 2);
    }
    luaL_argcheck(L, text.size <= INT32_MAX, 1, "is too long");
    bool is_private = memmem(text.data, text.size, "PRIVATE KEY-----", 16) != NULL;
    struct key *key = push_key(L);
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    EVP_PKEY *pkey = NULL;
    if (bio != NULL && is_private) {
        pkey = PEM_read_bio_PrivateKey(bio, NULL, on_password, &password);
    } else if (bio != NULL) {
        pkey = PEM_read_bio_PUBKEY(bio, NULL, on_password, &password);
    }
    BIO_free(bio);
    if (pkey == NULL) {
        return bad_key(L, "not a key in pem form, or another password is needed");
    }
    return take(L, key, pkey, is_private);
}

int bind_crypto_key_pem(lua_State *L)
{
    const struct key *key = check_key(L, 1);
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL) {
        return crypto_fail(L);
    }
    int ok = key->is_private
                 ? PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL)
                 : PEM_write_bio_PUBKEY(bio, key->pkey);
    long size = BIO_get_mem_data(bio, &text);
    if (ok == 1) {
        lua_pushlstring(L, text, (size_t)size);
    }
    BIO_free(bio);
    return ok == 1 ? 1 : crypto_fail(L);
}

/* ---- raw bytes ---- */

/* The point that belongs to a scalar; false if that is out of range. */
static bool find_point(const struct slice *scalar, unsigned char *point)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *p = group == NULL ? NULL : EC_POINT_new(group);
    BIGNUM *n = BN_bin2bn((const unsigned char *)scalar->data, (int)scalar->size, NULL);
    bool ok =
        p != NULL && n != NULL && !BN_is_zero(n) && BN_cmp(n, EC_GROUP_get0_order(group)) < 0 &&
        EC_POINT_mul(group, p, n, NULL, NULL, NULL) == 1 &&
        EC_POINT_point2oct(group, p, POINT_CONVERSION_UNCOMPRESSED, point, P256_PUBLIC, NULL) ==
            P256_PUBLIC;

    BN_clear_free(n);
    EC_POINT_free(p);
    EC_GROUP_free(group);
    return ok;
}

/* scalar is NULL for a public key; point is in uncompressed form. NULL if it is on no curve. */
static EVP_PKEY *make_p256(const struct slice *scalar, const unsigned char *point)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *n = NULL;
    OSSL_PARAM *params = NULL;

    if (context == NULL || build == NULL) {
        abort(); /* only memory can be missing */
    }
    (void)OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
    (void)OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, P256_PUBLIC);
    if (scalar != NULL) {
        n = BN_bin2bn((const unsigned char *)scalar->data, (int)scalar->size, NULL);
        (void)OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, n);
    }
    params = OSSL_PARAM_BLD_to_param(build);
    int part = scalar != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    if (params == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, part, params) != 1) {
        pkey = NULL;
    }
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(context);
    BN_clear_free(n);
    return pkey;
}

static EVP_PKEY *load_p256(struct slice bytes, bool is_private)
{
    unsigned char point[P256_PUBLIC];

    if (is_private) {
        return bytes.size == P256_PRIVATE && find_point(&bytes, point) ? make_p256(&bytes, point)
                                                                       : NULL;
    }
    if (bytes.size != P256_PUBLIC || bytes.data[0] != POINT_CONVERSION_UNCOMPRESSED) {
        return NULL;
    }
    return make_p256(NULL, (const unsigned char *)bytes.data);
}

int bind_crypto_load_raw(lua_State *L)
{
    enum key_type type = (enum key_type)check_name(L, 1, "type of key", type_names);
    struct slice bytes = check_bytes(L, 2);
    bool is_private = lua_toboolean(L, 3);
    const unsigned char *data = (const unsigned char *)bytes.data;
    int id = type == KEY_ED25519 ? EVP_PKEY_ED25519 : EVP_PKEY_X25519;
    EVP_PKEY *pkey;

    luaL_argcheck(L, type != KEY_RSA, 1, "rsa keys have no raw form\nhint: use pem");
    struct key *key = push_key(L);
    if (type == KEY_P256) {
        pkey = load_p256(bytes, is_private);
    } else if (is_private) {
        pkey = EVP_PKEY_new_raw_private_key(id, NULL, data, bytes.size);
    } else {
        pkey = EVP_PKEY_new_raw_public_key(id, NULL, data, bytes.size);
    }
    if (pkey == NULL) {
        lua_pushfstring(L,
                        "%d bytes are no %s %s key",
                        (int)bytes.size,
                        is_private ? "private" : "public",
                        type_names[type]);
        return bad_key(L, lua_tostring(L, -1));
    }
    return take(L, key, pkey, is_private);
}

static size_t copy_p256(const struct key *key, unsigned char *to)
{
    size_t size = P256_PUBLIC;

    if (key->is_private) {
        BIGNUM *n = NULL;
        bool ok = EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_PRIV_KEY, &n) == 1 &&
                  BN_bn2binpad(n, to, P256_PRIVATE) == P256_PRIVATE;
        BN_clear_free(n);
        return ok ? P256_PRIVATE : 0;
    }
    return EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_PUB_KEY, to, size, &size) == 1
               ? size
               : 0;
}

int bind_crypto_key_raw(lua_State *L)
{
    const struct key *key = check_key(L, 1);
    unsigned char bytes[P256_PUBLIC];
    size_t size = sizeof(bytes);
    int ok = 1;

    luaL_argcheck(L, key->type != KEY_RSA, 1, "rsa keys have no raw form\nhint: use pem");
    if (key->type == KEY_P256) {
        size = copy_p256(key, bytes);
    } else if (key->is_private) {
        ok = EVP_PKEY_get_raw_private_key(key->pkey, bytes, &size);
    } else {
        ok = EVP_PKEY_get_raw_public_key(key->pkey, bytes, &size);
    }
    if (ok != 1 || size == 0) {
        return crypto_fail(L);
    }
    lua_pushlstring(L, (char *)bytes, size);
    return 1;
}

/* ---- of a key ---- */

int bind_crypto_key_type(lua_State *L)
{
    const struct key *key = check_key(L, 1);

    lua_pushstring(L, type_names[key->type]);
    lua_pushboolean(L, key->is_private);
    return 2;
}

/* By way of its DER form, which holds the public half only. */
int bind_crypto_key_public(lua_State *L)
{
    const struct key *key = check_key(L, 1);
    struct key *half = push_key(L);
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(key->pkey, &der);
    const unsigned char *from = der;
    EVP_PKEY *pkey = size > 0 ? d2i_PUBKEY(NULL, &from, size) : NULL;

    OPENSSL_free(der);
    return pkey == NULL ? crypto_fail(L) : take(L, half, pkey, false);
}

/* ---- new ones: an rsa key takes a second, so all are made in the pool ---- */

struct generation {
    struct offload offload; /* first member */
    enum key_type type;
    size_t bits;
    EVP_PKEY *pkey; /* owned until it is pushed */
};

static void on_work(struct offload *o)
{
    struct generation *g = (struct generation *)o;

    switch (g->type) {
    case KEY_ED25519: g->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); break;
    case KEY_X25519: g->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "X25519"); break;
    case KEY_P256: g->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"); break;
    case KEY_RSA: g->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", g->bits); break;
    }
}

static int on_push(struct offload *o, lua_State *L)
{
    struct generation *g = (struct generation *)o;

    if (g->pkey == NULL) {
        return push_failure(L, "openssl could not make a key", "bad_key");
    }
    struct key *key = push_key(L);
    EVP_PKEY *pkey = g->pkey;
    g->pkey = NULL;
    return take(L, key, pkey, true);
}

static void on_finish(struct offload *o)
{
    struct generation *g = (struct generation *)o;

    EVP_PKEY_free(g->pkey);
    free(g);
}

int bind_crypto_generate(lua_State *L)
{
    static const struct offload_steps steps = {on_work, on_push, on_finish};
    enum key_type type = (enum key_type)check_name(L, 1, "type of key", type_names);
    lua_Integer bits = luaL_optinteger(L, 2, RSA_BITS_MIN);

    luaL_argcheck(L, bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX, 2, "2048 to 8192 bits expected");
    (void)task_check(L);
    struct generation *g = mem_zalloc(sizeof(*g));
    g->type = type;
    g->bits = (size_t)bits;
    return offload_start(L, &g->offload, &steps);
}
