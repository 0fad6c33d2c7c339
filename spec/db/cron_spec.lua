--- Cron lines: what they mean, what is refused, and that Lua refuses the same before a database is
--- there.
local cron = require "jobq.cron"
local postgres = require "support.postgres"

describe("a cron line", function()
  local db

  setup(function()
    db = postgres.database()
    db:query "set timezone = 'UTC'"
  end)

  teardown(function()
    db:close()
  end)

  local function ticks(line, after, n)
    local list = {}
    for i, row in ipairs(db:query(
      "select to_char(t, 'MM-DD HH24:MI:SS') as t from jobq.next_ticks($1, 'UTC', $2, $3) t",
      line, n or 3, after or "2026-01-01")) do
      list[i] = row.t
    end
    return table.concat(list, ", ")
  end

  -- 2026-01-01 is a Thursday.
  local MEANINGS = {
    { "30 3 * * *", "01-01 03:30:00, 01-02 03:30:00, 01-03 03:30:00" },
    { "*/20 * * * *", "01-01 00:20:00, 01-01 00:40:00, 01-01 01:00:00" },
    { "5/20 * * * *", "01-01 00:05:00, 01-01 00:25:00, 01-01 00:45:00" },
    { "0 8-10/2 * * *", "01-01 08:00:00, 01-01 10:00:00, 01-02 08:00:00" },
    { "0 0 * * MON", "01-05 00:00:00, 01-12 00:00:00, 01-19 00:00:00" },
    { "0 0 * * sat-mon", "01-03 00:00:00, 01-04 00:00:00, 01-05 00:00:00" },
    { "0 0 * * 7", "01-04 00:00:00, 01-11 00:00:00, 01-18 00:00:00" },
    { "0 0 * * 6-7", "01-03 00:00:00, 01-04 00:00:00, 01-10 00:00:00" },
    { "0 0 13 * fri", "01-02 00:00:00, 01-09 00:00:00, 01-13 00:00:00" },
    { "0 0 */10 * thu", "01-01 00:00:00, 05-21 00:00:00, 06-11 00:00:00", "2025-12-31 12:00" },
    { "0 0 L * *", "01-31 00:00:00, 02-28 00:00:00, 03-31 00:00:00" },
    { "0 0 L feb *", "02-28 00:00:00, 02-28 00:00:00, 02-29 00:00:00" },
    { "0 0 29 2 *", "02-29 00:00:00, 02-29 00:00:00, 02-29 00:00:00" },
    { "0 0 31 jan,apr *", "01-31 00:00:00, 01-31 00:00:00, 01-31 00:00:00" },
    { "15,45 59 23 31 12 *", "12-31 23:59:15, 12-31 23:59:45, 12-31 23:59:15" },
    { "*/25 * * * * *", "01-01 00:00:25, 01-01 00:00:50, 01-01 00:01:00" },
    { "  0\t3  *  * * ", "01-01 03:00:00, 01-02 03:00:00, 01-03 03:00:00" },
    { "@hourly", "01-01 01:00:00, 01-01 02:00:00, 01-01 03:00:00" },
    { "@WEEKLY", "01-04 00:00:00, 01-11 00:00:00, 01-18 00:00:00" },
    { "@yearly", "01-01 00:00:00, 01-01 00:00:00, 01-01 00:00:00" },
    { "@every 1h30m", "01-01 01:30:00, 01-01 03:00:00, 01-01 04:30:00" },
    { "@every 2d", "01-03 00:00:00, 01-05 00:00:00, 01-07 00:00:00" },
  }

  for _, case in ipairs(MEANINGS) do
    it(("%s means %s"):format(case[1], case[2]), function()
      assert.is_nil(cron.problem(case[1]))
      assert.equal(case[2], ticks(case[1], case[3]))
    end)
  end

  it("begins after the instant that is asked for, whole seconds or not", function()
    assert.equal("01-01 00:02:00", ticks("* * * * *", "2026-01-01 00:01:00", 1))
    assert.equal("01-01 00:01:00", ticks("* * * * *", "2026-01-01 00:00:59.9", 1))
    assert.equal("01-01 00:00:01", ticks("* * * * * *", "2026-01-01 00:00:00.000001", 1))
  end)

  local WRONG = {
    "", " ", "0", "0 3 * *", "0 0 0 3 * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
    "* * * 0 *", "* * * 13 *", "* * * * 8", "60 * * * * *", "a * * * *", "* * * foo *", "* * * * x",
    "*/0 * * * *", "*/61 * * * *", "* */24 * * *", "* */25 * * *", "5-1 * * * *", "* * * dec-jan *",
    "* * 31-1 * *", "1,,2 * * * *", ",1 * * * *", "1, * * * *", "1- * * * *", "-1 * * * *",
    "1-2-3 * * * *", "1/2/3 * * * *", "/5 * * * *", "*5 * * * *", "5* * * * *", "+5 * * * *",
    "1.5 * * * *", "99999 * * * *", "0x1 * * * *", "* * * * l", "l * * * *", "* * * * 5L",
    "0 3 31 2 *", "0 3 30 feb *", "0 3 31 4,6,9,11 *", "0 3 30,31 2 *", "@", "@dayly", "@every",
    "@every 5", "@every 5x", "@every 0s", "@every 367d", "@every 1m1h", "@every 999999s",
    "@every 5 m", "@daily x", "? * * * *", "* * 15W * *", "0 3 * * mon#2", "'0 3 * * *'",
    "* * * * * * 2026", "0 3 1-31/32 * *", "* * * * mon-", ("1,"):rep(300) .. "1 * * * *",
    "0 3 * * \"mon\"", "0 3 ö * *",
  }

  for _, line in ipairs(WRONG) do
    it(("'%s' is right, or refused in the same words by both"):format(line:sub(1, 40)), function()
      local rows, message, _, _, hint = db:try("select jobq.check_cron($1)", line)
      local lua_message, lua_hint = cron.problem(line)
      assert.same({ rows and "right" or message, hint },
        { lua_message or "right", lua_hint })
    end)
  end
end)
