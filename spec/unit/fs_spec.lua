--- jobq.fs, against the real file system.
local core = require "jobq.core"
local jobq = require "jobq"
local uv = require "luv"

local files = require "support.files"

local fs = jobq.fs
local dir

local function path(name)
  return dir .. "/" .. name
end

--- Calls a waiting function as a handler would.
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

describe("jobq.fs", function()
  before_each(function()
    dir = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
  end)

  after_each(function()
    assert.same({}, files.glob(dir .. "/.jobq-*.tmp"))
    files.remove(dir)
  end)

  it("reads what it wrote", function()
    local bytes = ("a\0\xff\n"):rep(50000)
    assert.is_true(call(fs.write, path "a", bytes))
    assert.equal(bytes, call(fs.read, path "a"))
    assert.is_true(call(fs.write, path "a", ""))
    assert.equal("", call(fs.read, path "a"))
  end)

  it("keeps the mode of a file that it replaces", function()
    files.write(path "a", "old")
    uv.fs_chmod(path "a", 384) -- 0600
    assert.is_true(call(fs.write, path "a", "new"))
    assert.equal(384, uv.fs_stat(path "a").mode & 511)
  end)

  it("appends", function()
    assert.is_true(call(fs.append, path "log", "one\n"))
    assert.is_true(call(fs.append, path "log", "two\n"))
    assert.equal("one\ntwo\n", files.read(path "log"))
  end)

  it("refuses to read more than it may", function()
    files.write(path "a", ("x"):rep(100))
    assert.equal(100, #call(fs.read, path "a", { max_bytes = 100 }))
    fails("EFBIG", path "a" .. ": file too large", fs.read, path "a", { max_bytes = 99 })
    fails("EFBIG", "/dev/zero: file too large", fs.read, "/dev/zero", { max_bytes = 1000000 })
  end)

  it("reads a part of a file of any size", function()
    files.write(path "a", "0123456789")
    assert.equal("234", call(fs.read, path "a", { offset = 2, length = 3 }))
    assert.equal("89", call(fs.read, path "a", { offset = 8, length = 3 }))
    assert.equal("89", call(fs.read, path "a", { offset = 8 }))
    assert.equal("", call(fs.read, path "a", { offset = 99 }))
    assert.equal("", call(fs.read, path "a", { length = 0 }))
    files.run { "truncate", "-s", "1T", path "huge" }
    local zeros = ("\0"):rep(70000)
    assert.equal(zeros, call(fs.read, path "huge", { offset = 1 << 39, length = #zeros }))
    fails("EFBIG", path "huge" .. ": file too large", fs.read, path "huge", { offset = 1 << 39 })
    fails("EFBIG", path "a" .. ": file too large", fs.read, path "a", { length = 5, max_bytes = 4 })
  end)

  it("does not hang on a pipe that nobody writes to", function()
    files.run { "mkfifo", path "pipe" }
    assert.equal("", call(fs.read, path "pipe"))
    fails("ENXIO", path "pipe" .. ": no such device or address", fs.append, path "pipe", "x")
  end)

  it("says what a path is", function()
    files.write(path "a", "12345")
    local stat = call(fs.stat, path "a")
    assert.equal(5, stat.size)
    assert.equal("file", stat.type)
    assert.is_true(math.abs(stat.mtime - os.time()) < 60)
    assert.equal("dir", call(fs.stat, dir).type)
    assert.equal("other", call(fs.stat, "/dev/null").type)
    assert.is_true(call(fs.exists, path "a"))
    assert.is_false(call(fs.exists, path "b"))
    assert.is_false(call(fs.exists, path "a/b"))
  end)

  it("lists names in order", function()
    for _, name in ipairs { "b", "a", ".c", "B" } do
      files.write(path(name), "")
    end
    assert.same({ ".c", "B", "a", "b" }, call(fs.list, dir))
    assert.is_true(call(fs.make_dir, path "empty"))
    assert.same({}, call(fs.list, path "empty"))
  end)

  it("makes folders with their parents", function()
    assert.is_true(call(fs.make_dir, path "a/b/c"))
    assert.is_true(call(fs.make_dir, path "a/b/c/"))
    assert.equal("dir", call(fs.stat, path "a/b/c").type)
    files.write(path "file", "")
    fails("EEXIST", path "file" .. ": file already exists", fs.make_dir, path "file")
    fails("ENOTDIR", path "file/x" .. ": not a directory", fs.make_dir, path "file/x")
  end)

  it("removes files, empty folders, and trees when asked to", function()
    files.write(path "tree/a/b", "x")
    files.write(path "outside", "x")
    uv.fs_symlink(path "outside", path "tree/link")
    uv.fs_symlink(dir, path "tree/up")
    fails("ENOTEMPTY", path "tree" .. ": directory not empty", fs.remove, path "tree")
    assert.is_true(call(fs.remove, path "tree", { recursive = true }))
    assert.is_true(files.exists(path "outside"))
    assert.is_false(files.exists(path "tree"))
    assert.is_true(call(fs.remove, path "outside"))
    assert.is_true(call(fs.remove, path "outside"))
    assert.is_true(call(fs.remove, path "outside", { recursive = true }))
  end)

  it("renames and copies", function()
    local bytes = ("0123456789"):rep(30000)
    files.write(path "a", bytes)
    assert.equal(#bytes, call(fs.copy, path "a", path "b"))
    assert.equal(bytes, files.read(path "b"))
    assert.is_true(call(fs.rename, path "b", path "c"))
    assert.is_false(files.exists(path "b"))
    assert.equal(bytes, files.read(path "c"))
    fails("ENOENT", path "b" .. ": no such file or directory", fs.rename, path "b", path "d")
    fails("ENOENT", path "b" .. ": no such file or directory", fs.copy, path "b", path "d")
    fails("EISDIR", dir .. ": illegal operation on a directory", fs.copy, dir, path "d")
  end)

  it("makes private folders", function()
    local first, second = call(fs.temp_dir), call(fs.temp_dir)
    assert.not_equal(first, second)
    assert.equal(448, uv.fs_stat(first).mode & 511) -- 0700
    assert.is_true(call(fs.remove, first))
    assert.is_true(call(fs.remove, second))
  end)

  it("keeps paths below a root", function()
    files.write(path "root/a/file", "x")
    files.write(path "secret", "x")
    uv.fs_symlink(path "secret", path "root/link")
    uv.fs_symlink(dir, path "root/up")
    local root = path "root"
    assert.equal(root .. "/a/file", call(fs.below, root, "a/file"))
    assert.equal(root .. "/a/file", call(fs.below, root .. "/", "./a//../a/file"))
    assert.equal(root .. "/a/file", call(fs.below, root, root .. "/a/file"))
    assert.equal(root .. "/new", call(fs.below, root, "new"))
    assert.equal("/etc/passwd", call(fs.below, "/", "etc/passwd"))
    for _, name in ipairs { "..", "../secret", "link", "up", "up/x", "/etc/passwd", "a/../../x" } do
      fails("outside", ("'%s' is not below '%s'"):format(name, root), fs.below, root, name)
    end
    fails("ENOENT", root .. ": no such file or directory", fs.below, root, "gone/x")
  end)

  it("names the file and the errno", function()
    fails("ENOENT", path "x" .. ": no such file or directory", fs.read, path "x")
    fails("ENOENT", path "x/y" .. ": no such file or directory", fs.write, path "x/y", "")
    fails("EISDIR", dir .. ": illegal operation on a directory", fs.read, dir)
    fails("ENOENT", path "x" .. ": no such file or directory", fs.stat, path "x")
    fails("ENOENT", path "x" .. ": no such file or directory", fs.list, path "x")
  end)

  it("raises on misuse", function()
    local function raises(message, f, ...)
      local ok, why = pcall(call, f, ...)
      assert.is_false(ok)
      assert.matches(message, why, 1, true)
    end
    raises("must not be empty", fs.read, "")
    raises("must not contain NUL bytes", fs.read, "a\0b")
    raises("string expected", fs.write, path "a")
    raises("hint: did you mean 'max_bytes'?", fs.read, path "a", { max_byte = 1 })
    raises("max_bytes: number expected, got string", fs.read, path "a", { max_bytes = "1" })
    raises("offset: must not be negative", fs.read, path "a", { offset = -1 })
    raises("length: must not be negative", fs.read, path "a", { length = -1 })
    raises("recursive: boolean expected, got number", fs.remove, path "a", { recursive = 1 })
    assert.has_error(function() fs.read(path "a") end, "jobq.fs.read can only wait inside run")
  end)

  it("leaves nothing behind when its run is stopped", function()
    for _ = 1, 20 do
      local ok, why = pcall(core.task.run, function()
        return fs.copy("/dev/zero", path "endless")
      end, 0.02)
      assert.is_false(ok)
      assert.matches("stopped after 0.02 s", why, 1, true)
    end
    -- The pool gives up at its next look; until then the temporary file is there.
    local deadline = uv.hrtime() + 10e9
    while #files.glob(dir .. "/.jobq-*.tmp") > 0 and uv.hrtime() < deadline do
      call(jobq.sleep, 0.005)
    end
    assert.same({}, files.list(dir))
  end)

  describe("below a root", function()
    local outside

    before_each(function()
      outside = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
      files.write(outside .. "/keep", "me")
      for _, name in ipairs { "a", "a/b", "c" } do
        assert(uv.fs_mkdir(path(name), 493))
      end
      for _, name in ipairs { "a/1", "a/b/2", "3" } do
        files.write(path(name), name)
      end
      assert(uv.fs_symlink(outside, path "a/way"))
    end)

    after_each(function() files.remove(outside) end)

    local function walk(f)
      local seen = {}
      local count, why = call(fs.walk, dir, function(entry)
        table.insert(seen, entry.path .. " " .. entry.type)
        if f then
          return f(entry)
        end
      end)
      return seen, count, why
    end

    it("walks through all of it, and through no link", function()
      local seen, count = walk()
      assert.same({ "3 file", "a/1 file", "a/b/2 file", "a/b dir", "a/way link", "a dir", "c dir" },
        seen)
      assert.equal(7, count)
      local entry = call(fs.entries, dir, "a")[1]
      assert.same({ "1", "file", 3 }, { entry.name, entry.type, entry.size })
      assert.is_true(math.abs(os.time() - entry.mtime) < 100)
      assert.same({ "3 file", "a/1 file" }, (walk(function(e) return e.path ~= "a/1" end)))
    end)

    it("removes what it is given, and nothing outside", function()
      local seen = walk(function(entry) assert(fs.unlink(dir, entry.path)) end)
      assert.equal(7, #seen)
      assert.same({}, files.list(dir))
      assert.equal("me", files.read(outside .. "/keep"))
    end)

    it("follows no link on the way, and goes nowhere else", function()
      local function refuses(code, f, to)
        local value, why, got = call(f, dir, to)
        assert.same({ nil, code }, { value, got }, to)
        assert.matches(dir, why, 1, true)
      end
      refuses("ENOTDIR", fs.entries, "a/way")
      for _, to in ipairs { "a/../../x", "..", "/etc", "a//1", "a/./1", "a/" } do
        refuses("EINVAL", fs.unlink, to)
      end
      refuses("EINVAL", fs.unlink, ".")
      refuses("EINVAL", fs.entries, "../x")
      refuses("ENOTDIR", fs.unlink, "a/way/keep")
      refuses("ENOTEMPTY", fs.unlink, "a")
      refuses("ENOENT", fs.entries, "nothing")
      assert.is_true(call(fs.unlink, dir, "nothing/at/all"))
      assert.equal("me", files.read(outside .. "/keep"))
    end)

    it("goes on where a folder has gone meanwhile", function()
      local seen = walk(function(entry)
        if entry.path == "3" then
          files.remove(path "a/b")
          assert(uv.fs_rename(path "c", path "d"))
          assert(uv.fs_symlink(outside, path "c"))
        end
      end)
      assert.same({ "3 file", "a/1 file", "a/way link", "a dir", "c dir" }, seen)
    end)

    it("says what is wrong with what it is told", function()
      fails("ENOENT", "/nowhere: no such file or directory", fs.walk, "/nowhere", print)
      assert.has_error(function() fs.walk(dir) end, "jobq.fs.walk: expected a function, got a nil")
    end)
  end)
end)
