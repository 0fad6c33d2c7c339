--- jobq batch cancel ID: all of its members, and those of the batches in it.
local confirm = require "_confirm"
local failure = require "_failure"
local host = require "jobq.host"
local json = require "_json"
local text = require "_text"

local LEFT = "select b.total - b.done as n from jobq.batch_status b where b.id = $1::bigint"

local CHUNK = "select * from jobq.cancel_batch($1::bigint, $2::text, $3::bigint)"

-- From the first waiting member on to the last, until such a pass has found none.
local function cancel(context, id, reason)
  local total, in_pass, after = 0, 0, 0
  host.catch_interrupt()
  repeat
    local row = context.db:row(CHUNK, id, reason, after)
    total, in_pass, after = total + row.jobs, in_pass + row.jobs, row.last_id
    local again = not after and in_pass > 0
    if again then
      after, in_pass = 0, 0
    end
  until not after or host.interrupted()
  return total, not host.interrupted()
end

return {
  group = "Jobs",
  summary = "end a batch: cancel all its members",
  text = [[
Waiting members end at once, running ones are asked to stop, and nothing can be added from then on.
The batches in it are cancelled, too. on_complete is added when the last one has ended.
]],
  role = "jobq_admin",
  arguments = { { "ID", "the batch", type = "id" } },
  options = { { "--reason TEXT", "why; becomes the error of the jobs" } },
  examples = { { "batch cancel 7 --reason 'wrong file'" } },

  run = function(context)
    local id = context.arguments.id
    local left = context.db:row(LEFT, id)
    if not left then
      failure.raise("not_found", ("batch %d does not exist"):format(id), "jobq batches lists them")
    elseif left.n > 1 then
      confirm.check(context, left.n,
        ("cancel batch %d, with %d members that have not ended"):format(id, left.n),
        "cancelling " .. text.count(left.n, "job"))
    end
    local total, done = cancel(context, id, context.options.reason)
    if context.json then
      context:print_json(json.object { { "changed", total } })
    else
      context:print(text.count(total, "job") .. " cancelled or asked to stop")
    end
    if not done then
      context.say "interrupted; the same command goes on"
      return failure.INTERRUPTED
    end
  end,
}
