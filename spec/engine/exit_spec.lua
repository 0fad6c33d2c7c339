local engine = require "support.engine"

local OK = "return { run = function() end }"

describe("jobq-run", function()
  local function run(words)
    local w = engine.run(words)
    return w:wait(), w:errors(), w:output()
  end

  local function with(db, words)
    words.env = { JOBQ_DSN = db.dsn }
    return run(words)
  end

  describe("exits 2 and names", function()
    for words, expected in pairs {
      ["--concurrency=ten x/"] = { "%-%-concurrency", "'ten'", "integer from 1 to" },
      ["--poll-interval=5min x/"] = { "%-%-poll%-interval", "'5min'", "hint: write 500ms" },
      ["--concurency=10 x/"] = { "concurency", "did you mean '%-%-concurrency'" },
      ["--log-format=xml x/"] = { "'xml'", "logfmt" },
      [""] = { "HANDLERS" },
    } do
      it("what is wrong in: " .. words, function()
        local list = {}
        for word in words:gmatch "%S+" do
          table.insert(list, word)
        end
        local status, errors, output = run(list)
        assert.equal(2, status)
        assert.equal("", output)
        for _, part in ipairs(expected) do
          assert.match(part, errors)
        end
      end)
    end
  end)

  describe("exits 3 for", function()
    local db

    before_each(function()
      db = engine.database()
    end)

    it("a folder that is missing", function()
      local status, errors = with(db, { "/nowhere/handlers/" })
      assert.equal(3, status)
      assert.match("'/nowhere/handlers/' does not exist", errors)
    end)

    it("a folder without handlers", function()
      local status, errors = with(db, { engine.handlers({}).path })
      assert.equal(3, status)
      assert.match("no handlers in '", errors)
    end)

    for name, case in pairs {
      ["a syntax error"] = { "return {\n  a = 1\n  b = 2\n}\n", "x.lua:3: " },
      ["an unknown option"] = { "return { run = print, timout = 3 }", "did you mean 'timeout'" },
      ["a global write"] = { "count = 0\nreturn { run = print }", "x.lua:1: .*global 'count'" },
      ["a file without a kind"] = { "return {}", "x.lua" },
    } do
      it(name .. ", with file and line", function()
        local status, errors = with(db, { engine.handlers({ ["x.lua"] = case[1] }).path })
        assert.equal(3, status)
        assert.match(case[2], errors)
        assert.is_nil(errors:find("stack traceback", 1, true))
      end)
    end

    it("a kind that two files define", function()
      local status, errors = with(db, { engine.handlers({
        ["email.lua"] = "return { send = { run = print } }",
        ["email.send.lua"] = OK,
      }).path })
      assert.equal(3, status)
      assert.match("email", errors)
    end)
  end)

  describe("says in one line, with a remedy, that", function()
    it("the schema is missing, and exits 7", function()
      local db = engine.database "empty"
      local status, errors = with(db, { engine.handlers({ ["ok.lua"] = OK }).path })
      assert.equal(7, status)
      assert.match("jobq migrate", errors)
    end)

    it("the role has no rights, and exits 5", function()
      local db = engine.database()
      db:query "create role stranger login"
      finally(function()
        db:query "drop role stranger"
      end)
      local status, errors = run {
        engine.handlers({ ["ok.lua"] = OK }).path,
        env = { JOBQ_DSN = db.dsn:gsub("user=%w+", "user=stranger") },
      }
      assert.equal(5, status)
      assert.match("jobq_worker", errors)
    end)

    it("the dsn cannot be read, and exits 2", function()
      local status, errors = run { "--dsn", "postgres://[", "handlers/" }
      assert.equal(2, status)
      assert.match("dsn", errors)
    end)
  end)

  it("loads, reports and leaves with --check", function()
    local db = engine.database()
    assert.equal(0, (with(db, { "--check", engine.handlers({ ["ok.lua"] = OK }).path })))
    local status = with(db, { "--check", engine.handlers({ ["ok.lua"] = "return {" }).path })
    assert.equal(3, status)
  end)

  it("has a page of help and a version, on stdout", function()
    local status, _, output = run { "--help" }
    assert.equal(0, status)
    assert.match("^Usage: jobq%-run", output)
    status, _, output = run { "--version" }
    assert.equal(0, status)
    assert.match("^jobq%-run %d+%.%d+%.%d+", output)
  end)
end)
