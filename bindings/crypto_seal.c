/* crypto_seal.c - keys from secrets (HKDF), and texts that only a key opens (AES-GCM). */
#include <limits.h>
#include <openssl/err.h>
#include <openssl/kdf.h>

#include <lauxlib.h>

#include "bindings/crypto.h"
#include "bindings/offload.h"

#define NONCE 12
#define TAG   16

/* A derived key of that many hashes is the limit of RFC 5869. */
#define HKDF_BLOCKS_MAX 255

/* ---- HKDF ---- */

static const unsigned char *octets_of(struct slice s)
{
    return (const unsigned char *)s.data;
}

int bind_crypto_hkdf(lua_State *L)
{
    const EVP_MD *hash = check_hash(L, 1);
    struct slice secret = check_bytes(L, 2);
    struct slice salt = check_bytes(L, 3);
    struct slice info = check_bytes(L, 4);
    lua_Integer length = luaL_checkinteger(L, 5);
    unsigned char bytes[HKDF_BLOCKS_MAX * EVP_MAX_MD_SIZE];
    size_t size = (size_t)length;
    lua_Integer max = (lua_Integer)HKDF_BLOCKS_MAX * EVP_MD_get_size(hash);

    luaL_argcheck(L, secret.size > 0 && secret.size < INT_MAX, 2, "must not be empty");
    luaL_argcheck(L, salt.size < INT_MAX && info.size < INT_MAX, 3, "is too long");
    luaL_argcheck(L, length >= 1 && length <= max, 5, "at most 255 times the hash expected");
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    bool ok = c != NULL && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_CTX_set_hkdf_md(c, hash) == 1 &&
              EVP_PKEY_CTX_set1_hkdf_key(c, octets_of(secret), (int)secret.size) == 1 &&
              EVP_PKEY_CTX_set1_hkdf_salt(c, octets_of(salt), (int)salt.size) == 1 &&
              EVP_PKEY_CTX_add1_hkdf_info(c, octets_of(info), (int)info.size) == 1 &&
              EVP_PKEY_derive(c, bytes, &size) == 1;
    EVP_PKEY_CTX_free(c);
    if (!ok) {
        return crypto_fail(L);
    }
    lua_pushlstring(L, (char *)bytes, size);
    return 1;
}

/* ---- AES-GCM ---- */

struct seal {
    const EVP_CIPHER *cipher;
    struct slice key;
    struct slice text;
    struct slice aad;
    struct slice nonce; /* data is NULL when none was given */
};

static struct seal check_seal(lua_State *L)
{
    struct seal s = {.key = check_bytes(L, 1), .text = check_bytes(L, 2), .aad = check_bytes(L, 3)};

    luaL_argcheck(L, s.key.size == 16 || s.key.size == 32, 1, "key of 16 or 32 bytes expected");
    luaL_argcheck(L, s.text.size < INT_MAX && s.aad.size < INT_MAX, 2, "is too long");
    if (!lua_isnoneornil(L, 4)) {
        s.nonce = check_bytes(L, 4);
        luaL_argcheck(L, s.nonce.size == NONCE, 4, "nonce of 12 bytes expected");
    }
    s.cipher = s.key.size == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
    return s;
}

/* to has room for the text and the tag. */
static bool seal(const struct seal *s, unsigned char *to)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int text = (int)s->text.size;
    int size = 0;
    bool ok = c != NULL &&
              EVP_EncryptInit_ex(c, s->cipher, NULL, octets_of(s->key), octets_of(s->nonce)) == 1 &&
              EVP_EncryptUpdate(c, NULL, &size, octets_of(s->aad), (int)s->aad.size) == 1 &&
              EVP_EncryptUpdate(c, to, &size, octets_of(s->text), text) == 1 &&
              EVP_EncryptFinal_ex(c, to + size, &size) == 1 &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, to + text) == 1;

    EVP_CIPHER_CTX_free(c);
    return ok;
}

/* s->text is the ciphertext with its tag; to has room for it. */
static bool unseal(const struct seal *s, unsigned char *to)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int text = (int)s->text.size - TAG;
    unsigned char tag[TAG];
    int size = 0;

    memcpy(tag, s->text.data + text, TAG);
    bool ok = c != NULL &&
              EVP_DecryptInit_ex(c, s->cipher, NULL, octets_of(s->key), octets_of(s->nonce)) == 1 &&
              EVP_DecryptUpdate(c, NULL, &size, octets_of(s->aad), (int)s->aad.size) == 1 &&
              EVP_DecryptUpdate(c, to, &size, octets_of(s->text), text) == 1 &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
              EVP_DecryptFinal_ex(c, to + size, &size) == 1;

    EVP_CIPHER_CTX_free(c);
    ERR_clear_error();
    return ok;
}

int bind_crypto_seal(lua_State *L)
{
    struct seal s = check_seal(L);
    size_t before = s.nonce.data == NULL ? NONCE : 0;
    char nonce[NONCE];
    luaL_Buffer box;

    crypto_random(nonce, sizeof(nonce));
    if (before > 0) {
        s.nonce = (struct slice){nonce, sizeof(nonce)};
    }
    char *to = luaL_buffinitsize(L, &box, before + s.text.size + TAG);
    memcpy(to, nonce, before);
    if (!seal(&s, (unsigned char *)to + before)) {
        return crypto_fail(L);
    }
    luaL_pushresultsize(&box, before + s.text.size + TAG);
    return 1;
}

int bind_crypto_open(lua_State *L)
{
    struct seal s = check_seal(L);
    size_t before = s.nonce.data == NULL ? NONCE : 0;
    luaL_Buffer text;

    if (s.text.size < before + TAG) {
        return push_failure(L, "the box is too short to be one", "bad_box");
    }
    if (before > 0) {
        s.nonce.data = s.text.data;
        s.text.data += before;
        s.text.size -= before;
    }
    char *to = luaL_buffinitsize(L, &text, s.text.size);
    if (!unseal(&s, (unsigned char *)to)) {
        luaL_pushresultsize(&text, 0);
        return push_failure(L, "the box was changed, or belongs to another key", "bad_box");
    }
    luaL_pushresultsize(&text, s.text.size - TAG);
    return 1;
}
