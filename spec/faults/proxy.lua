--- Stands between clients and the server, and breaks what passes. A program of its own:
--
--     lua5.4 spec/faults/proxy.lua DIR SERVER_DIR CLIENT...
--
-- Each client has a folder DIR/CLIENT with a socket in it, so that faults can be aimed. Orders come
-- as lines through the socket DIR/control; what was done is told on stdout, a line each.
--
--     cut CLIENT f|b TYPE before|after   cuts both ends before or after the next frame of that type
--                                        was passed on to the server (f) or back (b)
--     unanswered CLIENT STATEMENT [rows] cuts both ends when the next transaction with that
--                                        statement has committed, and before the client is told;
--                                        rows: if it has some (a claim without took nothing)
--     half CLIENT SECONDS HOW            passes nothing on and closes nothing, new connections too;
--                                        HOW it ends: cut or resume; lose: as cut, and the server
--                                        loses its end at once
--     delay CLIENT MS SECONDS            holds everything back for a moment
--     clear CLIENT                       no faults any more; * stands for all clients
--     say CLIENT WORD                    tells the word, once the orders before were obeyed
local uv = require "luv"
local frames = require "faults.frames"

local PORT = ".s.PGSQL.5432"
local MOST_CUTS = 4 -- that wait, of a client

local dir, server_dir = arg[1], arg[2]
local clients = {} -- by name: { name, cuts, unanswered, halted, delay_ms, conns }

local function tell(...)
  io.stdout:write(table.concat({ ... }, " "), "\n")
  io.stdout:flush()
end

local function close(handle)
  if handle and not handle:is_closing() then
    handle:close()
  end
end

local function kill(conn)
  if not conn.dead then
    conn.dead = true
    close(conn.front)
    close(conn.back)
    conn.client.conns[conn] = nil
  end
end

local function write(conn, way, bytes, done)
  if bytes ~= "" and not conn.dead and not way.to:is_closing() then
    way.to:write(bytes, function() return done and done() end)
  elseif done then
    done()
  end
end

local function take_cut(client, way, frame)
  for i, cut in ipairs(client.cuts) do
    if cut.way == way.name and cut.type == frame.type then
      return table.remove(client.cuts, i)
    end
  end
end

-- Remembers which statements each Sync ends.
local function note_request(conn, frame)
  if frame.statement then
    conn.bound[frame.statement] = true
  elseif frame.type == "S" then
    table.insert(conn.asked, conn.bound)
    conn.bound = {}
  end
end

-- Whether this frame ends an answer that must not arrive.
local function is_unwanted(conn, frame)
  conn.has_rows = conn.has_rows or frame.type == "D"
  if frame.type ~= "Z" or #conn.asked == 0 then
    return false
  end
  local wanted, answered = conn.client.unanswered, table.remove(conn.asked, 1)
  local has_rows = conn.has_rows
  conn.has_rows = false
  return wanted and answered[wanted.statement] and (has_rows or not wanted.rows)
end

local function leave_unanswered(conn, way, bytes)
  tell("unanswered", conn.client.name, conn.client.unanswered.statement)
  conn.client.unanswered = nil
  write(conn, way, bytes, function() kill(conn) end)
end

-- Passes frames on until one of them is where the cut is.
local function pass(conn, way, list)
  local gathered = {}
  for _, frame in ipairs(list) do
    if way.name == "f" then
      note_request(conn, frame)
    elseif is_unwanted(conn, frame) then
      return leave_unanswered(conn, way, table.concat(gathered))
    end
    local cut = take_cut(conn.client, way, frame)
    if cut and cut.when == "before" then
      tell("cut", conn.client.name, way.name, frame.type, "before")
      return write(conn, way, table.concat(gathered), function() kill(conn) end)
    end
    table.insert(gathered, frame.bytes)
    if cut then
      tell("cut", conn.client.name, way.name, frame.type, "after")
      return write(conn, way, table.concat(gathered), function() kill(conn) end)
    end
  end
  write(conn, way, table.concat(gathered))
end

local function release(conn)
  for _, way in ipairs(conn.ways) do
    local held = way.held
    way.held = {}
    pass(conn, way, held)
  end
  if conn.ended then
    kill(conn)
  end
end

local function delay(conn, client)
  if not conn.timer then
    conn.timer = uv.new_timer()
    conn.timer:start(client.delay_ms, 0, function()
      close(conn.timer)
      conn.timer = nil
      if not conn.dead and not client.halted then
        release(conn)
      end
    end)
  end
