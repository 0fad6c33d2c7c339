--- Texts with places for values. Values are escaped unless the template says otherwise.
---
---   {{name}}                    a value, escaped; {{user.name}} of an object; it must be there
---   {{name?}}                   the same, or nothing
---   {{{body}}}                  as it is, for what the application itself has made
---   {{#if name}} {{else}} {{/if}}        not there, false, empty, 0: else
---   {{#each items}} {{else}} {{/each}}   fields of each item, {{.}} is the item; none: else
---   {{> footer}}                another template, with the same values
---   {{< layout}}                first of all: the rest is {{{content}}} of that template
---   {{! a note }}
---
--- Tags that make no text may have a line of their own, which goes with them. Templates are data:
--- there is no way from a value, or from a template, to code.
local jobq = require "jobq"

local M = {}

local DEEPEST = 20 -- templates in templates

local Problem = {}

local function fail(source, line, text, ...)
  error(setmetatable({ ("%s:%d: " .. text):format(source, line, ...) }, Problem), 0)
end

--- Calls f; what is wrong with a template becomes nil, message, code.
local function answer(f, ...)
  local ok, value = pcall(f, ...)
  if ok then
    return value
  elseif getmetatable(value) == Problem then
    return nil, value[1], "bad_template"
  end
  error(value, 0)
end

---- text to tags ----

local SIGILS = {
  ["#"] = "open", ["/"] = "close", [">"] = "partial", ["<"] = "layout", ["!"] = "note",
}

local function line_at(text, at)
  local _, breaks = text:sub(1, at - 1):gsub("\n", "")
  return breaks + 1
end

--- The tag that begins at `from`: what it is, its words, where it ends.
local function read_tag(source, text, from)
  local is_raw = text:sub(from, from + 2) == "{{{"
  local inside, to = text:match(is_raw and "^{{{%s*(.-)%s*}}}()" or "^{{%s*(.-)%s*}}()", from)
  if not inside then
    fail(source, line_at(text, from), "a tag that begins with {{ has no end")
  end
  local tag = { line = line_at(text, from), raw = is_raw, to = to, words = inside }
  local sigil = not is_raw and SIGILS[inside:sub(1, 1)]
  tag.type = sigil or inside == "else" and "else" or "value"
  if sigil then
    tag.words = inside:sub(2):match("^%s*(.*)$")
  end
  return tag
end

--- Where the text around a tag stops and goes on: one with a line of its own takes that along.
local function edges(text, from, tag)
  local start = from
  while start > 1 and text:find("^[ \t]", start - 1) do
    start = start - 1
  end
  local next_line = text:match("^[ \t]*\r?\n()", tag.to) or text:match("^[ \t]*()$", tag.to)
  local is_alone = (start == 1 or text:sub(start - 1, start - 1) == "\n") and next_line
  if tag.type ~= "value" and is_alone then
    return start, next_line
  end
  return from, tag.to
end

--- Texts and tags in turn.
local function split(source, text)
  local pieces, at = {}, 1
  while true do
    local from = text:find("{{", at, true)
    if not from then
      pieces[#pieces + 1] = text:sub(at)
      return pieces
    end
    local tag = read_tag(source, text, from)
    local stop, go_on = edges(text, from, tag)
    pieces[#pieces + 1] = text:sub(at, math.max(at, stop) - 1)
    pieces[#pieces + 1] = tag
    at = go_on
  end
end

---- tags to a tree ----

local function path_of(source, tag, words)
  local name, mark = words:match("^([%w_.]+)(%??)$")
  local has_gap = name and name ~= "." and ("." .. name .. "."):find("..", 1, true)
  if not name or has_gap then
    fail(source, tag.line, "'%s' is not the name of a value", words)
  end
  local path = {}
  for part in name:gmatch("[^.]+") do
    path[#path + 1] = part
  end
  return { name = name, path = path, is_optional = mark == "?", line = tag.line }
end

local add = {}

function add.value(source, tag, state)
  local node = path_of(source, tag, tag.words)
  node.type, node.raw = "value", tag.raw
  table.insert(state.into, node)
end

function add.open(source, tag, state)
  local type_name, words = tag.words:match("^(%a+)%s+(.+)$")
  if type_name ~= "if" and type_name ~= "each" then
    fail(source, tag.line, "'{{#%s}}' is neither '{{#if name}}' nor '{{#each name}}'", tag.words)
  end
  local node = path_of(source, tag, words)
  node.type, node.body, node.otherwise, node.outer = type_name, {}, {}, state
  table.insert(state.into, node)
  node.into = node.body
  return node
end

add["else"] = function(source, tag, state)
  if not state.outer or state.into == state.otherwise then
    fail(source, tag.line, "'{{else}}' is not within '{{#if}}' or '{{#each}}'")
  end
  state.into = state.otherwise
end

function add.close(source, tag, state)
  if not state.outer or state.type ~= tag.words then
    fail(source, tag.line, "'{{/%s}}' closes nothing, expected %s", tag.words,
      state.outer and ("'{{/%s}}' of line %d"):format(state.type, state.line) or "none")
  end
  return state.outer
end

function add.partial(_, tag, state)
  table.insert(state.into, { type = "partial", name = tag.words, line = tag.line })
end

function add.layout(source, tag, state)
  if state.outer or state.layout or #state.into > 0 then
    fail(source, tag.line, "'{{< %s}}' is not at the beginning", tag.words)
  end
  state.layout = { type = "partial", name = tag.words, line = tag.line }
end

function add.note() end

local function parse(source, text)
  local tree = { source = source }
  tree.into = tree
  local state = tree
  for _, piece in ipairs(split(source, text)) do
    if type(piece) == "table" then
      state = add[piece.type](source, piece, state) or state
    elseif piece ~= "" then
      table.insert(state.into, piece)
    end
  end
  if state ~= tree then
    fail(source, state.line, "'{{#%s %s}}' has no '{{/%s}}'", state.type, state.name, state.type)
  end
  return tree
end

--- A template to render; or nil, message, code.
---@param source string its file, for messages
---@param text string
function M.parse(source, text)
  return answer(parse, source, text)
end

---- a tree and values to text ----

local HTML = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

function M.escape_html(text)
  return (text:gsub("[&<>\"']", HTML))
end

local function look_up(scope, path)
  if #path == 0 then
    return scope.value
  end
  while scope do
    local value = type(scope.value) == "table" and scope.value[path[1]]
    if type(scope.value) == "table" and scope.value[path[1]] ~= nil then
      for i = 2, #path do
        value = type(value) == "table" and value[path[i]]
      end
      return value
    end
    scope = scope.outer
  end
  return nil
end

--- jobq.json.null is none.
local function value_of(run, node)
  local value = look_up(run.scope, node.path)
  if value == jobq.json.null then
    return nil
  end
  return value
end

local function names_of(scope)
  local names = {}
  while scope do
    for name in pairs(type(scope.value) == "table" and scope.value or {}) do
      names[#names + 1] = tostring(name)
    end
    scope = scope.outer
  end
  table.sort(names)
  return #names > 0 and table.concat(names, ", ") or "none"
end

local function text_of(run, node, value)
  if value == nil and node.is_optional then
    return ""
  elseif value == nil then
    fail(run.source, node.line, "'%s' is not there\nhint: values that are: %s; or write {{%s?}}",
      node.name, names_of(run.scope), node.name)
  elseif type(value) == "table" then
    fail(run.source, node.line, "'%s' is no text, but several values", node.name)
  end
  return tostring(math.tointeger(value) or value)
end

local render

local function within(run, value, body)
  local scope = run.scope
  run.scope = { value = value, outer = scope }
  render(run, body)
  run.scope = scope
end

local write = {}

function write.value(run, node)
  local text = text_of(run, node, value_of(run, node))
  table.insert(run.out, node.raw and text or run.escape(text))
end

local function is_empty(value)
  return not value or value == "" or value == 0 or type(value) == "table" and next(value) == nil
end

write["if"] = function(run, node)
  render(run, is_empty(value_of(run, node)) and node.otherwise or node.body)
end

function write.each(run, node)
  local list = value_of(run, node)
  local is_list = type(list) == "table" and (list[1] ~= nil or next(list) == nil)
  if list ~= nil and not is_list then
    fail(run.source, node.line, "'%s' is not an array", node.name)
  elseif list == nil or #list == 0 then
    return render(run, node.otherwise)
  end
  for _, item in ipairs(list) do
    within(run, item, node.body)
  end
end

--- Another template in the place of the node; content is for layouts.
local function include(run, node, content)
  if run.depth == DEEPEST then
    fail(run.source, node.line, "'%s' is in itself, or more than %d deep", node.name, DEEPEST)
  end
  local tree, why = run.load(node.name)
  if not tree then
    fail(run.source, node.line, "%s", why)
  end
  local source = run.source
  run.source, run.depth = tree.source, run.depth + 1
  if content then
    within(run, { content = content }, tree)
  else
    render(run, tree)
  end
  run.source, run.depth = source, run.depth - 1
end

write.partial = include

local function render_body(run, nodes)
  for _, node in ipairs(nodes) do
    if type(node) == "string" then
      table.insert(run.out, node)
    else
      write[node.type](run, node)
    end
  end
end

--- What has a layout is written apart first.
function render(run, nodes)
  if not nodes.layout then
    return render_body(run, nodes)
  end
  local out = run.out
  run.out = {}
  render_body(run, nodes)
  local content = table.concat(run.out)
  run.out = out
  include(run, nodes.layout, content)
end

--- The text; or nil, message, code. options.load(name) gives the tree of another, or nil and why;
--- options.escape is for values.
---@param tree table as M.parse gives it
---@param values table
---@param options { load: function, escape?: function }
function M.render(tree, values, options)
  local run = {
    depth = 0, escape = options.escape or function(text) return text end, load = options.load,
    out = {}, scope = { value = values }, source = tree.source,
  }
  return answer(function()
    render(run, tree)
    return table.concat(run.out)
  end)
end

return M
