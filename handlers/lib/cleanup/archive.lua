--- What is to be deleted, kept: rows as lines of JSON, files compressed. It is on the disk before
--- it goes; the same rows make the same name, so what a crash has left is replaced by the next run.
local jobq = require "jobq"

local M = {}

--- The path of a folder below cleanup.archive, made if need be.
local function folder(name)
  local root = jobq.config.cleanup.archive
  jobq.must(jobq.fs.make_dir(root))
  local path = jobq.must(jobq.fs.below(root, name))
  jobq.must(jobq.fs.make_dir(path))
  return path
end

--- kind: whose they are. rows: array of { key =, row = its JSON }, in the order of their keys.
function M.keep(kind, rows)
  local lines = {}
  for i, row in ipairs(rows) do
    lines[i] = row.row
  end
  local name = ("%s-%s.jsonl"):format(rows[1].key, rows[#rows].key):gsub("[^%w.-]", "_")
  jobq.must(jobq.fs.write(("%s/%s"):format(folder(kind), name), table.concat(lines, "\n") .. "\n"))
end

--- A compressed copy of a file; a folder in its path is made.
function M.keep_file(kind, from, path)
  local to = folder(kind) .. "/" .. path .. ".zst"
  jobq.must(jobq.fs.make_dir((to:match "^(.*)/")))
  jobq.must(jobq.compress.compress_file(from, to))
end

return M
