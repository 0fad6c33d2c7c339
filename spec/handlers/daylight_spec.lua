--- Schedules where clocks are put forward or back, beside those of a well-kept library: 20 zones
--- over 10 years, two days around each change. In this folder, where the libraries of others are.
local cjson = require "cjson"
local files = require "support.files"
local postgres = require "support.postgres"
local process = require "support.process"
local teller = require "support.teller"

-- Gaps and folds at midnight (Beirut, Havana, Asuncion, Sao Paulo, Gaza, Cairo, Azores), of half an
-- hour (Lord Howe) and two (Troll), of a whole day (Apia), winter time that is the exception
-- (Dublin, Casablanca at Ramadan), for good and by half an hour (Caracas, Pyongyang, Norfolk).
local ZONES = "{Africa/Cairo,Africa/Casablanca,America/Asuncion,America/Caracas,America/Havana,"
  .. "America/New_York,America/Sao_Paulo,America/St_Johns,Antarctica/Troll,Asia/Beirut,Asia/Gaza,"
  .. "Asia/Pyongyang,Asia/Tehran,Atlantic/Azores,Australia/Lord_Howe,Europe/Berlin,Europe/Dublin,"
  .. "Europe/Istanbul,Pacific/Apia,Pacific/Norfolk}"

-- Each with the hours around a change in which it is looked at: what comes often, in fewer.
local LINES = {
  { "30 2 * * *", 48 }, { "0 0 * * *", 48 }, { "30 0 * * *", 48 }, { "45 23 * * *", 48 },
  { "0 3 * * *", 48 }, { "15 1 * * *", 48 }, { "0 0 * * 0", 48 }, { "0 2,3 * * *", 48 },
  { "*/15 1-3 * * *", 8 }, { "0 * * * *", 6 }, { "20 */2 * * *", 12 },
}

-- A fixed time in a gap that goes over midnight: croner loses it, with us it is later as any other.
local LOST = { line = "45 23 * * *", zone = "Asia/Pyongyang", tick = 1525446900 }

-- A day at a time, which is near enough to find where a clock has changed.
local WINDOWS = [[
create temporary table windows as
select row_number() over (order by d.zone, d.day, l.line) as id, d.zone, l.line,
  jobq.read_cron(l.line) as cron, d.day - make_interval(hours => l.hours) as since,
  d.day + make_interval(hours => 24 + l.hours) as until
from (
  select z.zone, t as day, jobq.zone_offset(z.zone, t) as before,
    jobq.zone_offset(z.zone, t + interval '1 day') as beyond
  from unnest($1::text[]) z (zone),
    generate_series('2011-12-01 00:00Z'::timestamptz, '2021-11-30 00:00Z', '1 day') t) d
cross join unnest($2::text[], $3::int[]) l (line, hours)
where d.before <> d.beyond]]

local TICKS = [[
with recursive step as (
  select w.id, w.zone, w.cron, w.until, jobq.cron_tick(w.cron, w.zone, w.since) as tick
  from windows w
  union all
  select s.id, s.zone, s.cron, s.until, jobq.cron_tick(s.cron, s.zone, s.tick)
  from step s where s.tick <= s.until
)
select s.id, json_agg(extract(epoch from s.tick)::bigint order by s.tick)
  filter (where s.tick <= s.until) as ticks
from step s group by s.id order by s.id]]

describe("schedules where clocks change", function()
  local path

  before_each(function()
    path = os.tmpname()
  end)

  after_each(function()
    os.remove(path)
  end)

  local function array(list, n)
    return "{" .. table.concat(list, ",", 1, n) .. "}"
  end

  it("come when croner has them, but for what is ours by rule", function()
    local db = postgres.database()
    local lines, hours = {}, {}
    for i, line in ipairs(LINES) do
      lines[i], hours[i] = ('"%s"'):format(line[1]), line[2]
    end
    db:query "set timezone = 'UTC'"
    db:query(WINDOWS, ZONES, array(lines), array(hours))
    local windows = db:query [[select zone, line, extract(epoch from since)::bigint as "from",
      extract(epoch from until)::bigint as "to" from windows order by id]]
    files.write(path, cjson.encode(windows))
    local library = process.start { "node", "spec/support/daylight.js", path,
      env = { NODE_PATH = teller.peers "node" .. "/node_modules" } }
    local ours = db:query(TICKS)
    assert.equal(0, library:wait())
    local theirs = cjson.decode(library:output())
    assert.equal(#windows, #theirs)
    local zones, ticks, lost = {}, 0, 0
    for i, window in ipairs(windows) do
      if window.line == LOST.line and window.zone == LOST.zone and window.from < LOST.tick
        and LOST.tick <= window.to then
        lost = lost + 1
        table.insert(theirs[i], LOST.tick)
        table.sort(theirs[i])
      end
      assert.same(theirs[i], ours[i].ticks and cjson.decode(ours[i].ticks) or {},
        ("%s in %s after %s"):format(window.line, window.zone, os.date("!%F %T", window.from)))
      zones[window.zone] = true
      ticks = ticks + #theirs[i]
    end
    local n = 0
    for _ in pairs(zones) do
      n = n + 1
    end
    assert.same({ 20, 1 }, { n, lost })
    assert.is_true(ticks > 30000, ticks)
  end)
end)
