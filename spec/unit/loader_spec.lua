local loader = require "jobq.loader"
local uv = require "luv"

local files = require "support.files"

local home, dir

local function write(name, text)
  files.write(dir .. "/" .. name, text)
end

--- The message of a load that fails, without the folder that the spec made.
local function failure(arguments)
  local kinds, message = loader.load(arguments or dir .. "\n")
  assert.is_nil(kinds)
  return (message:gsub(dir:gsub("%W", "%%%0"), "handlers"))
end

local function load()
  local list, message = loader.load(dir .. "/\n")
  assert.is_nil(message)
  local kinds = {}
  for _, kind in ipairs(list) do
    kinds[kind.name] = kind
  end
  return kinds, list
end

describe("jobq.loader", function()
  local path, searchers

  before_each(function()
    path, searchers = package.path, table.pack(table.unpack(package.searchers))
    home = assert(uv.fs_mkdtemp("/tmp/jobq-loader-XXXXXX"))
    dir = home .. "/handlers"
    assert(uv.fs_mkdir(dir, 448))
  end)

  after_each(function()
    package.path, package.searchers[2] = path, searchers[2]
    files.remove(home)
  end)

  it("makes kinds of families and of single files, sorted by name", function()
    write("mail.lua", "return {\n  send = { run = print },\n  digest = { run = print } }")
    write("cleanup.lua", "return { queue = 'low', run = print }")
    local kinds, list = load()
    assert.equal("cleanup", list[1].name)
    assert.equal("mail.digest", list[2].name)
    assert.equal("low", kinds.cleanup.queue)
    assert.equal("default", kinds["mail.send"].queue)
    assert.equal(60, kinds["mail.send"].timeout)
    assert.matches("handlers/mail.lua:2$", kinds["mail.send"].source)
  end)

  describe("a schedule", function()
    local function message_of(schedule)
      write("a.lua", "return {\n x = {\n  schedule = " .. schedule
        .. ",\n  args = { days = 'integer?' },\n  run = print } }")
      return failure()
    end

    it("is a cron line or a table that begins with one, and JSON to the database", function()
      write("a.lua", [[return {
        short = { schedule = "@daily", run = print },
        long = { schedule = { "0 3 * * *", zone = "Europe/Berlin", args = { days = 1 },
          overlap = "queue", missed = "all", window = 7200, jitter = 30 }, run = print },
        none = { run = print } }]])
      local kinds = load()
      local json = require "jobq.json"
      assert.same({ expression = "@daily", args = {} }, json.decode(kinds["a.short"].schedule))
      assert.same({
        expression = "0 3 * * *", zone = "Europe/Berlin", args = { days = 1 }, overlap = "queue",
        missed = "all", window = 7200, jitter = 30,
      }, json.decode(kinds["a.long"].schedule))
      assert.is_nil(kinds["a.none"].schedule)
    end)

    it("that cannot be is told with its place", function()
      for schedule, message in pairs {
        ["'0 3 31 2 *'"] = 'schedule "0 3 31 2 *": it never fires\nhint: february has no day 31',
        ["'0 3 *'"] = 'schedule "0 3 *": it has 3 fields, expected 5 (minute hour day month '
          .. "weekday) or 6 (second first)\n"
          .. "hint: e.g. 30 3 * * mon-fri: half past three, monday to friday",
        ["{ '@daily', overlp = 'skip' }"] = "unknown option 'overlp' in the schedule of a.x\n"
          .. "hint: did you mean 'overlap'?",
        ["{ '@daily', overlap = 'drop' }"] = "overlap of the schedule of a.x: 'drop' is not one of "
          .. "skip, queue_one, queue, allow, cancel",
        ["{ '@daily', jitter = -1 }"] = "jitter of the schedule of a.x: -1 is not a number of "
          .. "seconds from 0 to 86400",
        ["{ zone = 'UTC' }"] = "the schedule of a.x has no cron line\n"
          .. 'hint: schedule = { "30 3 * * *", ... }',
        ["{ '@daily', args = { days = 'two' } }"] = "the schedule of a.x: a.x: args.days: 'two' is "
          .. "not an integer",
        ["{ '@daily', args = { days = print } }"] = "the schedule of a.x: args: ",
        ["5"] = "schedule of a.x: 5 is not a cron line or a table that begins with one",
      } do
        local told = message_of(schedule)
        assert.equal("handlers/a.lua:3: " .. message, told:sub(1, #message + 18))
      end
    end)
  end)

  describe("limits", function()
    local json = require "jobq.json"

    local function limits_of(text)
      write("a.lua", "return { x = { limits = " .. text .. ", run = print } }")
      return json.decode(load()["a.x"].limits)
    end

    it("are one or an array, and JSON to the database", function()
      assert.same({ { name = "a.x", concurrency = 10 } }, limits_of "{ running = 10 }")
      assert.same({
        { name = "a.x", concurrency = 2, rate = 5, per = 1 },
        { name = "domain", rate = 100, per = 90, burst = 20, key_by = "limit_key" },
      }, limits_of("{ { name = 'domain', rate = '100/1.5m', burst = 20, key_by = 'limit_key' },"
        .. "{ running = 2, rate = 5 } }"))
      assert.same({ { name = "a.x", rate = 7, per = 3600 } }, limits_of "{ rate = '7/h' }")
      assert.same({ { name = "a.x", rate = 7, per = 0.25 } }, limits_of "{ rate = '7/250ms' }")
      write("a.lua", "return { x = { run = print } }")
      assert.is_nil(load()["a.x"].limits)
    end)

    it("that cannot be are told with their place", function()
      for limits, message in pairs {
        ["5"] = "limits of a.x: 5 is not a limit, or an array of limits",
        ["{}"] = "a limit of a.x limits nothing\n"
          .. 'hint: limits = { running = 10 } or { rate = "100/1m" }',
        ["{ running = 0 }"] = "running of the limits of a.x: 0 is not an integer from 1 to "
          .. "1000000\nhint: to stop all, jobq pause --kind a.x",
        ["{ rate = '0/1s' }"] = "rate of the limits of a.x: '0/1s' is not starts in a time, as in "
          .. "'100/1m' or 5, which is a second\nhint: to stop all, jobq pause --kind a.x",
        ["{ rate = '5/' }"] = "rate of the limits of a.x: '5/' is not starts in a time",
        ["{ rate = 2.5 }"] = "rate of the limits of a.x: 2.5 is not starts in a time",
        ["{ rate = '5/1w' }"] = "rate of the limits of a.x: '5/1w' is not starts in a time",
        ["{ rate = '5/400d' }"] = "rate of the limits of a.x: '5/400d' is not starts in a time",
        ["{ burst = 2, running = 1 }"] = "burst of the limits of a.x: 2 has no rate to exceed",
        ["{ runing = 1 }"] = "unknown option 'runing' in the limits of a.x\n"
          .. "hint: did you mean 'running'?",
        ["{ running = 1, key_by = 'tenent.id' }"] = "key_by of the limits of a.x: it has no "
          .. "argument 'tenent'\nhint: did you mean 'tenant'?",
        ["{ running = 1, key_by = 'domain' }"] = "key_by of the limits of a.x: it has no argument "
          .. "'domain'\nhint: 'limit_key' stands for the option of the enqueue",
        ["{ { running = 1 }, { rate = 1 } }"] = "limit 'a.x' of a.x is defined twice\n"
          .. "hint: give each a name",
        ["{ { running = 1 }, rate = 1 }"] = "limits of a.x: 'rate' is not a limit\n",
      } do
        write("a.lua", "return {\n x = {\n  limits = " .. limits
          .. ",\n  args = { tenant = 'string' },\n  run = print } }")
        local told = failure()
        assert.equal("handlers/a.lua:3: " .. message, told:sub(1, #message + 18))
      end
    end)

    it("of two kinds have two names", function()
      write("a.lua", "return { x = {\n limits = { name = 'n', running = 1 }, run = print } }")
      write("b.lua", "return { y = {\n limits = { name = 'n', running = 1 }, run = print } }")
      local told = failure()
      assert.matches("^handlers/b.lua:2: limit 'n' is already defined at .*/a.lua:1$", told)
    end)
  end)

  it("leaves modules to require, and looks in the folder first", function()
    write("_part.lua", "return 'part'")
    write("lib/json2.lua", "return 'mine'")
    write("a.lua", "local part = require '_part'\n"
      .. "return { queue = require 'lib.json2', summary = part, run = print }")
    local kinds = load()
    assert.equal("mine", kinds.a.queue)
    assert.equal("part", kinds.a.summary)
    assert.is_nil(kinds._part)
  end)

  it("takes files as well", function()
    write("a.lua", "return { run = print }")
    write("b.lua", "broken(")
    local kinds = loader.load(dir .. "/a.lua\n")
    assert.equal("a", kinds[1].name)
    assert.matches("a.lua:1$", kinds[1].source)
  end)

  it("reads memory as bytes or text", function()
    write("a.lua", "return { x = { memory = '8M', run = print }, y = { run = print } }")
    local kinds = load()
    assert.equal(8 << 20, kinds["a.x"].memory)
    assert.is_nil(kinds["a.y"].memory)
  end)

  it("names the line of what is wrong", function()
    write("a.lua", "return {\n x = {\n  timout = 30,\n  run = print } }")
    assert.equal("handlers/a.lua:3: unknown option 'timout' in a.x\nhint: did you mean 'timeout'?",
      failure())
    write("a.lua", "return {\n x = { run = print,\n  max_attempts = 0 } }")
    assert.equal("handlers/a.lua:3: max_attempts of a.x: 0 is not an integer from 1 to 32767",
      failure())
    write("a.lua", "return {\n x = { queue = 'q' } }")
    assert.equal("handlers/a.lua:2: a.x has no run function", failure())
    write("a.lua", "return {\n x = function() end }")
    assert.equal("handlers/a.lua:2: 'x' is not a handler: expected a table with a run function, "
      .. "got function", failure())
    write("a.lua", "return {\n x = { run = print,\n args = { to = 'emial' } } }")
    assert.equal("handlers/a.lua:3: a.x: args.to: 'emial' is not a type\n"
      .. "hint: did you mean 'email'?", failure())
  end)

  it("says where syntax is broken, and that a comma may be missing", function()
    write("a.lua", "return {\n  x = {\n    queue = 'q'\n    run = print,\n  },\n}")
    assert.equal("handlers/a.lua:4: '}' expected (to close '{' at line 2) near 'run'\n"
      .. "hint: is a comma missing at the end of line 3?", failure())
    write("a.lua", "local x =")
    assert.equal("handlers/a.lua:1: unexpected symbol near <eof>", failure())
  end)

  it("says what a module that handlers need has", function()
    write("lib/bad.lua", "\nreturn +")
    write("a.lua", "require 'lib.bad'")
    assert.equal("handlers/lib/bad.lua:2: unexpected symbol near '+'", failure())
  end)

  it("refuses bytecode", function()
    files.write(dir .. "/a.lua", string.dump(function() end))
    assert.matches("attempt to load a binary chunk", failure())
  end)

  it("refuses files that return no handlers", function()
    write("a.lua", "")
    assert.matches("^handlers/a.lua: expected the file to return a table of handlers, got nil\n",
      failure())
    write("a.lua", "return {}")
    assert.matches("^handlers/a.lua: the file defines no kind\n", failure())
  end)

  it("refuses a kind twice", function()
    write("a.lua", "return { x = { run = print } }")
    assert(uv.fs_mkdir(home .. "/more", 448))
    files.write(home .. "/more/a.lua", "return {\n\n x = { run = print } }")
    local message = failure(dir .. "\n" .. home .. "/more\n")
    assert.matches("/more/a.lua:3: kind 'a.x' is already defined at handlers/a.lua:1$", message)
  end)

  describe("with a config.lua", function()
    local function crm(body)
      return "local jobq = require 'jobq'\nreturn { run = function()\n" .. body .. "\nend }"
    end

    before_each(function()
      write("config.lua", "return { crm = { url = { 'url', default = 'http://x' } } }")
    end)

    it("takes it for no handler", function()
      write("a.lua", crm "return jobq.config.crm.url")
      local _, list = load()
      assert.same({ 1, "a" }, { #list, list[1].name })
    end)

    it("finds mistyped settings before anything runs", function()
      write("a.lua", crm "return jobq.config.crm.urk")
      assert.equal("handlers/a.lua:3: jobq.config.crm has no field 'urk'\n"
        .. "hint: did you mean 'url'?", failure())
      write("a.lua", crm "return jobq.config.crn.url")
      assert.equal("handlers/a.lua:3: jobq.config has no field 'crn'\n"
        .. "hint: did you mean 'crm'?", failure())
      write("a.lua", "local jobq = require 'jobq'\nlocal config = jobq.config\n"
        .. "return { run = function() return config.crm.urk end }")
      assert.matches("^handlers/a.lua:3: jobq.config.crm has no field 'urk'\n", failure())
    end)

    it("is what to write when there is none", function()
      files.remove(dir .. "/config.lua")
      write("a.lua", crm "return jobq.config.crm.url")
      assert.equal("handlers/a.lua:3: jobq.config has no field 'crm'\n"
        .. "hint: config.lua in the folder of the handlers says which there are", failure())
    end)

    it("goes with a file of the folder, too", function()
      write("a.lua", crm "return jobq.config.crm.urk")
      assert.matches("^handlers/a.lua:3: jobq.config.crm has no field 'urk'\n",
        failure(dir .. "/a.lua\n" .. dir .. "\n"))
    end)

    it("refuses what a handler needs and nobody has set", function()
      write("a.lua", "return { run = print,\n config = { 'crm.url' } }")
      load()
      write("a.lua", "return { run = print,\n config = { 'crm.url', 'sms.key' } }")
      assert.equal("handlers/a.lua:2: a needs the setting 'sms.key'\n"
        .. "hint: pass --set sms.key=VALUE, or set JOBQ_SMS_KEY", failure())
    end)
  end)

  it("suggests the folder that may have been meant", function()
    local text = "folder '%s/handlrs/' does not exist\nhint: did you mean 'handlers/'?"
    assert.equal(text:format(home), failure(home .. "/handlrs/\n"))
    assert.matches("^no handlers in 'handlers' %(0 .lua files%)\nhint: ", failure())
  end)
end)
