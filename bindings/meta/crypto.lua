---@meta jobq.crypto
error("meta files are read by editors, never loaded")

--- Hashes, keys and what is done with them. Bytes are strings; an encoding makes text of them.
---@class jobq.crypto
local crypto = {}

---@alias jobq.crypto.Hash "md5"|"sha1"|"sha224"|"sha256"|"sha384"|"sha512"|"sha3-256"|"sha3-512"
---@alias jobq.crypto.Encoding "hex"|"base64"|"base64url" base64url is without padding
---@alias jobq.crypto.KeyType "ed25519"|"p256"|"rsa"|"x25519"

--- What crypto.key and crypto.generate_key make.
---@class jobq.crypto.Key
---@field type jobq.crypto.KeyType
---@field is_private boolean
---@field public fun(self: jobq.crypto.Key): jobq.crypto.Key its public half
---@field pem fun(self: jobq.crypto.Key): string PKCS #8, without a password, or SPKI
---@field raw fun(self: jobq.crypto.Key): string 32 bytes; a public p256 key 65. Not for rsa
---@field jwk fun(self: jobq.crypto.Key): table not for rsa

---@class jobq.crypto.Hasher
---@field add fun(self: jobq.crypto.Hasher, text: string): jobq.crypto.Hasher
---@field finish fun(self: jobq.crypto.Hasher, encoding?: jobq.crypto.Encoding): string once

---@param name jobq.crypto.Hash
---@param text string
---@param encoding? jobq.crypto.Encoding
---@return string
---@nodiscard
function crypto.hash(name, text, encoding) end

--- Of a file of any size, off the loop.
---@async
---@param name jobq.crypto.Hash
---@param path string
---@param encoding? jobq.crypto.Encoding
---@return string?
---@return string? message
---@return string? code an errno
function crypto.hash_file(name, path, encoding) end

--- For a text that comes in parts.
---@param name jobq.crypto.Hash
---@return jobq.crypto.Hasher
---@nodiscard
function crypto.hasher(name) end

---@param name jobq.crypto.Hash
---@param key string
---@param text string
---@param encoding? jobq.crypto.Encoding
---@return string
---@nodiscard
function crypto.hmac(name, key, text, encoding) end

---@param bytes string
---@param encoding jobq.crypto.Encoding
---@return string
---@nodiscard
function crypto.encode(bytes, encoding) end

--- Takes what encode writes, and nothing else: no blanks, no missing padding. Hex in either case.
---@param text string
---@param encoding jobq.crypto.Encoding
---@return string?
---@return string? message
---@return string? code "bad_encoding"
---@nodiscard
function crypto.decode(text, encoding) end

---@param count integer bytes
---@param encoding? jobq.crypto.Encoding
---@return string
---@nodiscard
function crypto.random(count, encoding) end

---@param version? 4|7 default 4; those of version 7 begin with the time
---@return string
---@nodiscard
function crypto.uuid(version) end

--- Compares secrets: how long it takes tells nothing about them but their length.
---@param a string
---@param b string
---@return boolean
---@nodiscard
function crypto.equal(a, b) end

--- Reads a PEM text, a JWK, or `{ type = "p256", private = bytes }` or `public`, as key:raw() gives them.
---@param source string|table
---@param options? { password?: string } of the PEM text
---@return jobq.crypto.Key?
---@return string? message
---@return string? code "bad_key"
---@nodiscard
function crypto.key(source, options) end

---@async
---@param type_name jobq.crypto.KeyType
---@param options? { bits?: integer } of an rsa key, default 2048
---@return jobq.crypto.Key?
---@return string? message
---@return string? code
function crypto.generate_key(type_name, options) end

--- Ed25519, ES256 (p256) or RS256 (rsa). ES256 signatures are 64 bytes, as JOSE has them, or DER.
---@param key jobq.crypto.Key a private one
---@param text string
---@param options? { encoding?: jobq.crypto.Encoding, format?: "raw"|"der" }
---@return string
---@nodiscard
function crypto.sign(key, text, options) end

---@param key jobq.crypto.Key
---@param text string
---@param signature string bytes
---@param options? { format?: "raw"|"der" }
---@return boolean
---@nodiscard
function crypto.verify(key, text, signature, options) end

--- The secret that two keys of type x25519 or p256 share (ECDH): 32 bytes, for hkdf.
---@param private jobq.crypto.Key
---@param public jobq.crypto.Key
---@return string?
---@return string? message
---@return string? code "bad_key"
---@nodiscard
function crypto.agree(private, public) end

--- RFC 5869.
---@param name jobq.crypto.Hash
---@param secret string
---@param options? { info?: string, length?: integer, salt?: string } length: default 32 bytes
---@return string
---@nodiscard
function crypto.hkdf(name, secret, options) end

--- AES-GCM. The box is a new nonce, the ciphertext and the tag. With a nonce of your own, never used
--- twice with that key, it is the ciphertext and the tag.
---@param key string 16 or 32 bytes; a password is none: see hkdf
---@param text string
---@param options? { aad?: string, nonce?: string } aad: what decrypt must be given too; nonce: 12 bytes
---@return string box
---@nodiscard
function crypto.encrypt(key, text, options) end

---@param key string
---@param box string
---@param options? { aad?: string, nonce?: string }
---@return string?
---@return string? message
---@return string? code "bad_box"
---@nodiscard
function crypto.decrypt(key, box, options) end

return crypto
