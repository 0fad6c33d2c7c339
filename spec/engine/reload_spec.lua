local engine = require "support.engine"
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

  it("follows when a file changes, with --watch", function()
    start { watch = true }
    dir:write("greet.lua", greeting "new")
    w:expect "reloaded"
    assert.equal("new", word_of(db:enqueue { "greet.say" }))
  end)

  it("keeps the old text while the new one does not load, and says so until it does", function()
    start {}
    dir:write("greet.lua", "return {")
    w:signal "sighup"
    w:expect "reload failed"
    db:wait_until("the error is shown", "select load_error ~ 'greet.lua:1' from jobq.worker")
    assert.equal("old", word_of(db:enqueue { "greet.say" }))
    dir:write("greet.lua", greeting "new")
    w:signal "sighup"
    w:expect "reloaded"
    db:wait_until("the error is gone", "select load_error is null from jobq.worker")
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

  it("leaves no process behind", function()
    start {}
    for _ = 1, 10 do
      w:signal "sighup"
      w:expect "reloaded"
    end
    w:wait_until(function()
      return #w:executors() == 1
    end, "one executor")
    assert.equal(0, w:stop())
  end)
end)
