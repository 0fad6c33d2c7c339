--- jobq new handler: a handler, a spec of it that is green at once, and what editors want.
local failure = require "_failure"
local host = require "jobq.host"
local run = require "_run"
local text = require "_text"

local HANDLER = [[
--- What this is for, in one line.
local jobq = require "jobq"

return {
  summary = "greet somebody",
  timeout = 30, -- seconds
  max_attempts = 3,
  args = { name = "string" },

  run = function(job)
    job.log:info("hello", { name = job.args.name })
    return jobq.done { greeted = job.args.name }
  end,
}
]]

local SPEC = [[
local t = require "jobq.testing"

describe("$NAME", function()
  local run = t.handlers "$DIR/$NAME.lua"

  it("keeps whom it has greeted", function()
    local report = run("$NAME", { name = "ann" })
    assert.equal("done", report.verdict)
    assert.equal("ann", report.result.greeted)
  end)

  it("is given up when its arguments are wrong", function()
    local report = run("$NAME", {})
    assert.equal("discard", report.verdict)
    assert.equal("$NAME: args.name: missing", report.error)
  end)
end)
]]

local CONFIG = [[
--- Settings of the handlers here: jobq.config.crm.url. `jobq config $DIR` shows their values.
return {
  -- crm = { url = "url", pages = { "integer", default = 10 } },
}
]]

local LUARC = [[
{
  "runtime.version": "Lua 5.4",
  "workspace.library": ["$META", "${3rd}/busted/library", "${3rd}/luassert/library"]
}
]]

local LUACHECKRC = [[
std = "lua54"
files["$DIR/**/*.lua"] = {
  not_globals = { "os.execute", "os.exit", "io.popen", "debug", "dofile", "loadfile" },
}
files["$DIR/spec/**/*.lua"] = { std = "lua54+busted" }
]]

local function exists(path)
  local file = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil
end

local function fill(template, values)
  return (template:gsub("%$(%u+)", values))
end

local function write(context, path, content)
  local folder = path:match "^(.*)/[^/]*$"
  if folder and run.run { "mkdir", "-p", "--", folder } ~= 0 then
    failure.raise("failed", ("cannot make the folder '%s'"):format(folder))
  end
  local file, message = io.open(path, "w")
  if not file then
    failure.raise("failed", ("cannot write %s"):format(message))
  end
  file:write(content)
  file:close()
  context:print("wrote " .. path)
end

--- The folder of the definitions for editors: in a source tree, or beside the commands.
local function find_meta(scripts)
  for _, place in ipairs { scripts .. "/../../bindings/meta", scripts .. "/../meta" } do
    if host.list(place) then
      return (run.capture({ "realpath", "--", place }, ""):gsub("\n$", ""))
    end
  end
  return ""
end

local function check_names(name, dir)
  if not name:find "^%l[%l%d_]*$" then
    failure.raise("usage", ("'%s' is not the name of a handler"):format(text.clean(name)),
      "small letters, digits and _, like invoice: it is the file's name and the kind")
  elseif dir:find '[%c"\\]' then
    failure.raise("usage", ("--dir: '%s' has characters that make no folder's name"):format(
      text.clean(dir)))
  end
end

local function check_free(files, force)
  for _, file in ipairs(files) do
    if exists(file[1]) and not force then
      failure.raise("refused", ("'%s' is there already"):format(file[1]),
        "--force writes over it")
    end
  end
end

return {
  summary = "write a handler, and a spec of it that is green at once",
  group = "Handlers",
  arguments = { { "NAME", "of the file and the kind, e.g. invoice" } },
  options = {
    { "--dir DIR", "where it goes; default handlers" },
    { "--force", "also over what is there" },
  },
  examples = { { "new handler invoice", "then: jobq test" } },
  text = [[
The first time, config.lua for settings is written there, and .luarc.json and .luacheckrc for
editors and luacheck here; they are never written over.
]],

  run = function(context)
    local name = context.arguments.name
    local dir = (context.options.dir or "handlers"):gsub("(.)/+$", "%1")
    check_names(name, dir)
    local files = {
      { ("%s/%s.lua"):format(dir, name), HANDLER },
      { ("%s/spec/%s_spec.lua"):format(dir, name), SPEC },
    }
    check_free(files, context.options.force)
    local once = {
      { dir .. "/config.lua", CONFIG }, { ".luarc.json", LUARC }, { ".luacheckrc", LUACHECKRC },
    }
    for _, file in ipairs(once) do
      if not exists(file[1]) then
        table.insert(files, file)
      end
    end
    local values = { NAME = name, DIR = dir, META = find_meta(context.scripts) }
    for _, file in ipairs(files) do
      write(context, file[1], fill(file[2], values))
    end
    context.say "next: jobq test"
  end,
}
