--- What people read when a handler or a command line is wrong, word for word.
local engine = require "support.engine"
local handlers = require "support.handlers"

local function lines(...)
  return table.concat({ ... }, "\n")
end

--- title; the file and its text, or files by name; what jobq-run says.
local LOAD_ERRORS = {
  { "a comma is missing", "email.lua",
    lines("return {", "  send = {", "    queue = 'q'", "    run = function() end,", "  },", "}"),
    "handlers/email.lua:4: '}' expected (to close '{' at line 2) near 'run'\n"
      .. "hint: is a comma missing at the end of line 3?" },
  { "an option is mistyped", "file.lua",
    lines("return {", "  scan = {", "    timout = 30,", "    run = function() end } }"),
    "handlers/file.lua:3: unknown option 'timout' in file.scan\nhint: did you mean 'timeout'?" },
  { "an option has a wrong value", "file.lua",
    lines("return {", "  scan = { run = function() end,", "    timeout = 'soon' } }"),
    "handlers/file.lua:3: timeout of file.scan: 'soon' is not a positive number of seconds" },
  { "an option is given twice", "file.lua",
    lines("return {", "  scan = { queue = 'a',", "    run = function() end, queue = 'b' } }"),
    "handlers/file.lua:3: 'queue' is given twice, first at line 2" },
  { "a kind is twice in a file", "file.lua",
    lines("return {", "  scan = { run = print },", "  scan = { run = print } }"),
    "handlers/file.lua:3: 'scan' is given twice, first at line 2" },
  { "a type of an argument is mistyped", "email.lua",
    lines("return {", "  send = { run = function() end,", "    args = { to = 'emial' } } }"),
    "handlers/email.lua:3: email.send: args.to: 'emial' is not a type\n"
      .. "hint: did you mean 'email'?" },
  { "a setting is missing", { ["config.lua"] = lines("return { crm = {", "  url = 'url' } }"),
    ["crm.lua"] = "return { run = function() end }" }, nil,
    "handlers/config.lua:2: setting crm.url: missing\n"
      .. "hint: pass --set crm.url=VALUE, or set JOBQ_CRM_URL" },
  { "a setting is mistyped", { ["config.lua"] = "return { crm = { url = 'url?' } }",
    ["crm.lua"] = lines("local jobq = require 'jobq'",
      "return { run = function() return jobq.config.crm.urk end }") }, nil,
    "handlers/crm.lua:2: jobq.config.crm has no field 'urk'\nhint: did you mean 'url'?" },
  { "run is missing", "email.lua", lines("return {", "  send = { queue = 'q' } }"),
    "handlers/email.lua:2: email.send has no run function" },
  { "there is no kind", "email.lua", "return {}",
    "handlers/email.lua: the file defines no kind\n"
      .. "hint: return { name = { run = function(job) ... } }" },
  { "a file returns nothing", "email.lua", "local x = 1",
    "handlers/email.lua: expected the file to return a table of handlers, got nil\n"
      .. "hint: names that begin with _ and files in sub-folders are modules, not handlers" },
  { "a call waits at file level", "crm.lua",
    lines("local jobq = require 'jobq'", "", "jobq.fs.read '/etc/passwd'",
      "return { run = function() end }"),
    "handlers/crm.lua:3: jobq.fs.read can only wait inside run" },
  { "http at file level", "crm.lua",
    lines("local jobq = require 'jobq'", "", "local reply = jobq.http.get 'http://crm.test/'",
      "return { run = function() end }"),
    "handlers/crm.lua:3: jobq.http.get can only wait inside run" },
  { "mail at file level", "crm.lua",
    lines("local jobq = require 'jobq'", "",
      "local sent = jobq.smtp.send { to = 'a@b.org', text = 'x', host = '127.0.0.1' }",
      "return { run = function() end }"),
    "handlers/crm.lua:3: jobq.smtp.send can only wait inside run" },
  { "a function of the file waits at file level", "crm.lua",
    lines("local jobq = require 'jobq'", "local function wait()", "  jobq.sleep(1)", "end",
      "wait()", "return { run = function() end }"),
    "handlers/crm.lua:3: jobq.sleep can only wait inside run" },
  { "a name of the API is mistyped", "email.lua",
    lines("local jobq = require 'jobq'", "return { run = function()", "  jobq.smpt.send {}",
      "end }"),
    "handlers/email.lua:3: jobq has no field 'smpt'\nhint: did you mean 'smtp'?" },
  { "a name in a part of the API is mistyped", "email.lua",
    lines("local jobq = require 'jobq'", "local smtp = jobq.smtp", "return { run = function()",
      "  return function() smtp.sned {} end", "end }"),
    "handlers/email.lua:4: jobq.smtp has no field 'sned'\nhint: did you mean 'send'?" },
  { "a name of the API is mistyped at file level", "email.lua",
    lines("local jobq = require 'jobq'", "local x = jobq.smpt", "return { run = print }"),
    "handlers/email.lua:2: jobq has no field 'smpt'\nhint: did you mean 'smtp'?" },
  { "a global is assigned", "email.lua", lines("", "count = 0", "return { run = print }"),
    "handlers/email.lua:2: assignment to global 'count'\nhint: write local count" },
  { "a global is assigned in run", "email.lua",
    lines("return { run = function()", "  count = 0", "end }"),
    "handlers/email.lua:2: assignment to global 'count'\nhint: write local count" },
  { "the api is changed", "email.lua",
    lines("local jobq = require 'jobq'", "return { run = function()", "  jobq.smtp = nil",
      "end }"),
    "handlers/email.lua:3: jobq is read-only: 'smtp' cannot be set" },
  { "a module that a handler needs is wrong", { ["email.lua"] = "require 'lib.mail'",
    ["lib/mail.lua"] = lines("return function()", "  count = 0", "end") }, nil,
    "handlers/lib/mail.lua:2: assignment to global 'count'\nhint: write local count" },
}

