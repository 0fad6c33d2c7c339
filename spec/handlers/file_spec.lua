--- The file family in a real worker, with the real vips and clamd.
local clamd = require "support.clamd"
local engine = require "support.engine"
local families = require "support.families"
local files = require "support.files"
local uv = require "luv"

package.path = "handlers/?.lua;" .. package.path
local type_of = require "lib.file.type"

local dir, root, db, is_mounted

--- vips takes an expression of words; the path of what it made.
local function vips(...)
  files.run { "vips", ... }
  return (select(-1, ...))
end

--- Noise, so that nothing compresses it away: 300 x 200.
local noise
local function picture()
  if not noise then
    local base = os.tmpname()
    local v = function(name) return ("%s-%s.v"):format(base, name) end
    vips("gaussnoise", v "one", "300", "200")
    vips("cast", v "one", v "grey", "uchar")
    vips("bandjoin", ("%s %s %s"):format(v "grey", v "grey", v "grey"), v "all")
    vips("copy", v "all", base .. ".png")
    noise = files.read(base .. ".png")
    for _, path in ipairs { v "one", v "grey", v "all", base .. ".png", base } do
      os.remove(path)
    end
  end
  return noise
end

--- The picture in another format, below root.
local function image(name, options)
  local source = dir .. "/picture.png"
  files.write(source, picture())
  files.make_dir((root .. "/" .. name):match "^(.*)/")
  vips("copy", source, root .. "/" .. name .. (options or ""))
  return root .. "/" .. name
end

