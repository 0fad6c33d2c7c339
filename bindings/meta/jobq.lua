---@meta jobq
error("meta files are read by editors, never loaded")

--- What handlers may call: `local jobq = require "jobq"`. Functions marked @async suspend the job that
--- calls them, not the process; they can only be called inside `run`.
---@class jobq
---@field compress jobq.compress
---@field config jobq.config
---@field crypto jobq.crypto
---@field fs jobq.fs
---@field http jobq.http
---@field json jobq.json
---@field process jobq.process
---@field smtp jobq.smtp
---@field socket jobq.socket
---@field sql jobq.sql
local jobq = {}

--- A handler file returns one of these (kind `email.send` is the key `send` of `handlers/email.lua`),
--- or a single handler, whose kind is the name of the file.
---@alias jobq.Family table<string, jobq.Handler>

---@class jobq.Handler
---@field run fun(job: jobq.Job): any nothing or `true`: completed; a verdict; `nil, message`: failed
---@field summary? string for people: help, lists, the dashboard
---@field queue? string default "default"
---@field priority? integer 0 to 9, lower runs sooner; default 5
---@field timeout? number seconds that a run may take, default 60
---@field max_attempts? integer default 3
---@field retry_delay? number|fun(attempt: integer): number seconds; default 2 ^ attempt, at most 1 hour
---@field memory? integer|string bytes of Lua memory that a run may hold, e.g. "128M"; default 64M
---@field args? table<string, string|jobq.Field> from argument to type; others are refused
---@field schedule? string|jobq.Schedule a cron line: makes a job of the kind at each of its times
---@field limits? jobq.LimitOption|jobq.LimitOption[] how many of its jobs run at a time, or start in a time
---@field config? string[] settings that it needs, like "smtp.host"; without them it does not load

--- A type is one of string, integer, number, boolean, object, array, any, email, url, uuid, timestamp,
--- duration; "email[]" is an array of them, "email?" may be left out.
---@class jobq.Field
---@field [1] string the type
---@field min? number the least value, or length
---@field max? number the greatest value, or length
---@field enum? any[] the only values
---@field default? any when it is left out
---@field fields? table<string, string|jobq.Field> of an object
---@field items? string|jobq.Field of an array
---@field extra? boolean an object may have further fields
---@field secret? boolean its value is never shown
---@field summary? string for people

--- When jobs of a kind come by the clock. The first element is the cron line.
---@class jobq.Schedule
---@field [1] string five fields, six with the second first, `@daily` and the like, or `@every 90s`
---@field zone? string default "UTC"
---@field args? table the arguments of its jobs
---@field overlap? "skip"|"queue_one"|"queue"|"allow"|"cancel" while an earlier job has not ended; default "skip"
---@field missed? "one"|"skip"|"all" what times that no worker was there for make; default "one"
---@field window? number seconds that such a time may be old; default 3600
---@field jitter? number seconds, of which each job waits a part; default 0

--- How many jobs of a kind run at a time, or start in a time, over all workers.
---@class jobq.LimitOption
---@field running? integer at most so many at a time
---@field rate? string|integer at most so many starts in a time: "100/1m"; 5 is five a second
---@field burst? integer so many of these at once after a rest; default: as many as `rate` says
---@field key_by? string each value of this argument counts by itself ("tenant", "customer.id"); "limit_key": what the enqueue said
---@field name? string for jobq.limit and `jobq limits`; default: the kind

---@class jobq.Job
---@field id integer
---@field kind string
---@field queue string
---@field priority integer
---@field args table<string, any> as the handler's `args` describes them
---@field attempt integer 1 on the first run
---@field max_attempts integer
---@field created_at number Unix seconds
---@field run_at number Unix seconds: when it was due
---@field tags string[]
---@field batch? jobq.Batch that it is a member of: it may add to it, even when it is closed
---@field tick? number when its schedule meant it to be, in Unix seconds; nil where no schedule made it
---@field late? number seconds after its tick at which it was made; nil where no schedule made it
---@field idempotency_key string the same for all attempts of a job, and no other job's
---@field log jobq.Log
---@field checkpoint fun(self: jobq.Job, value: any) keeps how far a long loop is, at once and for the next run; the last one counts
---@field last_checkpoint fun(self: jobq.Job): any what job:checkpoint kept last, in this run or one before; nil if nothing
---@field progress fun(self: jobq.Job, fraction: number, message?: string) 0 to 1: how far it is, for `jobq job ID`; in a loop it costs next to nothing

