--- A database in a spec. Calls raise where an SQL statement fails; `try` answers instead.
--
--     db:query(sql, ...)       rows
--     db:row(sql, ...)         the first row, or nil
--     db:value(sql, ...)       the only column of the first row
--     db:try(sql, ...)         rows, or nil, message, sqlstate, detail, hint
--     db:connect(options)      one more connection (see bindings/pg.h), e.g. "user=jobq_reader"
--     db:wait_until(what, sql, ...)   until the value is true; `what` is told when it never is
--     db.patience_s                   after so many seconds
--     db:enqueue { "email.send", args = '{}', queue = , priority = , ... } -> id
--     db:job(id)               its row of the view jobq.job
--     db:wait_for(id, status)  the job, once it has that status
--     db.dsn                   for programs
local uv = require "luv"
local pg = require("jobq.core").pg

local PATIENCE_S = 60

local Database = {}
Database.__index = Database

local M = {}

function M.new(name, dsn)
  return setmetatable({ name = name, dsn = dsn, others = {}, patience_s = PATIENCE_S }, Database)
end

function Database:main()
  if not self.conn then
    self.conn = assert(pg.connect(self.dsn))
  end
  return self.conn
end

function Database:connect(options)
  local conn = assert(pg.connect(self.dsn .. " " .. (options or "")))
  table.insert(self.others, conn)
  return conn
end

--- Closes all connections of the spec; the next call opens a new one.
function Database:close()
  if self.conn then
    self.conn:close()
    self.conn = nil
  end
  for _, conn in ipairs(self.others) do
    conn:close()
  end
  self.others = {}
end

function Database:try(sql, ...)
  return self:main():query(sql, ...)
end

function Database:query(sql, ...)
  local rows, message, sqlstate, detail, hint = self:try(sql, ...)
  if not rows then
    local more = (detail and "\ndetail: " .. detail or "") .. (hint and "\nhint: " .. hint or "")
    error(("%s (%s)%s\nin: %s"):format(message, sqlstate, more, sql), 2)
  end
  return rows
end

function Database:row(sql, ...)
  return self:query(sql, ...)[1]
end

function Database:value(sql, ...)
  local row = self:query(sql, ...)[1]
  if row then
    local _, value = next(row)
    return value
  end
end

--- Looks again and again, with a deadline. Cheap at first, then every 20 ms.
function Database:wait_until(what, sql, ...)
  local deadline = uv.hrtime() + self.patience_s * 1e9
  local pause_ms = 1
  while self:value(sql, ...) ~= true do
    if uv.hrtime() > deadline then
      error(("waited %d s in vain until %s"):format(self.patience_s, what), 2)
    end
    uv.run("nowait")
    uv.sleep(pause_ms)
    pause_ms = math.min(pause_ms * 2, 20)
  end
end

local OPTIONS = {
  args = "jsonb", queue = "text", priority = "int", run_at = "timestamptz", delay = "interval",
  max_attempts = "int", timeout = "interval", unique_key = "text", tags = "text[]",
  batch = "bigint", expires_in = "interval", limit_key = "text", cost = "int",
}

function Database:enqueue(job)
  local named, values = {}, { job[1] }
  for option, value in pairs(job) do
    if option ~= 1 then
      local type_name = assert(OPTIONS[option], "enqueue has no option " .. tostring(option))
      table.insert(values, value)
      table.insert(named, (", %s => $%d::%s"):format(option, #values, type_name))
    end
  end
  local sql = ("select jobq.enqueue($1::text%s) as id"):format(table.concat(named))
  return self:value(sql, table.unpack(values))
end

function Database:job(id)
  return self:row("select * from jobq.find($1::bigint)", id)
end

function Database:wait_for(id, status)
  local deadline = uv.hrtime() + self.patience_s * 1e9
  local job
  repeat
    job = self:job(id)
    if job and job.status == status then
      return job
    end
    uv.run("nowait")
    uv.sleep(10)
  until uv.hrtime() > deadline
  error(("job %d is %s after %d s, expected %s%s"):format(
    id, job and job.status or "nowhere", self.patience_s, status,
    job and job.error and "; its error: " .. job.error or ""
  ), 2)
end

return M