local COMMAND_LINES = {
  { "handlrs/", 3, "folder 'handlrs/' does not exist\nhint: did you mean 'handlers/'?" },
  { "handlers/emial.lua", 3, "file 'handlers/emial.lua' does not exist\n"
    .. "hint: did you mean 'handlers/email.lua'?" },
  { "empty/", 3, "no handlers in 'empty/' (0 .lua files)\n"
    .. "hint: jobq new handler hello --dir empty/" },
  { "--concurrency ten handlers/", 2, "--concurrency: 'ten' is not an integer from 1 to 100000" },
  { "--poll-interval 5min handlers/", 2,
    "--poll-interval: '5min' is not a duration\nhint: write 500ms, 10s, 5m or 2h" },
  { "handlers/ more/", 3, "more/email.lua:2: kind 'email.send' is already defined at "
    .. "handlers/email.lua:1" },
}

local OK = "return { send = { run = function() end } }"

--- The exit status, and what jobq-run has said of these files in the folder handlers.
local function check(files, words)
  local dir = handlers(files)
  words.cwd = dir.path
  table.insert(words, 1, "--check")
  local p = engine.run(words)
  return p:wait(), p:errors()
end

describe("a handler is refused when", function()
  for _, row in ipairs(LOAD_ERRORS) do
    local title, given, text, expected = table.unpack(row, 1, 4)
    it(title, function()
      local files = {}
      for name, source in pairs(type(given) == "table" and given or { [given] = text }) do
        files["handlers/" .. name] = source
      end
      local status, said = check(files, { "handlers" })
      assert.equal("jobq-run: " .. expected, said)
      assert.equal(3, status)
    end)
  end
end)

describe("jobq-run is not content with", function()
  for _, row in ipairs(COMMAND_LINES) do
    it(row[1], function()
      local words = {}
      for word in row[1]:gmatch "%S+" do
        table.insert(words, word)
      end
      local status, said = check({
        ["handlers/email.lua"] = OK, ["empty/README"] = "", ["more/email.lua"] = "return {\n"
          .. "  send = { run = function() end } }",
      }, words)
      assert.equal("jobq-run: " .. row[3], said)
      assert.equal(row[2], status)
    end)
  end
end)

--- title; kind, arguments; what the job's error says before its traceback.
local RUN_ERRORS = {
  { "arguments are wrong", "email", '{"to": ["a@b.org", "ann"], "subjct": "x"}',
    "email: args.to[2]: 'ann' is not an email; args.subjct: unknown field\n"
      .. "hint: did you mean 'subject'?" },
  { "a loop does not end", "loop", "{}",
    "handlers/loop.lua:2: stopped after 1.0 s without waiting (timeout is 1 s)\n"
      .. "hint: call jobq.sleep(0) in long loops, or raise timeout" },
  { "memory runs out", "hog", "{}",
    "handlers/hog.lua:5: this run is at its memory limit of 8 MiB\n"
      .. "hint: read in pages, or raise the kind's memory option" },
  { "a field is nil", "broken", "{}",
    "handlers/broken.lua:2: attempt to index a nil value (field 'customer')" },
  { "nil and a message are returned", "nope", "{}", "the shop is closed (closed)" },
  { "must says that no attempt can help", "must", "{}",
    "handlers/must.lua:2: no such user (smtp_550)" },
  { "the job has no such field", "field", "{}",
    "handlers/field.lua:2: job has no field 'arg'\nhint: did you mean 'args'?" },
}

local RUN_HANDLERS = {
  ["email.lua"] = lines("return { max_attempts = 1,",
    "  args = { to = 'email[]', subject = 'string?' }, run = function() end }"),
  ["loop.lua"] = lines("return { max_attempts = 1, timeout = 1, run = function()",
    "  local n = 0 while true do n = n + 1 end", "end }"),
  ["hog.lua"] = lines("return { max_attempts = 1, memory = '8M', run = function()",
    "  local t = {}", "  while true do", "    local size = 4000000",
    "    t[#t + 1] = ('x'):rep(size)", "  end", "end }"),
  ["broken.lua"] = lines("return { max_attempts = 1, run = function(job)",
    "  return job.args.customer.name", "end }"),
  ["nope.lua"] = lines("return { max_attempts = 1, run = function()",
    "  return nil, 'the shop is closed', 'closed'", "end }"),
  ["must.lua"] = lines("return { run = function()",
    "  require 'jobq'.must(nil, 'no such user', 'smtp_550')", "end }"),
  ["field.lua"] = lines("return { max_attempts = 1, run = function(job)", "  return job.arg.x",
    "end }"),
}

describe("a run fails and says so when", function()
  for _, row in ipairs(RUN_ERRORS) do
    it(row[1], function()
      local db = engine.database()
      local files = {}
      for name, text in pairs(RUN_HANDLERS) do
        files["handlers/" .. name] = text
      end
      local id = db:enqueue { row[2], args = row[3] }
      local p = engine.run {
        "--drain", "--executors", "1", "handlers", cwd = handlers(files).path,
        env = { JOBQ_DSN = db.dsn },
      }
      assert.equal(0, p:wait())
      local job = db:job(id)
      assert.equal("failed", job.status)
      assert.equal(1, job.attempt)
      local said = job.error:gsub("\nstack traceback:.*", ""):gsub("after 1%.%d s", "after 1.0 s")
      assert.equal(row[4], said)
    end)
  end
end)
