--- jobq.crypto against published vectors, and against the openssl program.
local core = require "jobq.core"
local jobq = require "jobq"
local uv = require "luv"

local files = require "support.files"
local process = require "support.process"

local crypto = jobq.crypto

local function waits(f)
  return core.task.run(f, process.SECONDS)
end

local function hex(text)
  return assert(crypto.decode(text:gsub("%s", ""), "hex"))
end

local function b64(text)
  return assert(crypto.decode(text, "base64url"))
end

local function refused(message, code, value, why, got)
  assert.is_nil(value)
  assert.equal(message, why)
  assert.equal(code, got)
end

local function raises(message, f, ...)
  local ok, why = pcall(f, ...)
  assert.is_false(ok)
  assert.matches(message, why, 1, true)
end

local function generate(type_name)
  return waits(function() return crypto.generate_key(type_name) end)
end

local function openssl(...)
  return files.run { "openssl", ... }
end

describe("hashes", function()
  -- FIPS 180-4 and 202 examples, RFC 1321
  local of_abc = {
    md5 = "900150983cd24fb0d6963f7d28e17f72",
    sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d",
    sha224 = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    sha384 = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc23"
      .. "58baeca134c825a7",
    sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a8"
      .. "36ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ["sha3-256"] = "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
    ["sha3-512"] = "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
      .. "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
  }
  for name, digest in pairs(of_abc) do
    it("know " .. name, function()
      assert.equal(digest, crypto.hash(name, "abc", "hex"))
      assert.equal(hex(digest), crypto.hash(name, "abc"))
      assert.equal(digest, crypto.hasher(name):add "a":add "":add "bc":finish "hex")
    end)
  end

  it("know nothing else", function()
    raises("unknown hash 'sha265'\nhint: did you mean 'sha256'?", crypto.hash, "sha265", "")
    raises("unknown encoding 'base46'\nhint: did you mean 'base64'?",
      crypto.hash, "md5", "", "base46")
    local hasher = crypto.hasher "md5"
    hasher:finish()
    raises("is finished", hasher.add, hasher, "x")
  end)

  it("are made of files", function()
    local path = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX")) .. "/a"
    local text = ("0123456789"):rep(100000)
    files.write(path, text)
    local digest = waits(function() return crypto.hash_file("sha256", path, "base64") end)
    assert.equal(crypto.hash("sha256", text, "base64"), digest)
    files.write(path, "")
    assert.equal(crypto.hash("md5", ""), waits(function() return crypto.hash_file("md5", path) end))
    local folder = path:match "^(.*)/a$"
    refused(folder .. ": illegal operation on a directory", "EISDIR",
      waits(function() return crypto.hash_file("md5", folder) end))
    refused("/no/file: no such file or directory", "ENOENT",
      waits(function() return crypto.hash_file("md5", "/no/file", "hex") end))
    files.remove(folder)
  end)

  it("of endless files end with their run", function()
    local ok, why = pcall(core.task.run, function()
      return (crypto.hash_file("sha256", "/dev/zero"))
    end, 0.05)
    assert.is_false(ok)
    assert.matches("stopped after 0.05 s", why, 1, true)
  end)
end)

