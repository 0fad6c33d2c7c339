--- The reference is made from the sources, and lacks nothing.
local engine = require "support.engine"
local files = require "support.files"

local jobq = require "jobq"

local NAKED = [[
  select 'function ' || p.oid::regprocedure as name from pg_proc p
  where p.pronamespace = 'jobq'::regnamespace and obj_description(p.oid, 'pg_proc') is null
  union all
  select 'table or view ' || c.oid::regclass from pg_class c
  where c.relnamespace = 'jobq'::regnamespace and c.relkind in ('r', 'p', 'v')
    and not c.relispartition and obj_description(c.oid, 'pg_class') is null
  union all
  select 'type ' || t.oid::regtype from pg_type t
  where t.typnamespace = 'jobq'::regnamespace and t.typtype in ('e', 'd')
    and obj_description(t.oid, 'pg_type') is null
  union all
  select 'column ' || a.attrelid::regclass || '.' || a.attname
  from pg_attribute a join pg_class c on c.oid = a.attrelid
  where c.relnamespace = 'jobq'::regnamespace and c.relkind = 'v' and a.attnum > 0
    and col_description(a.attrelid, a.attnum) is null
  order by 1]]

local function names_without_comment(db)
  local names = {}
  for _, row in ipairs(db:query(NAKED)) do
    table.insert(names, row.name)
  end
  return names
end

describe("the comments in the schema", function()
  it("leave out no function, table, view, type and no column of a view", function()
    local db = engine.database()
    assert.same({}, names_without_comment(db))
    db:query "create function jobq.naked() returns int language sql as 'select 1'"
    db:query "create view jobq.bare as select 1 as one"
    assert.same({ "column jobq.bare.one", "function jobq.naked()", "table or view jobq.bare" },
      names_without_comment(db))
  end)
end)

describe("scripts/docs", function()
  local pages

  --- The pages, made once: they differ between no two tests.
  local function generate()
    if pages then
      return
    end
    local dir = engine.handlers({}).path
    files.run({ "scripts/docs", "--dsn", engine.database().dsn, dir })
    pages = {}
    for _, name in ipairs { "lua-api", "sql", "commands" } do
      pages[name] = assert(files.read(("%s%s.md"):format(dir, name)))
    end
  end

  before_each(generate)

  local function expect(page, text)
    assert.truthy(pages[page]:find(text, 1, true), ("%s.md lacks '%s'"):format(page, text))
  end

  local function expect_functions(prefix, module)
    for name, value in pairs(module) do
      if type(value) == "function" then
        expect("lua-api", ("### %s.%s("):format(prefix, (name:gsub("_", "\\_"))))
      end
    end
  end

  it("writes each name of the Lua API", function()
    expect_functions("jobq", jobq)
    for name, value in pairs(jobq) do
      if type(value) == "table" then
        expect("lua-api", ("\n## jobq.%s\n"):format(name))
        expect_functions("jobq." .. name, value)
      end
    end
    expect("lua-api", "`redirects?` `integer`: how many are followed, default 5; only GET and HEAD "
      .. "follow any. Your headers go along")
  end)

  it("writes each function and table of the schema, and each column of the views", function()
    local db = engine.database()
    for _, row in ipairs(db:query [[
        select obj_description(oid, 'pg_proc') as text from pg_proc
        where pronamespace = 'jobq'::regnamespace
        union
        select obj_description(oid, 'pg_class') from pg_class
        where relnamespace = 'jobq'::regnamespace and relkind in ('r', 'p', 'v')
          and not relispartition
        union
        select format(E'\n- `%s %s`: %s', a.attname,
          replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz'),
          col_description(attrelid, attnum))
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'jobq'::regnamespace and c.relkind = 'v' and attnum > 0]]) do
      expect("sql", row.text)
    end
  end)

  it("writes each command, and the options of both programs", function()
    for _, path in ipairs(files.glob "scripts/admin/*.lua") do
      local command = path:match "/(%l[^/]*)%.lua$"
      if command and command ~= "main" then
        expect("commands", "\n## jobq " .. command:gsub("_", " ") .. "\n")
      end
    end
    expect("commands", "--concurrency N")
  end)

  it("makes a database of its own, and takes it away", function()
    local dir = engine.handlers({}).path
    assert.equal("", files.run({ "scripts/docs", dir }))
    assert.equal(pages.sql, files.read(dir .. "sql.md"))
  end)

  it("says what it does not understand", function()
    local p = engine.process.start { "scripts/docs", "--dns", "x" }
    assert.equal(2, p:wait())
    assert.equal("docs: unknown option '--dns', expected --dsn or a folder", p:errors())
  end)
end)
