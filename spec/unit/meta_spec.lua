--- bindings/meta says what there is: no more, no less.
local jobq = require "jobq"
local uv = require "luv"

local files = require "support.files"

local MODULES = {
  "jobq", "compress", "config", "crypto", "fs", "http", "json", "process", "smtp", "socket", "sql",
}

--- What a meta file declares for its module: name -> { kind, is_async, params, text }.
local function declared(module)
  local names, text, class = {}, "", nil
  local own_class = module == "jobq" and "jobq" or "jobq." .. module
  for line in files.read("bindings/meta/" .. module .. ".lua"):gmatch "([^\n]*)\n" do
    class = line:match "^%-%-%-@class ([%w.]+)" or class
    local field = line:match "^%-%-%-@field ([%w_]+)"
    if field and class == own_class then
      names[field] = { kind = "field" }
    end
    local name, params = line:match("^function " .. module .. "%.([%w_]+)%(([^)]*)%)")
    if name then
      local is_async = text:find("@async", 1, true) ~= nil
      names[name] = { kind = "function", is_async = is_async, params = params, text = text }
    end
    text = line:find "^%-%-%-" and text .. "\n" .. line or "" -- the comment above a function
  end
  return names
end

local function sorted(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- Functions that wait raise outside of a run, once their arguments pass.
local function waits(f)
  local tries = {
    {}, { 0 }, { {} }, { "md5", "/tmp" }, { "p256" }, { { "true" } }, { "/tmp", "x" },
    { { path = "/x" } }, { { to = "a@b.org", text = "", host = "127.0.0.1" } },
    { { url = "http://127.0.0.1" } }, { "http://127.0.0.1" },
    { "select 1" }, { function() end }, { "kind" }, { "kind", {} }, { "step", function() end },
    { "sleep", 0 },
  }
  for _, args in ipairs(tries) do
    local ok, why = pcall(f, table.unpack(args))
    if not ok and tostring(why):find("can only wait inside run", 1, true) then
      return true
    end
  end
  return false
end

for _, module in ipairs(MODULES) do
  describe("bindings/meta/" .. module .. ".lua", function()
    local live = module == "jobq" and jobq or jobq[module]

    it("refuses to be loaded", function()
      assert.has_error(
        function() dofile("bindings/meta/" .. module .. ".lua") end,
        "meta files are read by editors, never loaded")
    end)

    it("names what is there", function()
      assert.same(sorted(live), sorted(declared(module)))
    end)

    it("says which functions wait, and what their parameters are", function()
      uv.os_setenv("JOBQ_DATABASE_DEFAULT", "host=/nowhere")
      finally(function() uv.os_unsetenv("JOBQ_DATABASE_DEFAULT") end)
      for name, entry in pairs(declared(module)) do
        if entry.kind == "function" then
          assert.equal("function", type(live[name]), name)
          assert.equal(waits(live[name]), entry.is_async, name)
          for param in entry.params:gmatch "[%w_]+" do
            assert.truthy(entry.text:find("@param " .. param .. "%f[^%w_]"), name .. " " .. param)
          end
        end
      end
    end)
  end)
end
