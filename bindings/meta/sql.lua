---@meta jobq.sql
error("meta files are read by editors, never loaded")

--- PostgreSQL. The default database is the queue's own, unless the setting database.default names
--- another; the setting database.NAME is what jobq.sql.database(NAME) speaks to.
---
--- An executor has at most database.NAME.connections (5) of its own to each database, so a worker at
--- most executors x 5; they are made when first needed and closed after 30 s without use. A run that
--- finds none free waits in line for up to 30 s.
---
--- Values are always parameters, $1, $2 and so on, never part of the text. int2 to int8 are integers,
--- float4 and float8 numbers, numeric is text as it is, json and jsonb are decoded, bytea are bytes,
--- arrays of one dimension are tables, all else is text. null is nil in a row and jobq.json.null
--- within an array. Towards the server a table that is a sequence is an array, any other one is JSON;
--- for a JSON array pass jobq.json.encode(t).
---
--- What fails at the server is nil, message, code, detail, hint. The code is its SQLSTATE; or
--- "connect", "pool_timeout", "connection_lost", "too_large" (more than 64 MB), and from transactions
--- "commit_unknown": the connection went before COMMIT was answered.
---
--- SET and the like outlive the run, for whoever gets the connection next: use SET LOCAL in a
--- transaction. COPY is not possible.
---@class jobq.sql
local sql = {}

---@class jobq.sql.Info
---@field affected integer rows that the statement has read or written
---@field columns string[]

---@class jobq.sql.Statement
---@field [1] string the statement
---@field [integer] any its values; jobq.json.null for null
---@field timeout? number seconds; no statement takes longer than its run may

---@alias jobq.sql.Row table<string, any>

--- What jobq.sql.database gives: the functions of jobq.sql as methods.
---@class jobq.sql.Database
---@field query fun(self: jobq.sql.Database, sql: string|jobq.sql.Statement, ...: any): jobq.sql.Row[]?, jobq.sql.Info|string, string?
---@field first fun(self: jobq.sql.Database, sql: string|jobq.sql.Statement, ...: any): jobq.sql.Row?, string?, string?
---@field value fun(self: jobq.sql.Database, sql: string|jobq.sql.Statement, ...: any): any, string?, string?
---@field transaction fun(self: jobq.sql.Database, f: fun(tx: jobq.sql.Transaction): any, options?: jobq.sql.TransactionOptions): any

---@class jobq.sql.TransactionOptions
---@field isolation? "read committed"|"repeatable read"|"serializable" default the server's
---@field read_only? boolean

--- A failed statement fails the transaction, whatever the function makes of it.
---@class jobq.sql.Transaction
---@field query fun(self: jobq.sql.Transaction, sql: string|jobq.sql.Statement, ...: any): jobq.sql.Row[]?, jobq.sql.Info|string, string?
---@field first fun(self: jobq.sql.Transaction, sql: string|jobq.sql.Statement, ...: any): jobq.sql.Row?, string?, string?
---@field value fun(self: jobq.sql.Transaction, sql: string|jobq.sql.Statement, ...: any): any, string?, string?
---@field transaction fun(self: jobq.sql.Transaction, f: fun(tx: jobq.sql.Transaction): any): any a savepoint: what fails within is undone, and the rest goes on
---@field enqueue fun(self: jobq.sql.Transaction, kind: string, args?: table, options?: jobq.EnqueueOptions): integer?, string?, string? as jobq.enqueue; the job is there if this commits
---@field enqueue_many fun(self: jobq.sql.Transaction, kind: string, list: table[], options?: jobq.EnqueueOptions): integer[]?, string?, string?
---@field batch fun(self: jobq.sql.Transaction, options?: jobq.BatchOptions|jobq.Batch|integer): jobq.Batch?, string?, string? as jobq.batch; what is added to it there commits with this
---@field emit fun(self: jobq.sql.Transaction, name: string, payload?: any, options?: { id?: string }): boolean?, string?, string? as jobq.emit; the event is there if this commits
---@field complete fun(self: jobq.sql.Transaction, result?: any) the COMMIT completes the job, too: its effect happens once. Needs the queue's database

--- One statement; with values, or as a table with options.
---@async
---@param sql string|jobq.sql.Statement
---@param ... any its values
---@return jobq.sql.Row[]? rows an empty array for statements that give none
---@return jobq.sql.Info|string info or message
---@return string? code
---@return string? detail
---@return string? hint
function sql.query(sql, ...) end

--- The first row; nil if there is none.
---@async
---@param sql string|jobq.sql.Statement
---@param ... any its values
---@return jobq.sql.Row?
---@return string? message
---@return string? code
function sql.first(sql, ...) end

--- The first column of the first row; nil if there is none, or it is null.
---@async
---@param sql string|jobq.sql.Statement
---@param ... any its values
---@return any
---@return string? message
---@return string? code
function sql.value(sql, ...) end

--- Commits what f does when it returns, and gives what it returned (true for nothing). Rolls back when f
--- raises, returns nil or false and a message, or the run is stopped. A failure to commit is nil,
--- message, code; after "commit_unknown" with tx:complete the run counts as failed, whatever it returns:
--- if the COMMIT took place the job stays completed, else it runs again.
---@async
---@param f fun(tx: jobq.sql.Transaction): any
---@param options? jobq.sql.TransactionOptions
---@return any
function sql.transaction(f, options) end

--- Another database, by the name of its setting; "queue" is the one that the jobs are in.
---@param name string
---@return jobq.sql.Database
function sql.database(name) end

return sql
