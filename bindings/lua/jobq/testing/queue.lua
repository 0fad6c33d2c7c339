--- The queue in a spec: what handlers enqueue is kept. Other SQL wants t.database(); it is real.
local core = require "jobq.core"
local steps = require "jobq.testing.steps"

local M = {}

local NO_END = "jobq.await: nothing says how job %d%s ends\nhint: t.ends(%s, ...)"
local NO_DATABASE = "jobq.sql: there is no database in this spec\nhint: t.database()"

--- Batches have numbers, and nothing comes of them; nor of what limits are told.
local function answer_of_other(sql, world)
  if sql == core.sql.statement "open_batch" then
    world.expected.last_batch = (world.expected.last_batch or 0) + 1
    return { { id = world.expected.last_batch } }
  elseif sql == core.sql.statement "close_batch" then
    return { { closed = true } }
  elseif sql == core.sql.statement "hold_limit" or sql == core.sql.statement "use_limit" then
    return { {} }
  end
end

local function kind_of(world, id)
  local database = world.expected.database
  if database then
    return database:value("select kind from jobq.find($1::bigint)", id)
  end
  for _, jobs in ipairs { world.enqueued, world.expected.enqueued } do
    for _, job in ipairs(jobs) do
      if job.id == id then
        return job.kind
      end
    end
  end
end

local function miss_end(world, id, kind)
  local of_kind = kind and (", %s,"):format(kind) or ""
  local wanted = kind and ("'%s'"):format(kind) or id
  world.problem = world.problem or NO_END:format(id, of_kind, wanted)
  error(world.problem, 0)
end

--- How a job ends, as the spec has said, by its id or its kind; false: it does not.
local function end_of(world, id)
  local kind, ends = kind_of(world, id), world.expected.ends
  if ends[id] ~= nil then
    return ends[id]
  elseif kind and ends[kind] ~= nil then
    return ends[kind]
  end
  miss_end(world, id, kind)
end

--- What jobq.await sees of a job.
local function answer_of_await(world, sql, values)
  if sql ~= core.sql.statement "result" then
    return nil
  end
  local e = end_of(world, values[1])
  if not e then
    return { {} }
  end
  local result = e.result ~= nil and core.json.encode(e.result) or nil
  return { { status = e.status, error = e.error, result = result } }
end

--- These change nothing that a spec without a database could see.
local function is_transaction(sql)
  return sql:find("^begin") or sql:find("^savepoint ") or sql:find("^release savepoint ")
end

--- Both statements have the same parameters: kind, args, options.
local function read_jobs(sql, values)
  local many = sql == core.sql.statement "enqueue_many"
  if not many and sql ~= core.sql.statement "enqueue" then
    return nil
  end
  local jobs = {}
  for i, text in ipairs(many and values[2] or { values[2] }) do
    local job = values[3] and core.json.decode(values[3]) or {}
    job.kind, job.args = values[1], core.json.decode(text)
    jobs[i] = job
  end
  return jobs
end

local Session = {}
Session.__index = Session

--- What was not committed never was.
function Session:__close()
  self.jobs = {}
end

function Session:keep(jobs, list)
  local expected = self.world.expected
  self.answer = {}
  for i, job in ipairs(jobs) do
    expected.last_id = expected.last_id + 1
    job.id = expected.last_id
    table.insert(list, job)
    self.answer[i] = { id = job.id, happened = "enqueued" }
  end
  return true
end

function Session:query(sql, values)
  local rows = steps.answer(self.world, sql, values) or answer_of_await(self.world, sql, values)
  local jobs = read_jobs(sql, values)
  if rows then
    self.answer = rows
    return true
  elseif jobs then
    return self:keep(jobs, self.in_transaction and self.jobs or self.world.enqueued)
  end
  self.answer = answer_of_other(sql, self.world)
  if self.answer then
    return true
  elseif is_transaction(sql) then
    self.in_transaction = true
    self.marks[sql:match("^savepoint (.*)$") or ""] = #self.jobs
    self.answer = {}
    return true
  end
  self.world.problem = self.world.problem or NO_DATABASE
  error(NO_DATABASE, 0)
end

--- Only rollbacks to a savepoint are sent like this.
function Session:post(sql)
  local mark = self.marks[sql:match("^rollback to savepoint (.*)$")] or 0
  for i = #self.jobs, mark + 1, -1 do
    self.jobs[i] = nil
  end
end

function Session:commit()
  local enqueued = self.world.enqueued
  table.move(self.jobs, 1, #self.jobs, #enqueued + 1, enqueued)
  self.jobs = {}
end

--- Without a server.
local function add_alone(fake, world)
  function fake.pool()
    return {}
  end

  function fake.session()
    return setmetatable({ world = world, jobs = {}, marks = {} }, Session)
  end

  function fake.connect()
    return true
  end

  function fake.query(session, _, sql, values)
    return session:query(sql, values)
  end

  function fake.rows(session)
    return session.answer, { affected = #session.answer, columns = { "id" } }
  end

  function fake.post(session, sql)
    session:post(sql)
  end

  function fake.finish(session)
    session:commit()
    return true
  end

  function fake.release() end
end

--- With a server; but no lease is there that a step could be written under.
local function add_database(fake, world)
  local answers = setmetatable({}, { __mode = "k" })
  for name, f in pairs(core.sql) do
    fake[name] = f
  end

  function fake.query(session, timeout, sql, values, count)
    answers[session] = steps.answer(world, sql, values)
      or answer_of_await(world, sql, values)
    if answers[session] then
      return true
    end
    return core.sql.query(session, timeout, sql, values, count)
  end

  function fake.rows(session)
    local rows = answers[session]
    if rows then
      return rows, { affected = #rows, columns = {} }
    end
    return core.sql.rows(session)
  end
end

--- fake: the functions of core for one run.
function M.add(fake, world)
  local sql = fake.sql
  sql.statement = core.sql.statement
  if world.expected.database then
    add_database(sql, world)
  else
    add_alone(sql, world)
  end
  local finish = sql.finish
  function sql.finish(session, completes, result, last, values)
    local ok, message, code, detail, hint = finish(session, false)
    if ok and last then
      steps.answer(world, last, values)
    end
    if ok and completes then
      world.completed = true
      fake.run.keep_result(result)
    end
    return ok, message, code, detail, hint
  end
end

return M
