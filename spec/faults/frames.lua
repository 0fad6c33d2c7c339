--- The frames of PostgreSQL's protocol, cut from a stream of bytes.
--
--     local reader = frames.reader(true)           true: the first has no type, as from a client
--     for _, frame in ipairs(reader:feed(data)) do
--       frame.type                                 "startup", or the letter: "P", "Z", ...
--       frame.bytes                                the whole frame, to be passed on
--       frame.statement                            of a Bind: the name of the prepared statement
--     end
--
-- What is not complete yet waits for more. Encryption is not spoken here: a Unix socket has none.
local M = {}

--- Names for the letters that cuts are made at.
M.frontend = {
  P = "Parse", B = "Bind", D = "Describe", E = "Execute", S = "Sync", Q = "Query", X = "Terminate",
}
M.backend = {
  ["1"] = "ParseComplete", ["2"] = "BindComplete", T = "RowDescription", D = "DataRow",
  C = "CommandComplete", Z = "ReadyForQuery", n = "NoData", A = "NotificationResponse",
}

local Reader = {}
Reader.__index = Reader

function M.reader(starts_untyped)
  return setmetatable({ rest = "", untyped = starts_untyped, binds = starts_untyped }, Reader)
end

-- Type and size of the frame that begins at `at`, or nil when its head is not all there.
local function head(self, bytes, at)
  if self.untyped then
    return "startup", #bytes - at + 1 >= 4 and string.unpack(">I4", bytes, at) or nil
  end
  return bytes:sub(at, at), #bytes - at + 1 >= 5 and 1 + string.unpack(">I4", bytes, at + 1) or nil
end

-- Bind: the letter, its length, the names of portal and statement, each with a zero behind it.
local function statement_of(letter, bytes)
  return letter == "B" and bytes:match "^B....[^\0]*\0([^\0]*)\0" or nil
end

function Reader:feed(data)
  local bytes = self.rest == "" and data or self.rest .. data
  local found = {}
  local at = 1
  while at <= #bytes do
    local letter, size = head(self, bytes, at)
    if not size or at + size - 1 > #bytes then
      break
    end
    local frame = { type = letter, bytes = bytes:sub(at, at + size - 1) }
    frame.statement = self.binds and statement_of(letter, frame.bytes)
    table.insert(found, frame)
    self.untyped = false
    at = at + size
  end
  self.rest = bytes:sub(at)
  return found
end

return M
