--- Services take some 4 KB: a body that is too long ends with "…".
local ELLIPSIS = "…"

--- Its first bytes, at most so many, and no part of a character.
local function first_bytes(text, count)
  if #text <= count then
    return text
  end
  return count > 0 and text:sub(1, utf8.offset(text, 0, count + 1) - 1) or ""
end

--- encode(body), of at most so many bytes; or nil, message, code.
return function(body, limit, encode)
  local text = encode(body)
  while #text > limit and body ~= "" do
    body = first_bytes(body, #body - (#text - limit) - #ELLIPSIS)
    text = encode(body .. ELLIPSIS)
  end
  if #text > limit then
    return nil, ("the notification has %d bytes, at most %d expected\nhint: data, title or url "
      .. "is too long"):format(#text, limit), "too_large"
  end
  return text
end
