--- jobq batch ID: how far it is, and what comes of it.
local batches = require "_batches"
local failure = require "_failure"
local json = require "_json"
local text = require "_text"
local time = require "_time"

local ONE = ("select %s from jobq.batch_status b where b.id = $1::bigint"):format(batches.COLUMNS)

local INSIDE = [[
select (select count(*) from jobq.job j
    where j.status = 'processing' and (j.meta ->> 'batch')::bigint = $1) as running,
  (select count(*) from jobq.batch_status c
    where c.parent = $1 and c.ended_at is null) as batches]]

-- A callback's job may be gone: it is kept as long as others.
local CALLBACKS = [[
select c.key as event, c.value ->> 'kind' as kind, (b.called ->> c.key)::bigint as job,
  (select f.status::text from jobq.find((b.called ->> c.key)::bigint) f) as status
from jobq.batch_status b, jsonb_each(b.callbacks) c
where b.id = $1::bigint
order by array_position(array['on_failure', 'on_complete', 'on_success'], c.key)]]

local CHILDREN = [[
select b.id, b.name, b.status, b.done, b.total from jobq.batch_status b
where b.parent = $1::bigint order by b.id]]

local ENDS = {
  { "succeeded", "completed" }, { "failed", "failed" }, { "cancelled", "cancelled" },
  { "expired", "expired" }, { "deleted", "deleted" },
}

local function find(context, id)
  local batch = context.db:row(ONE, id)
  if not batch then
    failure.raise("not_found", ("batch %d does not exist"):format(id),
      "jobq batches lists them; old ones go with jobq cleanup")
  end
  return batch
end

-- 12 members: 9 completed, 1 failed, 1 running, 1 waiting
local function members(batch, inside)
  local words = {}
  local function add(n, word)
    if n > 0 then
      table.insert(words, ("%d %s"):format(n, word))
    end
  end
  for _, each in ipairs(ENDS) do
    add(batch[each[1]], each[2])
  end
  add(inside.running, "running")
  add(inside.batches, inside.batches == 1 and "batch that has not ended"
    or "batches that have not ended")
  add(batch.total - batch.done - inside.running - inside.batches, "waiting")
  local total = text.count(batch.total, "member")
  return words[1] and ("%s: %s"):format(total, table.concat(words, ", ")) or total
end

local function print_times(context, batch)
  context:print(("opened %s, %s"):format(batch.created_at, time.ago(batch.created_for)))
  if batch.closed_at then
    context:print(("closed %s, %s"):format(batch.closed_at, time.ago(batch.closed_for)))
  else
    context:print "not closed yet: more may be added"
  end
  if batch.ended_at then
    context:print(("ended  %s, %s"):format(batch.ended_at, time.ago(batch.ended_for)))
  end
end

--- "7  import  open": how a line names one.
local function title(batch)
  local name = batch.name and text.clean(batch.name) .. "  " or ""
  return ("%d  %s%s"):format(batch.id, name, batch.status)
end

local function print_around(context, batch, callbacks, children)
  for _, c in ipairs(callbacks) do
    context:print(("%-11s %s, %s"):format(c.event, text.clean(c.kind),
      c.job and ("job %d, %s"):format(c.job, c.status or "gone since") or "not yet"))
  end
  if batch.parent then
    context:print(("a member of batch %d"):format(batch.parent))
  end
  for _, child in ipairs(children) do
    context:print(("batch in it: %s, %d of %d done"):format(title(child), child.done, child.total))
  end
end

local function print_page(context, batch, inside, callbacks, children)
  context:print(("batch %s, %d %%"):format(title(batch), batch.percent))
  context:print(members(batch, inside))
  print_times(context, batch)
  print_around(context, batch, callbacks, children)
  if batch.failed > 0 then
    context.say(("jobq jobs --batch %d --status failed shows what failed"):format(batch.id))
  end
end

local function ids(rows)
  local list = {}
  for i, row in ipairs(rows) do
    list[i] = tostring(row.id)
  end
  return list
end

local function callbacks_to_json(rows)
  local items = {}
  for i, row in ipairs(rows) do
    row.job = row.job and tostring(row.job)
    items[i] = json.pick(row, { "event", "kind", "job", "status" })
  end
  return items
end

return {
  group = "Jobs",
  summary = "one batch: its members by state, and its callbacks",
  text = [[
jobq jobs --batch ID lists the members; retry and cancel take that option, too. jobq batch cancel
ends all of it.
]],
  role = "jobq_reader",
  arguments = { { "ID", "the batch", type = "id" } },
  examples = { { "batch 7" }, { "batch 7 --json" }, { "jobs --batch 7 --status failed" } },

  run = function(context)
    local id = context.arguments.id
    local batch = find(context, id)
    local inside = context.db:row(INSIDE, id)
    local callbacks = context.db:query(CALLBACKS, id)
    local children = context.db:query(CHILDREN, id)
    if context.json then
      context:print_json(batches.to_json(batch, {
        { "running", inside.running }, { "callbacks", callbacks_to_json(callbacks) },
        { "batches", ids(children) },
      }))
      return
    end
    print_page(context, batch, inside, callbacks, children)
  end,
}
