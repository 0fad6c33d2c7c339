--- jobq.compress, held against the zstd that everybody has.
local core = require "jobq.core"
local jobq = require "jobq"
local uv = require "luv"

local files = require "support.files"

local compress = jobq.compress
local dir

local function path(name)
  return dir .. "/" .. name
end

local function call(f, ...)
  local args = table.pack(...)
  return core.task.run(function() return f(table.unpack(args, 1, args.n)) end)
end

local function fails(code, message, f, ...)
  local value, why, got = call(f, ...)
  assert.is_nil(value)
  assert.equal(message, why)
  assert.equal(code, got)
end

--- Bytes that compress neither well nor badly.
local function noise(size)
  local parts = {}
  math.randomseed(7)
  for i = 1, size // 8 do
    parts[i] = string.pack("i8", math.random(0) & 0x0f0f0f0f0f0f0f0f)
  end
  return table.concat(parts)
end

describe("jobq.compress", function()
  before_each(function()
    dir = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
  end)

  after_each(function()
    assert.same({}, files.glob(dir .. "/.jobq-*.tmp"))
    files.remove(dir)
  end)

  local sizes = { nothing = 0, ["one word"] = 8, ["one block"] = 131072, much = 3000000 }
  for name, size in pairs(sizes) do
    it("brings back " .. name, function()
      local text = noise(size)
      files.write(path "a", text)
      local packed = assert(call(compress.compress_file, path "a", path "a.zst"))
      assert.same({ bytes_in = #text, bytes_out = #files.read(path "a.zst") }, packed)
      local back = assert(call(compress.decompress_file, path "a.zst", path "b"))
      assert.same({ bytes_in = packed.bytes_out, bytes_out = #text }, back)
      assert.equal(text, files.read(path "b"))
    end)
  end

  it("makes more of a higher level", function()
    local lines = {}
    for i = 1, 20000 do
      lines[i] = ("line %d of a text, %d"):format(i, i * 7919 % 1000)
    end
    files.write(path "a", table.concat(lines, "\n"))
    local low = call(compress.compress_file, path "a", path "low", { level = 1 })
    local high = call(compress.compress_file, path "a", path "high", { level = 16 })
    assert.is_true(high.bytes_out < low.bytes_out)
  end)

  it("reads several frames as one file", function()
    files.write(path "a", "first ")
    files.write(path "b", "second")
    call(compress.compress_file, path "a", path "a.zst")
    call(compress.compress_file, path "b", path "b.zst")
    files.write(path "both", files.read(path "a.zst") .. files.read(path "b.zst"))
    assert.truthy(call(compress.decompress_file, path "both", path "c"))
    assert.equal("first second", files.read(path "c"))
  end)

  it("refuses what is damaged, cut or something else", function()
    files.write(path "a", noise(500000))
    call(compress.compress_file, path "a", path "a.zst")
    local good = files.read(path "a.zst")
    local bad = {
      "", "this is no zstd file", good:sub(1, -2), good:sub(1, #good // 2), good .. "tail",
      good:sub(1, #good // 2) .. "\0\1\2\3" .. good:sub(#good // 2 + 5),
    }
    local message = path "bad" .. ": not a complete and sound zstd file"
    for _, bytes in ipairs(bad) do
      files.write(path "bad", bytes)
      fails("corrupt", message, compress.decompress_file, path "bad", path "out")
      assert.is_false(files.exists(path "out"))
    end
  end)

  it("stops at max_bytes", function()
    files.write(path "bomb", ("\0"):rep(5000000))
    assert.is_true(call(compress.compress_file, path "bomb", path "b.zst").bytes_out < 2000)
    local message = path "b.zst" .. ": unpacks to more than max_bytes"
    fails("too_large", message, compress.decompress_file, path "b.zst", path "out",
      { max_bytes = 4999999 })
    assert.is_false(files.exists(path "out"))
    assert.truthy(call(compress.decompress_file, path "b.zst", path "out", { max_bytes = 5000000 }))
  end)

  it("names the file that is missing, and keeps what was there", function()
    files.write(path "old", "old")
    local gone = path "gone" .. ": no such file or directory"
    fails("ENOENT", gone, compress.compress_file, path "gone", path "old")
    assert.equal("old", files.read(path "old"))
    local nowhere = path "no/where" .. ": no such file or directory"
    fails("ENOENT", nowhere, compress.compress_file, path "old", path "no/where")
    local folder = dir .. ": illegal operation on a directory"
    fails("EISDIR", folder, compress.compress_file, dir, path "out")
  end)

  it("raises on misuse", function()
    local function raises(message, ...)
      local ok, why = pcall(call, compress.compress_file, ...)
      assert.is_false(ok)
      assert.matches(message, why, 1, true)
    end
    raises("format: 'zstd' expected, got 'rar'", path "a", path "b", { format = "rar" })
    raises("level: integer from 1 to 19 expected", path "a", path "b", { level = 20 })
    raises("level: integer expected, got 1.5", path "a", path "b", { level = 1.5 })
    raises("hint: did you mean 'level'?", path "a", path "b", { levl = 1 })
    raises("must not be empty", path "a", "")
  end)

  it("gives up when its run is stopped", function()
    local ok, why = pcall(core.task.run, function()
      return compress.compress_file("/dev/zero", path "endless", { level = 1 })
    end, 0.05)
    assert.is_false(ok)
    assert.matches("stopped after 0.05 s", why, 1, true)
    local deadline = uv.hrtime() + 10e9
    while #files.list(dir) > 0 and uv.hrtime() < deadline do
      call(jobq.sleep, 0.005)
    end
    assert.same({}, files.list(dir))
  end)
end)
