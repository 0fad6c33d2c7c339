--- Old rows of a table of the application, in small transactions that wait for nobody and that
--- nobody waits for long for: rows that somebody else has locked are left for the next time.
local archive = require "lib.cleanup.archive"
local jobq = require "jobq"

local M = {}

local FIND_TABLE = [[
select c.oid::regclass::text as name from pg_class c
where c.oid = to_regclass($1::text) and c.relkind in ('r', 'p')]]

local FIND_COLUMN = [[
select quote_ident(a.attname) as name, format_type(a.atttypid, null) as type from pg_attribute a
where a.attrelid = to_regclass($1::text) and a.attname = $2::text and a.attnum > 0
  and not a.attisdropped]]

local TIMES = {
  ["timestamp with time zone"] = true, ["timestamp without time zone"] = true, date = true,
}

local NO_NAME = "42602" -- as PostgreSQL says to a text that is no name at all

--- Somebody who holds a lock on the whole table, or on rows that refer to ours.
local BUSY = { ["55P03"] = true, ["40P01"] = true }

--- As step_tx says that the database has no jobs.
local ELSEWHERE = { ["3F000"] = true, ["42883"] = true }

local COUNT = [[
select count(*)::int8 as rows, coalesce(sum(pg_column_size(t.*)), 0)::int8 as bytes
from %s t where %s]]

local DELETE = [[
with old as materialized (
  select t.%s as key from %s t where %s order by t.%s limit $2::int8 for update skip locked)
delete from %s t using old where t.%s = old.key
returning t.%s::text as key, pg_column_size(t.*)::int8 as bytes, row_to_json(t)::text as row]]

---- names, which are settings ----

local function find_table(what)
  local row, why, code = jobq.sql.first(FIND_TABLE, what.table)
  if why and code ~= NO_NAME then
    jobq.must(nil, why, code)
  elseif not row then
    error(jobq.discard(("there is no table '%s', which the setting %s names"):format(
      what.table, what.setting)))
  end
  return row.name
end

local function find_column(what, name, is_time)
  local row = jobq.must(jobq.sql.query(FIND_COLUMN, what.table, name))[1]
  if not row then
    error(jobq.discard(("%s has no column '%s', which the settings of %s name"):format(
      what.table, name, what.setting)))
  elseif is_time and not TIMES[row.type] then
    error(jobq.discard(("%s.%s is of type %s, expected a timestamp or a date"):format(
      what.table, name, row.type)))
  end
  return row.name
end

--- The statements for a table; names are quoted by the server.
local function statements(what)
  local name = find_table(what)
  local key, time = find_column(what, what.key), find_column(what, what.time, true)
  local old = ("t.%s < now() - make_interval(secs => $1::float8)"):format(time)
  if what.unless then
    old = ("%s and t.%s is null"):format(old, find_column(what, what.unless))
  end
  return COUNT:format(name, old), DELETE:format(key, name, old, key, name, key, key)
end

---- batches ----

local function by_key(a, b)
  return #a.key == #b.key and a.key < b.key or #a.key < #b.key
end

--- Deletes up to n rows; what went is on the disk before it is gone. { deleted =, bytes = }, or
--- nil, message, code.
local function delete_rows(tx, what, delete, n)
  jobq.must(tx:query "set local lock_timeout = '2s'")
  local rows, why, code = tx:query(delete, what.older_than, n)
  if not rows then
    return nil, why, code
  end
  table.sort(rows, by_key)
  if what.archive and rows[1] then
    archive.keep(what.kind, rows)
  end
  local bytes = 0
  for _, row in ipairs(rows) do
    bytes = bytes + row.bytes
  end
  return { deleted = #rows, bytes = bytes }
end

--- A batch and the count of it are one commit, so that a later run knows of it. Where the rows are
--- in another database than the jobs, a run knows of its own only.
local function delete_batch(number, what, delete, n)
  local function batch(tx)
    return delete_rows(tx, what, delete, n)
  end
  local sum, why, code = jobq.step_tx("batch", number, batch)
  if ELSEWHERE[code] then
    return jobq.sql.transaction(batch)
  end
  return sum, why, code
end

local function failure(what, why, code)
  if BUSY[code] then
    return jobq.retry(("%s is in use: %s"):format(what.table, why))
  end
  return nil, why, code
end

--- Until a batch is not full: then only what others hold is left.
local function delete_all(job, what, delete, total)
  local settings, sum = jobq.config.cleanup, { deleted = 0, batches = 0, bytes = 0 }
  repeat
    local batch, why, code = delete_batch(sum.batches + 1, what, delete, settings.batch)
    if not batch then
      return failure(what, why, code)
    end
    sum.batches = sum.batches + 1
    sum.deleted, sum.bytes = sum.deleted + batch.deleted, sum.bytes + batch.bytes
    job:progress(math.min(sum.deleted / math.max(total, 1), 1))
    jobq.sleep(settings.pause)
  until batch.deleted < settings.batch
  job.log:info("deleted", sum)
  return jobq.done(sum)
end

--- what: kind, setting, table, key, time; unless: a column that keeps a row that has it; older_than
--- in seconds; archive, dry_run: booleans. What a run has deleted stays so: a later one goes on.
function M.sweep(job, what)
  local count, delete = statements(what)
  local old = jobq.must(jobq.sql.query(count, what.older_than))[1]
  job.log:info("found", old)
  if what.dry_run then
    return jobq.done { dry_run = true, rows = old.rows, bytes = old.bytes }
  end
  return delete_all(job, what, delete, old.rows)
end

return M
