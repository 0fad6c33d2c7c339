--- jobq vapid [FILE]: the key by which push services know an application (RFC 8292).
local failure = require "_failure"
local json = require "_json"
local keys = require "jobq.keys"
local run = require "_run"
local text = require "_text"

--- Of a private key, both as base64url; nil if it is none.
local function public_of(private)
  local bytes = keys.decode(private, "base64url")
  local key = bytes and keys.load_raw("p256", bytes, true)
  return key and keys.encode(keys.raw(keys.public(key)), "base64url")
end

local function new_key()
  local private = keys.random(32, "base64url")
  return public_of(private) and private or new_key() -- one in 2^32 is none
end

local function read(path)
  local file = io.open(path)
  local content = file and file:read "a"
  if file then
    file:close()
  end
  return content and content:gsub("%s+$", "")
end

--- For the eyes of its owner only, from the beginning.
local function write(path, content)
  local made = run.run { "install", "-m", "600", "--", "/dev/null", path } == 0
  local file, message = io.open(path, made and "w" or "r+")
  if not file then
    failure.raise("failed", ("cannot write %s"):format(message))
  end
  file:write(content, "\n")
  file:close()
end

--- The key in the file, which is made if there is none.
local function key_of(context, path)
  local private = read(path)
  if not private then
    private = new_key()
    write(path, private)
    context.say(("wrote %s; settings: notification.vapid_key=file:%s"):format(path, path))
  end
  return private
end

return {
  group = "Handlers",
  summary = "make the key of an application for Web Push",
  text = [[
Browsers subscribe with the public key (applicationServerKey); the private one is the setting
notification.vapid_key. With FILE the private key is kept there, for its owner only, and the public
one of a file that is there already is shown. Another key means that all browsers subscribe again.
]],
  arguments = { { "[FILE]", "where the private key is, or goes to" } },
  examples = { { "vapid vapid.key" }, { "vapid --json" } },

  run = function(context)
    local path = context.arguments.file
    local private = path and key_of(context, path) or new_key()
    local public = public_of(private)
    if not public then
      failure.raise("failed", ("'%s' holds no key, expected 43 characters of base64url"):format(
        text.clean(path)), "another name makes a new one")
    end
    local shown = not path and private or nil
    if context.json then
      local fields = { { "public", public } }
      table.insert(fields, shown and { "private", shown })
      context:print_json(json.object(fields))
    else
      context:print((shown and "private  " .. shown .. "\n" or "") .. "public   " .. public)
    end
  end,
}