describe("hmac", function()
  -- RFC 4231: key, text, SHA-256, SHA-512
  local cases = {
    {
      ("\x0b"):rep(20), "Hi There",
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702"
        .. "038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
    },
    {
      "Jefe", "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a"
        .. "6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    },
    {
      ("\xaa"):rep(20), ("\xdd"):rep(50),
      "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
      "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c8"
        .. "06b485a47e67c807b946a337bee8942674278859e13292fb",
    },
    {
      ("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598"
        .. "bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
    },
  }
  for i, case in ipairs(cases) do
    it("agrees with RFC 4231, case " .. i, function()
      assert.equal(case[3], crypto.hmac("sha256", case[1], case[2], "hex"))
      assert.equal(case[4], crypto.hmac("sha512", case[1], case[2], "hex"))
    end)
  end
end)

describe("hkdf", function()
  it("agrees with RFC 5869", function()
    assert.equal(
      hex "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
      crypto.hkdf("sha256", ("\x0b"):rep(22), {
        salt = hex "000102030405060708090a0b0c", info = hex "f0f1f2f3f4f5f6f7f8f9", length = 42,
      }))
    assert.equal(
      hex "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
      crypto.hkdf("sha256", ("\x0b"):rep(22), { length = 42 }))
    assert.equal(
      hex "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896",
      crypto.hkdf("sha1", ("\x0b"):rep(11), {
        salt = hex "000102030405060708090a0b0c", info = hex "f0f1f2f3f4f5f6f7f8f9", length = 42,
      }))
  end)

  it("has its limits", function()
    assert.equal(32, #crypto.hkdf("sha256", "x"))
    assert.equal(255 * 32, #crypto.hkdf("sha256", "x", { length = 255 * 32 }))
    raises("at most 255 times the hash expected", crypto.hkdf, "sha256", "x", { length = 8161 })
    raises("unknown option 'sold'\nhint: did you mean 'salt'?", crypto.hkdf, "sha256", "x",
      { sold = "" })
  end)
end)

describe("encodings", function()
  it("agree with RFC 4648", function()
    local texts = {
      [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=",
      foobar = "Zm9vYmFy",
    }
    for plain, text in pairs(texts) do
      assert.equal(text, crypto.encode(plain, "base64"))
      assert.equal(plain, crypto.decode(text, "base64"))
      assert.equal((text:gsub("=", "")), crypto.encode(plain, "base64url"))
      assert.equal(plain, crypto.decode(text:gsub("=", ""), "base64url"))
    end
    assert.equal("+/8=", crypto.encode("\xfb\xff", "base64"))
    assert.equal("-_8", crypto.encode("\xfb\xff", "base64url"))
    assert.equal("fbff00", crypto.encode("\xfb\xff\0", "hex"))
    assert.equal("\xfb\xff", crypto.decode("FbfF", "hex"))
  end)

  it("bring back all bytes", function()
    for size = 0, 300 do
      local bytes = size > 0 and crypto.random(size) or ""
      for _, encoding in ipairs { "hex", "base64", "base64url" } do
        assert.equal(bytes, crypto.decode(crypto.encode(bytes, encoding), encoding))
      end
    end
  end)

  it("refuse what they would not write", function()
    local bad = {
      base64 = {
        "Zg", "Zg=", "Zg===", "=", "Zh==", "Zm9=", "Z", "Zg==Zg==", "Zm9v\n", "Zm-v", "Z\0==",
      },
      base64url = { "Zg==", "Zh", "Zm9", "Z", "Zm+v", "Zm 9v" },
      hex = { "f", "fg", "0x", "ff ", " ff" },
    }
    for encoding, texts in pairs(bad) do
      for _, text in ipairs(texts) do
        refused("the text is not " .. encoding, "bad_encoding", crypto.decode(text, encoding))
      end
    end
  end)
end)

describe("random", function()
  it("bytes differ", function()
    assert.equal(16, #crypto.random(16))
    assert.equal(32, #crypto.random(16, "hex"))
    assert.not_equal(crypto.random(16), crypto.random(16))
    raises("1 to 1048576 bytes expected", crypto.random, 0)
  end)

  it("UUIDs of version 4 and 7 are as RFC 9562 has them", function()
    local x = "%x"
    local shape = ("^%s%%-%s%%-%%d%s%%-[89ab]%s%%-%s$"):format(
      x:rep(8), x:rep(4), x:rep(3), x:rep(3), x:rep(12))
    for _, version in ipairs { 4, 7 } do
      local uuid = crypto.uuid(version)
      assert.matches(shape, uuid)
      assert.equal(tostring(version), uuid:sub(15, 15))
    end
    assert.equal("4", crypto.uuid():sub(15, 15))
    raises("4 or 7 expected", crypto.uuid, 1)
  end)

  it("UUIDs of version 7 say when they were made, and are in order", function()
    local before, last = os.time(), ""
    for _ = 1, 100 do
      local uuid = crypto.uuid(7)
      assert.is_true(uuid:sub(1, 18) >= last)
      last = uuid:sub(1, 18)
    end
    local seconds = tonumber(last:gsub("-", ""):sub(1, 12), 16) // 1000
    assert.is_true(seconds >= before and seconds <= os.time())
  end)

  it("secrets are compared", function()
    assert.is_true(crypto.equal("abc", "abc"))
    assert.is_false(crypto.equal("abc", "abd"))
    assert.is_false(crypto.equal("abc", "abcd"))
    assert.is_true(crypto.equal("", ""))
  end)
end)

describe("ed25519", function()
  -- RFC 8032, 7.1: secret, public, message, signature
  local cases = {
    {
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
        .. "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    },
    {
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e"
        .. "458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    },
    {
      "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290"
        .. "ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    },
  }
  for i, case in ipairs(cases) do
    it("agrees with RFC 8032, test " .. i, function()
      local key = assert(crypto.key { type = "ed25519", private = hex(case[1]) })
      assert.equal(hex(case[1]), key:raw())
      assert.equal(hex(case[2]), key:public():raw())
      assert.equal(case[4], crypto.sign(key, hex(case[3]), { encoding = "hex" }))
      local public = assert(crypto.key { type = "ed25519", public = hex(case[2]) })
      assert.is_true(crypto.verify(public, hex(case[3]), hex(case[4])))
      assert.is_false(crypto.verify(public, hex(case[3]) .. "x", hex(case[4])))
      assert.is_false(crypto.verify(public, hex(case[3]), hex(case[4]):sub(2)))
    end)
  end

  it("agrees with the JWK of RFC 8037", function()
    local jwk = {
      kty = "OKP", crv = "Ed25519", d = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
      x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }
    local key = assert(crypto.key(jwk))
    assert.same(jwk, key:jwk())
    local signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    assert.equal(
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
      crypto.sign(key, signed, { encoding = "base64url" }))
  end)
end)

describe("p256", function()
  -- RFC 7515, A.3
  local jwk = {
    kty = "EC", crv = "P-256", x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    d = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
  }
  local signed = "eyJhbGciOiJFUzI1NiJ9."
    .. "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
    .. "LmNvbS9pc19yb290Ijp0cnVlfQ"
  local signature =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

  it("agrees with RFC 7515", function()
    local key = assert(crypto.key(jwk))
    assert.same(jwk, key:jwk())
    assert.is_true(crypto.verify(key:public(), signed, b64(signature)))
    assert.is_false(crypto.verify(key:public(), signed .. "x", b64(signature)))
    assert.is_false(crypto.verify(key:public(), signed, b64(signature):sub(1, 63)))
    assert.is_false(crypto.verify(key:public(), signed, ("\0"):rep(64)))
  end)

  it("signs for JOSE, and in DER", function()
    local key = assert(crypto.key(jwk))
    for _ = 1, 50 do -- halves with leading zeros are among them, sooner or later
      local raw = crypto.sign(key, signed)
      assert.equal(64, #raw)
      assert.is_true(crypto.verify(key, signed, raw))
    end
    local der = crypto.sign(key, signed, { format = "der" })
    assert.equal(0x30, der:byte())
    assert.is_true(crypto.verify(key, signed, der, { format = "der" }))
    assert.is_false(crypto.verify(key, signed, der))
  end)

  it("refuses what is no key", function()
    local point = b64(jwk.x) .. b64(jwk.y)
    local bad = {
      { public = "\4" .. point:sub(1, 63) .. "\0" }, { public = "\2" .. b64(jwk.x) },
      { public = point }, { private = ("\0"):rep(32) }, { private = ("\xff"):rep(32) },
      { private = "short" },
    }
    for _, source in ipairs(bad) do
      source.type = "p256"
      local bytes, half = source.public or source.private, source.public and "public" or "private"
      refused(("%d bytes are no %s p256 key"):format(#bytes, half), "bad_key", crypto.key(source))
    end
    local other = { kty = "EC", crv = "P-256", x = jwk.y, y = jwk.x, d = jwk.d }
    refused("jwk: x and y do not belong to d", "bad_key", crypto.key(other))
    refused("jwk: the crv 'P-521' is not Ed25519, X25519 or P-256", "bad_key",
      crypto.key { kty = "EC", crv = "P-521" })
    refused("jwk: x, y and d are base64url texts", "bad_key",
      crypto.key { kty = "EC", crv = "P-256", x = "!", y = jwk.y })
    refused("jwk: x, y and d are base64url texts", "bad_key",
      crypto.key { kty = "EC", crv = "P-256", x = jwk.x, d = jwk.d })
  end)
end)

describe("shared secrets", function()
  it("agree with RFC 7748", function()
    local bob = assert(crypto.key {
      type = "x25519",
      private = hex "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
    })
    assert.equal(hex "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
      bob:public():raw())
    local alice = assert(crypto.key {
      type = "x25519",
      public = hex "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    })
    assert.equal(hex "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
      crypto.agree(bob, alice))
  end)

  it("are the same on both sides", function()
    for _, type_name in ipairs { "x25519", "p256" } do
      local a, b = generate(type_name), generate(type_name)
      local secret = assert(crypto.agree(a, b:public()))
      assert.equal(32, #secret)
      assert.equal(secret, crypto.agree(b, a:public()))
    end
  end)

  it("are none with a key that was made for it", function()
    local own = generate "x25519"
    local zero = assert(crypto.key { type = "x25519", public = ("\0"):rep(32) })
    refused("the other key makes no secret", "bad_key", crypto.agree(own, zero))
    raises("key of the same type expected", crypto.agree, own, generate "p256")
    raises("private x25519 or p256 key expected", crypto.agree, own:public(), own)
  end)
end)

describe("aes-gcm", function()
  it("agrees with NIST's and McGrew and Viega's vectors", function()
    local zero = ("\0"):rep(16)
    assert.equal(hex "58e2fccefa7e3061367f1d57a4e7455a",
      crypto.encrypt(zero, "", { nonce = zero:sub(1, 12) }))
    assert.equal(hex "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf",
      crypto.encrypt(zero, zero, { nonce = zero:sub(1, 12) }))
    assert.equal(hex "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
      crypto.encrypt(zero .. zero, zero, { nonce = zero:sub(1, 12) }))
    local key = hex "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
    local text = hex [[d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
      1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39]]
    local options = {
      nonce = hex "cafebabefacedbaddecaf888", aad = hex "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    }
    local box = hex [[522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
      8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b]]
    assert.equal(box, crypto.encrypt(key, text, options))
    assert.equal(text, crypto.decrypt(key, box, options))
  end)

  it("carries its nonce, a new one each time", function()
    local key = crypto.random(32)
    for _, text in ipairs { "", "a", ("text"):rep(100000) } do
      local box = crypto.encrypt(key, text, { aad = "for ann" })
      assert.equal(12 + #text + 16, #box)
      assert.equal(text, crypto.decrypt(key, box, { aad = "for ann" }))
      assert.not_equal(box, crypto.encrypt(key, text, { aad = "for ann" }))
    end
  end)

  it("opens nothing else", function()
    local key, changed = crypto.random(32), "the box was changed, or belongs to another key"
    local box = crypto.encrypt(key, "text", { aad = "a" })
    for i = 1, #box do
      local byte = string.char(box:byte(i) ~ 1)
      local bad = box:sub(1, i - 1) .. byte .. box:sub(i + 1)
      refused(changed, "bad_box", crypto.decrypt(key, bad, { aad = "a" }))
    end
    refused(changed, "bad_box", crypto.decrypt(key, box, { aad = "b" }))
    refused(changed, "bad_box", crypto.decrypt(crypto.random(32), box, { aad = "a" }))
    refused("the box is too short to be one", "bad_box", crypto.decrypt(key, box:sub(1, 27)))
    raises("key of 16 or 32 bytes expected", crypto.encrypt, "password", "text")
    raises("nonce of 12 bytes expected", crypto.encrypt, key, "text", { nonce = "" })
  end)
end)

describe("web push", function()
  it("agrees with RFC 8291 and RFC 8188", function()
    local server = assert(crypto.key {
      type = "p256", private = b64 "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw",
    })
    local agent = assert(crypto.key {
      type = "p256", private = b64 "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94",
    })
    local as_public, ua_public = server:public():raw(), agent:public():raw()
    assert.equal(
      b64 "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
      as_public)
    local secret = assert(crypto.agree(server, agent:public()))
    assert.equal(b64 "kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs", secret)
    local ikm = crypto.hkdf("sha256", secret, {
      salt = b64 "BTBZMqHH6r4Tts7J_aSIgg", info = "WebPush: info\0" .. ua_public .. as_public,
    })
    assert.equal(b64 "S4lYMb_L0FxCeq0WhDx813KgSYqU26kOyzWUdsXYyrg", ikm)
    local salt = b64 "DGv6ra1nlYgDCS1FRnbzlw"
    local cek = crypto.hkdf("sha256", ikm, {
      salt = salt, info = "Content-Encoding: aes128gcm\0", length = 16,
    })
    assert.equal(b64 "oIhVW04MRdy2XN9CiKLxTg", cek)
    local nonce = crypto.hkdf("sha256", ikm, {
      salt = salt, info = "Content-Encoding: nonce\0", length = 12,
    })
    assert.equal(b64 "4h_95klXJ5E_qnoN", nonce)
    assert.equal(
      "8pfeW0KbunFT06SuDKoJH9Ql87S1QUrdirN6GcG7sFz1y1sqLgVi1VhjVkHsUoEsbI_0LpXMuGvnzQ",
      crypto.encode(crypto.encrypt(cek, "When I grow up, I want to be a watermelon\2", {
        nonce = nonce,
      }), "base64url"))
  end)
end)

describe("keys", function()
  local dir

  setup(function()
    dir = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
  end)

  teardown(function()
    files.remove(dir)
  end)

  for _, type_name in ipairs { "ed25519", "x25519", "p256", "rsa" } do
    it("of the type " .. type_name .. " go through pem and back", function()
      local key = generate(type_name)
      assert.equal(type_name, key.type)
      assert.is_true(key.is_private)
      assert.is_false(key:public().is_private)
      local again = assert(crypto.key(key:pem()))
      assert.equal(type_name, again.type)
      assert.is_true(again.is_private)
      assert.equal(key:pem(), again:pem())
      local public = assert(crypto.key(key:public():pem()))
      assert.is_false(public.is_private)
      assert.equal(key:public():pem(), public:pem())
      assert.matches("^%-%-%-%-%-BEGIN PUBLIC KEY", public:pem())
      assert.is_nil(public:pem():find("PRIVATE", 1, true))
    end)
  end

  it("are those of the openssl program", function()
    local names = { ed25519 = { "-rawin" }, p256 = { "-rawin", "-digest", "sha256" }, rsa = false }
    names.rsa = names.p256
    files.write(dir .. "/text", "the text")
    for type_name, options in pairs(names) do
      local key = generate(type_name)
      files.write(dir .. "/key", key:pem())
      files.write(dir .. "/signature", crypto.sign(key, "the text", { format = "der" }))
      openssl("pkeyutl", "-verify", "-inkey", dir .. "/key", "-in", dir .. "/text", "-sigfile",
        dir .. "/signature", table.unpack(options))
      openssl("pkeyutl", "-sign", "-inkey", dir .. "/key", "-in", dir .. "/text", "-out",
        dir .. "/theirs", table.unpack(options))
      local theirs = files.read(dir .. "/theirs")
      assert.is_true(crypto.verify(key:public(), "the text", theirs, { format = "der" }), type_name)
    end
  end)

  it("with a password want it", function()
    openssl("genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:secret", "-out",
      dir .. "/locked")
    local pem = files.read(dir .. "/locked")
    assert.equal("ed25519", assert(crypto.key(pem, { password = "secret" })).type)
    local message = "not a key in pem form, or another password is needed"
    refused(message, "bad_key", crypto.key(pem))
    refused(message, "bad_key", crypto.key(pem, { password = "other" }))
    refused(message, "bad_key",
      crypto.key "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    refused(message, "bad_key", crypto.key "")
  end)

  it("that are too weak or of another kind are refused", function()
    local function genpkey(...)
      openssl("genpkey", "-out", dir .. "/bad", "-algorithm", ...)
      return crypto.key(files.read(dir .. "/bad"))
    end
    refused("an rsa key of less than 2048 bits", "bad_key",
      genpkey("rsa", "-pkeyopt", "rsa_keygen_bits:1024"))
    refused("a curve other than p256", "bad_key",
      genpkey("ec", "-pkeyopt", "ec_paramgen_curve:P-384"))
    refused("a key of another type than ed25519, x25519, p256 and rsa", "bad_key",
      genpkey "ed448")
  end)

  it("are not mistaken for each other", function()
    local ed, x = generate "ed25519", generate "x25519"
    raises("x25519 keys cannot sign", crypto.sign, x, "")
    raises("private key expected, got a public one", crypto.sign, ed:public(), "")
    raises("jobq.crypto.sign: expected a key, got 'ed25519'", crypto.sign, "ed25519", "")
    raises("unknown type of key 'ed2551'\nhint: did you mean 'ed25519'?", waits, function()
      return (crypto.generate_key "ed2551")
    end)
    raises("expected type, and private or public", crypto.key, { type = "p256" })
    raises("rsa keys have none\nhint: use key:pem()", function() generate "rsa":jwk() end)
  end)

  it("are made for a run only", function()
    raises("jobq.crypto.generate_key can only wait inside run", crypto.generate_key, "ed25519")
  end)
end)
