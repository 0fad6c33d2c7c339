/*
 * crypto.h - jobq.crypto: hashes, keys and what is done with them, by OpenSSL's EVP.
 *
 * Bytes are strings. Functions that make bytes take the name of an encoding as their last argument:
 * "hex", "base64" or "base64url"; without one the bytes come as they are.
 */
#ifndef BINDINGS_CRYPTO_H
#define BINDINGS_CRYPTO_H

#include <openssl/evp.h>

#include <lua.h>

#include "core/base/slice.h"

/* ---- crypto.c: without keys ---- */

int bind_crypto_hash(lua_State *L);      /* name, text [, encoding] -> digest */
int bind_crypto_hash_file(lua_State *L); /* waits: name, path [, encoding] -> digest */
int bind_crypto_hasher(lua_State *L);    /* name -> hasher, with add(text) and finish([encoding]) */
int bind_crypto_hmac(lua_State *L);      /* name, key, text [, encoding] -> code */
int bind_crypto_encode(lua_State *L);    /* bytes, encoding -> text */
int bind_crypto_decode(lua_State *L); /* text, encoding -> bytes; or nil, message, "bad_encoding" */
int bind_crypto_random(lua_State *L); /* count [, encoding] -> bytes */
int bind_crypto_uuid(lua_State *L);   /* [4 or 7] -> text (RFC 9562) */
int bind_crypto_equal(lua_State *L);  /* a, b -> are they? in a time that tells nothing */

/* ---- crypto_key.c: keys of the types "ed25519", "x25519", "p256" and "rsa" ---- */

int bind_crypto_generate(lua_State *L);   /* waits: type [, bits] -> key */
int bind_crypto_load_pem(lua_State *L);   /* text [, password] -> key; or nil, message, "bad_key" */
int bind_crypto_load_raw(lua_State *L);   /* type, bytes, is private? -> key; or nil, ... */
int bind_crypto_key_type(lua_State *L);   /* key -> type, is it private? */
int bind_crypto_key_public(lua_State *L); /* key -> its public half */
int bind_crypto_key_pem(lua_State *L);    /* key -> text: PKCS #8, or SPKI */
int bind_crypto_key_raw(lua_State *L); /* key -> bytes as in RFC 7748, 8032, SEC 1 uncompressed */

/* ---- crypto_sign.c ---- */

int bind_crypto_sign(lua_State *L);   /* key, text [, der? [, encoding]] -> signature */
int bind_crypto_verify(lua_State *L); /* key, text, signature [, der?] -> is it? */
int bind_crypto_agree(lua_State *L);  /* private, public -> shared secret; or nil, ... "bad_key" */

/* ---- crypto_seal.c ---- */

int bind_crypto_hkdf(lua_State *L); /* name, secret, salt, info, length -> bytes (RFC 5869) */
int bind_crypto_seal(lua_State *L); /* key, text, aad, nonce or nil -> [nonce] ciphertext tag */
int bind_crypto_open(lua_State *L); /* key, box, aad, nonce or nil -> text; or nil, ... "bad_box" */

/* ---- among these files ---- */

enum key_type {
    KEY_ED25519,
    KEY_X25519,
    KEY_P256,
    KEY_RSA,
};

struct key {
    EVP_PKEY *pkey; /* owned */
    enum key_type type;
    bool is_private;
};

/* The hash of this name; raises for a name that is none. */
const EVP_MD *check_hash(lua_State *L, int arg);

/* One of names, which end with NULL; raises with a suggestion. what is "hash". */
int check_name(lua_State *L, int arg, const char *what, const char *const *names);

struct slice check_bytes(lua_State *L, int arg);
struct key *check_key(lua_State *L, int arg);

/* Pushes bytes in the encoding that is named at arg, if one is. Returns 1. */
int push_bytes(lua_State *L, struct slice bytes, int arg);

/* From the kernel. */
void crypto_random(void *bytes, size_t size);

/* Raises what OpenSSL has to say; for what cannot fail unless a limit of ours is wrong. */
int crypto_fail(lua_State *L);

#endif
