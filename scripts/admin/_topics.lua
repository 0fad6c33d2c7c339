--- Pages of jobq help that are of no one command.
local M = {
  {
    name = "filters", summary = "how jobs, logs, retry, cancel and others choose jobs",
    text = [[
Options that are given together must all hold:

  --status S         pending, processing, completed, failed or cancelled
  --kind PATTERN     email.send, or 'email.*': * stands for any text
  --queue Q          the queue's name
  --tag TAG          the job has this tag
  --batch ID         it is a member of this batch
  --worker W         it runs there now, or ran there last: a worker's name or id
  --arg NAME=VALUE   an argument; customer.id=42 and to.0=x look inside
  --error TEXT       its error holds this text, in capitals or not
  --since T          its last step (enqueued, claimed, ended) was at or after T
  --until T          and before T

--status and --kind may be repeated: any of them. --tag and --arg, too: all of
them. retry means failed jobs unless --status says otherwise; cancel those that
wait or run; edit and snooze those that wait; delete those that have ended. logs
applies --since and --until to the lines, not to the jobs.

More than one job is changed only after a preview and a question; past 1,000 the
answer is the number. --dry-run shows the preview alone, --yes asks nothing. It
is done a thousand at a time; an interrupt tells where it was, and --after goes
on there.

  jobq jobs --status failed --kind 'email.*' --since 1h
  jobq retry --error 'too many connections' --over 10m
  jobq cancel --arg customer.id=42 --reason 'left us'
]],
  },
  {
    name = "times", summary = "how durations and points in time are written",
    text = [[
Durations: 500ms, 10s, 5m, 2h, 7d; a plain number is seconds.

Points in time, for --at, --since and --until, as PostgreSQL reads them:
  2030-12-24T08:00:00Z       with a zone, best
  2030-12-24 08:00           in the zone of the database session

--since and --until take a duration as well: 1h is an hour ago. What jobq prints
is UTC. All times are the database's; the clock of this machine does not matter.
]],
  },
  {
    name = "exit-status", summary = "what a script can tell from the exit status",
    text = [[
  0    done
  1    failed; also a job that enqueue --wait waited for
  2    usage: an option, argument or value that cannot be
  3    not found, or handlers that do not load
  4    no database: it cannot be reached
  5    refused: by the role's rights, by the state of the job, or not confirmed
  6    problems found, by doctor and health
  7    the schema of the database does not fit this program
  130  interrupted by Ctrl-C

With --json an error is {"error": {"code", "message", "hint"}} on stderr; its
code is failed, usage, not_found, no_database, refused, problems or schema.
]],
  },
}

---@return table? topic
function M.find(name)
  for _, topic in ipairs(M) do
    if topic.name == name then
      return topic
    end
  end
end

return M
