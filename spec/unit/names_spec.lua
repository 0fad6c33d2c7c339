local names = require "jobq.names"
local strict = require "jobq.strict"

local api = strict.close("jobq", {
  sleep = print,
  smtp = strict.close("jobq.smtp", { send = print, is_permanent = print }),
})

local function check(text, globals)
  local line, message = names.check(assert(load(text, "=t")), text, api, globals)
  return line and ("%d: %s"):format(line, (message:gsub("\n", " | "))) or "fine"
end

--- The line inside of a function of a file that requires jobq.
local function in_run(line)
  return check(("local jobq = require 'jobq'\nlocal mail = jobq.smtp -- short\n"
    .. "return function(job)\n%s\nend"):format(line))
end

describe("jobq.names", function()
  it("finds names that the API does not have", function()
    assert.equal("4: jobq has no field 'slep' | hint: did you mean 'sleep'?", in_run "jobq.slep(1)")
    assert.equal("4: jobq.smtp has no field 'sned' | hint: did you mean 'send'?",
      in_run "jobq.smtp.sned {}")
    assert.equal("4: jobq.smtp has no field 'sned' | hint: did you mean 'send'?",
      in_run "local f = function() mail.sned {} end")
    assert.equal("4: jobq has no field 'unlike'", in_run "if jobq.unlike then end")
  end)

  it("says nothing of those that it has", function()
    assert.equal("fine", in_run "jobq.sleep(1) jobq.smtp.send {} mail.is_permanent 'x'")
    assert.equal("fine", in_run "jobq.smtp.send({}).anything = job.x.y")
    assert.equal("fine", in_run "local smtp, other = jobq.smtp, job.sned")
  end)

  it("says nothing of names that stand for something else", function()
    assert.equal("fine", in_run "local jobq = job return jobq.slep")
    assert.equal("fine", in_run "return function(jobq) return jobq.slep end")
    assert.equal("fine", in_run "local jobq = job return function() return jobq.slep end")
    assert.equal("fine", check "local jobq = {}\nreturn function() return jobq.slep end")
    assert.equal("fine", check("local jobq = require 'jobq'\njobq = {} "
      .. "return function() jobq = jobq.slep end"))
  end)

  it("finds globals that are assigned, wherever", function()
    assert.equal("4: assignment to global 'count' | hint: write local count", in_run "count = 1")
    assert.equal("1: assignment to global 'f' | hint: write local f", check "function f() end")
    assert.equal("fine", in_run "local count count = 1")
    assert.equal("fine", check "local _ENV = {}\nreturn function() count = 1 end")
  end)

  it("finds an API that is changed", function()
    assert.equal("4: jobq is read-only: 'sleep' cannot be set", in_run "jobq.sleep = nil")
  end)

  it("finds globals that are not there, where asked to", function()
    local text = "return function() return pritn(1), print(2) end"
    assert.equal("fine", check(text))
    assert.equal("1: unknown global 'pritn' | hint: did you mean 'print'?", check(text, _G))
  end)

  it("finds keys that are twice in a table", function()
    assert.equal("3: 'a' is given twice, first at line 2",
      check "return {\n  a = { 1 },\n  a = 2 }")
    assert.equal("2: 'b' is given twice, first at line 1",
      check "return { { a = 1, b = function() return { b = 1 } end, c = { b = 2 },\n  b = 3 } }")
    assert.equal("fine", check "return { { a = 1 }, { a = 1 }, b = { a = 1 } }")
    assert.equal("fine", check "print { a = 1 } print { a = 1 }")
    assert.equal("fine", check "local t = { a = 1 }\nt.a = 2\nt.a = 3\nt.b, t.b = 1, 2\nreturn t")
  end)

  it("tells what comes first, and its line in long functions", function()
    local body = ("  jobq.sleep(1)\n"):rep(300)
    assert.equal("304: jobq has no field 'slep' | hint: did you mean 'sleep'?",
      in_run(body .. "  jobq.slep(1)\n  jobq.slep(2)\n count = 1"))
    assert.equal("1005: assignment to global 'count' | hint: write local count",
      in_run(("\n"):rep(1001) .. "count = 1"))
  end)
end)
