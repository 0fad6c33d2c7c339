---@meta jobq.process
error("meta files are read by editors, never loaded")

--- Other programs. No shell is involved. When run returns, or raises because the job was stopped,
--- nothing is left of the program and of what it has started, not even a daemon.
---@class jobq.process
local process = {}

---@class jobq.process.Options
---@field cwd? string where it runs; a relative path of the program is looked up there
---@field env? table<string, string|jobq.Secret|false> changes to the worker's environment, false removes; the program never sees JOBQ_*, PG* and DATABASE_URL of the worker
---@field stdin? string what it reads; default nothing
---@field stdin_file? string
---@field stdout_file? string where its output goes, instead of the result
---@field stderr_file? string
---@field on_stdout? fun(line: string) called for each line, without its end; may wait, the program waits meanwhile
---@field on_stderr? fun(line: string)
---@field max_output? integer|string bytes of each output that the result may hold, or of a line; default 1 MiB
---@field timeout? number seconds that it may take
---@field grace? number seconds from SIGTERM to SIGKILL, default 5
---@field memory? integer|string bytes of address space of each process, e.g. "512M"
---@field cpu_seconds? integer of each process
---@field files? integer open files of each process
---@field processes? integer of the worker's user altogether; means nothing for root
---@field file_size? integer|string bytes of a file that it writes
---@field check? boolean false: any exit status and signal is a result, no failure

---@class jobq.process.Result
---@field status? integer
---@field signal? integer that ended it
---@field stdout? string unless it went elsewhere
---@field stderr? string
---@field seconds number
---@field cpu_seconds number
---@field peak_memory integer bytes

--- Runs a program and waits for its end. A result comes with a failure too, if it has run.
---@async
---@param argv (string|integer)[] the program, looked up in PATH, and its arguments
---@param options? jobq.process.Options
---@return jobq.process.Result?
---@return string? message
---@return string? code "exit_1", "SIGKILL", "timeout", "too_large", or an errno if it did not start
---@return jobq.process.Result? result
function process.run(argv, options) end

return process