--- Lines that stay with the job: `jobq job ID --log`. At most 1,000 a run.
---@class jobq.Log
---@field debug fun(self: jobq.Log, message: string, fields?: table)
---@field info fun(self: jobq.Log, message: string, fields?: table)
---@field warn fun(self: jobq.Log, message: string, fields?: table)
---@field error fun(self: jobq.Log, message: string, fields?: table)

--- How a job ended, other than by returning nothing or raising. Return it from `run`; from deeper down
--- `error(jobq.snooze(60))` is the same.
---@class jobq.Verdict

--- Lets other jobs run for so long.
---@async
---@param seconds number not negative; 0 only gives way
function jobq.sleep(seconds) end

--- Runs functions at the same time and waits for all of them: what each one waits for suspends only
--- itself. When one raises, or answers nil, message, code, the waits of the others raise, so that they
--- end too; then parallel does the same as that one did.
---@async
---@param functions fun(): any[] an array; `limit` of them at a time, default all
---@param options? { limit?: integer }
---@return table? values the first value of each function, at its place; and `n`, their number
---@return string? message
---@return string? code
function jobq.parallel(functions, options) end

--- Completed, with a result that the job keeps.
---@param result any what has a JSON
---@return jobq.Verdict
---@nodiscard
function jobq.done(result) end

--- Failed; the next attempt, if one is left, comes after `seconds` rather than the usual delay.
---@param why string
---@param seconds? number
---@return jobq.Verdict
---@nodiscard
function jobq.retry(why, seconds) end

--- Not yet: runs again later. That is no attempt.
---@param seconds number
---@return jobq.Verdict
---@nodiscard
function jobq.snooze(seconds) end

--- Failed for good: another attempt could not help.
---@param why string
---@return jobq.Verdict
---@nodiscard
function jobq.discard(why) end

---@class jobq.EnqueueOptions
---@field queue? string default the kind's
---@field priority? integer 0 to 9, lower runs sooner
---@field delay? number seconds
---@field run_at? number Unix seconds
---@field max_attempts? integer
---@field timeout? number seconds that a run may take
---@field unique_key? string of its kind, one job at a time; the id is that of the job that holds it
---@field unique_fields? string[] the fields of args that make the key, instead
---@field unique_until? "start" | "finished" | "succeeded" what the job does when the key is free again
---@field unique_for? number seconds that the key is held instead; with unique_until, at least
---@field unique_aligned? boolean such times begin as the clock says: at full hours, days (UTC)
---@field on_conflict? "keep" | "replace" | "debounce" | "append" | "follow" | "supersede" when the key is taken
---@field max_wait? number seconds after the first in which debounce puts off
---@field tags? string[]
---@field expires_in? number seconds after it is due in which it has to begin; later it is cancelled
---@field limit_key? string what limits by limit_key count it under
---@field cost? integer how many starts each of its runs counts as where a limit has a rate; default 1
---@field batch? integer makes it a member of that batch
---@field batch_member? integer the running member that adds it; batch:enqueue of job.batch says so by itself

--- A job, at once: it stays when this run fails. In a transaction it is tx:enqueue.
---@async
---@param kind string
---@param args? table
---@param options? jobq.EnqueueOptions
---@return integer? id
---@return string? message what happened, when there is an id: enqueued; with a unique key that was taken: kept, replaced, debounced, appended, followed or superseded
---@return string? code
function jobq.enqueue(kind, args, options) end

--- One job of the kind for each element of the list, all or none; their ids, in order.
---@async
---@param kind string
---@param list table[] the arguments of each
---@param options? jobq.EnqueueOptions of all
---@return integer[]? ids
---@return string[]|string? message what happened of each, when there are ids
---@return string? code
function jobq.enqueue_many(kind, list, options) end

--- What is to be done when members of a batch have ended; with that job's arguments comes `batch`:
--- id, name, event, total, succeeded, failed, cancelled, expired, deleted.
---@class jobq.Callback
---@field kind string
---@field args? table
---@field options? { queue?: string, priority?: integer, delay?: number, max_attempts?: integer, timeout?: number, tags?: string[] }

---@class jobq.BatchOptions
---@field name? string for people
---@field on_success? string|jobq.Callback when all members have completed; a string is a kind
---@field on_failure? string|jobq.Callback when the first has failed for good
---@field on_complete? string|jobq.Callback when all have ended, however
---@field parent? integer a batch that this one is a member of
---@field refire? boolean a member that is retried by hand opens it again; else it has ended once

