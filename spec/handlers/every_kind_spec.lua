--- Every kind of handlers/ says what it is and has run on real input: on the sample application
--- here, or, where it needs servers of others, in the spec that starts those.
local loader = require "jobq.loader"
local uv = require "luv"

local families = require "support.families"
local files = require "support.files"
local smtp_server = require "support.smtp_server"

--- What runs here: arguments, and how it ends if not well.
local HERE = {
  ["cleanup.audit_logs"] = { args = { days = 30, archive = true } },
  ["cleanup.files"] = { args = { pattern = "*.tmp" } },
  ["cleanup.invites"] = { args = { archive = true } },
  ["cleanup.job_logs"] = {},
  ["cleanup.jobs"] = {},
  ["demo.broken"] = { status = "failed", max_attempts = 1 },
  ["demo.flaky"] = { status = "failed", max_attempts = 1 },
  ["demo.noop"] = {},
  ["email.send"] = { args = { to = "ann@example.org", subject = "Hello", text = "Hello" } },
  ["file.compress"] = { args = { path = "uploads/ann/photo.jpg" } },
  ["notification.batch"] = { args = { users = { 4 }, topic = "comment", title = "Hello" } },
  ["notification.digest"] = { args = { user = 4 } },
  ["notification.push"] = { args = { user = 4, topic = "comment", title = "Hello" } },
}

--- What runs there.
local ELSEWHERE = {
  ["email.batch"] = "email_spec.lua",
  ["email.digest"] = "email_spec.lua",
  ["email.digests"] = "email_spec.lua",
  ["email.report"] = "email_spec.lua",
  ["email.unsubscribe"] = "email_spec.lua",
  ["file.process_upload"] = "file_spec.lua",
  ["file.scan"] = "file_spec.lua",
  ["file.thumbnails"] = "file_spec.lua",
  ["matrix.profile_sync"] = "matrix_spec.lua",
  ["matrix.room_cleanup"] = "matrix_spec.lua",
  ["matrix.user_export"] = "matrix_spec.lua",
  ["notification.digests"] = "notification_spec.lua",
  ["notification.report"] = "notification_spec.lua", -- at the end of each batch
}

local function load_kinds()
  local path, searcher = package.path, package.searchers[2]
  local kinds, problem = loader.load "handlers/\n"
  package.path, package.searchers[2] = path, searcher
  return assert(kinds, problem)
end

describe("every kind", function()
  local kinds

  setup(function()
    kinds = load_kinds()
  end)

  it("says what it does, how long it may take and when it is tried again", function()
    assert.is_true(#kinds > 15)
    for _, kind in ipairs(kinds) do
      assert.is_string(kind.summary, kind.name .. " has no summary")
      assert.is_true(kind.timeout > 0 and kind.max_attempts > 0, kind.name)
    end
  end)

  it("has a place where it runs on real input", function()
    for _, kind in ipairs(kinds) do
      local name, there = kind.name, ELSEWHERE[kind.name]
      assert.is_truthy(HERE[name] or there,
        name .. " runs in no spec: add it to HERE, or to ELSEWHERE with its spec")
      if there then
        assert.is_truthy(files.read("spec/handlers/" .. there):find(name:match "[^.]+$", 1, true),
          ("%s does not mention %s"):format(there, name))
      end
    end
  end)

  it("runs on the sample application", function()
    local dir = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
    finally(function() files.remove(dir) end)
    files.run { "mkdir", "-p", dir .. "/uploads/ann" }
    files.write(dir .. "/uploads/ann/photo.jpg", ("photo"):rep(1000))
    local db, mail = families.database(), smtp_server.start()
    families.worker(db, {
      ["file.root"] = dir, ["cleanup.root"] = dir, ["cleanup.archive"] = dir .. "/archive",
      ["smtp.host"] = "127.0.0.1", ["smtp.port"] = mail.port, ["smtp.from"] = "app@example.org",
    })
    for _, kind in ipairs(kinds) do
      local how = HERE[kind.name]
      if how then
        local job = families.run(db, kind.name, how.args or {}, { max_attempts = how.max_attempts })
        assert.equal(how.status or "completed", job.status,
          ("%s: %s"):format(kind.name, job.error or "no error"))
      end
    end
  end)
end)
