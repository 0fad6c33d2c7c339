--- Completion for shells, from the tables of the commands.
local options = require "_options"
local topics = require "_topics"

local M = {}

--- What may follow an option: a list of words, "file", "any", or nil for a switch.
local function values_of(row)
  local _, value, need = options.describe(row)
  if not value or need == "optional" then
    return nil
  elseif row.choices then
    return row.choices
  end
  return value == "FILE" and "file" or "any"
end

-- An option as all shells need it.
local function describe(row)
  return {
    name = options.describe(row), short = row.short, help = row[2], values = values_of(row),
  }
end

local function describe_all(rows)
  local list = {}
  for i, row in ipairs(rows or {}) do
    list[i] = describe(row)
  end
  return list
end

-- The words that may stand where arguments are.
local function words_of(each, commands)
  local list = {}
  for _, row in ipairs(each.command.arguments or {}) do
    table.move(row.choices or {}, 1, #(row.choices or {}), #list + 1, list)
  end
  if each.name == "help" then
    for _, other in ipairs(commands) do
      table.insert(list, other.name:match "^%S+$")
    end
    for _, topic in ipairs(topics) do
      table.insert(list, topic.name)
    end
  end
  return list
end

--- { { name =, summary =, options =, words = }, ... } and the options of all commands.
local function model(commands, global_options)
  local list = {}
  for i, each in ipairs(commands) do
    list[i] = {
      name = each.name, summary = each.command.summary,
      options = describe_all(each.command.options), words = words_of(each, commands),
    }
  end
  return list, describe_all(global_options)
end

-- The first words, and the second ones of a first.
local function nouns_and_verbs(commands)
  local nouns, verbs, seen = {}, {}, {}
  for _, each in ipairs(commands) do
    local noun, verb = each.name:match "^(%S+) ?(%S*)$"
    if not seen[noun] then
      seen[noun] = true
      table.insert(nouns, { name = noun, summary = each.summary })
    end
    if verb ~= "" then
      verbs[noun] = verbs[noun] or {}
      table.insert(verbs[noun], { name = verb, summary = each.summary })
    end
  end
  return nouns, verbs
end

local function names(list, prefix)
  local words = {}
  for i, each in ipairs(list) do
    words[i] = (prefix or "") .. each.name
  end
  return table.concat(words, " ")
end

-- Those options that take a value, all or those with values of one sort, as a pattern of `case`.
local function with_value(commands, global, sort)
  local list, seen = {}, {}
  local function add(rows)
    for _, option in ipairs(rows) do
      local wanted = option.values and (not sort or option.values == sort)
      if wanted and not seen[option.name] then
        seen[option.name] = true
        table.insert(list, "--" .. option.name)
      end
    end
  end
  add(global)
  for _, each in ipairs(commands) do
    add(each.options)
  end
  table.sort(list)
  return table.concat(list, "|")
end

local function two_words(commands)
  local list = {}
  for _, each in ipairs(commands) do
    table.insert(list, each.name:find " " and ('"%s"'):format(each.name) or nil)
  end
  return table.concat(list, "|")
end

-- Shell code that finds the command among the words before the cursor; for bash and zsh.
local function find_command(words, first, last, commands, global)
  return ([=[
  local command='' i word
  for ((i = %s; i < %s; i++)); do
    word=${%s[i]}
    case $word in
      %s)
        ((i++))
        [[ ${%s[i]} == = ]] && ((i++))
        ;;
      -* | =) ;;
      *)
        if [[ -z $command ]]; then
          command=$word
        else
          case "$command $word" in
            %s) command="$command $word" ;;
          esac
          break
        fi
        ;;
    esac
  done
]=]):format(first, last, words, with_value(commands, global), words, two_words(commands))
end

local BASH = [=[
# Completion of jobq for bash, made by: jobq completion bash
# In ~/.bashrc: source <(jobq completion bash)
_jobq() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  # "--status=fa" comes as three words
  if [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  elif [[ $cur == = ]]; then
    cur=
  fi
@FIND@
  COMPREPLY=()
  case "$command:$prev" in
@VALUES@
    @SKIP@) return ;;
  esac
  local words
  case "$command" in
@WORDS@
  esac
  if [[ $cur == -* ]]; then
    case "$command" in
@OPTIONS@
      *) words= ;;
    esac
    words+=" @GLOBAL@"
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _jobq jobq
]=]

local function fill(template, parts)
  return (template:gsub("@(%u+)@", function(name)
    return (parts[name]:gsub("\n$", ""))
  end))
end

local BASH_VALUES = [=[
    %s:--%s)
      mapfile -t COMPREPLY < <(compgen %s -- "$cur")
      return
      ;;
]=]

local function bash_values(pattern, option)
  if type(option.values) == "table" then
    return BASH_VALUES:format(pattern, option.name,
      ('-W "%s"'):format(table.concat(option.values, " ")))
  end
  return option.values == "file" and BASH_VALUES:format(pattern, option.name, "-f") or ""
end

function M.bash(list, global_options)
  local commands, global = model(list, global_options)
  local nouns, verbs = nouns_and_verbs(commands)
  local values, words, opts = {}, { ('    "") words="%s" ;;\n'):format(names(nouns)) }, {}
  for _, each in ipairs(commands) do
    for _, option in ipairs(each.options) do
      table.insert(values, bash_values(('"%s"'):format(each.name), option))
    end
    local plain = table.concat(each.words, " ")
    plain = verbs[each.name] and names(verbs[each.name]) .. " " .. plain or plain
    table.insert(words, plain ~= "" and ('    "%s") words="%s" ;;\n'):format(each.name, plain)
      or nil)
    table.insert(opts, ('      "%s") words="%s" ;;\n'):format(
      each.name, names(each.options, "--")))
  end
  for _, option in ipairs(global) do
    table.insert(values, bash_values("*", option))
  end
  return fill(BASH, {
    FIND = find_command("COMP_WORDS", "1", "COMP_CWORD", commands, global),
    VALUES = table.concat(values),
    SKIP = "*:" .. with_value(commands, global, "any"):gsub("|", " | *:"),
    WORDS = table.concat(words), OPTIONS = table.concat(opts),
    GLOBAL = names(global, "--"),
  })