--- EXIF in a JPEG: it lies on its side (6), and says whose it is.
local function add_exif(path)
  local owner = "secret-owner\0"
  local tiff = string.pack(">c2I2I4I2", "MM", 42, 8, 2)
    .. string.pack(">I2I2I4I2I2", 0x0112, 3, 1, 6, 0)
    .. string.pack(">I2I2I4I4", 0x013b, 2, #owner, 38) .. string.pack(">I4", 0) .. owner
  local exif = "Exif\0\0" .. tiff
  local jpeg = files.read(path)
  files.write(path, "\xff\xd8\xff\xe1" .. string.pack(">I2", #exif + 2) .. exif .. jpeg:sub(3))
end

local function crc32(text)
  local crc = 0xffffffff
  for i = 1, #text do
    crc = crc ~ text:byte(i)
    for _ = 1, 8 do
      crc = (crc >> 1) ~ (0xedb88320 & -(crc & 1))
    end
  end
  return crc ~ 0xffffffff
end

local function chunk(name, data)
  return string.pack(">I4", #data) .. name .. data .. string.pack(">I4", crc32(name .. data))
end

--- A PNG of so many pixels in 60 bytes.
local function bomb(width, height)
  local size = string.pack(">I4I4BBBBB", width, height, 8, 2, 0, 0, 0)
  return "\x89PNG\r\n\x1a\n" .. chunk("IHDR", size) .. chunk("IDAT", "\x78\x9c")
    .. chunk("IEND", "")
end

local function header(path)
  local found = {}
  for name, value in files.run({ "vipsheader", "-a", path }):gmatch "\n([%w-]+): ([^\n]*)" do
    found[name] = value
  end
  return found
end

local function sha256(path)
  return files.run({ "sha256sum", path }):match "^%x+"
end

--- A row for it; its id.
local function upload(path)
  return db:value("insert into app.uploads (user_id, path) values (1, $1) returning id", path)
end

local function row(id)
  return db:row("select *, thumbnails::text as small from app.uploads where id = $1", id)
end

local function worker(settings, options)
  settings = settings or {}
  settings["file.root"] = root
  settings["file.sizes"] = "100"
  settings["file.formats"] = settings["file.formats"] or "webp"
  settings["file.clamd"] = settings["file.clamd"] or dir .. "/scanner/clamd.ctl"
  return families.worker(db, settings, options)
end

local function scanner()
  return clamd.start(dir .. "/scanner")
end

local function run(kind, args, more)
  return families.run(db, "file." .. kind, args, more)
end

--- Failed after one attempt, with this message.
local function refused(message, kind, args)
  local job = run(kind, args)
  assert.same({ "failed", message, 1 }, { job.status, job.error, tonumber(job.attempt) })
end

--- Nobody waits until the silence of a worker that was killed has become long.
local function declare_dead()
  db:query "update jobq.worker set seen_at = now() - interval '1 hour'"
  db:query "select jobq.recover()"
end

--- All files below root, but those of .scratch have to be gone.
local function all_files()
  assert.same({}, files.glob(root .. "/.scratch/*"))
  local found = {}
  for path in files.run({ "find", root, "-type", "f", "-printf", "%P\n" }):gmatch "[^\n]+" do
    found[#found + 1] = path
  end
  table.sort(found)
  return found
end

describe("the type of a file", function()
  it("is that of its content", function()
    local types = {
      ["text/plain"] = "Grüße\n", ["text/html"] = "\n <!DOCTYPE html><p>",
      ["image/svg+xml"] = "<svg xmlns=''>", ["text/xml"] = "\xef\xbb\xbf<?xml version='1.0'?>",
      ["application/octet-stream"] = "a\0b", ["image/jpeg"] = "\xff\xd8\xff\xe0",
      ["image/avif"] = "\0\0\0\x20ftypmif1\0\0\0\0mif1avif",
      ["image/heic"] = "\0\0\0\x20ftypmif1\0\0\0\0mif1heic",
      ["video/mp4"] = "\0\0\0\x20ftypisom", ["image/webp"] = "RIFF\1\2\3\4WEBPVP8 ",
      ["application/x-tar"] = ("a"):rep(257) .. "ustar\0", ["application/pdf"] = "%PDF-1.7",
    }
    for name, head in pairs(types) do
      assert.equal(name, type_of.of(head))
    end
    assert.equal("application/octet-stream", type_of.of "\xffGr")
    local cut = ("x"):rep(type_of.BYTES - 1) .. "\xc3" -- in the middle of a character
    assert.equal("text/plain", type_of.of(cut))
    assert.equal("text/plain", type_of.of "")
  end)
end)

describe("files:", function()
  before_each(function()
    dir = assert(uv.fs_mkdtemp "/tmp/jobq-spec-XXXXXX")
    root = dir .. "/root"
    files.make_dir(root)
    db = families.database()
  end)

  after_each(function()
    engine.process.sweep(true)
    if is_mounted then
      files.run { "umount", "-l", root }
      is_mounted = false
    end
    files.remove(dir)
  end)

  describe("file.process_upload", function()
    it("takes images of every format", function()
      scanner()
      worker { ["file.formats"] = "jpeg" }
      local types = { jpg = "jpeg", png = "png", gif = "gif", webp = "webp", avif = "avif",
        heic = "heic", tif = "tiff" }
      for extension, name in pairs(types) do
        local path = "uploads/a [b] %s." .. extension
        local id = upload(path)
        image(path)
        local job = run("process_upload", { upload = id })
        assert.same({ "completed", nil }, { job.status, job.error }, extension)
        local kept = row(id)
        assert.same({ "ready", "image/" .. name, 300, 200 },
          { kept.status, kept.content_type, tonumber(kept.width), tonumber(kept.height) })
        assert.equal(sha256(root .. "/" .. path), kept.sha256)
        assert.equal(uv.fs_stat(root .. "/" .. path).size, tonumber(kept.bytes))
        assert.is_true(job.result.clean)
        local small = job.result.thumbnails[1]
        assert.equal(("thumbnails/%s/100.jpg"):format(path), small.path)
        assert.same({ "100", "67" }, { header(root .. "/" .. small.path).width,
          header(root .. "/" .. small.path).height })
        assert.same({ 100, 67 }, { small.width, small.height })
      end
      assert.equal(7 * 2, #all_files())
    end)

    it("turns images as they are seen, and removes what they tell", function()
      scanner()
      worker { ["file.formats"] = "jpeg, webp, avif" }
      local path = image "uploads/turned.jpg"
      add_exif(path)
      assert.equal("6", header(path).orientation)
      assert.is_truthy(files.read(path):find("secret-owner", 1, true))
      local id = upload "uploads/turned.jpg"
      local job = run("process_upload", { upload = id })
      assert.equal("completed", job.status)
      assert.same({ 200, 300 }, { job.result.width, job.result.height })
      local now = header(path)
      assert.same({ "200", "300" }, { now.width, now.height })
      assert.is_true(now.orientation == nil or now.orientation == "1")
      assert.same({ "thumbnails/uploads/turned.jpg/100.avif",
        "thumbnails/uploads/turned.jpg/100.jpg", "thumbnails/uploads/turned.jpg/100.webp",
        "uploads/turned.jpg" }, all_files())
      for i, loader in ipairs { "heifload", "jpegload", "webpload" } do
        local small = header(root .. "/" .. all_files()[i])
        assert.same({ loader, "67", "100" }, { small["vips-loader"], small.width, small.height })
      end
      for _, name in ipairs(all_files()) do
        assert.is_nil(files.read(root .. "/" .. name):find("secret", 1, true), name)
      end
    end)

    it("keeps the pages of an animation", function()
      scanner()
      worker()
      local path = image("uploads/moves.gif", "[page-height=100]")
      assert.equal("2", header(path)["n-pages"])
      local job = run("process_upload", { upload = upload "uploads/moves.gif" })
      assert.same({ "completed", 300, 100 }, { job.status, job.result.width, job.result.height })
      assert.equal("2", header(path)["n-pages"])
    end)

    it("takes what is no image, too", function()
      scanner()
      worker()
      local text = ("Grüße, 千恵\n"):rep(1000)
      files.write(root .. "/uploads/notes.txt", text)
      local id = upload "uploads/notes.txt"
      local job = run("process_upload", { upload = id })
      assert.same({ "completed", "text/plain", #text }, { job.status, job.result.content_type,
        job.result.bytes })
      assert.same({ "ready", nil }, { row(id).status, row(id).thumbnails })
      assert.equal(text, files.read(root .. "/uploads/notes.txt"))
    end)

    it("refuses what it cannot take, at once and clearly", function()
      scanner()
      worker { ["file.max_bytes"] = 200000, ["file.accept"] = "image/*, text/plain",
        ["file.max_pixels"] = 1000000 }
      files.write(root .. "/text.jpg", "no image")
      files.write(root .. "/bomb.png", bomb(30000, 30000))
      files.make_dir(root .. "/folder")
      files.write(root .. "/a.zip", "PK\3\4...")
      files.write(root .. "/broken.png", "\x89PNG\r\n\x1a\n" .. ("x"):rep(100))
      files.write(root .. "/large.txt", ("x"):rep(200001))
      local cut = image "cut.jpg"
      files.write(cut, files.read(cut):sub(1, 9000))
      files.write(dir .. "/secret", "x")
      uv.fs_symlink(dir .. "/secret", root .. "/link")
      local expected = {
        ["text.jpg"] = "text.jpg is text/plain by its content, its name says image/jpeg",
        ["bomb.png"] = "bomb.png has 30000 x 30000 pixels, more than 1000000\n"
          .. "hint: the setting file.max_pixels",
        ["a.zip"] = "a.zip is application/zip, expected image/* or text/plain\n"
          .. "hint: the setting file.accept",
        ["large.txt"] = "large.txt has 200001 bytes, more than 200000\n"
          .. "hint: the setting file.max_bytes",
        ["broken.png"] = "broken.png is not a sound image: ",
        ["cut.jpg"] = "cut.jpg is not a sound image: VipsJpeg: Premature end of input file",
        ["gone.txt"] = root .. "/gone.txt: no such file or directory",
        ["../secret"] = "'../secret' is no path below the root\n"
          .. "hint: names with one / between them, and no '..'",
        ["folder"] = root .. "/folder: illegal operation on a directory",
        ["link"] = ("'link' is not below '%s'"):format(root),
      }
      for path, message in pairs(expected) do
        local id = upload(path)
        local job = run("process_upload", { upload = id })
        assert.same({ "failed", message, 1 },
          { job.status, job.error:sub(1, #message), tonumber(job.attempt) })
        assert.same({ "refused", nil }, { row(id).status, row(id).thumbnails })
      end
      refused("there is no upload 4711", "process_upload", { upload = 4711 })
      assert.same({ "a.zip", "bomb.png", "broken.png", "cut.jpg", "large.txt", "text.jpg" },
        all_files())
    end)

    it("says which statement is wrong", function()
      worker { ["file.find"] = "select path from app.nothing where id = $1" }
      refused('relation "app.nothing" does not exist\nhint: the statement is the setting file.find',
        "process_upload", { upload = 1 })
    end)

    it("moves what is infected into quarantine", function()
      scanner()
      worker()
      files.write(root .. "/uploads/bad.txt", "some " .. clamd.VIRUS)
      local id = upload "uploads/bad.txt"
      local job = run("process_upload", { upload = id })
      local found = job.result
      assert.same({ "completed", "quarantined", clamd.NAME, "quarantine/uploads/bad.txt", false },
        { job.status, found.status, found.virus, found.quarantine, found.clean })
      assert.same({ "quarantined", nil }, { row(id).status, row(id).thumbnails })
      assert.same({ "quarantine/uploads/bad.txt" }, all_files())
    end)

    it("waits for a scanner that is away, and says that nothing is clean", function()
      worker()
      files.write(root .. "/a.txt", "fine")
      local id = upload "a.txt"
      local job = db:enqueue { "file.process_upload", args = ('{"upload": %d}'):format(id) }
      db:wait_until("it has failed once", "select count(*) > 0 from jobq.attempts($1)", job)
      assert.equal(("%s/scanner/clamd.ctl: no such file or directory\n"
        .. "hint: the setting file.clamd; on Debian: apt-get install clamav-daemon"):format(dir),
        db:value("select error from jobq.attempts($1)", job))
      assert.equal("new", row(id).status)
      scanner()
      db:wait_for(job, "completed")
      assert.equal("ready", row(id).status)
    end)

    it("changes nothing when it is cancelled at the scanner", function()
      local daemon = scanner()
      worker()
      local before = files.read(image "uploads/a.png")
      local id = upload "uploads/a.png"
      daemon:signal "sigstop"
      local job = db:enqueue { "file.process_upload", args = ('{"upload": %d}'):format(id) }
      db:wait_until("it is at the scanner",
        "select count(*) = 1 from jobq.steps($1) where name = 'look'", job)
      db:query("select jobq.cancel($1)", job)
      db:wait_for(job, "cancelled")
      assert.equal("new", row(id).status)
      assert.same({ "uploads/a.png" }, all_files())
      assert.equal(before, files.read(root .. "/uploads/a.png"))
    end)

    it("goes on behind its steps after kill -9", function()
      local daemon = scanner()
      local first = worker()
      image "uploads/a.png"
      local id = upload "uploads/a.png"
      daemon:signal "sigstop" -- it takes the file, and does not answer
      local job = db:enqueue { "file.process_upload", args = ('{"upload": %d}'):format(id) }
      db:wait_until("it is at the scanner",
        "select count(*) = 1 from jobq.steps($1) where name = 'look'", job)
      first:kill()
      daemon:signal "sigcont"
      declare_dead()
      worker()
      db:wait_for(job, "completed")
      assert.equal("ready", row(id).status)
      assert.same({ "thumbnails/uploads/a.png/100.webp", "uploads/a.png" }, all_files())
    end)
  end)

  describe("file.thumbnails", function()
    it("makes the sizes and formats that are asked for, never larger than the image", function()
      worker()
      image "a.png"
      local job = run("thumbnails", { path = "a.png", sizes = { 50, 1000 }, formats = { "webp" } })
      assert.same({ "completed", {
        { path = "thumbnails/a.png/50.webp", format = "webp", width = 50, height = 33 },
        { path = "thumbnails/a.png/1000.webp", format = "webp", width = 300, height = 200 },
      } }, { job.status, job.result })
      assert.equal("300", header(root .. "/thumbnails/a.png/1000.webp").width)
    end)

    it("refuses what is no image", function()
      worker()
      files.write(root .. "/a.txt", "text")
      files.write(root .. "/b.png", bomb(30000, 30000))
      refused("a.txt is text/plain, expected an image", "thumbnails", { path = "a.txt" })
      refused("b.png has 30000 x 30000 pixels, more than 100000000\n"
        .. "hint: the setting file.max_pixels", "thumbnails", { path = "b.png" })
      refused("file.thumbnails: args.formats[1]: 'bmp' is not one of jpeg, webp, avif",
        "thumbnails", { path = "a.txt", formats = { "bmp" } })
    end)

    it("says what is missing", function()
      files.make_dir(dir .. "/bin")
      uv.fs_symlink("/usr/bin/setpriv", dir .. "/bin/setpriv") -- which starts the worker
      worker(nil, { env = { PATH = dir .. "/bin" } })
      image "a.png"
      local job = run("thumbnails", { path = "a.png" }, { max_attempts = 1 })
      assert.equal("vipsheader: no such file or directory\nhint: images need the programs of "
        .. "libvips, on Debian: apt-get install libvips-tools", job.error)
    end)
  end)

  describe("file.scan", function()
    it("says what is clean and moves away what is not", function()
      scanner()
      worker()
      files.write(root .. "/a/good.bin", ("\0"):rep(3 << 20))
      files.write(root .. "/a/bad.bin", ("\0"):rep(3 << 20) .. clamd.VIRUS)
      files.write(root .. "/a/empty", "")
      assert.same({ clean = true }, run("scan", { path = "a/good.bin" }).result)
      assert.same({ clean = true }, run("scan", { path = "a/empty" }).result)
      assert.same({ clean = false, virus = clamd.NAME, status = "quarantined",
        quarantine = "quarantine/a/bad.bin" }, run("scan", { path = "a/bad.bin" }).result)
      assert.same({ "a/empty", "a/good.bin", "quarantine/a/bad.bin" }, all_files())
    end)

    it("never takes a file that is too large for clean", function()
      scanner()
      worker { ["file.scan_bytes"] = 10 << 20 }
      files.write(root .. "/large", ("x"):rep((10 << 20) + 1))
      refused("large has 10485761 bytes, the scanner takes 10485760\n"
        .. "hint: StreamMaxLength of clamd, and the setting file.scan_bytes", "scan",
        { path = "large" })
      files.write(root .. "/large", ("x"):rep(10 << 20)) -- this clamd takes 4M
      local job = run("scan", { path = "large" }, { max_attempts = 1 })
      assert.equal("failed", job.status)
      assert.is_truthy(job.error:find("size limit exceeded", 1, true)
        or job.error:find("StreamMaxLength", 1, true), job.error)
    end)

    it("believes no scanner that speaks unclearly", function()
      for _, answer in ipairs { "stream: OK but not sure", "", "stream: ", "OK", "ERROR" } do
        local p = engine.process.lua { "-", dir .. "/liar", answer, stdin = [[
          local uv = require "luv"
          local server = uv.new_pipe()
          assert(server:bind(arg[1]))
          server:listen(8, function()
            local client = uv.new_pipe()
            server:accept(client)
            client:read_start(function(_, data)
              if data and data:find("\0\0\0\0$") then
                client:write(arg[2], function() client:close() end)
              end
            end)
          end)
          io.stderr:write "ready\n"
          uv.run()
        ]] }
        p:wait_for_line(function(line) return line == "ready" end, "the server")
        local w = worker { ["file.clamd"] = dir .. "/liar" }
        files.write(root .. "/a", "x")
        local job = run("scan", { path = "a" }, { max_attempts = 1 })
        assert.same({ "failed", "clamd says: " .. answer }, { job.status, job.error })
        w:stop()
        p:kill()
        os.remove(dir .. "/liar")
      end
    end)
  end)

  describe("file.compress", function()
    it("compresses files and folders, as others read them", function()
      worker()
      local text = ("some text, "):rep(10000)
      files.write(root .. "/a/b/one.txt", text)
      files.write(root .. "/a/two.txt", "two")
      files.write(dir .. "/outside", "secret")
      uv.fs_symlink(dir .. "/outside", root .. "/a/link")
      local job = run("compress", { path = "a/b/one.txt", format = "gzip" })
      assert.same({ "a/b/one.txt.gz", #text }, { job.result.target, job.result.bytes_in })
      assert.is_true(job.result.ratio < 0.02)
      assert.equal(text, files.run { "gzip", "-dc", root .. "/a/b/one.txt.gz" })
      job = run("compress", { path = "a", target = "new/folder/a.tar.gz", format = "gzip" })
      assert.same({ "completed", nil }, { job.status, job.error })
      files.make_dir(dir .. "/out")
      files.run { "tar", "-xzf", root .. "/new/folder/a.tar.gz", "-C", dir .. "/out" }
      assert.equal(text, files.read(dir .. "/out/a/b/one.txt"))
      assert.equal("link", uv.fs_lstat(dir .. "/out/a/link").type)
      assert.equal("a.tar.zst", run("compress", { path = "a" }).result.target)
      assert.same({ "a.tar.zst", "a/b/one.txt", "a/b/one.txt.gz", "a/two.txt",
        "new/folder/a.tar.gz" }, all_files())
      refused("level 10 is not one of gzip\nhint: 1 to 9", "compress",
        { path = "a", format = "gzip", level = 10 })
    end)

    it("writes nowhere outside of the root", function()
      worker()
      files.write(root .. "/a", "x")
      files.make_dir(dir .. "/elsewhere")
      uv.fs_symlink(dir .. "/elsewhere", root .. "/link")
      for _, target in ipairs { "../b", "/tmp/b", "c/../../b", "c//b", ".scratch/b", "b\n" } do
        local job = run("compress", { path = "a", target = target })
        assert.same({ "failed", 1 }, { job.status, tonumber(job.attempt) })
        assert.matches("^'.*' is no path below the root", job.error)
      end
      refused(("'link' is not below '%s'"):format(root), "compress",
        { path = "a", target = "link/b" })
      assert.same({ "a" }, all_files())
      assert.same({}, files.list(dir .. "/elsewhere"))
    end)

    it("needs as much memory for a large file as for a small one", function()
      local w = worker({}, { executors = 1 })
      files.write(root .. "/small", "x")
      files.run { "truncate", "-s", "1G", root .. "/large" }
      run("compress", { path = "small" })
      local before = engine.process.memory(w:executors()[1])
      local job = db:enqueue { "file.compress", args = '{"path": "large", "level": 1}' }
      local most = 0
      db:wait_until("it runs", "select status = 'processing' from jobq.find($1)", job)
      while db:job(job).status == "processing" do
        most = math.max(most, engine.process.memory(w:executors()[1]))
      end
      assert.equal("completed", db:job(job).status)
      assert.is_true(most - before < 16 << 10, ("%d KiB, before %d"):format(most, before))
    end)

    it("leaves nothing when it is cancelled, or killed", function()
      local w = worker { ["file.max_bytes"] = 1 << 40 }
      files.run { "truncate", "-s", "500G", root .. "/large" }
      local args = { "file.compress", args = '{"path": "large"}' }
      local job = db:enqueue(args)
      db:wait_until("it runs", "select status = 'processing' from jobq.find($1)", job)
      db:query("select jobq.cancel($1)", job)
      db:wait_for(job, "cancelled")
      job = db:enqueue(args)
      db:wait_until("it runs", "select status = 'processing' from jobq.find($1)", job)
      w:kill()
      assert.same({ "large" }, all_files())
    end)

    it("begins anew after kill -9 in an archive", function()
      local w = worker { ["file.max_bytes"] = 1 << 40 }
      files.make_dir(root .. "/a")
      files.run { "truncate", "-s", "500G", root .. "/a/large" }
      local job = db:enqueue { "file.compress", args = '{"path": "a"}' }
      engine.process.wait_until(function()
        return files.glob(root .. "/.scratch/*/archive.tar")[1]
      end, "the archive")
      w:kill()
      files.run { "truncate", "-s", "1M", root .. "/a/large" }
      declare_dead()
      worker()
      assert.equal(1, #files.glob(root .. "/.scratch/*/archive.tar"))
      db:wait_for(job, "completed")
      assert.same({ "a.tar.zst", "a/large" }, all_files())
    end)

    it("leaves nothing on a full disk", function()
      is_mounted = pcall(files.run, { "mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", root })
      if not is_mounted then
        pending "only root can mount a small disk"
        return
      end
      local w = worker()
      files.run { "dd", "if=/dev/urandom", "of=" .. root .. "/noise", "bs=1M", "count=2" }
      local job = run("compress", { path = "noise" }, { max_attempts = 1 })
      assert.equal(root .. "/noise.zst: no space left on device", job.error)
      image "a.png"
      files.run { "sh", "-c", "cat /dev/zero >\"$0\" || true", root .. "/fill" }
      job = run("thumbnails", { path = "a.png", sizes = { 250 }, formats = { "jpeg" } },
        { max_attempts = 1 })
      assert.matches("^VipsJpeg: Output file write error", job.error)
      assert.same({ "a.png", "fill", "noise" }, all_files())
      w:stop()
    end)
  end)
end)
