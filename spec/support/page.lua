--- A page of the documentation, cut into its fenced blocks.
--
--     local page = page.read "docs/tutorial/first-handler.md"
--     page.path, page.text, page.options         options: { ["own database"] = true }
--     for _, block in ipairs(page.blocks) do
--       block.kind                               "console", "lua", "sql", ...; "" if it says none
--       block.text, block.line                   line: of its first line in the page
--       block.name                               "handlers/report.lua", from a first line that is
--                                                nothing but a comment with a path
--       block.notes                              HTML comments right above it:
--                                                { ["not run"] = "why", fails = "3" }
--     end
--     page.find_all()                            paths of all pages of this tree
local files = require "support.files"

local M = {}

local FOLDERS = { "", "docs/", "spec/faults/" }
local WITHIN_DOCS = { "tutorial/", "how-to/", "reference/", "explanation/" }

local function name_of(text)
  local first = text:match "^([^\n]*)"
  local name = first:match "^%-%- ([%w_./-]+)$" or first:match "^# ([%w_./-]+)$"
    or first:match "^// ([%w_./-]+)$"
  return name and name:find "%.%l+$" and name or nil
end

--- "not run: it needs a mail server" -> "not run", "it needs a mail server".
local function add_note(notes, comment)
  local name, value = comment:match "^%s*([%l ]-): *(.-)%s*$"
  notes[name or comment:match "^%s*(.-)%s*$"] = value or true
end

local function new_block(kind, line, notes)
  return { kind = kind, line = line + 1, notes = notes, lines = {} }
end

local function finish(block)
  block.text = table.concat(block.lines, "\n") .. "\n"
  block.name = name_of(block.text)
  block.lines = nil
  return block
end

--- Notes last until something else than an empty line or a comment comes.
local function split(text)
  local blocks, options, notes, block, number = {}, {}, {}, nil, 0
  for line in text:gmatch "([^\n]*)\n" do
    number = number + 1
    local comment = line:match "^<!%-%-(.*)%-%->%s*$"
    if block and line:find "^```%s*$" then
      table.insert(blocks, finish(block))
      block, notes = nil, {}
    elseif block then
      table.insert(block.lines, line)
    elseif line:find "^```" then
      block = new_block(line:match "^```([%w_]*)", number, notes)
    elseif comment and comment:find "^ *page: " then
      options[comment:match "page: *(.-)%s*$"] = true
    elseif comment then
      add_note(notes, comment)
    elseif line ~= "" then
      notes = {}
    end
  end
  return blocks, options, block
end

function M.read(path)
  local text = assert(files.read(path), path)
  local blocks, options, open = split(text)
  if open then
    error(("%s:%d: the block has no end"):format(path, open.line), 0)
  end
  return { path = path, text = text, blocks = blocks, options = options }
end

function M.find_all()
  local found = {}
  local function add(folder)
    for _, path in ipairs(files.glob(folder .. "*.md")) do
      table.insert(found, (path:gsub("^%./", "")))
    end
  end
  for _, folder in ipairs(FOLDERS) do
    add(folder)
  end
  for _, folder in ipairs(WITHIN_DOCS) do
    add("docs/" .. folder)
  end
  return found
end

return M
