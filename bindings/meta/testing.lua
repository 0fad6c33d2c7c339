---@meta jobq.testing
error("meta files are read by editors, never loaded")

--- Handlers in a spec of busted, without a worker, a network and a clock: `jobq test` runs them. What
--- reaches others is a fake; a run that needs one which the spec has not arranged fails the spec. Time
--- is virtual. What a spec arranges in `it` or `before_each` goes with it.
---
---   local t = require "jobq.testing"
---   local run = t.handlers "handlers"
---   t.smtp.replies { 550, "no such user" }
---   assert.equal("discard", run("email.send", { to = "ann@example.org" }).verdict)
---   assert.enqueued { kind = "email.bounced" }
---@class jobq.testing
---@field http jobq.testing.http
---@field process jobq.testing.process
---@field smtp jobq.testing.smtp
local testing = {}

--- What the job is to be like.
---@class jobq.testing.Options
---@field attempt? integer default 1
---@field id? integer default 1
---@field queue? string default the kind's, as the next two
---@field priority? integer
---@field max_attempts? integer
---@field tags? string[]
---@field batch? integer that it is a member of
---@field created_at? number Unix seconds, default now, as the next
---@field run_at? number
---@field idempotency_key? string
---@field steps? table[] of the report of an earlier run: this one goes on behind them, and time has passed

---@class jobq.testing.Report
---@field verdict "done"|"failed"|"retry"|"snooze"|"discard"|"park" park: it waits for an event or sleeps, and its slot is free
---@field steps { what: string, name: string, key: string, value: any }[] all that the job has done so far
---@field waits_for? string the event
---@field result any what jobq.done or tx:complete has kept, through JSON
---@field error? string what people read, without the traceback
---@field traceback? string
---@field code? string of the error, or of `nil, message, code`
---@field delay? number seconds, where the handler has said so
---@field logs { level: string, message: string, fields?: table }[]
---@field progress? { fraction: number, message?: string } the last that job:progress was told
---@field slept number seconds, all sleeps together
---@field mails { from: string, to: string[], message: string }[]
---@field requests { method: string, url: string, headers: table<string, string>, body?: string }[]
---@field programs { argv: string[], stdin?: string }[]
---@field enqueued table[] kind, args, and the options of jobq.enqueue
---@field max_attempts integer

--- Loads a folder of handlers, or one file; raises what a worker would say. The function runs a job of
--- a kind, each time in a fresh state. Its arguments go through JSON and the handler's `args`. Raises
--- for what is a mistake of the spec, or a value that run must not return.
---@param folder string
---@return fun(kind: string, args?: table, options?: jobq.testing.Options): jobq.testing.Report
function testing.handlers(folder) end

--- Settings for jobq.config.
---@param settings table<string, string|number|boolean>
function testing.config(settings) end

--- A private, migrated database of this spec alone; from here on jobq.sql is real and reaches it. It
--- goes with the spec. The same one when called again.
---@return jobq.testing.Database
function testing.database() end

--- A folder of this spec alone, which goes with it.
---@return string its path
function testing.folder() end

--- From here on each run of this spec is done as usual, and then again for each of its waits, killed
--- before the wait or after it and followed by the job's next attempt. Raises when both together have
--- done something twice, or not at all, or the job came to another end. `jobq test --crash-everywhere`
--- does so in all specs.
---@param is_wanted? boolean false: not in this spec
function testing.crash_everywhere(is_wanted) end

---@class jobq.testing.Database
---@field dsn string
---@field query fun(self: jobq.testing.Database, sql: string, ...: any): table[] rows; raises
---@field value fun(self: jobq.testing.Database, sql: string, ...: any): any the first column of the first row

--- The jobs that wait in this spec, oldest first.
---@return table[]
function testing.enqueued() end

--- An event for jobq.wait_event; false if there was one of that name and id.
---@param name string
---@param payload? any
---@param options? { id?: string }
---@return boolean
function testing.emit(name, payload, options) end

--- How a job ends that a run waits for with jobq.await; pending or processing: it does not. false: there is none.
---@param which string|integer its kind, or its id
---@param ending { status: "pending"|"processing"|"completed"|"failed"|"cancelled", result?: any, error?: string }|false
function testing.ends(which, ending) end

--- Works until no job waits: a failed one is run again while attempts are left, one that waits for an
--- event when all others are done and the event has come, or its wait has an end.
---@param run fun(kind: string, args?: table, options?: jobq.testing.Options): jobq.testing.Report
---@return jobq.testing.Report[] # with kind and attempt
function testing.drain(run) end

---@class jobq.testing.http

--- What answers requests, the newest first: a status; a reply; code and message of a failure; or a
--- function that gets the request and gives one of these. A url may end in `*`.
---@param method string
---@param url string
---@param reply integer|{ status?: integer, headers?: table<string, string>, body?: string, json?: any }|{ [1]: string, [2]: string }|fun(request: table): any
---@param options? { again?: boolean } again: the other side takes a second request for the first
function testing.http.on(method, url, reply, options) end

---@class jobq.testing.process

--- What a program does: its end; code and message if it cannot start; or a function that gets the words
--- and gives one of these. again: when a job is killed and runs again, it may run again, too.
---@param program string its name, or its path
---@param result { status?: integer, signal?: integer, stdout?: string, stderr?: string }|{ [1]: string, [2]: string }|fun(argv: string[]): any
---@param options? { again?: boolean }
function testing.process.on(program, result, options) end

---@class jobq.testing.smtp

--- The answers to the next mails, in order: one, or several. A text instead of the number is the code of
--- a failure: `{ "connect", "cannot reach the smtp server" }`.
---@param replies { [1]: integer|string, [2]: string }|{ [1]: integer|string, [2]: string }[]
function testing.smtp.replies(replies) end

return testing