end

local function on_data(conn, way, data)
  local client = conn.client
  local list = way.reader:feed(data)
  if not client.halted and client.delay_ms == 0 and #way.held == 0 then
    return pass(conn, way, list)
  end
  table.move(list, 1, #list, #way.held + 1, way.held)
  if not client.halted then
    delay(conn, client)
  end
end

-- A peer that goes while the line is dead is not missed by the other before the line is back.
local function on_end(conn)
  if conn.client.halted then
    conn.ended = true
  else
    release(conn)
    kill(conn)
  end
end

local function read(conn, way)
  way.from:read_start(function(_, data)
    if conn.dead then
      return
    elseif data then
      on_data(conn, way, data)
    else
      on_end(conn)
    end
  end)
end

local function connect(conn)
  conn.back = uv.new_pipe()
  conn.back:connect(server_dir .. "/" .. PORT, function(err)
    if err or conn.dead then
      kill(conn)
      close(conn.back)
      return
    end
    conn.ways = {
      { name = "f", from = conn.front, to = conn.back, reader = frames.reader(true), held = {} },
      { name = "b", from = conn.back, to = conn.front, reader = frames.reader(false), held = {} },
    }
    read(conn, conn.ways[1])
    read(conn, conn.ways[2])
  end)
end

local function serve(name)
  local client = { name = name, cuts = {}, delay_ms = 0, conns = {} }
  clients[name] = client
  assert(uv.fs_mkdir(dir .. "/" .. name, 493))
  local listener = uv.new_pipe()
  assert(listener:bind(dir .. "/" .. name .. "/" .. PORT))
  listener:listen(64, function()
    local conn = { client = client, front = uv.new_pipe(), ways = {}, bound = {}, asked = {} }
    listener:accept(conn.front)
    client.conns[conn] = true
    if not client.halted then
      connect(conn)
    end
  end)
end

-- Connections made while the line was dead have never reached the server.
local function resume(client, how)
  client.halted = false
  for conn in pairs(client.conns) do
    if how ~= "resume" or not conn.back then
      kill(conn)
    else
      release(conn)
    end
  end
end

local function later(seconds, what)
  local timer = uv.new_timer()
  timer:start(math.floor(seconds * 1000), 0, function()
    close(timer)
    what()
  end)
end

local orders = {}

-- Cuts that wait for a client that is not there would keep it out for as long as there are any.
function orders.cut(client, way, letter, when)
  table.insert(client.cuts, { way = way, type = letter, when = when })
  if #client.cuts > MOST_CUTS then
    table.remove(client.cuts, 1)
  end
end

function orders.unanswered(client, statement, rows)
  client.unanswered = { statement = statement, rows = rows }
end

function orders.half(client, seconds, how)
  client.halted = true
  for conn in pairs(how == "lose" and client.conns or {}) do
    close(conn.back)
  end
  later(tonumber(seconds), function()
    if client.halted then
      resume(client, how)
      tell("half", client.name, how)
    end
  end)
end

function orders.delay(client, ms, seconds)
  client.delay_ms = tonumber(ms)
  later(tonumber(seconds), function() client.delay_ms = 0 end)
end

function orders.clear(client)
  client.cuts, client.unanswered, client.delay_ms = {}, nil, 0
  if client.halted then
    resume(client, "cut")
  end
end

function orders.say(_, word)
  tell(word)
end

local function obey(line)
  local words = {}
  for word in line:gmatch "%S+" do
    table.insert(words, word)
  end
  local order = table.remove(words, 1)
  local name = table.remove(words, 1)
  for _, client in pairs(name == "*" and clients or { clients[name] }) do
    orders[order](client, table.unpack(words))
  end
end

local function listen_for_orders()
  local control = uv.new_pipe()
  assert(control:bind(dir .. "/control"))
  control:listen(4, function()
    local peer = uv.new_pipe()
    local rest = ""
    control:accept(peer)
    peer:read_start(function(_, data)
      if not data then
        os.exit(0) -- who gives the orders is gone
      end
      rest = (rest .. data):gsub("([^\n]*)\n", function(line)
        obey(line)
        return ""
      end)
    end)
  end)
end

uv.new_signal():start "sigpipe" -- a peer that was killed is not our end
for i = 3, #arg do
  serve(arg[i])
end
listen_for_orders()
tell "ready"
uv.run()
