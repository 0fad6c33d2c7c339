--- Secrets as handlers have them, and the functions of the API that take them.
local core = require "jobq.core"
local declarations = require "jobq.declarations"
local jobq = require "jobq"
local settings = require "jobq.settings"
local uv = require "luv"

local files = require "support.files"
local http_server = require "support.http_server"

describe("a secret", function()
  local secret = core.secret.new("crm.token", "hush-hush")

  it("prints as its name", function()
    assert.equal("<secret crm.token>", tostring(secret))
    assert.equal("<secret crm.token>", ("%s"):format(secret))
  end)

  it("opens by reveal alone", function()
    assert.equal("hush-hush", secret:reveal())
    assert.is_false(getmetatable(secret))
    assert.is_nil(secret.text)
    assert.error_matches(function() return #secret end, "attempt to get length")
  end)

  it("is no part of a text, nor of JSON", function()
    local message = "the secret crm.token cannot be part of a text\n"
      .. "hint: its reveal%(%) gives a text"
    assert.error_matches(function() return "Bearer " .. secret end, message)
    assert.error_matches(function() return secret .. "x" end, message)
    assert.error_matches(function() return secret .. secret end, message)
    assert.error_matches(function() core.json.encode { token = secret } end,
      "a secret has no JSON\nhint: its reveal%(%) gives a text")
  end)

  it("is the same as another with its text", function()
    assert.is_true(secret == core.secret.new("other", "hush-hush"))
    assert.is_false(secret == core.secret.new("crm.token", "hush-hush!"))
    assert.is_false(secret == "hush-hush")
  end)

  it("is taken by requests", function()
    local server = http_server.start()
    assert(core.task.run(function()
      local reply, why = jobq.http.get(server.url .. "/x", {
        bearer = secret, headers = { ["X-Key"] = secret }, query = { key = secret },
        allow_private = true,
      })
      return reply, why
    end))
    local told, seen = server:next(), {}
    for _, pair in ipairs(told.headers) do
      seen[pair[1]] = pair[2]
    end
    assert.same({ "Bearer hush-hush", "hush-hush" }, { seen.Authorization, seen["X-Key"] })
    assert.equal("/x?key=hush-hush", told.path)
  end)

  it("is not shown by a request that is refused for it", function()
    local _, why = core.task.run(function()
      local reply, message = jobq.http.get("http://127.0.0.1/", {
        headers = { ["X-Key"] = core.secret.new("crm.key", "hush\nhush") },
      })
      return reply, message
    end)
    assert.equal("headers.X-Key: a userdata contains control characters", why)
  end)

  it("is taken by programs as a variable", function()
    local result = assert(core.task.run(function()
      local done, why = jobq.process.run({ "printenv", "KEY" }, { env = { KEY = secret } })
      return done, why
    end))
    assert.equal("hush-hush\n", result.stdout)
  end)
end)

describe("a setting that is a secret", function()
  local dir

  setup(function()
    dir = assert(uv.fs_mkdtemp "/tmp/jobq-spec-XXXXXX")
    files.write(dir .. "/key", "from a file\n")
    files.write(dir .. "/large", ("x"):rep(65537))
  end)

  teardown(function()
    settings.declare({}, {})
    files.remove(dir)
  end)

  --- The value of a declared secret that is set to this; or what is wrong.
  local function value_of(text, type_name)
    settings.load("vault.key=" .. text .. "\n")
    local ok, why = pcall(function()
      settings.declare(declarations.read("h/config.lua",
        ("return { vault = { key = { '%s', secret = true } } }"):format(type_name or "string")), {})
    end)
    if not ok then
      return nil, (why:gsub(dir:gsub("%W", "%%%0"), "/run"))
    end
    return settings.config.vault.key
  end

  it("is one", function()
    local value = value_of "hush-hush"
    assert.equal("<secret vault.key>", tostring(value))
    assert.equal("hush-hush", value:reveal())
    assert.equal("hush-hush", settings.text "vault.key")
  end)

  it("may be in a file, or in a variable of another name", function()
    uv.os_setenv("VAULT", "from a variable")
    assert.equal("from a file", value_of("file:" .. dir .. "/key"):reveal())
    assert.equal("from a variable", value_of("env:VAULT"):reveal())
    uv.os_unsetenv "VAULT"
  end)

  it("is missed where it is not", function()
    local function refused(message, text)
      local value, why = value_of(text)
      assert.is_nil(value)
      assert.equal("h/config.lua:1: setting vault.key: " .. message, why)
    end
    refused("/run/no: No such file or directory", "file:" .. dir .. "/no")
    refused("/run/large: more than 65536 bytes", "file:" .. dir .. "/large")
    refused("variable VAULT is not set", "env:VAULT")
  end)

  it("is checked, and not shown when it is wrong", function()
    local _, why = value_of("hush", "url")
    assert.equal("h/config.lua:1: setting vault.key: *** is not a url", why)
    for _, name in ipairs { "integer", "string[]", "object" } do
      _, why = value_of("1", name)
      assert.equal(("h/config.lua:1: vault.key: a secret is a text, not '%s'"):format(name), why)
    end
  end)

  it("is one without being declared, if jobq takes it for one", function()
    settings.load("smtp.password=hush\ndatabase.vault=file:" .. dir .. "/key\n")
    settings.declare({}, {})
    assert.equal("<secret smtp.password>", tostring(settings.get "smtp.password"))
    assert.equal("<secret database.vault>", tostring(settings.get "database.vault"))
    assert.equal("from a file", settings.text "database.vault")
    settings.declare(declarations.read("h/config.lua",
      "return { database = { vault = 'string', other = { 'string', default = 'host=x' } } }"), {})
    assert.equal("<secret database.vault>", tostring(settings.config.database.vault))
    assert.same({ "from a file", "host=x" },
      { settings.text "database.vault", settings.text "database.other" })
  end)

  it("is read from its file once, not with every statement", function()
    local path = dir .. "/once"
    files.write(path, "host=once")
    settings.load("database.once=file:" .. path .. "\n")
    assert.equal("host=once", settings.text "database.once")
    files.remove(path)
    assert.equal("host=once", settings.text "database.once")
    settings.load("database.once=host=twice\n")
    assert.equal("host=twice", settings.text "database.once")
  end)
end)
