local engine = require "support.engine"

describe("jobq", function()
  local db

  before_each(function()
    db = engine.database()
  end)

  local function jobq(command)
    return engine.jobq(db, command)
  end

  local function ok(command)
    local answer = jobq(command)
    assert.same({ 0, "" }, { answer.status, answer.err })
    return answer
  end

  local function advance()
    repeat
      db:query "update jobq.batch_delta set at = now() - interval '1 minute'"
    until db:value "select jobq.advance() is null"
  end

  -- One with three members, of which one is cancelled, and a batch in it.
  local function have_batch()
    db:query [[select jobq.open_batch('import', on_complete => '"report.send"',
      on_success => '"report.praise"')]]
    for _ = 1, 3 do
      ok "enqueue file.scan --batch 1"
    end
    db:query "select jobq.open_batch('part', parent => 1)"
    ok "cancel 2"
  end

  it("batches shows how far each is", function()
    assert.equal("jobq: no batches", jobq("batches").err)
    have_batch()
    local out = ok("batches").out
    assert.matches("id  name    status  done   %%  failed  in  when", out)
    assert.matches("\n 2  part    open     0/0   0           1  now", out)
    assert.matches("\n 1  import  open     1/4  25              now", out)
    assert.same({}, ok("batches --status closed --json").json.items)
    local page = ok("batches --limit 1 --json").json
    assert.same({ "2", "1", "part" }, { page.next, page.items[1].parent, page.items[1].name })
    assert.equal("1", ok("batches --next 2 --json").json.items[1].id)
  end)

  it("batch shows its members by state, and what it adds", function()
    have_batch()
    local out = ok("batch 1").out
    assert.matches("^batch 1  import  open, 25 %%\n"
      .. "4 members: 1 cancelled, 1 batch that has not ended, 2 waiting\n", out)
    assert.matches("\nnot closed yet: more may be added\n"
      .. "on_complete report.send, not yet\non_success  report.praise, not yet\n"
      .. "batch in it: 2  part  open, 0 of 0 done$", out)
    assert.matches("\na member of batch 1$", ok("batch 2").out)
    db:query "select jobq.close_batch(2), jobq.close_batch(1)"
    ok "cancel --batch 1 --yes"
    advance()
    assert.matches("^batch 1  import  cancelled, 100 %%\n4 members: 1 completed, 3 cancelled\n",
      ok("batch 1").out)
    assert.matches("\non_complete report.send, job 4, pending", ok("batch 1").out)
    local json = ok("batch 1 --json").json
    assert.same({ "cancelled", 4, { "2" }, "4" },
      { json.status, json.done, json.batches, json.callbacks[1].job })
  end)

  it("batch cancel ends it and what is in it", function()
    have_batch()
    db:enqueue { "a", batch = 2 }
    local refused = jobq "batch cancel 1"
    assert.equal(5, refused.status)
    assert.matches("cancelling 3 jobs needs confirmation", refused.err, 1, true)
    assert.equal("3 jobs cancelled or asked to stop", ok("batch cancel 1 --reason no --yes").out)
    advance()
    assert.same({ "cancelled", 4 }, { ok("batch 1 --json").json.status,
      ok("batch 1 --json").json.cancelled })
    assert.equal(3, db:value "select count(*) from jobq.job where error = 'no'")
  end)

  it("jobs, retry and cancel choose by batch", function()
    have_batch()
    db:enqueue { "a" }
    assert.equal(3, #ok("jobs --batch 1 --json").json.items)
    assert.matches("1 job pending again, 0 skipped", ok("retry --batch 1 --status cancelled").out)
    assert.equal(0, ok("batch 1 --json").json.done)
  end)

  it("names a batch that is not there", function()
    for _, command in ipairs { "batch 7", "batch cancel 7" } do
      local answer = jobq(command)
      assert.same({ 3, "jobq: batch 7 does not exist" },
        { answer.status, answer.err:match "^[^\n]*" })
    end
    assert.matches("batch 7 does not exist", jobq("enqueue a --batch 7").err)
  end)
end)
