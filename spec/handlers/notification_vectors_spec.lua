--- What notifications are made of, against published vectors: RFC 8291 appendix A, RFC 8292 section
--- 2.4, and the example of Standard Webhooks.
local core = require "jobq.core"
local jobq = require "jobq"

local crypto, json = jobq.crypto, jobq.json

--- One of handlers/lib, without a worker.
local function load_lib(name)
  local old = package.path
  package.path = "handlers/?.lua;" .. old
  local ok, module = pcall(require, "lib.notification." .. name)
  package.path = old
  return assert(ok and module, module)
end

local function b64(text)
  return assert(crypto.decode(text, "base64url"))
end

describe("sealed for a browser", function()
  local seal = load_lib "seal"
  local TEXT = "When I grow up, I want to be a watermelon"
  local KEYS = {
    p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIA"
      .. "iw4",
    auth = "BTBZMqHH6r4Tts7J_aSIgg",
  }

  local function own()
    return assert(crypto.key {
      type = "p256", private = b64 "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw",
    })
  end

  it("is what RFC 8291 shows", function()
    local body = seal.seal(TEXT, KEYS, own(), b64 "DGv6ra1nlYgDCS1FRnbzlw")
    assert.equal("DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3"
      .. "vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyo"
      .. "uBWLVWGNWQexSgSxsj_Qulcy4a-fN", crypto.encode(body, "base64url"))
  end)

  it("fits into one record up to the limit of a text", function()
    local body = seal.seal(("x"):rep(seal.LIMIT), KEYS, own(), ("s"):rep(16))
    assert.same({ 3993, 4096 }, { seal.LIMIT, #body })
  end)

  it("needs keys that are some", function()
    local cases = {
      {}, { p256dh = KEYS.p256dh }, { p256dh = KEYS.p256dh, auth = "short" },
      { p256dh = "BCVx", auth = KEYS.auth }, { p256dh = 7, auth = KEYS.auth },
      { p256dh = crypto.encode("\4" .. ("x"):rep(64), "base64url"), auth = KEYS.auth },
    }
    for _, keys in ipairs(cases) do
      local body, why, code = seal.seal(TEXT, keys, own(), ("s"):rep(16))
      assert.is_nil(body)
      assert.same({ "the subscription's keys p256dh and auth are none of web push",
        "bad_subscription" }, { why, code })
    end
  end)
end)

describe("the header of VAPID", function()
  local webpush = load_lib "webpush"
  local RFC = "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5"
    .. "uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfx"
    .. "CDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, k=BA1Hx"
    .. "zyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"

  --- Header and claims, if the signature is right.
  local function read(text)
    local pattern = "^vapid t=([%w_-]+%.([%w_-]+))%.([%w_-]+), k=(%S+)$"
    local signed, claims, signature, k = text:match(pattern)
    local key = assert(crypto.key { type = "p256", public = b64(k) })
    assert.is_true(crypto.verify(key, signed, b64(signature)))
    return json.decode(b64(signed:match "^[^.]+")), json.decode(b64(claims))
  end

  it("says what that of RFC 8292 says, and is signed as it is", function()
    local key = core.task.run(function() return crypto.generate_key "p256" end, 60)
    local ours = webpush.authorization(key, "https://push.example.net", "mailto:push@example.com",
      1453523768 - 12 * 3600)
    local header, claims = read(RFC)
    local our_header, our_claims = read(ours)
    assert.same({ header, claims }, { our_header, our_claims })
    assert.equal("https://push.example.net", claims.aud)
  end)
end)

describe("the signature of a webhook", function()
  it("is what Standard Webhooks shows", function()
    local signature = load_lib("webhook").signature
    local key = assert(crypto.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64"))
    assert.equal("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", signature(key,
      "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}'))
  end)
end)

describe("a body that is too long", function()
  local fit = load_lib "fit"

  it("ends at a whole character, with a mark", function()
    local function encode(body) return json.encode { body = body } end
    assert.equal('{"body":"abc"}', fit("abc", 14, encode))
    assert.equal('{"body":"a…"}', fit("abcde", 15, encode))
    assert.equal('{"body":"…"}', fit("ééé", 14, encode))
    for limit = 14, 60 do
      local text = fit(("日\n"):rep(20), limit, encode)
      assert.is_true(#text <= limit)
      assert.is_truthy(utf8.len(json.decode(text).body))
    end
  end)

  it("is refused when the rest alone is too long", function()
    local text, why, code = fit("abc", 5, function(body) return "123456" .. body end)
    assert.is_nil(text)
    assert.matches("^the notification has %d+ bytes, at most 5 expected\nhint: ", why)
    assert.equal("too_large", code)
  end)
end)
