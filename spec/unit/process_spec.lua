--- jobq.process with real programs; what they leave behind is counted.
local core = require "jobq.core"
local jobq = require "jobq"
local uv = require "luv"

local files = require "support.files"
local process = require "support.process"

local dir

local function path(name)
  return dir .. "/" .. name
end

--- nil, message, code, result or result, as run answers; seconds: when the run is stopped.
local function run(argv, options, seconds)
  return core.task.run(function()
    local result, message, code, of_failure = jobq.process.run(argv, options)
    return result, message, code, of_failure
  end, seconds or process.SECONDS)
end

local function sh(script, options, seconds)
  return run({ "sh", "-c", script }, options, seconds)
end

local function output(argv, options)
  return assert(run(argv, options)).stdout
end

local function fails(code, message, argv, options)
  local result, why, got, of_failure = run(argv, options)
  assert.is_nil(result)
  assert.equal(message, why)
  assert.equal(code, got)
  return of_failure
end

--- All processes that carry this word in their environment, zombies aside.
local function marked(word)
  local pids = {}
  for _, name in ipairs(files.list "/proc") do
    local environ = name:find "^%d+$" and files.read("/proc/" .. name .. "/environ")
    if environ and environ:find(word, 1, true) then
      table.insert(pids, name)
    end
  end
  return pids
end

local function children()
  local tid = uv.os_getpid()
  return files.read(("/proc/%d/task/%d/children"):format(tid, tid))
end

--- A plain lua5.4 wants it to be loaded first, if our module was built with it.
local function sanitizer()
  return files.read("/proc/self/maps"):match "(/[^\n]*/libasan%.so[^\n]*)"
end

local mark, fds, own_children

