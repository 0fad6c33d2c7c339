--- A producer: an application that enqueues and never takes a cut reply for an answer. A program:
--
--     lua5.4 spec/faults/producer.lua NAME DSN DIR SEED MIX RATE
--
-- Each request has an id and is enqueued together with a row of the application's own table, in one
-- transaction. After a cut it looks whether its row is there before it sends again. Only when
-- COMMIT was answered, or the row was found, a line goes to DIR/acks. DIR/stop ends it.
--
-- JOBQ_DEFECT=cut_commit makes it the application that many people write: no row, just send again.
local uv = require "luv"
local core = require "jobq.core"
local requests = require "faults.requests"

local name, dsn, dir = arg[1], arg[2], arg[3]
local careless = os.getenv "JOBQ_DEFECT" == "cut_commit"

math.randomseed(tonumber(arg[4]))
local next_request = requests.stream(arg[5], math.random, tonumber(arg[6]))

local INSERT = [[
insert into chaos.request (id, job_id, kind, priority, delay_s, key, expires_s)
select $1::text, case when $2::text = 'chaos.batch' then chaos.enqueue_batch($1::text, $3::jsonb)
    else jobq.enqueue($2::text, $3::jsonb, priority => $4::int,
      delay => $5::float8 * interval '1 second', unique_key => $6::text,
      on_conflict => $7::text, expires_in => $8::float8 * interval '1 second') end,
  $2::text, $4::int, $5::float8, $6::text, $8::float8 ]]
local LOOK = "select job_id from chaos.request where id = $1::text"
local PAUSE_MS = 100

local conn
local count = 0

local function now()
  local seconds, microseconds = uv.gettimeofday()
  return seconds + microseconds / 1e6
end

local function acknowledge(request, job_id)
  local file <close> = assert(io.open(dir .. "/acks", "a"))
  file:write(("%s %d %s %.3f\n"):format(request.id, job_id, request.kind, now()))
end

local function is_over()
  return uv.fs_stat(dir .. "/stop") ~= nil
end

local function lose()
  if conn then
    conn:close()
    conn = nil
  end
  uv.sleep(PAUSE_MS)
end

-- The id of its job, 0 if it is not there, nil if nobody answers.
local function look(request)
  local rows = conn:query(LOOK, request.id)
  return rows and (rows[1] and rows[1].job_id or 0)
end

-- The job's id once COMMIT was answered; nil: nobody knows.
local function transact(request)
  local sql = INSERT .. (careless and "on conflict do nothing" or "")
  if not conn:query "begin" then
    return nil
  end
  local done = conn:query(sql, request.id, request.kind, core.json.encode(request.args),
    request.priority, request.delay, request.key, request.on_conflict, request.expires_in)
  local job_id = done and look(request)
  if job_id and request.hold_s then
    uv.sleep(math.floor(request.hold_s * 1000))
  end
  return job_id and conn:query "commit" and job_id
end

-- One try: looks first if there was one before.
local function try(request)
  conn = conn or core.pg.connect(dsn)
  if not conn then
    return nil
  end
  local job_id = 0
  if request.sent and not careless then
    job_id = look(request)
  end
  if job_id == 0 then
    request.sent = true
    job_id = transact(request)
  end
  return job_id
end

-- Until it is known to be there, or the run is over.
local function send(request)
  while true do
    local job_id = try(request)
    if job_id then
      return acknowledge(request, job_id)
    elseif is_over() then
      return
    end
    lose()
  end
end

while not is_over() do
  local request, pause_s = next_request()
  count = count + 1
  request.id = ("%s.%d"):format(name, count)
  request.args.request = request.id
  send(request)
  local until_at = now() + pause_s
  while now() < until_at and not is_over() do
    uv.sleep(math.max(1, math.min(50, math.floor((until_at - now()) * 1000))))
  end
end
