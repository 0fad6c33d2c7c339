--- The file family, killed before and after each of its waits: nothing is there twice, or half.
---
--- An upload takes two minutes, a copy of the database for each kill: with JOBQ_SPEC_LONG=1 only.
local files = require "support.files"
local t = require "jobq.testing"

describe("killed at each wait,", function()
  local run = t.handlers "handlers/file.lua"
  local long = os.getenv "JOBQ_SPEC_LONG" and it or function() end
  local root

  --- Stands in for a program that writes the file which it is told to, in the only scratch folder.
  local function writes(option)
    return function(argv)
      for i, word in ipairs(argv) do
        if word == option then
          local folder = files.glob(root .. "/.scratch/*")[1]
          local name = argv[i + 1]:match "^[^%[]*"
          files.write(name:find "^/" and name or folder .. "/" .. name, "made: " .. name)
        end
      end
      return { status = 0 }
    end
  end

  local function upload(path)
    local db = t.database()
    db:query(files.read "handlers/sample/schema.sql")
    db:query(files.read "handlers/sample/data.sql")
    return db:value("insert into app.uploads (user_id, path) values (1, $1) returning id", path)
  end

  before_each(function()
    root = t.folder()
    t.config { ["file.root"] = root, ["file.scan"] = false, ["file.sizes"] = "50, 100",
      ["file.formats"] = "jpeg, webp" }
    t.process.on("vipsheader", { stdout = "width: 300\nheight: 200\n" }, { again = true })
    t.process.on("vipsthumbnail", writes "--output", { again = true })
    t.process.on("tar", writes "--file", { again = true })
    t.crash_everywhere()
  end)

  after_each(function()
    assert.same({}, files.glob(root .. "/.scratch/*"))
  end)

  long("an upload is processed", function()
    files.write(root .. "/a/b.png", "\x89PNG\r\n\x1a\n")
    local report = run("file.process_upload", { upload = upload "a/b.png" })
    assert.equal("done", report.verdict, report.error)
    assert.equal("made: cleaned.png", files.read(root .. "/a/b.png"))
    assert.equal(4, #report.result.thumbnails)
  end)

  long("an upload is refused", function()
    files.write(root .. "/a.png", "no image")
    local report = run("file.process_upload", { upload = upload "a.png" })
    assert.equal("discard", report.verdict)
  end)

  it("thumbnails are made", function()
    files.write(root .. "/a.png", "\x89PNG\r\n\x1a\n")
    local report = run("file.thumbnails", { path = "a.png", sizes = { 50 }, formats = { "webp" } })
    assert.equal("thumbnails/a.png/50.webp", report.result[1].path)
  end)

  it("a folder is compressed", function()
    files.write(root .. "/a/one", ("one "):rep(1000))
    assert.equal("done", run("file.compress", { path = "a", target = "new/a.tar.zst" }).verdict)
  end)
end)
