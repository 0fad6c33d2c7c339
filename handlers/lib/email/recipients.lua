--- Who a mail goes to.
local ask = require "lib.email.ask"
local jobq = require "jobq"

local M = {}

--- Of a text or an array of them: { text, address, domain, name } each; or nil, message, code.
function M.parse(to)
  local list = {}
  for i, text in ipairs(type(to) == "table" and to or { to }) do
    local found, why, code = jobq.smtp.parse_address(text)
    if not found then
      return nil, ("to[%d]: %s"):format(i, why), code
    end
    found.text = text
    list[i] = found
  end
  if #list == 0 then
    return nil, "to: expected a mail address, got none", "bad_address"
  end
  return list
end

local function addresses(list)
  local lowered = jobq.json.array {}
  for i, recipient in ipairs(list) do
    lowered[i] = recipient.address:lower()
  end
  return lowered
end

--- Reasons by address in lower case, of those that nothing may be sent to; or nil, message, code.
function M.suppressed(list, is_list_mail)
  local reasons = {}
  if jobq.config("email.suppressed") == "" then
    return reasons
  end
  local rows, why, code = ask("suppressed", nil, addresses(list), is_list_mail)
  for _, row in ipairs(rows or {}) do
    reasons[row.email:lower()] = row.reason
  end
  return rows and reasons, why, code
end

--- The texts of those that may get it, and { email, reason } of the others; or nil, message, code.
function M.wanted(list, is_list_mail)
  local reasons, why, code = M.suppressed(list, is_list_mail)
  if not reasons then
    return nil, why, code
  end
  local wanted, left_out = {}, jobq.json.array {}
  for _, recipient in ipairs(list) do
    local reason = reasons[recipient.address:lower()]
    if reason then
      left_out[#left_out + 1] = { email = recipient.address, reason = reason }
    else
      wanted[#wanted + 1] = recipient.text
    end
  end
  return wanted, left_out
end

return M
