--- The settings of these handlers: their types, and defaults that fit handlers/sample. Each may be
--- given by --set file.root=/srv/files, the variable JOBQ_FILE_ROOT, or a line of the config file;
--- `jobq config handlers` shows what is in force. What is wrong is refused at load.
return {
  email = {
    templates = { "string?", summary = "folder of templates; default: that beside the handlers" },
    attachments = {
      "string", default = "attachments", summary = "folder that paths of attachments are below",
    },
    domain_running = {
      "integer", min = 1, default = 20, summary = "mails to one domain at a time",
    },
    domain_rate = {
      "string", default = "1200/1m", summary = "mails to one domain that may start in a time",
    },
    unsubscribe_url = {
      "url?", summary = "where the application ends subscriptions, https; lists need it",
    },
    unsubscribe_key = {
      "string?", secret = true, min = 16, summary = "signs the links of that page",
    },
    suppressed = {
      "string", summary = "addresses of $1 that get no mail; $2: is it of a list; empty: none",
      default = [[
        select email, reason from app.suppressions
        where lower(email) = any ($1::text[]) and ($2::boolean or reason <> 'unsubscribed')]],
    },
    unsubscribe = {
      "string", summary = "ends the subscription of address $1 to mailing list $2",
      default = [[
        insert into app.suppressions (email, reason)
        select lower($1::text), 'unsubscribed' where $2::text <> '' on conflict do nothing]],
    },
    digest_users = {
      "string", summary = "users that have something to be told",
      default = [[
        select distinct n.user_id as "user" from app.notifications n
        where n.digested_at is null and n.read_at is null and not exists (
          select from app.preferences p where p.user_id = n.user_id and p.topic = n.topic
            and p.channel = 'email' and not p.wanted)]],
    },
    digest_user = {
      "string", summary = "email, name and locale of user $1",
      default = "select email, name, locale from app.users where id = $1::bigint",
    },
    digest_items = {
      "string", summary = "what user $1 is to be told: id, and what the template digest shows",
      default = [[
        select n.id, n.topic, n.title, n.body, n.url from app.notifications n
        where n.user_id = $1::bigint and n.digested_at is null and n.read_at is null
          and not exists (
            select from app.preferences p where p.user_id = n.user_id and p.topic = n.topic
              and p.channel = 'email' and not p.wanted)
        order by n.id limit 100]],
    },
    digest_mark = {
      "string", summary = "notes that the items with the ids of $1 have been told",
      default = [[
        update app.notifications set digested_at = now()
        where id = any ($1::bigint[]) and digested_at is null]],
    },
  },

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
  notification = {
    ttl = {
      "integer", min = 0, max = 2419200, default = 86400,
      summary = "seconds that services keep what they cannot deliver",
    },
    vapid_key = { "string?", secret = true, summary = "web push: our key, by jobq vapid" },
    vapid_subject = {
      "string?", summary = "web push: where their operators reach us, mailto: or https:",
    },
    fcm_account = { "string?", secret = true, summary = "FCM: the service account's JSON file" },
    fcm_url = { "url", default = "https://fcm.googleapis.com", summary = "FCM: where it is" },
    apns_key = { "string?", secret = true, summary = "APNs: the .p8 file" },
    apns_key_id = { "string?", summary = "APNs: that key's id" },
    apns_team = { "string?", summary = "APNs: the team's id" },
    apns_topic = { "string?", summary = "APNs: the application's bundle id" },
    apns_url = {
      "url", default = "https://api.push.apple.com",
      summary = "APNs: where it is; https://api.sandbox.push.apple.com for development",
    },
    ntfy_url = { "url", default = "https://ntfy.sh", summary = "ntfy: the server" },
    ntfy_token = { "string?", secret = true, summary = "ntfy: an access token" },
    targets = {
      "string", summary = "where topic $2 goes to user $1: id, channel, address, keys",
      default = [[
        select s.id, s.channel, s.address, s.keys from app.subscriptions s
        where s.user_id = $1::bigint and not exists (
          select from app.preferences p where p.user_id = s.user_id and p.topic = $2::text
            and p.channel = s.channel and not p.wanted)
        order by s.id]],
    },
    gone = {
      "string", summary = "removes subscription $1, which the service does not know any more",
      default = "delete from app.subscriptions where id = $1::bigint",
    },
    show = {
      "string", summary = "in the application: user, topic, title, body, url and a key, once",
      default = [[
        insert into app.notifications (user_id, topic, title, body, url, dedup_key)
        select u.id, $2::text, $3::text, $4::text, $5::text, $6::text from app.users u
        where u.id = $1::bigint and not exists (
          select from app.preferences p where p.user_id = u.id and p.topic = $2::text
            and p.channel = 'app' and not p.wanted)
        on conflict (dedup_key) do nothing]],
    },
    quiet = {
      "string", summary = "seconds until the quiet hours of user $1 end; null: it is not quiet",
      default = [[
        select ceil(extract(epoch from (
          select max(w.ends at time zone u.time_zone) - now()
          from (select now() at time zone u.time_zone as clock) l,
            generate_series(0, 1) as ago, lateral (select l.clock::date - ago as day) d,
            lateral (select day + u.quiet_from as begins, day + u.quiet_to + case
              when u.quiet_to < u.quiet_from then interval '1 day' else '0' end as ends) w
          where l.clock >= w.begins and l.clock < w.ends)))::int as seconds
        from app.users u where u.id = $1::bigint]],
    },
    audience = {
      "string", summary = "users that a batch of topic $1 goes to: $3 behind id $2, or those of $4",
      default = [[
        select u.id from app.users u
        where $1::text <> '' and u.id > $2::bigint
          and ($4::bigint[] is null or u.id = any ($4::bigint[]))
        order by u.id limit $3::bigint]],
    },
    digest_title = { "string", default = "$count new for you", summary = "of a digest" },
    digest_url = { "string?", summary = "where a click on a digest leads" },
    digest_users = {
      "string", summary = "users that have something to be told",
      default = [[
        select distinct n.user_id as "user" from app.notifications n
        where n.digested_at is null and n.read_at is null
          and exists (select from app.subscriptions s where s.user_id = n.user_id)]],
    },
    digest_items = {
      "string", summary = "id and title of what user $1 is to be told",
      default = [[
        select n.id, n.title from app.notifications n
        where n.user_id = $1::bigint and n.digested_at is null and n.read_at is null
        order by n.id limit 100]],
    },
    digest_mark = {
      "string", summary = "notes that what has the ids of $1 has been told",
      default = [[
        update app.notifications set digested_at = now()
        where id = any ($1::bigint[]) and digested_at is null]],
    },
  },

  cleanup = {
    root = { "string?", min = 1, summary = "of cleanup.files; unset, no file is touched" },
    archive = { "string", min = 1, default = "archive", summary = "the folder of what is kept" },
    batch = { "integer", min = 1, max = 100000, default = 1000, summary = "rows a transaction" },
    pause = { "number", min = 0, max = 60, default = 0.1, summary = "seconds between those" },
    invites = { "string", min = 1, default = "app.invites", summary = "the table" },
    invites_key = { "string", min = 1, default = "id", summary = "its primary key" },
    invites_expiry = { "string", min = 1, default = "expires_at", summary = "when one expires" },
    invites_taken = {
      "string", min = 1, default = "accepted_at", summary = "null while nobody has taken it",
    },
    audit_logs = { "string", min = 1, default = "app.audit_log", summary = "the table" },
    audit_logs_key = { "string", min = 1, default = "id", summary = "its primary key" },
    audit_logs_time = { "string", min = 1, default = "created_at", summary = "of writing" },
  },
}
