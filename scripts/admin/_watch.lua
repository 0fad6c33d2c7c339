--- --watch: the same again and again, over itself on a terminal, one below the other in a pipe.
local host = require "jobq.host"

local M = {}

M.SECONDS = 2

M.option = {
  "--watch[=T]", "again every T [2s], until Ctrl-C", type = "duration", min = 0.1,
}

--- once() answers a function that prints what it found; it is not asked again without --watch.
function M.run(context, once)
  local every = context.options.watch
  if not every then
    return once()()
  end
  local home = host.is_tty(1) and not context.json and "\27[H\27[J" or nil
  while true do
    local show = once()
    if home then
      io.write(home)
    elseif not context.json then
      io.write(os.date "!%H:%M:%S\n")
    end
    show()
    io.stdout:flush()
    host.sleep(every == true and M.SECONDS or every)
  end
end

return M
