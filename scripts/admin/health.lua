--- jobq health: for probes of service managers and containers.
local failure = require "_failure"
local json = require "_json"
local text = require "_text"

local READY = [[
select count(*) filter (where w.silent_for < '75 s') as alive, count(w.load_error) as broken
from jobq.worker_status w where w.state = 'running']]

return {
  group = "Database",
  summary = "is the database there, does its schema fit? for probes",
  text = [[
Exit status 0: yes; 4: no database; 7: the schema does not fit. With --ready a worker has to be
alive, and all have to have loaded their handlers: else 6.
]],
  role = "jobq_reader",
  options = { { "--ready", "also: is there anybody to run jobs?" } },
  examples = { { "health" }, { "health --ready --quiet" } },

  run = function(context)
    context.db:query "select"
    local workers
    if context.options.ready then
      workers = context.db:row(READY)
      if workers.alive == 0 then
        failure.raise("problems", "no worker is alive", "jobq doctor tells more")
      elseif workers.broken > 0 then
        failure.raise("problems", ("the handlers of %s do not load"):format(
          text.count(workers.broken, "worker")), "jobq workers shows why")
      end
    end
    if context.json then
      context:print_json(json.object {
        { "status", "ok" }, { "workers", workers and workers.alive },
      })
    else
      context:print(workers and ("ok, %s"):format(text.count(workers.alive, "worker")) or "ok")
    end
  end,
}
