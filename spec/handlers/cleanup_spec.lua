--- The cleanup family, in a real worker on the sample application and on real files.
local uv = require "luv"

local codec = require("jobq.core").json
local families = require "support.families"
local files = require "support.files"

local DAY = 86400

describe("cleanup", function()
  local db, dir

  before_each(function()
    db = families.database()
    dir = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
    assert(uv.fs_mkdir(dir .. "/root", 493))
  end)

  after_each(function()
    files.remove(dir)
  end)

  local function worker(settings, options)
    settings = settings or {}
    settings["cleanup.root"] = settings["cleanup.root"] or dir .. "/root"
    settings["cleanup.archive"] = dir .. "/archive"
    return families.worker(db, settings, options)
  end

  local function run(kind, args, more)
    return families.run(db, "cleanup." .. kind, args or {}, more)
  end

  --- The rows of an archive, in the order of its files.
  local function archived(kind)
    local rows = {}
    for _, name in ipairs(files.list(dir .. "/archive/" .. kind)) do
      for line in files.read(dir .. "/archive/" .. kind .. "/" .. name):gmatch "[^\n]+" do
        table.insert(rows, codec.decode(line))
      end
    end
    return rows
  end

  it("is scheduled, each night", function()
    worker()
    db:wait_until("all are scheduled",
      "select count(*) = 5 from jobq.schedule_status where name like 'cleanup.%'")
  end)

  describe("files", function()
    local function write(name, days, size)
      local path = dir .. "/root/" .. name
      files.write(path, ("x"):rep(size or 10))
      local time = os.time() - (days or 0) * DAY
      assert(uv.fs_utime(path, time, time))
      return path
    end

    local function age(name, days)
      local time = os.time() - days * DAY
      assert(uv.fs_utime(dir .. "/root/" .. name, time, time))
    end

    local function exists(name)
      return uv.fs_lstat(dir .. "/root/" .. name) ~= nil
    end

    it("go by age, size and name, never outside, never through a link", function()
      for _, name in ipairs { "sub", "empty", "new" } do
        assert(uv.fs_mkdir(dir .. "/root/" .. name, 493))
      end
      write("old.tmp", 31)
      write("young.tmp", 29)
      write("sub/old.tmp", 100, 1000)
      write("sub/old.txt", 100)
      files.write(dir .. "/outside.tmp", "x")
      assert(uv.fs_utime(dir .. "/outside.tmp", 0, 0))
      assert(uv.fs_symlink(dir, dir .. "/root/way"))
      assert(uv.fs_symlink(dir .. "/outside.tmp", dir .. "/root/link.tmp"))
      age("empty", 40)
      worker()
      local dry = run("files", { pattern = "*.tmp", dry_run = true }).result
      assert.same({ 2, 1010, true }, { dry.files, dry.bytes, dry.dry_run })
      assert.is_true(exists "old.tmp")
      local large = run("files", { pattern = "old.*", min_bytes = 1000, folders = false }).result
      assert.equal(1, large.files)
      local result = run("files", { pattern = "*.tmp" }).result
      assert.same({ 1, 10, 1 }, { result.files, result.bytes, result.folders })
      assert.same({ false, false, true, true, true, true, false, true, true },
        { exists "old.tmp", exists "sub/old.tmp", exists "young.tmp", exists "sub/old.txt",
          exists "way", exists "link.tmp", exists "empty", exists "new",
          uv.fs_stat(dir .. "/outside.tmp") ~= nil })
    end)

    it("are kept as compressed copies, if that is wanted", function()
      assert(uv.fs_mkdir(dir .. "/root/sub", 493))
      write("sub/a", 31, 5000)
      worker()
      assert.equal(1, run("files", { archive = true }).result.files)
      assert.is_false(exists "sub/a")
      local copy = io.popen(("zstd -dc <%s/archive/cleanup.files/sub/a.zst"):format(dir))
      assert.equal(("x"):rep(5000), copy:read "a")
      copy:close()
    end)

    it("stay where no root is set", function()
      families.worker(db)
      assert.same({ skipped = true }, run("files").result)
    end)

    it("say what is wrong with their root", function()
      worker { ["cleanup.root"] = dir .. "/none" }
      local job = run("files", {}, { max_attempts = 1 })
      assert.same({ "failed", true }, { job.status,
        job.error:find("/none: no such file or directory", 1, true) ~= nil })
      assert.matches("args.days: '-1' is less than 0", run("files", { days = -1 }).error, 1, true)
    end)
  end)

  describe("rows", function()
    it("of invitations that nobody has taken go, in batches, into an archive", function()
      worker { ["cleanup.batch"] = 1, ["cleanup.pause"] = 0 }
      local before = db:value "select count(*) from app.invites"
      local old = db:query [[select id from app.invites
        where accepted_at is null and expires_at < now() - interval '7 days' order by id]]
      assert.is_true(#old > 1)
      assert.equal(#old, run("invites", { dry_run = true }).result.rows)
      assert.equal(before, db:value "select count(*) from app.invites")
      local result = run("invites", { archive = true }).result
      assert.same({ #old, #old + 1 }, { result.deleted, result.batches })
      assert.is_true(result.bytes > 0)
      assert.equal(before - #old, db:value "select count(*) from app.invites")
      local kept = archived "cleanup.invites"
      table.sort(kept, function(a, b) return a.id < b.id end)
      for i, row in ipairs(old) do
        assert.equal(row.id, kept[i].id)
      end
      assert.equal(0, run("invites").result.deleted)
    end)

    it("that somebody else holds stay, and nobody waits", function()
      worker { ["cleanup.pause"] = 0 }
      local app = db:connect()
      app:query "begin"
      app:query [[update app.audit_log set details = '{}'
        where created_at < now() - interval '399 days']]
      local held = db:value [[select count(*) from app.audit_log
        where created_at < now() - interval '399 days']]
      assert.is_true(held > 0)
      local result = run("audit_logs", { days = 30 }).result
      app:query "rollback"
      assert.equal(held, db:value [[select count(*) from app.audit_log
        where created_at < now() - interval '30 days']])
      assert.is_true(result.deleted > 300)
      assert.equal(held, run("audit_logs", { days = 30 }).result.deleted)
    end)

    it("wait for a table that is locked as a whole", function()
      worker { ["cleanup.pause"] = 0 }
      local app = db:connect()
      app:query "begin"
      app:query "lock table app.audit_log in share mode"
      local id = db:enqueue { "cleanup.audit_logs", args = '{"days": 30}' }
      db:wait_until("it is to be tried again",
        "select status = 'pending' and attempt = 1 from jobq.find($1)", id)
      assert.matches("app.audit_log is in use", db:value(
        "select error from jobq.attempts($1) order by attempt desc limit 1", id))
      app:query "rollback"
    end)

    it("are of a table and of columns that there are", function()
      worker {
        ["cleanup.invites"] = 'app.invites"; drop table app.users --',
        ["cleanup.audit_logs_time"] = "action",
      }
      local job = run "invites"
      assert.same({ "failed", 1 }, { job.status, job.attempt })
      assert.matches("there is no table 'app.invites\"; drop table app.users --', which",
        job.error, 1, true)
      assert.matches("app.audit_log.action is of type text, expected a timestamp or a date",
        run("audit_logs").error, 1, true)
      assert.is_true(db:value "select count(*) > 0 from app.users")
    end)

    it("go once, however often the run is killed", function()
      local w = worker({ ["cleanup.batch"] = 7, ["cleanup.pause"] = 0.02 }, { executors = 1 })
      local old = db:value [[select count(*) from app.audit_log
        where created_at < now() - interval '30 days']]
      local id = db:enqueue { "cleanup.audit_logs", args = '{"days": 30, "archive": true}',
        max_attempts = 20 }
      for i = 1, 3 do
        db:wait_until("some are gone", ([[select count(*) <= %d from app.audit_log
          where created_at < now() - interval '30 days']]):format(old - i * 60))
        uv.kill(w:executors()[1], "sigkill")
        db:query("update jobq.ready set run_at = now() where id = $1", id)
      end
      db.patience_s = 120
      db:wait_for(id, "completed")
      assert.equal(0, db:value [[select count(*) from app.audit_log
        where created_at < now() - interval '30 days']])
      local seen = {}
      for _, row in ipairs(archived "cleanup.audit_logs") do
        seen[row.id] = true
      end
      local distinct = 0
      for _ in pairs(seen) do
        distinct = distinct + 1
      end
      assert.equal(old, distinct)
    end)

    it("stop when the job is cancelled", function()
      worker { ["cleanup.batch"] = 1, ["cleanup.pause"] = 0.1 }
      local id = db:enqueue { "cleanup.audit_logs", args = '{"days": 30}' }
      db:wait_until("some are gone", "select count(*) < 398 from app.audit_log")
      db:query("select jobq.cancel($1)", id)
      db:wait_for(id, "cancelled")
      local left = db:value "select count(*) from app.audit_log"
      assert.is_true(left > 100)
    end)
  end)

  describe("the queue's own days", function()
    local function an_old_day()
      db:query [[do $$ begin
        execute format('create table jobq.finished_completed_20200101
          partition of jobq.finished_completed for values from (%L) to (%L)',
          '2020-01-01 00:00Z', '2020-01-02 00:00Z');
        execute format('create table jobq.job_log_20200101 partition of jobq.job_log
          for values from (%L) to (%L)', '2020-01-01 00:00Z', '2020-01-02 00:00Z');
      end $$]]
    end

    it("go when they are over", function()
      an_old_day()
      worker()
      assert.equal(1, run("job_logs", { dry_run = true }).result.days)
      assert.equal(1, run("jobs", { dry_run = true }).result.days)
      assert.is_true(run("jobs").result.days >= 1)
      assert.is_nil(db:value "select to_regclass('jobq.finished_completed_20200101')::text")
      run "job_logs"
      assert.is_nil(db:value "select to_regclass('jobq.job_log_20200101')::text")
    end)

    it("are kept first, if that is wanted", function()
      an_old_day()
      local id = db:enqueue { "somebody.else" }
      db:query([[with gone as (delete from jobq.ready where id = $1 returning *)
        insert into jobq.finished (id, status, kind_id, lane_id, priority, run_at, created_at,
          attempt, max_attempts, args, started_at, finished_at)
        select id, 'completed', kind_id, lane_id, priority, run_at, created_at, 1, 3, args,
          '2020-01-01 12:00Z', '2020-01-01 12:00Z' from gone]], id)
      worker()
      local args = { archive = true, days = 6 }
      assert.matches("days: with archive fewer than 7 are expected",
        run("jobs", { archive = true }).error)
      assert.matches("hint: grant jobq_reader to the role", run("jobs", args).error)
      db:query "grant jobq_reader to spec_worker"
      finally(function() db:query "revoke jobq_reader from spec_worker" end)
      local result = run("jobs", args).result
      assert.same({ 1, true }, { result.archived, result.days >= 1 })
      assert.equal(id, archived("cleanup.jobs")[1].id)
      assert.is_nil(db:row("select * from jobq.find($1)", id))
    end)
  end)
end)
