local declarations = require "jobq.declarations"
local json = require("jobq.core").json
local settings = require "jobq.settings"
local uv = require "luv"

describe("jobq.config", function()
  setup(function()
    settings.load "smtp.host=mx1\nsmtp.port=25\nsmtp.port=2525\nempty=\nurl=http://x/?a=b\n"
  end)

  it("answers what is set, the last line counts", function()
    assert.equal("mx1", settings.get "smtp.host")
    assert.equal("2525", settings.get "smtp.port")
    assert.equal("", settings.get "empty")
    assert.equal("http://x/?a=b", settings.get "url")
  end)

  it("answers the default, also when that is nil", function()
    assert.equal(7, settings.get("other", 7))
    assert.is_nil(settings.get("other", nil))
  end)

  it("raises without one", function()
    assert.error_matches(function() settings.get "smtp.hots" end,
      "setting 'smtp.hots' is not there\nhint: did you mean 'smtp.host'%?$")
    assert.error_matches(function() settings.get "sms.key" end,
      "\nhint: pass %-%-set sms.key=VALUE, or set JOBQ_SMS_KEY$")
  end)
end)

describe("jobq.config with a config.lua", function()
  local config = settings.config

  --- The settings of a config.lua with this text, given these lines.
  local function declare(text, lines)
    settings.load(lines or "")
    settings.declare(declarations.read("h/config.lua", "return " .. text), { "h/config.lua" })
  end

  local function refused(message, ...)
    local ok, why = pcall(declare, ...)
    assert.is_false(ok)
    assert.equal(message, why)
  end

  teardown(function()
    settings.declare({}, {})
  end)

  it("has what is set, of its type, else the default", function()
    declare([[ { a1 = {
      text = "string", url = "url", pages = "integer", rate = { "number", default = 0.5 },
      on = "boolean", off = "boolean", names = "string[]", ports = "integer[]",
      more = { "string[]", default = { "x" } }, map = "object", wait = "duration",
      note = "string?",
    } } ]], "a1.text=25\na1.url=http://x/\na1.pages=7\na1.on=yes\na1.off=0\na1.names=a, b,c\n"
      .. 'a1.ports=[1,2]\na1.map={"k":[1]}\na1.wait=5m\n')
    assert.same({ "25", "http://x/", 7, 0.5, true, false }, {
      config.a1.text, config.a1.url, config.a1.pages, config.a1.rate, config.a1.on, config.a1.off,
    })
    assert.equal("integer", math.type(config.a1.pages))
    assert.same({ "a", "b", "c" }, config.a1.names)
    assert.same({ 1, 2 }, config.a1.ports)
    assert.same({ "x" }, config.a1.more)
    assert.same({ k = { 1 } }, config.a1.map)
    assert.equal("5m", config.a1.wait)
    assert.is_nil(config.a1.note)
    assert.equal(7, config "a1.pages")
    assert.equal("[1,2]", json.encode(config.a1.ports))
  end)

  it("prefers what is passed to the environment, and that to the default", function()
    uv.os_setenv("JOBQ_A2_X", "2")
    uv.os_setenv("JOBQ_A2_Y", "2")
    declare("{ a2 = { x = { 'integer', default = 1 }, y = 'integer', z = { 'integer', default = 1 }"
      .. "} }", "a2.y=3\n")
    assert.same({ 2, 3, 1 }, { config.a2.x, config.a2.y, config.a2.z })
    uv.os_unsetenv "JOBQ_A2_X"
    uv.os_unsetenv "JOBQ_A2_Y"
  end)

  it("has no other names, and a typo suggests", function()
    declare "{ crm = { url = { 'string', default = 'x' } } }"
    local function raises(message, f)
      local ok, why = pcall(f)
      assert.is_false(ok)
      assert.matches("settings_spec.lua:%d+: ", why)
      assert.equal(message, why:match "^[^:]*:%d+: (.*)$")
    end
    raises("jobq.config has no field 'crn'\nhint: did you mean 'crm'?", function()
      return config.crn
    end)
    raises("jobq.config.crm has no field 'urk'\nhint: did you mean 'url'?", function()
      return config.crm.urk
    end)
    raises("jobq.config has no field 'sms'\nhint: config.lua in the folder of the handlers says "
      .. "which there are", function() return config.sms end)
    raises("jobq.config is read-only: 'crm' cannot be set", function() config.crm = {} end)
    raises("jobq.config.crm is read-only: 'url' cannot be set", function()
      config.crm.url = "y"
    end)
    raises("setting 'crm.urk' is not there\nhint: did you mean 'crm.url'?", function()
      config "crm.urk"
    end)
  end)

  it("lends nobody a table that others have, too", function()
    declare "{ crm = { list = { 'string[]', default = { 'x' } } } }"
    table.insert(config.crm.list, "y")
    assert.same({ "x" }, config.crm.list)
  end)

  it("can be walked", function()
    declare "{ b = { x = { 'integer', default = 1 }, y = 'string?' }, a = {} }"
    local seen = {}
    for name, group in pairs(config) do
      for key, value in pairs(group) do
        seen[#seen + 1] = ("%s.%s=%s"):format(name, key, value)
      end
    end
    assert.same({ "b.x=1", "b.y=nil" }, seen)
  end)

  it("is what jobq itself goes by, as text", function()
    declare([[ { http = {
      ca_file = { "string", default = "x" }, port = { "integer", default = 2525 },
      allow_private = "boolean",
    } } ]], "http.allow_private=yes\n")
    assert.same({ "x", "2525", "true" }, {
      settings.text "http.ca_file", settings.text "http.port", settings.text "http.allow_private",
    })
  end)

  it("tells all that is missing or wrong at once", function()
    refused("h/config.lua:1: setting m.a: missing; m.b: 'x' is not an integer; "
      .. "m.c: '0' is less than 1; m.d[2]: 'y' is not a number; m.s: *** is not a url\n"
      .. "hint: pass --set m.a=VALUE, or set JOBQ_M_A",
      [[ { m = { a = "string", b = "integer", c = { "integer", min = 1 }, d = "number[]",
        s = { "url", secret = true } } } ]],
      "m.b=x\nm.c=0\nm.d=1,y\nm.s=hush\n")
  end)

  it("refuses settings of its groups that it does not declare", function()
    refused("setting 'dms.tokn' is not in h/config.lua\nhint: did you mean 'dms.token'?",
      "{ dms = { token = 'string?' } }", "dms.tokn=x\n")
    declare("{ smtp = { from = 'string?' } }", "smtp.host=mx1\nother.name=x\n")
  end)

  it("refuses a file that makes no sense", function()
    refused("h/config.lua: expected the file to return a table of groups, got string", "'x'")
    refused("h/config.lua:1: 'host' is no group of settings: expected a table like "
      .. "{ host = 'string' }", "{ host = 'string' }")
    refused("h/config.lua:1: 'crm' is no group of settings: expected a table like "
      .. "{ host = 'string' }", "{ crm = { 'string' } }")
    refused("h/config.lua:2: crm.x: 'strin' is not a type\nhint: did you mean 'string'?",
      "{ crm = {\n x = 'strin' } }")
    refused("h/config.lua:2: crm.x: unknown option 'defalt'\nhint: did you mean 'default'?",
      "{ crm = {\n x = { 'string', defalt = 1 } } }")
    refused("h/config.lua:2: crm.x: default: 'a' is not an integer",
      "{ crm = {\n x = { 'integer', default = 'a' } } }")
    refused("h/config.lua:2: crm.x: a secret has no default",
      "{ crm = {\n x = { 'string', secret = true, default = 'a' } } }")
    refused("h/config.lua:1: 'a.b' is not a name of letters, digits and _", "{ ['a.b'] = {} }")
    refused("h/config.lua:1: attempt to call a nil value (global 'require')", "require 'os'")
    local ok, why = pcall(declarations.read, "h/config.lua", "return {")
    assert.is_false(ok)
    assert.matches("^h/config.lua:1: unexpected symbol near <eof>$", why)
  end)

  it("is declared once", function()
    local ok, why = pcall(settings.declare, {
      declarations.read("a/config.lua", "return { x = { y = 'string?' } }")[1],
      declarations.read("b/config.lua", "return {\nx = {\n y = 'string?' } }")[1],
    }, {})
    assert.is_false(ok)
    assert.equal("b/config.lua:3: setting 'x.y' is already declared at a/config.lua:1", why)
  end)
end)
