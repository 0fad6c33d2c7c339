--- Files in a bucket: the signature beside the published examples, and a server that computes it.
local clamd = require "support.clamd"
local engine = require "support.engine"
local families = require "support.families"
local files = require "support.files"
local jobq = require "support.jobq"
local uv = require "luv"

package.path = "handlers/?.lua;handlers/?/init.lua;" .. package.path
local sign = require "lib.storage.sign"

local KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

--- The four examples of docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
describe("a signature of Version 4", function()
  local account = {
    key = "AKIAIOSFODNN7EXAMPLE", secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    region = "us-east-1",
  }
  local now = 1369353600 -- 2013-05-24T00:00:00Z
  local empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

  local function signature(method, path, options)
    options = options or {}
    local headers = sign.headers({
      method = method, url = "https://examplebucket.s3.amazonaws.com" .. path,
      hash = options.hash or empty, headers = options.headers,
    }, account, now)
    assert.equal("20130524T000000Z", headers["x-amz-date"])
    return headers.authorization:match "SignedHeaders=(.-),", headers.authorization:match "[^=]*$"
  end

  it("of GET with a range", function()
    assert.same({ "host;range;x-amz-content-sha256;x-amz-date",
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
      { signature("GET", "/test.txt", { headers = { range = "bytes=0-9" } }) })
  end)

  it("of PUT with a body", function()
    local names, value = signature("PUT", "/" .. sign.escape_path "test$file.text", {
      hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
      headers = { date = "Fri, 24 May 2013 00:00:00 GMT",
        ["x-amz-storage-class"] = "REDUCED_REDUNDANCY" },
    })
    assert.equal("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", names)
    assert.equal("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd", value)
  end)

  it("of a query without a value", function()
    local _, value = signature("GET", "/?lifecycle")
    assert.equal("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", value)
  end)

  it("of a query with values", function()
    local _, value = signature("GET", "/?prefix=J&max-keys=2")
    assert.equal("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", value)
  end)

  it("signs the token of keys that expire, too", function()
    local headers = sign.headers({ method = "GET", url = "http://x/", hash = empty },
      { key = "k", secret = "s", region = "r", token = "t" }, now)
    assert.is_truthy(headers.authorization:find(
      "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,", 1, true))
  end)
end)

describe("files in a bucket", function()
  local dir, root, bucket, db, url

  local function object(name)
    return bucket .. "/" .. name:gsub("[^%w%-._~]", function(c)
      return ("%%%02X"):format(c:byte())
    end)
  end

  --- What is in it, sorted.
  local function objects()
    local names = {}
    for i, name in ipairs(files.list(bucket)) do
      names[i] = name:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    end
    return names
  end

  local function worker(settings, options)
    local all = {
      ["file.root"] = root, ["file.storage"] = "s3", ["file.formats"] = "webp",
      ["file.sizes"] = "50", ["file.clamd"] = dir .. "/scanner/clamd.ctl", ["s3.url"] = url,
      ["s3.bucket"] = "bucket", ["s3.region"] = "eu-test-1", ["s3.access_key"] = KEY,
      ["s3.secret_key"] = SECRET,
    }
    for name, value in pairs(settings or {}) do
      all[name] = value
    end
    return families.worker(db, all, options)
  end

  local function run(kind, args, more)
    return families.run(db, "file." .. kind, args, more)
  end

  local function upload(path)
    return db:value("insert into app.uploads (user_id, path) values (1, $1) returning id", path)
  end

  local function image(name)
    files.run { "vips", "black", dir .. "/image.png", "200", "100" }
    files.run { "cp", dir .. "/image.png", object(name) }
  end

  before_each(function()
    dir = assert(uv.fs_mkdtemp "/tmp/jobq-spec-XXXXXX")
    root, bucket = dir .. "/root", dir .. "/bucket"
    files.make_dir(root)
    files.make_dir(bucket)
    db = families.database()
    local server = engine.process.start {
      "python3", "spec/support/s3_server.py", bucket, KEY, SECRET, "eu-test-1",
    }
    server:wait_until(function() return server.out_lines[1] end, "its port")
    url = "http://127.0.0.1:" .. server.out_lines[1]
  end)

  after_each(function()
    engine.process.sweep(true)
    assert.same({}, files.glob(root .. "/.scratch/*"))
    files.remove(dir)
  end)

  it("are processed as those of a folder", function()
    clamd.start(dir .. "/scanner")
    worker()
    local name = "uploads/Ä b+c&d=$.png"
    image(name)
    local id = upload(name)
    local job = run("process_upload", { upload = id })
    assert.same({ "completed", nil }, { job.status, job.error })
    assert.same({ "ready", "image/png", 200, 100, true }, { job.result.status,
      job.result.content_type, job.result.width, job.result.height, job.result.clean })
    assert.equal(files.run({ "sha256sum", object(name) }):match "%x+", job.result.sha256)
    assert.same({ "thumbnails/" .. name .. "/50.webp", name }, objects())
    assert.equal("ready", db:value("select status from app.uploads where id = $1", id))
  end)

  it("go into quarantine, and are packed", function()
    clamd.start(dir .. "/scanner")
    worker()
    files.write(object "bad.txt", clamd.VIRUS)
    files.write(object "good.txt", ("good, "):rep(10000))
    assert.equal("quarantine/bad.txt", run("scan", { path = "bad.txt" }).result.quarantine)
    assert.same({ clean = true }, run("scan", { path = "good.txt" }).result)
    local job = run("compress", { path = "good.txt", format = "gzip" })
    assert.same({ "completed", "good.txt.gz" }, { job.status, job.result.target })
    assert.same({ "good.txt", "good.txt.gz", "quarantine/bad.txt" }, objects())
    assert.equal(60000, #files.run { "gzip", "-dc", object "good.txt.gz" })
  end)

  it("are streamed", function()
    local w = worker({}, { executors = 1 })
    files.run { "truncate", "-s", "300M", object "large" }
    files.write(object "small", "x")
    run("compress", { path = "small" })
    local before = engine.process.memory(w:executors()[1])
    local job = db:enqueue { "file.compress", args = '{"path": "large", "level": 1}' }
    local most = 0
    repeat
      most = math.max(most, engine.process.memory(w:executors()[1]))
    until db:job(job).status ~= "pending" and db:job(job).status ~= "processing"
    assert.equal("completed", db:job(job).status)
    assert.is_true(most - before < 16 << 10, ("%d KiB, before %d"):format(most, before))
  end)

  it("say what the server says", function()
    worker()
    files.write(object "a", "x")
    files.write(object "cut", ("x"):rep(100000))
    files.write(object "busy", "x")
    local job = run("compress", { path = "gone" })
    assert.same({ "gone: no such object in the bucket", 1 }, { job.error, tonumber(job.attempt) })
    job = run("compress", { path = "cut" }, { max_attempts = 1 })
    assert.equal("failed", job.status)
    job = run("compress", { path = "busy" }, { max_attempts = 1 })
    assert.equal("busy: s3 says 503", job.error) -- no body, after HEAD
    job = run("compress", { path = "../a" })
    assert.matches("^'../a' is no path below the root", job.error)
    assert.same({ "a", "busy", "cut" }, objects())
  end)

  it("need the right key, and do not show it", function()
    worker { ["s3.secret_key"] = "a-wrong-key-of-mine" }
    files.write(object "bad.txt", "x")
    local job = run("compress", { path = "bad.txt" })
    assert.same({ "bad.txt: s3 says 403\nhint: the settings s3.access_key, s3.secret_key and "
      .. "s3.region", 1 }, { job.error, tonumber(job.attempt) })
    assert.same({ "bad.txt" }, objects())
    worker { ["s3.url"] = "http://127.0.0.1:1" }
    job = run("compress", { path = "bad.txt" }, { max_attempts = 1 })
    assert.equal("failed", job.status)
  end)

  it("need their settings", function()
    local answer = jobq(nil, { "check", "handlers", "--set", "file.storage=s3" })
    assert.equal(3, answer.status)
    assert.matches("setting s3.url is not there, file.storage = s3 needs it", answer.err, 1, true)
  end)
end)
