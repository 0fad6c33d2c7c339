--- What producers ask for: requests by chance, in several mixes.
--
--     local next_request = requests.stream("mixed", rng)
--     local request, pause_s = next_request()
--         { kind = "chaos.sleep", args = { seconds = 0.4 }, priority =, delay =, key =, ... }
--         on_conflict   what is done when the key is taken
--         expires_in    seconds
--         hold_s   the transaction stays open so long between the enqueue and its COMMIT
local kinds = require "faults.kinds"

local M = {}

local KEYS = 12 -- so many unique keys: enough collisions
local WAYS = { "keep", "follow", "append" }

local function weighted()
  local names, total = {}, 0
  for name, kind in pairs(kinds) do
    table.insert(names, name)
    total = total + kind.weight
  end
  table.sort(names)
  return names, total
end

local function choose(rng, names, total)
  local at = rng() * total
  for _, name in ipairs(names) do
    at = at - kinds[name].weight
    if at <= 0 then
      return name
    end
  end
  return "quick"
end

local function decorate(request, name, rng)
  if name == "sleep" then
    request.args.seconds = 0.2 + rng() * 3
  elseif name == "limited" then
    request.args.seconds = rng() * 0.4
  elseif name == "unique" then
    request.args.seconds = rng() * 0.8
    request.key = "key" .. rng(KEYS)
    request.on_conflict = WAYS[rng(#WAYS)]
  elseif name == "expires" then
    request.args.seconds = rng() * 0.3
    request.expires_in = 0.05 + rng() * 2
  end
  if rng() < 0.3 then
    request.priority = rng(0, 9)
  end
  if rng() < 0.1 and name ~= "batch" and request.on_conflict ~= "append" then -- it keeps its time
    request.delay = 1 + math.floor(rng() * 50) / 10
  end
  if rng() < 0.03 then
    request.hold_s = rng() * 0.5
  end
  return request
end

local function plain(name, args)
  return { kind = kinds[name].name, args = args or {} }
end

local streams = {}

--- Everything there is; now and then a burst.
function streams.mixed(rng, rate)
  local names, total = weighted()
  local burst = 0
  return function()
    local name = burst > 0 and "quick" or choose(rng, names, total)
    burst = burst > 0 and burst - 1 or (rng() < 0.005 and 80 or 0)
    return decorate(plain(name), name, rng), burst > 0 and 0 or 2 * rng() / rate
  end
end

--- Only jobs of the given kind, at a steady rate.
local function only(name, args)
  return function(rng, rate)
    return function()
      return plain(name, args(rng)), 2 * rng() / rate
    end
  end
end

streams.quick = only("quick", function() return {} end)
streams.sleep = only("sleep", function(rng) return { seconds = 0.5 + rng() * 2 } end)
streams.long = only("sleep", function(rng) return { seconds = 3 + rng() * 3 } end)

streams.flaky = function(rng, rate)
  return function()
    return plain(rng() < 0.5 and "flaky" or "snooze"), 2 * rng() / rate
  end
end

--- Unique keys, most of them of jobs that fail.
streams.keys = function(rng, rate)
  return function()
    local request = plain(rng() < 0.7 and "discard" or "unique", { seconds = rng() })
    request.key = "key" .. rng(4)
    return request, 2 * rng() / rate
  end
end

--- Unique keys, and those who come while their holder runs.
streams.followers = function(rng, rate)
  return function()
    local request = plain("unique", { seconds = rng() })
    request.key, request.on_conflict = "key" .. rng(4), WAYS[rng(2, 3)]
    return request, 2 * rng() / rate
  end
end

--- Jobs that expire, more than there is room for.
streams.expiring = function(rng, rate)
  return function()
    local request = plain("expires", { seconds = 0.5 + rng() })
    request.expires_in = 0.5 + rng() * 3
    request.delay = rng() < 0.3 and 4 or nil
    return request, 2 * rng() / rate
  end
end

--- So much that the worker stops listening; meanwhile a job is enqueued whose COMMIT comes when the
--- worker has fallen asleep again; then silence, so that nothing else wakes it.
streams.lull = function(rng)
  local count = 0
  return function()
    count = count % 161 + 1
    if count < 161 then
      return plain("sleep", { seconds = 0.15 }), count == 160 and 1 + rng() or 0
    end
    local request = plain "quick"
    request.hold_s = 2 + rng() * 2
    return request, 8
  end
end

--- A handful of jobs in one moment, then quiet.
streams.bursts = function(rng)
  local left = 0
  return function()
    left = left > 0 and left - 1 or 30
    return plain("sleep", { seconds = 1.5 + rng() * 1.5 }), left > 0 and 0 or 2
  end
end

function M.stream(mix, rng, rate)
  return assert(streams[mix], mix)(rng, rate)
end

return M
