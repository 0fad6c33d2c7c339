--- The one language in which commands choose jobs: options, and the condition that they make.
local jobs = require "_jobs"

local M = {}

--- For the options of a command. Their order is that of the help page.
M.OPTIONS = {
  {
    "--status S", table.concat(jobs.STATUSES, ", ") .. "; repeated: any of them",
    type = "choice", choices = jobs.STATUSES, many = true,
  },
  { "--kind PATTERN", "e.g. email.send or 'email.*'; repeated: any of them", many = true },
  { "--queue Q", "in this queue" },
  { "--tag TAG", "with this tag; repeated: with all of them", many = true },
  { "--batch ID", "a member of this batch", type = "id" },
  { "--worker W", "run by this worker, its name or id" },
  {
    "--arg NAME=VALUE", "with this argument, e.g. customer.id=42; repeated: with all",
    type = "pair", many = true,
  },
  { "--error TEXT", "with this text in the error" },
  { "--since T", "whose last step was not before that: 1h, or a time", type = "moment" },
  { "--until T", "whose last step was before that: 1h, or a time", type = "moment" },
}

--- When a job took its last step.
M.STEP = "coalesce(j.finished_at, j.started_at, j.created_at)"

local Filter = {}
Filter.__index = Filter

--- A parameter of the statement: how it is called there.
function Filter:bind(value, type_name)
  self.count = self.count + 1
  self.values[self.count] = value
  return ("$%d::%s"):format(self.count, type_name)
end

--- ? is the value, as often as it stands there; nothing is added for nil.
function Filter:add(condition, value, type_name)
  if value ~= nil then
    local name = self:bind(value, type_name)
    table.insert(self.conditions, (condition:gsub("%?", name)))
  end
end

function Filter:where()
  return self.conditions[1] and "where " .. table.concat(self.conditions, " and ") or ""
end

function Filter:query(db, sql)
  return db:query(sql, table.unpack(self.values, 1, self.count))
end

local function add_moment(filter, column, comparison, moment)
  if moment then
    filter:add(("%s %s now() - make_interval(secs => ?)"):format(column, comparison),
      moment.ago, "float8")
    filter:add(("%s %s ?"):format(column, comparison), moment.at, "timestamptz")
  end
end

--- --since and --until of another column than that of jobs.
function M.add_times(filter, options, column)
  add_moment(filter, column, ">=", options.since)
  add_moment(filter, column, "<", options["until"])
end

--- "customer.id" as the steps of a path.
function M.path(name)
  local steps = {}
  for step in name:gmatch "[^.]+" do
    table.insert(steps, step)
  end
  return steps
end

local function likes(patterns)
  local list = {}
  for i, pattern in ipairs(patterns or {}) do
    list[i] = jobs.like(pattern)
  end
  return list[1] and list
end

--- All but the times. Each condition, of a relation `j` like jobq.job, is there only if it was
--- asked for, so that the planner sees a plain statement.
function M.without_times(options)
  local filter = setmetatable({ conditions = {}, values = {}, count = 0 }, Filter)
  filter:add("j.status = any (?)", options.status, "text[]")
  filter:add("j.kind like any (?)", likes(options.kind), "text[]")
  filter:add("j.queue = ?", options.queue, "text")
  filter:add("j.tags @> ?", options.tag, "text[]")
  filter:add("(j.meta ->> 'batch')::bigint = ?", options.batch, "bigint")
  filter:add([[j.worker_id in (
    select w.id from jobq.worker_status w where w.name = ? or w.id::text = ?)]],
    options.worker, "text")
  for _, pair in ipairs(options.arg or {}) do
    filter:add(("j.args #>> %s = ?"):format(filter:bind(M.path(pair[1]), "text[]")),
      pair[2], "text")
  end
  filter:add("position(lower(?) in lower(j.error)) > 0", options.error, "text")
  return filter
end

function M.new(options)
  local filter = M.without_times(options)
  M.add_times(filter, options, M.STEP)
  return filter
end

--- Did anybody ask for anything?
function M.is_empty(options)
  for _, row in ipairs(M.OPTIONS) do
    if options[row[1]:match "^%-%-(%l+)"] ~= nil then
      return false
    end
  end
  return true
end

--- The options, then more of them.
function M.options(more)
  local list = table.move(M.OPTIONS, 1, #M.OPTIONS, 1, {})
  return table.move(more, 1, #more, #list + 1, list)
end

return M
