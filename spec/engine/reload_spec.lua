local uv = require "luv"
local build = require "support.build"
local engine = require "support.engine"
local files = require "support.files"
local process = require "support.process"
local samples = require "support.samples"

--- A handler whose result tells which text of it ran.
local function greeting(word)
  return ([[
local jobq = require "jobq"
return { say = { run = function() return jobq.done { word = %q } end } }
]]):format(word)
end

describe("a reload", function()
  local db, dir, w

  local function start(options)
    db = engine.database()
    dir = engine.handlers { ["greet.lua"] = greeting "old" }
    options.executors = 1
    w = engine.worker(db, dir, options)
  end

  local function word_of(id)
    db:wait_for(id, "completed")
    return db:value("select result ->> 'word' from jobq.job where id = $1", id)
  end

  --- What `jobq workers` says about the handlers, or nil.
  local function shown_error()
    local shown = engine.jobq(db, "workers --json").json.items[1].load_error
    return type(shown) == "string" and shown or nil -- JSON has a null of its own
  end

  local function reload()
    w:signal "sighup"
    return tonumber(w:expect("reloaded").generation)
  end

  local function wait_for_executors(count)
    w:wait_until(function()
      return #w:executors() == count
    end, ("%d executors, there are %d"):format(count, #w:executors()))
  end

  --- Also those that have ended and nobody has waited for.
  local function wait_for_children(count)
    w:wait_until(function()
      return #w:children() == count
    end, ("%d children, there are %d"):format(count, #w:children()))
  end

  it("by HUP runs the new text", function()
    start {}
    assert.equal("old", word_of(db:enqueue { "greet.say" }))
    dir:write("greet.lua", greeting "new")
    w:signal "sighup"
    w:expect "reloaded"
    assert.equal("new", word_of(db:enqueue { "greet.say" }))
  end)

  it("by jobq reload runs the new text", function()
    start {}
    dir:write("greet.lua", greeting "new")
    assert.equal(0, engine.jobq(db, "reload").status)
    w:expect "reloaded"
    assert.equal("new", word_of(db:enqueue { "greet.say" }))
  end)

  it("keeps the old text while the new one does not load, and says so until it does", function()
    start {}
    dir:write("greet.lua", "return {")
    w:signal "sighup"
    w:expect "reload failed"
    db:wait_until("the error is shown", "select load_error ~ 'greet.lua:1' from jobq.worker")
    assert.truthy(shown_error():find("greet.lua:1:", 1, true))
    assert.equal("old", word_of(db:enqueue { "greet.say" }))
    dir:write("greet.lua", greeting "new")
    w:signal "sighup"
    w:expect "reloaded"
    db:wait_until("the error is gone", "select load_error is null from jobq.worker")
    assert.is_nil(shown_error())
    assert.equal("new", word_of(db:enqueue { "greet.say" }))
  end)

  it("follows config.lua, and keeps the old one while the new one is broken", function()
    db = engine.database()
    dir = engine.handlers {
      ["config.lua"] = "return { greet = { word = { 'string', default = 'old' } } }",
      ["greet.lua"] = [[
        local jobq = require "jobq"
        return { say = { run = function() return jobq.done { word = jobq.config.greet.word } end } }
      ]],
    }
    w = engine.worker(db, dir, { executors = 1 })
    assert.equal("old", word_of(db:enqueue { "greet.say" }))
    dir:write("config.lua", "return { greet = { word = 'strin' } }")
    w:signal "sighup"
    local why = w:expect("reload failed").error
    assert.matches("config.lua:1: greet.word: 'strin' is not a type", why)
    assert.equal("old", word_of(db:enqueue { "greet.say" }))
    dir:write("config.lua", "return { greet = { word = { 'string', default = 'new' } } }")
    reload()
    assert.equal("new", word_of(db:enqueue { "greet.say" }))
  end)

  it("lets running jobs end on the old text", function()
    start {}
    local notes = samples.notes()
    dir:write("note.lua", samples.note)
    w:signal "sighup"
    w:expect "reloaded"
    local held = db:enqueue { "note.held", args = notes:args() }
    notes:wait_for(1, w)
    dir:write("note.lua", greeting "gone")
    w:signal "sighup"
    w:expect "reloaded"
    dir:write("greet.lua", greeting "new")
    w:signal "sighup"
    w:expect "reloaded"
    assert.equal("new", word_of(db:enqueue { "greet.say" }))
    notes:go()
    db:wait_for(held, "completed")
    assert.equal(1, db:value("select attempt from jobq.job where id = $1", held))
  end)

  it("takes kinds in and out", function()
    start {}
    local waiting = db:enqueue { "added.say" }
    dir:write("added.lua", greeting "added")
    w:signal "sighup"
    w:expect "reloaded"
    assert.equal("added", word_of(waiting))
    dir:write("added.lua", "return { other = { run = function() end } }")
    w:signal "sighup"
    w:expect "reloaded"
    local orphan = db:enqueue { "added.say" }
    assert.equal("old", word_of(db:enqueue { "greet.say" }))
    assert.equal("pending", db:job(orphan).status)
  end)

  it("a hundred times loses no job, runs none twice, and leaves nothing behind", function()
    start {}
    local notes = samples.notes()
    dir:write("note.lua", samples.note)
    local rss, descriptors, mappings
    for i = 1, 100 do
      db:query("select jobq.enqueue('note.write', $1::jsonb) from generate_series(1, 20)",
        notes:args())
      assert.equal(i + 1, reload())
      if i == 10 then
        wait_for_children(1)
        rss, descriptors = process.memory(w.pid), process.descriptors(w.pid)
        mappings = process.mappings(w.pid)
      end
    end
    db:wait_until("all are done", "select count(*) = 2000 from jobq.job where status = 'completed'")
    assert.equal(2000, db:value "select sum(attempt) from jobq.job")
    assert.equal(2000, #notes:read()) -- each leaves one
    wait_for_children(1)
    assert.equal(descriptors, process.descriptors(w.pid))
    assert.is_true(process.mappings(w.pid) - mappings < 10) -- the C library has some of its own
    local times = process.memory(w.pid) / rss
    assert.is_true(times < 1.2 or build.is_sanitized(),
      ("%.2f times the memory of the first 10"):format(times))
  end)

  it("that is asked for many times while it loads is done once more", function()
    start {}
    local slow = "local t = os.clock() while os.clock() - t < 0.3 do end\n"
    dir:write("greet.lua", slow .. greeting "new")
    for _ = 1, 20 do
      w:signal "sighup"
      uv.sleep(1) -- else the kernel makes one of them
    end
    w:expect("reloaded", { generation = 2 })
    w:expect("reloaded", { generation = 3 })
    wait_for_executors(1)
    w:signal "sigusr1"
    assert.equal("3", w:expect("state").generation)
    assert.equal("new", word_of(db:enqueue { "greet.say" }))
  end)

  it("does not keep a worker from stopping, nor its runs from ending", function()
    start {}
    local notes = samples.notes()
    dir:write("note.lua", samples.note)
    reload()
    local held = db:enqueue { "note.held", args = notes:args(), max_attempts = 1 }
    notes:wait_for(1, w)
    dir:write("greet.lua", "local t = os.clock() while os.clock() - t < 0.3 do end " ..
      greeting "new")
    w:signal "sighup"
    w:wait_until(function()
      return #w:executors() == 2
    end, "a new executor")
    local pids = w:executors()
    w:signal "sigterm"
    w:expect "stopping"
    w:expect("reloaded", { generation = 3 })
    w:signal "sighup" -- too late
    w:signal "sigusr1"
    w:expect "state"
    assert.equal(2, #w:executors())
    notes:go()
    assert.equal(0, w:wait())
    assert.equal(1, db:wait_for(held, "completed").attempt)
    for _, pid in ipairs(pids) do
      assert.is_nil((uv.kill(pid, 0)))
    end
  end)

  it("waits where runs keep too many old generations alive, and says so", function()
    start {}
    local notes = samples.notes()
    dir:write("note.lua", samples.note)
    for i = 1, 3 do
      reload()
      db:enqueue { "note.held", args = notes:args(), max_attempts = 1 }
      notes:wait_for(i, w)
    end
    dir:write("greet.lua", greeting "new")
    w:signal "sighup"
    assert.equal("2", w:expect("reload waits").executors)
    db:wait_until("others see it", "select load_error ~ 'the reload waits' from jobq.worker")
    assert.equal("old", word_of(db:enqueue { "greet.say" }))
    assert.equal(3, #w:executors())
    notes:go()
    w:expect "reloaded"
    assert.equal("new", word_of(db:enqueue { "greet.say" }))
    db:wait_until("others see that it is over", "select load_error is null from jobq.worker")
    db:wait_until("the runs have ended on the old text",
      "select count(*) = 3 from jobq.job where kind = 'note.held' and status = 'completed'")
    assert.equal(3, #notes:read())
  end)

  it("ends handlers that load for ever, and keeps the old ones", function()
    start { load_timeout = "300ms" }
    dir:write("greet.lua", "while true do end")
    w:signal "sighup"
    local why = w:expect("reload failed").error
    assert.truthy(why:find("the handlers did not load within 0.3 s", 1, true), why)
    assert.equal("old", word_of(db:enqueue { "greet.say" }))
    wait_for_executors(1)
    dir:write("greet.lua", greeting "new")
    reload()
    assert.equal("new", word_of(db:enqueue { "greet.say" }))
  end)

  it("by jobq reload runs handlers that take too much memory to load", function()
    start { executor_memory = "16M" }
    dir:write("greet.lua", "local t = {}\nwhile true do t[#t + 1] = ('x'):rep(1000) .. #t end")
    w:signal "sighup"
    local why = w:expect("reload failed").error
    assert.truthy(why:find("greet.lua:2: the handlers take more than 16 MiB", 1, true), why)
    assert.equal("old", word_of(db:enqueue { "greet.say" }))
    wait_for_executors(1)
  end)

  it("that finds no descriptor fails, and can be tried again", function()
    start {}
    local limit = { "prlimit", "--pid", tostring(w.pid) }
    for more = 0, 3 do -- so that it fails at another place each time
      limit[4] = ("--nofile=%d:"):format(process.descriptors(w.pid) + more)
      files.run(limit)
      w:signal "sighup"
      local why = w:expect("reload failed").error
      assert.truthy(why:find("an executor could not be started", 1, true), why)
      assert.equal("old", word_of(db:enqueue { "greet.say" }))
      wait_for_executors(1)
    end
    limit[4] = "--nofile=200:"
    files.run(limit)
    dir:write("greet.lua", greeting "new")
    reload()
    assert.equal("new", word_of(db:enqueue { "greet.say" }))
  end)

  it("that fails while the database is away is told when it is back", function()
    start {}
    engine.postgres.stop()
    finally(engine.postgres.start)
    dir:write("greet.lua", "return {")
    w:signal "sighup"
    w:expect "reload failed"
    db:close()
    engine.postgres.start()
    finally(function() end)
    db:wait_until("the error is shown", "select load_error ~ 'greet.lua:1' from jobq.worker")
  end)
end)

describe("with --watch, a reload", function()
  local db, dir, w

  before_each(function()
    db = engine.database()
    dir = engine.handlers { ["h/greet.lua"] = greeting "old", ["h/lib/words.lua"] = "return {}" }
  end)

  local function start(path)
    w = engine.worker(db, dir.path .. path, { executors = 1, watch = true })
  end

  local function runs(kind, word)
    local id = db:enqueue { kind }
    db:wait_for(id, "completed")
    assert.equal(word, db:value("select result ->> 'word' from jobq.job where id = $1", id))
  end

  it("follows when a file changes, comes, is renamed and goes", function()
    start "h"
    dir:write("h/greet.lua", greeting "new")
    w:expect("reloaded", { kinds = 1 })
    runs("greet.say", "new")

    dir:write("h/added.lua", greeting "added")
    w:expect("reloaded", { kinds = 2 })
    runs("added.say", "added")

    assert(os.rename(dir.path .. "h/added.lua", dir.path .. "h/renamed.lua"))
    w:expect("reloaded", { kinds = 2 })
    runs("renamed.say", "added")

    assert(os.remove(dir.path .. "h/renamed.lua"))
    w:expect("reloaded", { kinds = 1 })
    local orphan = db:enqueue { "renamed.say" }
    runs("greet.say", "new")
    assert.equal("pending", db:job(orphan).status)
  end)

  it("follows a module in a sub-folder, also in one that came later", function()
    start "h"
    dir:write("h/lib/words.lua", "return { word = 'first' }")
    w:expect "reloaded"
    dir:write("h/greet.lua", greeting "old" .. "-- changed")
    dir:write("h/late/words.lua", "return 1")
    w:expect "reloaded"
    dir:write("h/late/words.lua", "return 2")
    w:expect "reloaded"
  end)

  it("follows when another folder takes the place of the old one", function()
    start "h"
    dir:write("next/greet.lua", greeting "new")
    assert(os.rename(dir.path .. "h", dir.path .. "gone"))
    w:expect "reload failed" -- there is no folder
    runs("greet.say", "old")
    assert(os.rename(dir.path .. "next", dir.path .. "h"))
    w:expect "reloaded"
    runs("greet.say", "new")
    dir:write("h/greet.lua", greeting "newest")
    w:expect "reloaded"
    runs("greet.say", "newest")
  end)

  it("follows a file that was named when an editor replaces it, and a module beside it", function()
    dir:write("h/_module.lua", "return 1")
    start "h/greet.lua"
    dir:write("h/_module.lua", "return 2")
    w:expect "reloaded"
    for _, word in ipairs { "new", "newest" } do
      dir:write("h/greet.lua~", greeting(word))
      assert(os.remove(dir.path .. "h/greet.lua"))
      w:expect "reload failed"
      assert(os.rename(dir.path .. "h/greet.lua~", dir.path .. "h/greet.lua"))
      w:expect "reloaded"
      runs("greet.say", word)
    end
  end)

  it("keeps the old text while a file is broken, and says so until it is mended", function()
    start "h"
    dir:write("h/greet.lua", "return {")
    w:expect "reload failed"
    runs("greet.say", "old")
    db:wait_until("the error is shown", "select load_error ~ 'greet.lua:1' from jobq.worker")
    dir:write("h/greet.lua", greeting "new")
    w:expect "reloaded"
    runs("greet.say", "new")
    db:wait_until("the error is gone", "select load_error is null from jobq.worker")
  end)
end)