describe("jobq.process", function()
  setup(function()
    run { "true" } -- a loop's first child makes it open what it keeps; here are two loops
    process.start({ "true" }):wait()
  end)

  before_each(function()
    dir = assert(uv.fs_mkdtemp("/tmp/jobq-spec-XXXXXX"))
    mark = "JOBQSPEC_MARK=" .. dir
    fds, own_children = #files.list "/proc/self/fd", children()
  end)

  -- Whatever happened: no process, no zombie, no descriptor.
  after_each(function()
    process.wait_until(function()
      core.task.run(function() jobq.sleep(0.001) end) -- what was left to the loop goes on there
      return #marked(mark) == 0 and children() == own_children
        and #files.list "/proc/self/fd" == fds
    end, ("no process but '%s', and %d descriptors"):format(own_children, fds))
    files.remove(dir)
  end)

  local function env()
    return { JOBQSPEC_MARK = dir }
  end

  describe("runs a program", function()
    it("and tells what came of it", function()
      local result = assert(sh "echo out; echo err >&2")
      assert.equal("out\n", result.stdout)
      assert.equal("err\n", result.stderr)
      assert.equal(0, result.status)
      assert.is_nil(result.signal)
      assert.is_true(result.seconds > 0 and result.seconds < 20)
      assert.is_true(result.cpu_seconds >= 0 and result.cpu_seconds < 5)
    end)

    it("with words that no shell reads", function()
      local words = { "printf", "%s|", "a b", "$HOME", "`id`", "'\"", "*", "", 7, ";", "-n" }
      assert.equal("a b|$HOME|`id`|'\"|*||7|;|-n|", output(words))
    end)

    it("and feeds it", function()
      local text = ("0123456789abcdef"):rep(100000)
      assert.equal(text, output({ "cat" }, { stdin = text, max_output = "4M" }))
      assert.equal("", output { "cat" })
      files.write(path "in", "from a file")
      assert.equal("from a file", output({ "cat" }, { stdin_file = path "in" }))
      assert.equal("", output({ "true" }, { stdin = text })) -- which nobody reads
    end)

    it("somewhere else, in an environment without secrets", function()
      assert.equal(dir .. "\n", output({ "pwd" }, { cwd = dir }))
      uv.os_setenv("JOBQ_SECRET", "1")
      uv.os_setenv("PGPASSWORD", "1")
      uv.os_setenv("JOBQSPEC_KEPT", "kept")
      local changes = { JOBQSPEC_NEW = "a=b c", HOME = false, JOBQ_X = "1" }
      local text = output({ "env" }, { env = changes })
      uv.os_unsetenv "JOBQ_SECRET"
      uv.os_unsetenv "PGPASSWORD"
      uv.os_unsetenv "JOBQSPEC_KEPT"
      text = "\n" .. text
      assert.matches("\nJOBQSPEC_NEW=a=b c\n", text, 1, true)
      assert.matches("\nJOBQSPEC_KEPT=kept\n", text, 1, true)
      assert.matches("\nJOBQ_X=1\n", text, 1, true)
      for _, name in ipairs { "JOBQ_SECRET", "PGPASSWORD", "HOME" } do
        assert.is_nil(text:find("\n" .. name .. "=", 1, true), name)
      end
    end)

    it("that inherits nothing else", function()
      local held <close> = assert(io.open("/etc/passwd")) -- Lua's files are open across exec
      assert.truthy(held)
      assert.equal("0\n1\n2\n3\n", output { "ls", "/proc/self/fd" }) -- 3 is ls's own
      local status = output { "cat", "/proc/self/status" }
      for _, field in ipairs { "SigBlk", "SigIgn", "SigCgt" } do
        assert.matches(field .. ":\t0+\n", status)
      end
    end)

    it("in a session of its own", function()
      local pid, group, session = output({ "ps", "-o", "pid=,pgid=,sid=", "-C", "ps" })
        :match "(%d+) +(%d+) +(%d+)%s*$"
      assert.equal(pid, group)
      assert.equal(pid, session)
    end)

    it("whose output goes to files", function()
      files.write(path "out", "what was there before")
      local result = assert(sh("echo out; echo err >&2", {
        stdout_file = path "out", stderr_file = path "err",
      }))
      assert.is_nil(result.stdout)
      assert.is_nil(result.stderr)
      assert.equal("out\n", files.read(path "out"))
      assert.equal("err\n", files.read(path "err"))
    end)

    it("while other functions of the job wait", function()
      local values = core.task.run(function()
        local functions = {}
        for i = 1, 8 do
          functions[i] = function()
            return jobq.process.run({ "sh", "-c", "sleep 0.1; echo $0", i }).stdout
          end
        end
        return (jobq.parallel(functions))
      end)
      assert.equal("1\n2\n3\n4\n5\n6\n7\n8\n", table.concat(values))
    end)
  end)

  describe("gives lines", function()
    it("of both outputs, whole ones, in order", function()
      local out, err = {}, {}
      local result = assert(sh("printf 'a\\n\\nb'; printf c; echo d; echo err >&2; printf end", {
        on_stdout = function(line) table.insert(out, line) end,
        on_stderr = function(line) table.insert(err, line) end,
      }))
      assert.same({ "a", "", "bcd", "end" }, out)
      assert.same({ "err" }, err)
      assert.is_nil(result.stdout)
    end)

    it("as fast as they are taken", function()
      local count, before = 0, collectgarbage "count"
      assert(run({ "seq", "300000" }, { on_stdout = function(line)
        count = count + 1
        assert(line == tostring(count))
        if count % 50000 == 0 then
          jobq.sleep(0.01)
        end
      end }))
      assert.equal(300000, count)
      collectgarbage()
      assert.is_true(collectgarbage "count" - before < 1000)
    end)

    it("until the function raises", function()
      local ok, why = pcall(sh, "echo one; sleep 100", {
        env = env(), on_stdout = function(line) error("no more after " .. line, 0) end,
      })
      assert.is_false(ok)
      assert.equal("no more after one", why)
    end)

    it("that have an end", function()
      fails("too_large", "yes wrote a line of more than 100 bytes to stdout",
        { "yes", ("x"):rep(101) }, { max_output = 100, on_stdout = function() end, env = env() })
      fails("too_large", "cat wrote a line of more than 1048576 bytes to stdout",
        { "cat", "/dev/zero" }, { on_stdout = function() end, env = env() })
    end)
  end)

  describe("answers a failure", function()
    it("of the program", function()
      local result = fails("exit_3", "sh exited with 3: the last word",
        { "sh", "-c", "echo first >&2; echo the last word >&2; echo out; exit 3" })
      assert.equal("out\n", result.stdout)
      assert.equal(3, result.status)
      fails("exit_1", "false exited with 1", { "false" })
      result = fails("SIGSEGV", "sh was ended by SIGSEGV", { "sh", "-c", "kill -SEGV $$" })
      assert.equal(11, result.signal)
      assert.is_nil(result.status)
    end)

    it("or a result, when that is wanted", function()
      assert.equal(3, assert(sh("exit 3", { check = false })).status)
      assert.equal(15, assert(sh("kill $$", { check = false })).signal)
    end)

    it("of its start", function()
      fails("ENOENT", "no-such-program: no such file or directory", { "no-such-program" })
      fails("EACCES", "/etc/passwd: permission denied", { "/etc/passwd" })
      fails("ENOENT", "cwd '/no/where': no such file or directory", { "true" },
        { cwd = "/no/where" })
      fails("ENOENT", "stdin_file '/no/file': no such file or directory", { "true" },
        { stdin_file = "/no/file" })
      fails("EISDIR", ("stdout_file '%s': illegal operation on a directory"):format(dir),
        { "true" }, { stdout_file = dir })
      fails("ENOENT", "stderr_file '/no/file': no such file or directory", { "true" },
        { stderr_file = "/no/file" })
    end)

    it("of time", function()
      local result = fails("timeout", "sleep was stopped after 0.05 s", { "sleep", "100" },
        { timeout = 0.05, env = env() })
      assert.equal(15, result.signal)
    end)

    it("of time, of what ignores SIGTERM", function()
      local started = uv.hrtime()
      local result = fails("timeout", "sh was stopped after 0.2 s",
        { "sh", "-c", "trap '' TERM; while :; do sleep 0.02; done" },
        { timeout = 0.2, grace = 0.2, env = env() })
      assert.equal(9, result.signal)
      assert.is_true(uv.hrtime() - started >= 0.4e9)
    end)

    it("of too much output", function()
      fails("too_large",
        "yes wrote more than 1000 bytes to stdout\nhint: raise max_output, or use stdout_file",
        { "yes" }, { max_output = 1000, env = env() })
      fails("too_large",
        "sh wrote more than 1048576 bytes to stderr\nhint: raise max_output, or use stderr_file",
        { "sh", "-c", "yes >&2" }, { env = env() })
      assert.equal(1000, #output({ "head", "-c", "1000", "/dev/zero" }, { max_output = 1000 }))
    end)
  end)

  describe("limits", function()
    it("memory, and tells how much was used", function()
      local hungry = "x = bytearray(150 << 20)"
      local result = assert(run { "/usr/bin/python3", "-c", hungry })
      assert.is_true(result.peak_memory > 150 << 20 and result.peak_memory < 250 << 20)
      assert.is_true(assert(run { "true" }).peak_memory < 20 << 20)
      fails("exit_1", "/usr/bin/python3 exited with 1: MemoryError",
        { "/usr/bin/python3", "-c", hungry }, { memory = "100M" })
    end)

    it("time on the processor, and tells how much was used", function()
      local result = fails("SIGXCPU", "sh was ended by SIGXCPU",
        { "sh", "-c", "while :; do :; done" }, { cpu_seconds = 1, env = env() })
      assert.is_true(result.cpu_seconds >= 0.8 and result.cpu_seconds < 2)
    end)

    it("files, processes and sizes", function()
      local limits = output({ "cat", "/proc/self/limits" },
        { files = 20, processes = 1000, file_size = "1M", memory = 1 << 30 })
      assert.matches("Max open files +20 +20 ", limits)
      assert.matches("Max processes +1000 +1000 ", limits)
      assert.matches("Max file size +1048576 +1048576 ", limits)
      assert.matches("Max address space +1073741824 +1073741824 ", limits)
      fails("SIGXFSZ", "head was ended by SIGXFSZ", { "head", "-c", "2000", "/dev/zero" },
        { file_size = 1000, stdout_file = path "out" })
      assert.equal(1000, #files.read(path "out"))
    end)
  end)

  describe("leaves nothing behind", function()
    local daemons = "sleep 100 & setsid sleep 100 & (setsid sh -c 'sleep 100 & sleep 100' &); "

    it("of a program that ends by itself", function()
      assert.equal("done\n", assert(sh(daemons .. "echo done", { env = env() })).stdout)
      assert.same({}, marked(mark))
    end)

    it("of one that is out of time", function()
      assert.is_nil(sh(daemons .. "sleep 100", { env = env(), timeout = 0.1 }))
      assert.same({}, marked(mark))
    end)

    it("of a stopped run, before that goes on", function()
      local left
      local ok, why = pcall(core.task.run, function()
        local there, text = pcall(jobq.process.run, { "sh", "-c", daemons .. "sleep 100" },
          { env = env() })
        left = marked(mark)
        error(there or text, 0)
      end, 0.2)
      assert.is_false(ok)
      assert.matches("process_spec.lua:%d+: stopped after 0.2 s$", why)
      assert.same({}, left)
    end)

    it("of a stopped run whose program takes its time", function()
      local script = "trap 'sleep 0.1; echo end >%s; exit' TERM; while :; do sleep 0.01; done"
      local ok = pcall(sh, script:format(path "end"), { env = env() }, 0.2)
      assert.is_false(ok)
      assert.same({}, marked(mark))
      assert.equal("end\n", files.read(path "end"))
    end)

    it("of a run that is stopped while it looks at a line", function()
      local ok, why = pcall(sh, "yes", {
        env = env(), on_stdout = function() jobq.sleep(100) end,
      }, 0.1)
      assert.is_false(ok)
      assert.matches("stopped after 0.1 s$", why)
    end)

    it("of a function that jobq.parallel cancels", function()
      local ok, why = pcall(core.task.run, function()
        jobq.parallel {
          function() jobq.process.run({ "sleep", "100" }, { env = env() }) end,
          function() jobq.sleep(0.1) error("enough", 0) end,
        }
      end)
      assert.is_false(ok)
      assert.matches("^enough", why)
      assert.same({}, marked(mark))
    end)

    it("of a process that is killed itself", function()
      local p = process.start {
        "lua5.4", "-e", ([[
          local core = require "jobq.core"
          local jobq = require "jobq"
          core.task.run(function()
            jobq.process.run({ "sh", "-c", "%s echo >%s; sleep 100" },
              { env = { JOBQSPEC_MARK = "%s" } })
          end)]]):format(daemons, path "ready", dir),
        env = {
          LUA_PATH = package.path, LUA_CPATH = package.cpath, LD_PRELOAD = sanitizer(),
          ASAN_OPTIONS = "detect_leaks=0",
        },
      }
      p:wait_until(function() return files.exists(path "ready") and #marked(mark) >= 5 end,
        "the start of the daemons")
      p:kill()
    end)
  end)

  it("raises on misuse", function()
    local function raises(message, ...)
      local ok, why = pcall(run, ...)
      assert.is_false(ok)
      local text = why:match "^[^\n]*process_spec%.lua:%d+: jobq%.process%.run: (.*)$"
      assert.equal(message, text)
    end
    raises("expected an array of a program and its arguments, got 'ls -l'", "ls -l")
    raises("argv[1]: expected a string or an integer, got a nil", {})
    raises("argv[2]: expected a string or an integer, got 1.5", { "a", 1.5 })
    raises("argv[2]: expected a text without NUL bytes, got 'a?b'", { "a", "a\0b" })
    raises("unknown option 'stdot_file'\nhint: did you mean 'stdout_file'?", { "a" },
      { stdot_file = "x" })
    raises("timeout: expected a positive number of seconds, got 0", { "a" }, { timeout = 0 })
    raises("memory: expected a number of bytes or a text like '64M', got '1X'", { "a" },
      { memory = "1X" })
    raises("env: '=' is not the name of a variable", { "a" }, { env = { ["="] = "" } })
    raises("env.A: expected a string or false, got 1", { "a" }, { env = { A = 1 } })
    raises("stdin and stdin_file: only one of them can be", { "a" },
      { stdin = "", stdin_file = "x" })
    raises("on_stdout and stdout_file: only one of them can be", { "a" },
      { on_stdout = print, stdout_file = "x" })
  end)
end)
