--- What engine specs need, loaded once: real servers, real workers, the real command.
--
--     local engine = require "support.engine"
--     local db = engine.database()                    see support/postgres.lua, database.lua
--     local w = engine.worker(db, handlers, options)   a ready one, see support/worker.lua
--     engine.start(db, handlers, options)              one that may not become ready
--     engine.jobq(db, "stats --json")                  see support/jobq.lua
--     engine.postgres.restart()
--
-- Run with LUA_CPATH="build/lua/?.so;;" lua5.4 "$(command -v busted)" --run=engine. Start processes
-- in `it` or before_each, not in setup: they end with their spec, before its database goes.
local process = require "support.process"
local postgres = require "support.postgres"

postgres.durable = true -- these specs stop servers without warning
postgres.before_sweep = process.sweep

local worker = require "support.worker"

return {
  database = postgres.database,
  handlers = require "support.handlers",
  jobq = require "support.jobq",
  postgres = postgres,
  process = process,
  run = worker.run,
  start = worker.start,
  worker = worker.ready,
}
