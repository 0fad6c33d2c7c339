--- What shells and man make of the pages that jobq writes, in real ones.
local build = require "support.build"
local engine = require "support.engine"
local files = require "support.files"
local handlers = require "support.handlers"

describe("jobq completion", function()
  local function script_of(shell)
    local dir = handlers {}
    local answer = engine.jobq(nil, "completion " .. shell)
    assert.same({ 0, "" }, { answer.status, answer.err })
    dir:write("completion", answer.out .. "\n")
    return dir
  end

  local function run(words)
    local p = engine.process.start(words)
    return p:wait(), p:output(), p:errors()
  end

  -- The line up to the cursor, and some of what may come next; "!x" for what may not.
  local LINES = {
    ["jobq re"] = { "reload", "retry" },
    ["jobq "] = { "jobs", "workers", "help", "!stop", "!--json" },
    ["jobq jobs --st"] = { "--status", "!--delay" },
    ["jobq retry --d"] = { "--dry-run", "--delay", "--dsn", "!--status" },
    ["jobq jobs --status f"] = { "failed", "!pending" },
    ["jobq --dsn jobs retry --status "] = { "failed", "cancelled" },
    ["jobq workers "] = { "cleanup", "stop" },
    ["jobq workers stop --gr"] = { "--grace" },
    ["jobq workers --a"] = { "--all", "!--arg" },
    ["jobq help fi"] = { "filters" },
    ["jobq postgres sta"] = { "start", "status", "!stop" },
    ["jobq cleanup --older-than "] = { "!--dry-run", "!completed" },
  }

  local function check(line, found)
    local words = {}
    for word in found:gmatch "[^\n]+" do
      words[word:match "^%S+"] = true
    end
    for _, word in ipairs(LINES[line]) do
      local unwanted = word:match "^!(.*)"
      assert.is_true(unwanted and not words[unwanted] or words[word] or false,
        ("%s: %s in:\n%s"):format(line, word, found))
    end
  end

  local BASH = [[
    source "$1"
    complete -p jobq >/dev/null || exit 9
    mapfile -t COMP_WORDS < <(printf '%s' "$2" | sed 's/=/\n=\n/g; s/ /\n/g'; echo)
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _jobq
    printf '%s\n' "${COMPREPLY[@]}"
  ]]

  local function in_bash(dir, line)
    local status, out, err = run { "bash", "--norc", "-c", BASH, "bash", dir.path .. "/completion",
      line }
    assert.same({ 0, "" }, { status, err })
    return out
  end

  describe("in bash", function()
    it("knows commands, options and values", function()
      local dir = script_of "bash"
      for line in pairs(LINES) do
        check(line, in_bash(dir, line))
      end
      LINES["jobq jobs --status=fa"] = { "failed" }
      LINES["jobq --dsn=x jobs --so"] = { "--sort" }
      check("jobq jobs --status=fa", in_bash(dir, "jobq jobs --status=fa"))
      check("jobq --dsn=x jobs --so", in_bash(dir, "jobq --dsn=x jobs --so"))
      LINES["jobq jobs --status=fa"], LINES["jobq --dsn=x jobs --so"] = nil, nil
    end)

    it("is a script without faults", function()
      local dir = script_of "bash"
      assert.same({ 0, "", "" }, { run { "shellcheck", "-s", "bash", dir.path .. "/completion" } })
    end)
  end)

  it("in fish knows the same", function()
    local dir = script_of "fish"
    for line in pairs(LINES) do
      local status, out, err = run {
        "fish", "--no-config", "-c",
        ("source %s/completion; complete -C '%s'"):format(dir.path, line),
        cwd = dir.path, env = { HOME = dir.path, XDG_DATA_HOME = dir.path },
      }
      assert.same({ 0, "" }, { status, err })
      check(line, out)
    end
  end)

  -- An interactive zsh completes at the tab; then the line is printed instead of run.
  local function in_zsh(dir, line)
    local typed = ("PS1=; autoload -Uz compinit; compinit -u -D; source %s/completion\n" ..
      "%s\t\1print -r -- 'line:' \nexit\n"):format(dir.path, line)
    local status, out = run {
      "script", "-qec", "zsh -f -i", "/dev/null", stdin = typed,
      env = { HOME = dir.path, TERM = "dumb" }, cwd = dir.path,
    }
    assert.equal(0, status)
    return out:match "line: ([^\r\n]*)\r?\n" or out
  end

  it("in zsh completes what is meant", function()
    local dir = script_of "zsh"
    for line, wanted in pairs {
      ["jobq retr"] = "jobq retry", ["jobq jobs --stat"] = "jobq jobs --status",
      ["jobq jobs --status=f"] = "jobq jobs --status=failed",
      ["jobq workers st"] = "jobq workers stop", ["jobq help fi"] = "jobq help filters",
      ["jobq workers stop --gr"] = "jobq workers stop --grace",
    } do
      assert.equal(wanted, in_zsh(dir, line):match "^(.-)%s*$")
    end
  end)

  it("knows three shells", function()
    local answer = engine.jobq(nil, "completion tcsh")
    assert.same({ 2, "" }, { answer.status, answer.out })
    assert.match("'tcsh' is none of bash, zsh, fish", answer.err)
  end)
end)

describe("the manual page", function()
  local function lint(page)
    local dir = handlers {}
    dir:write("page.1", page .. "\n")
    local p = engine.process.start { "mandoc", "-T", "lint", dir.path .. "/page.1" }
    return p:wait(), p:output() .. p:errors()
  end

  local function shown(page)
    local p = engine.process.start { "mandoc", "-T", "ascii", stdin = page .. "\n" }
    assert.equal(0, p:wait())
    return p:output():gsub(".\b", "")
  end

  it("of jobq is clean and has every command and option", function()
    local page = engine.jobq(nil, "help --man jobq").out
    assert.same({ 0, "" }, { lint(page) })
    local text = shown(page)
    for _, words in ipairs { "jobq enqueue KIND [JSON]", "jobq workers stop", "--max-attempts N",
      "-f, --follow", "130  interrupted by Ctrl-C", "jobq.conf" } do
      assert.is_truthy(text:find(words, 1, true), words)
    end
    for name in engine.jobq(nil, "help").out:match "\nJobs:\n(.-)\nEverywhere:\n"
      :gmatch "\n  (%l[%l ]-)  " do
      assert.is_truthy(text:find("\n   jobq " .. name .. "\n", 1, true), name)
    end
  end)

  it("of jobq-run is clean and has every option", function()
    local p = engine.process.start { build.program "jobq-run", "--help" }
    assert.equal(0, p:wait())
    local help = p:output()
    local page = engine.jobq(nil, "help --man jobq-run", { stdin = help .. "\n" }).out
    assert.same({ 0, "" }, { lint(page) })
    local text = shown(page)
    for option in help:gmatch "\n  (%-%-%l[%l%-]+)" do
      assert.is_truthy(text:find("     " .. option, 1, true), option)
    end
    assert.match("\nEXIT STATUS\n     0 done, 1 failed", text)
    assert.match("\nEXAMPLES\n +jobq%-run handlers/", text)
  end)

  it("is written for both by scripts/man", function()
    local dir = handlers {}
    files.run({ "scripts/man", dir.path }, ".")
    for _, name in ipairs { "jobq.1", "jobq-run.1" } do
      assert.match("^%.Dd %u%l+ %d+, %d+\n%.Dt ", assert(files.read(dir.path .. "/" .. name)))
    end
  end)
end)
