--- The answers of others in the usual run of a job, which its killed runs get again: functions of a
--- spec that count their calls are not called more often.
---
--- What is asked for anew is answered as it was when others had been told as much as now: what was
--- read before a change is not the answer after it. A change that is told twice gets its answer
--- twice.
local M = {}

local Tape = {}
Tape.__index = Tape

local READS = { GET = true, HEAD = true, OPTIONS = true }

--- answers: by key, each with when it was given. changes: how many different ones so far.
function M.new()
  return setmetatable({ answers = {}, is_recording = true }, Tape)
end

--- A run begins; told: what others were told by the run before that was killed.
function Tape:rewind(told)
  self.told, self.changes, self.used = told or {}, 0, {}
  for _ in pairs(self.told) do
    self.changes = self.changes + 1
  end
end

function Tape:stop_recording()
  self.is_recording = false
end

--- The next that was given at this time, else the last one before, else the first.
function Tape:find(key)
  local list, last = self.answers[key] or {}, nil
  for _, answer in ipairs(list) do
    if answer.changes == self.changes and not self.used[answer] then
      self.used[answer] = true
      return answer.results
    elseif answer.changes <= self.changes then
      last = answer
    end
  end
  last = last or list[1]
  return last and last.results
end

function Tape:note(keys, results)
  for _, key in ipairs(keys) do
    self.answers[key] = self.answers[key] or {}
    table.insert(self.answers[key], { changes = self.changes, results = results })
  end
end

function Tape:tell(key)
  if not self.told[key] then
    self.told[key] = true
    self.changes = self.changes + 1
  end
end

--- keys: of what is asked, the most exact first.
function Tape:answer(f, asked, keys, is_change)
  local results
  for _, key in ipairs(self.is_recording and {} or keys) do
    results = results or self:find(key)
  end
  if not results then
    results = table.pack(f(asked))
    if self.is_recording then
      self:note(keys, results)
    end
  end
  if is_change then
    self:tell(keys[1])
  end
  return table.unpack(results, 1, results.n)
end

function Tape:around(perform)
  return function(exchange)
    if exchange.to_file then
      return perform(exchange) -- writes it
    end
    local key = exchange.method .. " " .. exchange.url
    local keys = { ("%s\n%s"):format(key, exchange.body or ""), key }
    return self:answer(perform, exchange, keys, not READS[exchange.method])
  end
end

function Tape:around_mail(deliver)
  return function(delivery)
    local message = table.concat(delivery.message)
    local key = table.concat(delivery.to, ", ")
    local keys = { ("%s\n%s"):format(key, message:match "\r\nSubject: ([^\r]*)"), key }
    return self:answer(deliver, delivery, keys, true)
  end
end

return M
