--- The options of scripts/chaos.
local defects = require "faults.defects"
local faults = require "faults.faults"

local M = {}

local USAGE = [[
Usage: scripts/chaos [options]
Runs real workers against a real server, breaks things by chance, audits what became of each job.

  --minutes N, --seconds N   how long faults happen [1 minute]; then all must drain
  --seed S          the same schedule again [by chance]
  --workers N       [3]
  --fault NAME      only this fault, once
  --only A,B        only these faults, by chance
  --mix NAME        what producers ask for [mixed]
  --dead-after S    seconds of silence [4; 60 for every third seed: then locks tell first]
  --rate N          requests a second of each producer [15]
  --list            names of the faults
  --slice           each fault once in three minutes, in TAP, for CI
  --defects         runs the seeded defects, in TAP: the auditor must find each
  --list-defects    their names
  --defect NAME     one of them
  --rounds N        a defect must be found within so many runs [6]
  --keep            keep the folder of the run with all logs
  --ledger FILE     one line of JSON a run [.jobq/chaos.jsonl]
Exit status: 0 all is well, 1 violations, 2 usage.
]]

local function fail(message)
  io.stderr:write("chaos: ", message, "\n")
  os.exit(2)
end

local function number(name, value)
  return tonumber(value) or fail(("%s '%s' is no number"):format(name, tostring(value)))
end

local function fault(name)
  return faults[name] and faults[name].run and name
    or fail(("unknown fault '%s', see --list"):format(name))
end

local function names(text)
  local list = {}
  for name in text:gmatch "[^,]+" do
    table.insert(list, fault(name))
  end
  return list
end

local WITH_VALUE = {
  ["--minutes"] = function(o, v) o.seconds = 60 * number("--minutes", v) end,
  ["--seconds"] = function(o, v) o.seconds = number("--seconds", v) end,
  ["--seed"] = function(o, v) o.seed = math.floor(number("--seed", v)) end,
  ["--workers"] = function(o, v) o.workers = math.floor(number("--workers", v)) end,
  ["--fault"] = function(o, v) o.fault, o.seconds = fault(v), o.seconds or 12 end,
  ["--only"] = function(o, v) o.only = names(v) end,
  ["--mix"] = function(o, v) o.mix = v end,
  ["--dead-after"] = function(o, v) o.dead_after = number("--dead-after", v) end,
  ["--rate"] = function(o, v) o.rate = number("--rate", v) end,
  ["--rounds"] = function(o, v) o.rounds = math.floor(number("--rounds", v)) end,
  ["--defect"] = function(o, v)
    if not defects.list[v] then
      fail(("unknown defect '%s', expected one of: %s"):format(v, table.concat(defects.names, " ")))
    end
    o.mode, o.defect, o.tap, o.seconds = "defects", v, true, o.seconds or 40
  end,
  ["--ledger"] = function(o, v) o.ledger = v end,
}
local function help()
  io.write(USAGE)
  os.exit(0)
end

local SWITCHES = {
  ["-h"] = help,
  ["--help"] = help,
  ["--list"] = function(o) o.list = true end,
  ["--list-defects"] = function(o) o.list_defects = true end,
  ["--slice"] = function(o) o.mode, o.tap, o.seconds = "slice", true, o.seconds or 150 end,
  ["--defects"] = function(o) o.mode, o.tap, o.seconds = "defects", true, o.seconds or 40 end,
  ["--keep"] = function(o) o.keep = true end,
}

-- Takes one option, and its value, from words.
local function take(options, words)
  local word = table.remove(words, 1)
  local name, value = word:match "^(%-%-[%w-]+)=(.*)$"
  name = name or word
  if SWITCHES[name] then
    SWITCHES[name](options)
  elseif WITH_VALUE[name] then
    value = value or table.remove(words, 1) or fail(name .. " wants a value")
    WITH_VALUE[name](options, value)
  else
    fail(("unknown option '%s', see --help"):format(word))
  end
end

function M.parse(words)
  local options = {
    mode = "chaos", workers = 3, ledger = ".jobq/chaos.jsonl", keep = "failed", rounds = 6,
  }
  while #words > 0 do
    take(options, words)
  end
  options.seed = options.seed or math.random(1, 99999)
  options.seconds = options.seconds or 60
  options.dead_after = options.dead_after
    or (options.mode == "chaos" and options.seed % 3 == 0 and 60 or 4)
  return options
end

return M
