--- The texts of a mail from the files NAME.subject, NAME.txt and NAME.html of a folder; with a
--- locale, NAME.LOCALE.txt and so on come first.
local jobq = require "jobq"
local template = require "lib.template"

local M = {}

local PARTS = { { "subject", "subject" }, { "text", "txt" }, { "html", "html" } }
local BESIDE_HANDLERS = select(2, ...):match("^(.*)/lib/") .. "/templates"

local known = {} -- from path to { text, tree }

local function folder()
  return jobq.config("email.templates", nil) or BESIDE_HANDLERS
end

local function is_name(name)
  return name:find("^[%w_-][%w_/-]*$") ~= nil
end

--- The tree of a file; nil if there is none, and what else is wrong.
local function read(file)
  local path = folder() .. "/" .. file
  local text, why, code = jobq.fs.read(path)
  if not text then
    return nil, code ~= "ENOENT" and why or nil, code
  end
  if not known[path] or known[path].text ~= text then
    local tree, problem, problem_code = template.parse(file, text)
    if not tree then
      return nil, problem, problem_code
    end
    known[path] = { text = text, tree = tree }
  end
  return known[path].tree
end

--- Of one part; nil if there is none, and what else is wrong.
local function find(name, locale, ending)
  if locale then
    local tree, why, code = read(("%s.%s.%s"):format(name, locale, ending))
    if tree or why then
      return tree, why, code
    end
  end
  return read(("%s.%s"):format(name, ending))
end

local function fill(name, locale, ending, values)
  local tree, why, code = find(name, locale, ending)
  if not tree then
    return nil, why, code
  end
  return template.render(tree, values, {
    escape = ending == "html" and template.escape_html or nil,
    load = function(other)
      if not is_name(other) then
        return nil, ("'%s' is not the name of a template"):format(other)
      end
      local found, problem = find(other, locale, ending)
      return found, problem or ("there is no %s.%s"):format(other, ending)
    end,
  })
end

--- Those that there are.
local function names()
  local list, seen = {}, {}
  for _, file in ipairs(jobq.fs.list(folder()) or {}) do
    local name = file:match("^([^.]+)%.subject$")
    if name and not seen[name] then
      list[#list + 1], seen[name] = name, true
    end
  end
  return #list > 0 and table.concat(list, ", ") or "none"
end

--- { subject =, text =, html = } as far as there are files; or nil, message, code.
---@param name string
---@param locale string?
---@param values table
function M.texts(name, locale, values)
  if not is_name(name) or locale and not is_name(locale) then
    return nil, ("template '%s' is not a name of letters, digits, - and _"):format(name),
      "bad_template"
  end
  local texts = {}
  for _, part in ipairs(PARTS) do
    local text, why, code = fill(name, locale, part[2], values)
    if not text and why then
      return nil, why, code
    end
    texts[part[1]] = text
  end
  if not texts.text and not texts.html then
    return nil, ("there is no template '%s' in %s\nhint: there are: %s"):format(
      name, folder(), names()), "bad_template"
  end
  texts.subject = texts.subject and texts.subject:gsub("\r?\n$", "")
  return texts
end

return M
