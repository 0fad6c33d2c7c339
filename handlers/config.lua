--- The settings of these handlers: their types, and defaults that fit handlers/sample. Each may be
--- given by --set file.root=/srv/files, the variable JOBQ_FILE_ROOT, or a line of the config file;
--- `jobq config handlers` shows what is in force. What is wrong is refused at load.
return {
  file = {
    root = { "string", min = 1, default = ".", summary = "the folder that paths are below" },
    storage = {
      "string", enum = { "local", "s3" }, default = "local",
      summary = "where files are: below root, or in the bucket of s3.*; root is for scratch then",
    },
    max_bytes = { "integer", min = 1, default = 5 << 30, summary = "of a file, taken in or made" },
    accept = {
      "string[]", default = { "*" },
      summary = "content types of uploads that are taken: image/*, application/pdf",
    },
    max_pixels = {
      "integer", min = 1, default = 100000000,
      summary = "width x height x pages of an image that is opened",
    },
    sizes = {
      "integer[]", default = { 200, 800 },
      summary = "of thumbnails, in pixels of the longer side",
    },
    formats = {
      "string[]", enum = { "jpeg", "webp", "avif" }, default = { "jpeg", "webp", "avif" },
      summary = "of thumbnails",
    },
    thumbnails = { "string", min = 1, default = "thumbnails", summary = "the folder of those" },
    image_seconds = { "integer", min = 1, default = 120, summary = "that vips may take each time" },
    memory = { "string", default = "2G", summary = "address space of vips, gzip and tar" },
    scan = {
      "boolean", default = true,
      summary = "uploads are scanned for viruses; without, they are never said to be clean",
    },
    clamd = {
      "string", min = 1, default = "/run/clamav/clamd.ctl",
      summary = "where clamd listens: a path, or host:port",
    },
    scan_bytes = {
      "integer", min = 1, default = 25 << 20,
      summary = "of the largest file that clamd looks through: StreamMaxLength, MaxFileSize",
    },
    quarantine = {
      "string", min = 1, default = "quarantine",
      summary = "the folder for infected files",
    },
    find = {
      "string", default = "select path from app.uploads where id = $1",
      summary = "gives the path of an upload",
    },
    record = {
      "string", default = [[update app.uploads set status = $2::jsonb->>'status',
content_type = $2->>'content_type', bytes = ($2->>'bytes')::bigint, sha256 = $2->>'sha256',
width = ($2->>'width')::int, height = ($2->>'height')::int, thumbnails = $2->'thumbnails',
processed_at = now() where id = $1]],
      summary = "keeps what was found out: $1 is the id of the upload, $2 a JSON object",
    },
  },

  s3 = {
    url = { "url?", summary = "of the service, as https://s3.eu-central-1.amazonaws.com" },
    bucket = { "string?", summary = "its name" },
    region = { "string", default = "us-east-1", summary = "as the service calls it" },
    access_key = { "string?", summary = "the id of the key" },
    secret_key = { "string?", secret = true, summary = "the key" },
    session_token = { "string?", secret = true, summary = "of keys that expire" },
  },
  matrix = {
    homeserver = { "url", default = "http://localhost:8008", summary = "address of Synapse" },
    token = { "string?", secret = true, summary = "access token of one of its administrators" },
    page = { "integer", min = 1, max = 100, default = 100, summary = "of events, media and rows" },
    keep_rooms = {
      "string[]?", summary = "ids of rooms that room_cleanup never touches",
    },
    activity = {
      "string[]", summary = "types of events that show that a room is in use",
      default = { "m.room.message", "m.room.encrypted", "m.sticker", "m.reaction" },
    },
    exports = { "string", default = "exports", summary = "folder for archives of user_export" },
    people = {
      "string",
      summary = "who has which name and avatar: $2 of them behind $1, or of those in $3, by id",
      default = [[
        select matrix_id, name, avatar from app.users
        where matrix_id > $1::text and ($3::text[] is null or matrix_id = any ($3::text[]))
        order by matrix_id limit $2::bigint]],
    },
  },
}
