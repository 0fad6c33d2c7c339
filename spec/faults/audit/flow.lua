--- What belongs to something larger: steps, batches.
local M = {}

--- A step gives each run of its job the same, once it has given it to one.
function M.steps(book, tell)
  local given = {}
  for _, step in ipairs(book.all.steps) do
    local key = step.job .. "." .. step.number
    if given[key] and given[key] ~= step.token then
      tell(step.job, ("its step %d ran twice: it gave %s, then %s"):format(
        step.number, given[key], step.token))
    end
    given[key] = given[key] or step.token
  end
end

local function check_calls(batch, tell)
  if batch.completions ~= 1 then
    tell(nil, ("batch %d was told to have ended %d times"):format(batch.id, batch.completions))
  end
  local expected = batch.has_failed and 1 or 0
  if batch.failures ~= expected then
    tell(nil, ("batch %d, of whose jobs %d have failed, told of failure %d times"):format(
      batch.id, batch.failed, batch.failures))
  end
end

--- A batch ends with its last job, and says so once.
function M.batches(book, tell)
  for _, batch in ipairs(book.all.batches) do
    if batch.done ~= batch.total or batch.total ~= 4 then
      tell(nil, ("batch %d counts %d of %d ends, it has 4 jobs"):format(
        batch.id, batch.done, batch.total))
    end
    check_calls(batch, tell)
  end
end

return M