--- Jobs that belong together. What comes after is added once, when it has been closed and all members
--- have ended.
---@class jobq.Batch
---@field id integer
---@field enqueue fun(self: jobq.Batch, kind: string, args?: table, options?: jobq.EnqueueOptions): integer?, string?, string? a member
---@field enqueue_many fun(self: jobq.Batch, kind: string, list: table[], options?: jobq.EnqueueOptions): integer[]?, string?, string?
---@field batch fun(self: jobq.Batch, options?: jobq.BatchOptions): jobq.Batch?, string?, string? a batch that is a member
---@field close fun(self: jobq.Batch): true?, string?, string? from here on only running members add more

--- Opens a batch, at once; in a transaction it is tx:batch. With the id of one that there is, gives that.
---@async
---@param options? jobq.BatchOptions|integer
---@return jobq.Batch?
---@return string? message
---@return string? code
function jobq.batch(options) end

---@class jobq.Limit
---@field hold fun(self: jobq.Limit, seconds: number): true?, string?, string? no job of it starts for so long
---@field used fun(self: jobq.Limit, starts: number): true?, string?, string? counts so many starts more against its rate

--- A limit of a handler, or one that jobq limits set, and the key that it is counted under: what a service has told of it,
--- for the jobs that come after this one. At once, also when this run fails.
---@param name string
---@param key? string|number the value that it goes by; default: it goes by none
---@return jobq.Limit
---@nodiscard
function jobq.limit(name, key) end

---@class jobq.Ended
---@field id integer
---@field status "completed" | "failed" | "cancelled"
---@field result? any what its handler gave to jobq.done
---@field error? string

--- Waits until another job has ended, however it did. Nobody else is held up, but this run keeps its place, so give it a
--- timeout: jobs that wait for jobs can fill all places of the workers. Codes: timeout, not_found.
---@async
---@param id integer
---@param options? { timeout?: number } seconds; without, as long as the run may take
---@return jobq.Ended? job
---@return string? message
---@return string? code
function jobq.await(id, options) end

--- An event, which one job that waits for its name gets: now, or when one comes to wait. At once: it
--- stays when this run fails. In a transaction it is tx:emit.
---@async
---@param name string e.g. "payment.42"
---@param payload? any what has a JSON
---@param options? { id?: string } whoever emits it again with this id adds none
---@return boolean? added false: there was one of that name and id already
---@return string? message
---@return string? code
function jobq.emit(name, payload, options) end

--- Does something once: runs f and keeps what it gives, before the next step can start. Later runs of
--- the job, after a failure or a crash, get that without running f. What f gives travels through JSON,
--- at most 1 MiB, the first time, too. If f raises, or gives nil or false and a message, nothing is
--- kept, and step does the same. If the result cannot be kept the run fails. A name (and key) can be
--- there once in a run. Code between steps runs again.
---@async
---@param name string at most 200 characters
---@param key string|integer|function tells steps of one name apart, in a loop; may be left out
---@param f? fun(): any
---@return any
---@return string? message
---@return string? code
function jobq.step(name, key, f) end

--- A step in a transaction of the database of the jobs: what it changes and the record of it are one
--- COMMIT, so it happens exactly once. Gives what jobq.step gives, or as jobq.sql.transaction why not.
---@async
---@param name string
---@param key string|integer|function may be left out
---@param f? fun(tx: jobq.sql.Transaction): any
---@return any
---@return string? message
---@return string? code
function jobq.step_tx(name, key, f) end

--- Waits for an event of that name and takes it: the oldest that nobody has, also an earlier one. If
--- there is none the run ends here and gives its slot and memory back. When the event comes, or after
--- timeout seconds, the job runs again from the top, behind its steps; that is no attempt. Only in run
--- itself, not in jobq.parallel. key tells waits for one name apart.
---@async
---@param name string
---@param options? { timeout?: number, key?: string|integer }
---@return any payload its null is jobq.json.null; nil: the event did not come
---@return string? message "timeout"
function jobq.wait_event(name, options) end

--- Sleeps until a time, which the first run decides. More than 10 s end the run, as jobq.wait_event
--- does; jobq.sleep never does that.
---@async
---@param name string
---@param time number Unix seconds
function jobq.sleep_until(name, time) end

--- assert for what answers `nil, message, code`: gives its arguments back, or raises an error that keeps
--- the code and says where. It raises for a reply of jobq.http with a status from 400 on, too, with a
--- code like "http_404". If the code says that another attempt cannot help (what
--- jobq.smtp.is_permanent says, and HTTP 4xx but 408, 425, 429) the job fails for good.
---@generic T
---@param value T
---@param message? any
---@param code? string
---@return T
function jobq.must(value, message, code) end

return jobq
