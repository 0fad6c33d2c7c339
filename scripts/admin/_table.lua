--- Tables for people: columns as wide as they must be, cut where the terminal ends.
local color = require "_color"
local host = require "jobq.host"
local text = require "_text"

local M = {}

local GAP = "  "

--- A column: { title, function(row) or field name, right = true, flex = true (may be cut),
--- paint = function(row) that answers a style of _color.lua or nil }.
local function cell(column, row)
  local get = column[2]
  local value
  if type(get) == "function" then
    value = get(row)
  else
    value = row[get]
  end
  if value == nil then
    return ""
  end
  return text.clean(tostring(value))
end

local function measure(columns, rows)
  local widths, cells = {}, {}
  for i, column in ipairs(columns) do
    widths[i] = text.width(column[1])
    cells[i] = {}
    for r, row in ipairs(rows) do
      cells[i][r] = cell(column, row)
      widths[i] = math.max(widths[i], text.width(cells[i][r]))
    end
  end
  return widths, cells
end

-- Takes what is too much from the widest flexible column, again and again.
local function fit(columns, widths, available)
  local total = #GAP * (#columns - 1)
  for _, width in ipairs(widths) do
    total = total + width
  end
  while total > available do
    local widest
    for i, column in ipairs(columns) do
      if column.flex and widths[i] > 8 and (not widest or widths[i] > widths[widest]) then
        widest = i
      end
    end
    if not widest then
      return
    end
    widths[widest] = widths[widest] - 1
    total = total - 1
  end
end

local function pad(column, value, width, style)
  value = text.cut(value, width)
  local space = (" "):rep(width - text.width(value))
  value = color.paint(style, value)
  return column.right and space .. value or value .. space
end

local function line(columns, widths, get, style_of)
  local parts = {}
  for i, column in ipairs(columns) do
    parts[i] = pad(column, get(i), widths[i], style_of(column))
  end
  return (table.concat(parts, GAP):gsub("%s+$", ""))
end

--- The lines of a table, the titles first. A column that is `optional` goes when no row fills it.
function M.lines(columns, rows, available)
  local shown = {}
  for _, column in ipairs(columns) do
    local used = not column.optional
    for _, row in ipairs(used and {} or rows) do
      used = used or cell(column, row) ~= ""
    end
    table.insert(shown, used and column or nil)
  end
  local widths, cells = measure(shown, rows)
  fit(shown, widths, available or math.huge)
  local lines = {
    line(shown, widths, function(i) return shown[i][1] end, function() return "title" end),
  }
  for r = 1, #rows do
    table.insert(lines, line(shown, widths, function(i) return cells[i][r] end, function(column)
      return column.paint and column.paint(rows[r])
    end))
  end
  return lines
end

function M.print(columns, rows)
  for _, each in ipairs(M.lines(columns, rows, host.columns())) do
    io.write(each, "\n")
  end
end

return M
