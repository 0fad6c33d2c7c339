--- Schedules, as the commands name and show them.
local failure = require "_failure"
local jobs = require "_jobs"
local near = require "_near"
local text = require "_text"
local time = require "_time"

local M = {}

-- A tick as the clock of its zone shows it, with the day in words.
local WORDS = [[
case (t.tick at time zone s.zone)::date - (now() at time zone s.zone)::date
  when 0 then 'today' when 1 then 'tomorrow'
  else to_char(t.tick at time zone s.zone, 'FMDay FMDD FMMonth')
    || case when t.tick > now() + interval '300 days'
      then to_char(t.tick at time zone s.zone, ' YYYY') else '' end
  end
|| to_char(t.tick at time zone s.zone, ' HH24:MI')
|| case when extract(second from t.tick) >= 1 then to_char(t.tick, '":"SS') else '' end
|| case when s.expression like '@every%%' then '' else ' '
    || case when t.tick at time zone s.zone < t.tick at time zone 'UTC' then '' else '+' end
    || to_char((t.tick at time zone s.zone) - (t.tick at time zone 'UTC'), 'HH24:MI') end
]]

-- The first of them is kept in the row: @every counts from it.
local NEXT = ([[
select s.name, s.zone, %s as tick, %s as since, %s as words
from jobq.schedule_status s
cross join lateral (
  select s.next_tick as tick
  union all
  select n from jobq.next_ticks(s.expression, s.zone, $1::int, s.next_tick) n
  order by 1 limit $1::int) t
where s.next_tick is not null and t.tick is not null and ($2::text is null or s.name = $2)
order by s.name, t.tick]]):format(jobs.iso "t.tick", jobs.age "t.tick", WORDS:gsub("%%%%", "%%"))

--- The next ticks of one schedule, or of all: rows of name, zone, tick (ISO), since, words.
function M.next_ticks(context, many, name)
  return context.db:query(NEXT, many, name)
end

--- "next in 18h, tomorrow 03:30 +01:00 Europe/Berlin"
function M.next_in_words(context, name)
  local row = M.next_ticks(context, 1, name)[1]
  if not row then
    return "it has no next tick"
  end
  return ("next %s, %s %s"):format(time.ago(row.since), row.words, row.zone)
end

--- Raises if there is none of that name.
function M.check(context, name)
  local names = {}
  for i, row in ipairs(context.db:query "select s.name from jobq.schedule_status s") do
    if row.name == name then
      return
    end
    names[i] = row.name
  end
  failure.raise("not_found", ("schedule '%s' does not exist"):format(text.clean(name)),
    near.hint(name, names) or "jobq schedules lists them")
end

return M