end

local ZSH = [=[
#compdef jobq
# Completion of jobq for zsh, made by: jobq completion zsh
# As a file _jobq in a folder of $fpath, or in ~/.zshrc: source <(jobq completion zsh)
_jobq() {
@FIND@
  local -a specs global plain
  global=(
@GLOBAL@
  )
  case "$command" in
@COMMANDS@
  esac
  _arguments -S : $specs $global "*: :_jobq_plain"
}
_jobq_plain() {
  [[ -n $plain ]] && _describe word plain
}
if [[ $funcstack[1] == _jobq ]]; then
  _jobq "$@"
else
  compdef _jobq jobq
fi
]=]

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- An option for _arguments: '*--status=[help]:value:(a b)'.
local function zsh_option(option)
  local help = option.help:gsub("[%[%]\\:]", "\\%0")
  local tail = ""
  if type(option.values) == "table" then
    tail = (":value:(%s)"):format(table.concat(option.values, " "))
  elseif option.values then
    tail = option.values == "file" and ":file:_files" or ":value: "
  end
  local spec = ("*--%s%s[%s]%s"):format(option.name, option.values and "=" or "", help, tail)
  return "    " .. quote(spec) .. "\n"
end

local function zsh_words(list)
  local words = {}
  for i, each in ipairs(list) do
    local text = each.name:gsub(":", "\\:") .. (each.summary and ":" .. each.summary or "")
    words[i] = quote(text)
  end
  return table.concat(words, " ")
end

function M.zsh(list, global_options)
  local commands, global = model(list, global_options)
  local nouns, verbs = nouns_and_verbs(commands)
  local shared, cases = {}, { ("    '') plain=(%s) ;;\n"):format(zsh_words(nouns)) }
  for i, option in ipairs(global) do
    shared[i] = zsh_option(option)
  end
  for _, each in ipairs(commands) do
    local plain, specs = {}, {}
    for i, word in ipairs(each.words) do
      plain[i] = { name = word }
    end
    table.move(verbs[each.name] or {}, 1, #(verbs[each.name] or {}), #plain + 1, plain)
    for i, option in ipairs(each.options) do
      specs[i] = zsh_option(option)
    end
    table.insert(cases, ("    '%s')\n    specs=(\n%s    )\n    plain=(%s)\n    ;;\n"):format(
      each.name, table.concat(specs), zsh_words(plain)))
  end
  return fill(ZSH, {
    FIND = find_command("words", "2", "CURRENT", commands, global),
    GLOBAL = table.concat(shared), COMMANDS = table.concat(cases),
  })
end

local FISH = [[
# Completion of jobq for fish, made by: jobq completion fish
# As ~/.config/fish/completions/jobq.fish, or: jobq completion fish | source
function __jobq_command
    set -l command
    set -l skip
    for word in (commandline -opc)[2..]
        if test -n "$skip"
            set skip
            continue
        end
        switch $word
            case @SKIP@
                set skip yes
            case '-*'
            case '*'
                set -a command $word
        end
    end
    switch "$command[1..2]"
        case @TWO@
            echo "$command[1..2]"
        case '*'
            echo "$command[1]"
    end
end
function __jobq_in
    test (__jobq_command) = "$argv"
end
complete -c jobq -f
@LINES@
]]

local function fish_option(option, condition)
  local parts = { "complete -c jobq" }
  table.insert(parts, condition and ("-n %s"):format(quote("__jobq_in " .. condition)) or nil)
  table.insert(parts, "-l " .. option.name)
  table.insert(parts, option.short and "-s " .. option.short or nil)
  if type(option.values) == "table" then
    table.insert(parts, ("-x -a %s"):format(quote(table.concat(option.values, " "))))
  elseif option.values then
    table.insert(parts, option.values == "file" and "-r -F" or "-x")
  end
  table.insert(parts, "-d " .. quote(option.help))
  return table.concat(parts, " ") .. "\n"
end

local function fish_word(word, summary, condition)
  return ("complete -c jobq -n %s -a %s%s\n"):format(quote("__jobq_in " .. condition),
    quote(word), summary and " -d " .. quote(summary) or "")
end

function M.fish(list, global_options)
  local commands, global = model(list, global_options)
  local nouns, verbs = nouns_and_verbs(commands)
  local lines = {}
  for _, option in ipairs(global) do
    table.insert(lines, fish_option(option))
  end
  for _, noun in ipairs(nouns) do
    table.insert(lines, fish_word(noun.name, noun.summary, '""'))
  end
  for _, each in ipairs(commands) do
    for _, option in ipairs(each.options) do
      table.insert(lines, fish_option(option, each.name))
    end
    for _, word in ipairs(each.words) do
      table.insert(lines, fish_word(word, nil, each.name))
    end
    for _, verb in ipairs(verbs[each.name] or {}) do
      table.insert(lines, fish_word(verb.name, verb.summary, each.name))
    end
  end
  return fill(FISH, {
    SKIP = with_value(commands, global):gsub("|", " "),
    TWO = two_words(commands):gsub("|", " "), LINES = table.concat(lines),
  })
end

return M
