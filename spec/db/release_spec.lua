--- Workers of a release beside workers of today, on the schema of today: spec/releases has the very
--- statements that a worker of that release says, and what its programs know of the schema.
local every_statement = require "db.every_statement"
local files = require "support.files"
local interface = require "db.interface"
local postgres = require "support.postgres"
local protocol = require "db.protocol"

local releases = {}
for _, path in ipairs(files.glob "spec/releases/*/interface.txt") do
  table.insert(releases, path:match "([^/]+)/[^/]+$")
end

local function recorded_interface(release)
  local set = {}
  for line in io.lines(protocol.folder(release) .. "/interface.txt") do
    set[line] = true
  end
  return set
end

describe("the schema of today", function()
  local db

  before_each(function()
    db = postgres.database()
  end)

  after_each(function()
    protocol.finish(db)
  end)

  local function worker(release)
    return protocol.worker(every_statement.database_as(db, {}),
      { kinds = { "a" }, release = release, name = release })
  end

  it("is held against one release at least", function()
    assert.is_true(#releases >= 1)
  end)

  for _, release in ipairs(releases) do
    it("has all that programs of " .. release .. " know of it", function()
      local lacks = interface.lacks(recorded_interface(release), interface.read(db))
      assert.same({}, lacks, "what to do: spec/releases/README.md")
    end)

    it("answers every statement of a worker of " .. release, function()
      every_statement.tell(db, { release = release })
    end)

    for _, which in ipairs { "an old and a new worker, ", "a new and an old worker, " } do
      local old_first = which:find "^an old"
      local first, second = old_first and release or nil, not old_first and release or nil
      which = which .. release .. ", "

      it("lets " .. which .. "share jobs and send them back", function()
        local one, other = worker(first), worker(second)
        for _ = 1, 6 do
          db:enqueue { "a" }
        end
        local left = one:claim(3)
        local right = other:claim(3)
        assert.same({ 3, 3 }, { #left, #right })
        one:settle { { left[1], "completed" }, { left[2], "retry", error = "no" },
          { left[3], "snooze", delay_ms = 0 } }
        local again = other:claim(3)
        assert.same({ left[2].id, left[3].id }, protocol.ids(again))
        for _, job in ipairs(table.move(again, 1, 2, #right + 1, right)) do
          assert.equal(0, other:finish(job))
        end
        assert.equal(6, db:value "select count(*) from jobq.job where status = 'completed'")
      end)

      it("lets " .. which .. "wake each other", function()
        local sleeper, waker = worker(first), worker(second)
        local id = db:enqueue { "a" }
        local job = waker:claim_one()
        sleeper:ask "listen_jobs"
        sleeper:ask("fall_asleep", sleeper.id, sleeper:lanes())
        waker:finish(job, "return")
        waker:ask("wake_lanes", waker:lanes())
        assert.same({ "lane " .. job.lane_id }, sleeper:heard(5))
        assert.equal(id, sleeper:claim_one().id)
      end)

      it("lets " .. which .. "bring back what the other one leaves", function()
        local dead, heir = worker(first), worker(second)
        local id = db:enqueue { "a" }
        local lost = dead:claim_one()
        db:query("update jobq.worker set seen_at = now() - interval '1h' where id = $1", dead.id)
        local rows = heir:ask("recover", 300000, {})
        assert.same({ dead.id, 1 }, { rows[1].worker_id, rows[1].jobs })
        assert.equal(0, #dead:ask("heartbeat", dead.id, 0, 0, 0, 0, 1))
        assert.equal(1, dead:finish(lost))
        db:query "update jobq.ready set run_at = now()"
        local job = heir:claim_one()
        assert.equal(id, job.id)
        assert.equal(0, heir:finish(job))
      end)
    end
  end
end)
