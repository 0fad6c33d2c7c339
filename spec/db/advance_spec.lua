local postgres = require "support.postgres"
local protocol = require "db.protocol"

describe("what happens by itself", function()
  local db, w

  before_each(function()
    db = postgres.database()
    w = protocol.worker(db, { kinds = { "a" } })
  end)

  after_each(function()
    protocol.finish(db)
  end)

  it("asks for nothing when there is nothing to come", function()
    assert.is_nil(w:value "advance")
  end)

  it("goes on where one part of it fails", function()
    db:query "select jobq.set_limit('l', kind => 'a', concurrency => 1)"
    w:ask "advance"
    local id = db:enqueue { "a" }
    db:query [[
      create or replace function jobq.advance_batches() returns float8 language plpgsql as
        $$ begin insert into jobq.batch default values; raise 'broken'; end $$]]
    protocol.wait_until("the limited job", function()
      assert.is_true(w:value "advance" <= 1)
      local jobs = w:claim()
      return jobs[1] and jobs[1].id == id
    end)
    assert.equal(0, db:value "select count(*) from jobq.batch")
  end)

  it("is done by one at a time, the others look again soon", function()
    local other = db:connect()
    other:query "begin"
    other:query "select jobq.advance()"
    assert.equal(0.2, w:value "advance")
    other:query "rollback"
    other:close()
    assert.is_nil(w:value "advance")
  end)
end)
