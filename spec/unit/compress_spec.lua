--- jobq.compress, held against the programs that everybody has.
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

  for _, format in ipairs { "zstd", "gzip" } do
    describe("as " .. format, function()
      local function pack(from, to, level)
        return call(compress.compress_file, path(from), path(to),
          { format = format, level = level })
      end

      local function unpack(from, to)
        return call(compress.decompress_file, path(from), path(to), { format = format })
      end

      local sizes = { nothing = 0, ["one word"] = 8, ["one block"] = 131072, much = 3000000 }
      for name, size in pairs(sizes) do
        it("brings back " .. name, function()
          local text = noise(size)
          files.write(path "a", text)
          local packed = assert(pack("a", "a.packed"))
          assert.same({ bytes_in = #text, bytes_out = #files.read(path "a.packed") }, packed)
          local back = assert(unpack("a.packed", "b"))
          assert.same({ bytes_in = packed.bytes_out, bytes_out = #text }, back)
          assert.is_true(text == files.read(path "b"))
        end)
      end

      it("is read by the program, and reads what that has written", function()
        local text = noise(300000)
        files.write(path "a", text)
        pack("a", "a.packed")
        local theirs = io.popen(("%s -dc <%s"):format(format, path "a.packed"))
        assert.is_true(text == theirs:read "a")
        theirs:close()
        assert(os.execute(("%s -c <%s >%s"):format(format, path "a", path "theirs")))
        assert(unpack("theirs", "b"))
        assert.is_true(text == files.read(path "b"))
      end)

      it("makes more of a higher level", function()
        local lines = {}
        for i = 1, 20000 do
          lines[i] = ("line %d of a text, %d"):format(i, i * 7919 % 1000)
        end
        files.write(path "a", table.concat(lines, "\n"))
        assert.is_true(pack("a", "high", 9).bytes_out < pack("a", "low", 1).bytes_out)
      end)

      it("reads several parts as one file", function()
        files.write(path "a", "first ")
        files.write(path "b", "second")
        pack("a", "a.packed")
        pack("b", "b.packed")
        files.write(path "both", files.read(path "a.packed") .. files.read(path "b.packed"))
        assert(unpack("both", "c"))
        assert.equal("first second", files.read(path "c"))
      end)

      it("refuses what is damaged, cut or something else", function()
        files.write(path "a", noise(500000))
        pack("a", "a.packed")
        local good = files.read(path "a.packed")
        local bad = {
          "", "this is no such file", good:sub(1, -2), good:sub(1, #good // 2), good .. "tail",
          good:sub(1, #good // 2) .. "\0\1\2\3" .. good:sub(#good // 2 + 5),
        }
        local message = ("%s: not a complete and sound %s file"):format(path "bad", format)
        for _, bytes in ipairs(bad) do
          files.write(path "bad", bytes)
          fails("corrupt", message, compress.decompress_file, path "bad", path "out",
            { format = format })
          assert.is_false(files.exists(path "out"))
        end
      end)

      it("stops at max_bytes", function()
        files.write(path "bomb", ("\0"):rep(5000000))
        assert.is_true(pack("bomb", "b.packed").bytes_out < 6000)
        local message = path "b.packed" .. ": unpacks to more than max_bytes"
        local limit = { max_bytes = 4999999, format = format }
        fails("too_large", message, compress.decompress_file, path "b.packed", path "out", limit)
        assert.is_false(files.exists(path "out"))
        limit.max_bytes = 5000000
        assert(call(compress.decompress_file, path "b.packed", path "out", limit))
      end)
    end)
  end

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
    raises("format: 'zstd' or 'gzip' expected, got 'rar'", path "a", path "b", { format = "rar" })
    raises("level: integer from 1 to 19 expected", path "a", path "b", { level = 20 })
    raises("level: integer from 1 to 9 expected", path "a", path "b",
      { level = 10, format = "gzip" })
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
