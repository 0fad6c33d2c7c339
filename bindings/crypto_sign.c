/* crypto_sign.c - signatures and shared secrets. */
#include <openssl/ec.h>
#include <openssl/err.h>

#include <lauxlib.h>

#include "bindings/crypto.h"
#include "bindings/offload.h"

/* RSA of 8192 bits; ECDSA needs less. */
#define SIGNATURE_MAX 1024

/* Each half of an ECDSA signature over P-256. */
#define HALF 32

/* Ed25519 hashes by itself; the others sign a SHA-256 (RS256 and ES256 of RFC 7518). */
static const EVP_MD *hash_of(const struct key *key)
{
    return key->type == KEY_ED25519 ? NULL : EVP_sha256();
}

static struct key *check_signer(lua_State *L)
{
    struct key *key = check_key(L, 1);

    luaL_argcheck(L, key->type != KEY_X25519, 1, "x25519 keys cannot sign");
    return key;
}

/* DER to r and s side by side, in place; the new size, or 0. */
static size_t flatten(unsigned char *signature, size_t size)
{
    const unsigned char *from = signature;
    ECDSA_SIG *both = d2i_ECDSA_SIG(NULL, &from, (long)size);
    bool ok = both != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(both), signature, HALF) == HALF &&
              BN_bn2binpad(ECDSA_SIG_get0_s(both), signature + HALF, HALF) == HALF;

    ECDSA_SIG_free(both);
    return ok ? (size_t)2 * HALF : 0;
}

/* The other way, into SIGNATURE_MAX bytes; the new size, or 0. */
static size_t unflatten(struct slice flat, unsigned char *der)
{
    const unsigned char *from = (const unsigned char *)flat.data;
    ECDSA_SIG *both = ECDSA_SIG_new();
    int size = 0;

    if (flat.size == (size_t)2 * HALF && both != NULL) {
        (void)ECDSA_SIG_set0(both, BN_bin2bn(from, HALF, NULL), BN_bin2bn(from + HALF, HALF, NULL));
        size = i2d_ECDSA_SIG(both, &der);
    }
    ECDSA_SIG_free(both);
    return size > 0 ? (size_t)size : 0;
}

int bind_crypto_sign(lua_State *L)
{
    const struct key *key = check_signer(L);
    struct slice text = check_bytes(L, 2);
    bool is_der = lua_toboolean(L, 3);
    const unsigned char *data = (const unsigned char *)text.data;
    unsigned char signature[SIGNATURE_MAX];
    size_t size = sizeof(signature);

    luaL_argcheck(L, key->is_private, 1, "private key expected, got a public one");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context != NULL &&
              EVP_DigestSignInit(context, NULL, hash_of(key), NULL, key->pkey) == 1 &&
              EVP_DigestSign(context, signature, &size, data, text.size) == 1;
    EVP_MD_CTX_free(context);
    if (ok && key->type == KEY_P256 && !is_der) {
        size = flatten(signature, size);
    }
    if (!ok || size == 0) {
        return crypto_fail(L);
    }
    return push_bytes(L, (struct slice){(char *)signature, size}, 4);
}

int bind_crypto_verify(lua_State *L)
{
    const struct key *key = check_signer(L);
    struct slice text = check_bytes(L, 2);
    struct slice given = check_bytes(L, 3);
    bool is_der = lua_toboolean(L, 4);
    unsigned char der[SIGNATURE_MAX];
    const unsigned char *data = (const unsigned char *)text.data;
    const unsigned char *signature = (const unsigned char *)given.data;
    size_t size = given.size;

    if (key->type == KEY_P256 && !is_der) {
        signature = der;
        size = unflatten(given, der);
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context != NULL &&
              EVP_DigestVerifyInit(context, NULL, hash_of(key), NULL, key->pkey) == 1 &&
              EVP_DigestVerify(context, signature, size, data, text.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    lua_pushboolean(L, ok);
    return 1;
}

int bind_crypto_agree(lua_State *L)
{
    const struct key *own = check_key(L, 1);
    const struct key *other = check_key(L, 2);
    unsigned char secret[HALF];
    size_t size = sizeof(secret);
    bool can = own->type == KEY_X25519 || own->type == KEY_P256;

    luaL_argcheck(L, can && own->is_private, 1, "private x25519 or p256 key expected");
    luaL_argcheck(L, other->type == own->type, 2, "key of the same type expected");
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own->pkey, NULL);
    bool ok = context != NULL && EVP_PKEY_derive_init(context) == 1 &&
              EVP_PKEY_derive_set_peer(context, other->pkey) == 1 &&
              EVP_PKEY_derive(context, secret, &size) == 1;
    EVP_PKEY_CTX_free(context);
    if (!ok) {
        ERR_clear_error();
        return push_failure(L, "the other key makes no secret", "bad_key");
    }
    lua_pushlstring(L, (char *)secret, size);
    return 1;
}
