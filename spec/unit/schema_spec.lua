local core = require "jobq.core"
local schema = require "jobq.schema"

local decode = core.json.decode

--- The arguments as run gets them, or all problems.
local function check(args, json)
  local checker = schema.compile("t", args)
  local got, problems = checker(decode(json))
  return got or problems
end

local function json_schema(args)
  return decode((select(2, schema.compile("t", args))))
end

describe("jobq.schema", function()
  it("takes what fits", function()
    local args = check({ to = "email[]", subject = "string", n = "integer?" },
      '{"to": ["ann@example.org"], "subject": "hi"}')
    assert.equal("ann@example.org", args.to[1])
    assert.is_nil(args.n)
  end)

  it("names each field that does not", function()
    assert.equal("t: args.n: 'x' is not an integer; args.subject: missing; "
      .. "args.to[2]: 'ann' is not an email",
      check({ to = "email[]", subject = "string", n = "integer" },
        '{"to": ["a@b.org", "ann"], "n": "x"}'))
  end)

  it("refuses unknown fields unless extra is true", function()
    assert.equal("t: args.subjct: unknown field\nhint: did you mean 'subject'?",
      check({ subject = "string?" }, '{"subjct": "x"}'))
    assert.equal("x", check({ subject = "string?", extra = true }, '{"subjct": "x"}').subjct)
  end)

  it("treats null as absent", function()
    assert.is_nil(check({ n = "integer?" }, '{"n": null}').n)
    assert.equal("t: args.n: null is not an integer", check({ n = "integer" }, '{"n": null}'))
    assert.equal(4, check({ n = { "integer", default = 4 } }, '{"n": null}').n)
  end)

  it("knows formats", function()
    local good = {
      email = { "ann@example.org", "a+b@mx" },
      url = { "https://example.org/x?y=1", "s3://bucket/key" },
      uuid = { "123e4567-e89b-12d3-a456-426614174000" },
      timestamp = { "2024-02-29T23:59:60Z", "2026-01-31T14:02:11.5+02:00" },
      duration = { "500ms", "10s", "1.5h" },
    }
    local bad = {
      email = { "ann", "a@", "@b", "a b@c.org", "a@b..c", "a@b\nBcc: x@y", "a@-b" },
      url = { "example.org", "http://a b", "http://" },
      uuid = { "123e4567-e89b-12d3-a456-42661417400" },
      timestamp = { "2023-02-29T00:00:00Z", "2026-01-31", "2026-13-01T00:00:00Z" },
      duration = { "5min", "s", "-1s" },
    }
    for format, texts in pairs(good) do
      for _, text in ipairs(texts) do
        assert.equal("table", type(check({ x = format }, core.json.encode { x = text })), text)
      end
    end
    for format, texts in pairs(bad) do
      for _, text in ipairs(texts) do
        assert.matches("is not an? ", check({ x = format }, core.json.encode { x = text }))
      end
    end
  end)

  it("keeps integers exact, also those written as 42.0", function()
    local args = check({ a = "integer", b = "integer" }, '{"a": 9223372036854775807, "b": 42.0}')
    assert.equal(math.maxinteger, args.a)
    assert.equal("integer", math.type(args.b))
  end)

  it("knows limits and enums", function()
    local args = { n = { "integer", min = 1, max = 10 }, name = { "string", min = 2 },
      size = { "string", enum = { "s", "m" } } }
    assert.equal("t: args.n: '11' is more than 10; args.name: 'x' is less than 2 characters; "
      .. "args.size: 'l' is not one of s, m",
      check(args, '{"n": 11, "name": "x", "size": "l"}'))
  end)

  it("goes into objects and arrays", function()
    local args = {
      order = { "object", fields = { lines = { "array", items = { "object", fields = {
        id = "integer" } } } } },
    }
    assert.equal("t: args.order.lines[2].id: 'x' is not an integer; "
      .. "args.order.note: unknown field",
      check(args, '{"order": {"lines": [{"id": 1}, {"id": "x"}], "note": 1}}'))
  end)

  it("does not show secrets, and cuts long values", function()
    assert.equal("t: args.token: *** is not a uuid",
      check({ token = { "uuid", secret = true } }, '{"token": "hunter2"}'))
    local long = check({ x = "uuid" }, core.json.encode { x = ("\u{e9}"):rep(100) })
    assert.equal("t: args.x: '" .. ("\u{e9}"):rep(20) .. "...' is not a uuid", long)
  end)

  it("refuses arguments that are no object", function()
    assert.equal("t: args: an array is not an object", check({}, "[]"))
    assert.equal("t: args: '5' is not an object", check({}, "5"))
  end)

  it("is also JSON Schema", function()
    local s = json_schema { to = "email[]", n = { "integer", min = 1, default = 3 },
      note = { "string?", summary = "shown", max = 80 } }
    assert.equal("https://json-schema.org/draft/2020-12/schema", s["$schema"])
    assert.equal("object", s.type)
    assert.equal(false, s.additionalProperties)
    assert.same({ "to" }, { table.unpack(s.required) })
    assert.same({ type = "array", items = { type = "string", format = "email" } }, s.properties.to)
    assert.same({ type = "integer", minimum = 1, default = 3 }, s.properties.n)
    assert.same({ type = "string", description = "shown", maxLength = 80 }, s.properties.note)
  end)

  it("refuses a vocabulary that it does not know", function()
    local function compile(args)
      return function() schema.compile("t", args) end
    end
    assert.has_error(compile { to = "emial" }, "args.to: 'emial' is not a type\n"
      .. "hint: did you mean 'email'?")
    assert.has_error(compile { to = { "email", mim = 1 } }, "args.to: unknown option 'mim'\n"
      .. "hint: did you mean 'min'?")
    assert.has_error(compile { to = 5 }, "args.to: expected a type like 'string', got a number")
    assert.has_error(compile { "string" }, "args: expected names and types like to = 'email'")
  end)
end)
