---@meta jobq.smtp
error("meta files are read by editors, never loaded")

--- Mail. What is not given comes from the settings smtp.host, smtp.port, smtp.from, smtp.tls,
--- smtp.username, smtp.password, smtp.ca_file, smtp.timeout and smtp.idle.
---
--- A connection is kept for the next mail to the same server with the same login. An executor keeps at
--- most 8 that nobody uses; while mails are under way each has its own.
---@class jobq.smtp
local smtp = {}

---@class jobq.smtp.Mail
---@field to string|string[] "ann@example.org" or "Ann <ann@example.org>"
---@field from? string
---@field subject? string
---@field text? string this, or html, or both
---@field html? string
---@field headers? table<string, string> further ones, like Reply-To; names in addresses and texts of any language
---@field attachments? jobq.smtp.Attachment[]
---@field message_id? string "<id@domain>"; default a new one each time
---@field host? string default "127.0.0.1"
---@field port? integer default 25
---@field tls? "none"|"starttls"|"tls" default "none"
---@field username? string|jobq.Secret
---@field password? string|jobq.Secret
---@field ca_file? string certificates to trust; default the system's
---@field timeout? integer seconds for all of it, default 60
---@field idle? integer seconds that the connection is kept for the next mail, 0 to 300, default 10

--- A file that comes along: its bytes, or where they are. They are in memory while the mail is sent;
--- one has at most 64 MiB.
---@class jobq.smtp.Attachment
---@field content? string this, with a name; or path
---@field path? string a file, read when the mail is sent
---@field name? string under which it is received; default the end of path
---@field type? string like "text/csv; charset=utf-8"; default by the end of the name
---@field cid? string for an image within the html: `<img src="cid:logo">` shows the one with cid "logo"

---@class jobq.smtp.Sent
---@field id string the Message-ID
---@field reply string the server's last answer

--- Sends one mail and waits for the server's verdict. If one recipient is refused, nobody gets it.
---@async
---@param mail jobq.smtp.Mail
---@return jobq.smtp.Sent?
---@return string? message
---@return string? code "smtp_550" as the server said; "bad_address", "bad_attachment", "bad_header", "connect", "tls", "login", "timeout", "closed"; "ENOENT" and the like for a path
function smtp.send(mail) end

---@class jobq.smtp.Address
---@field address string "ann@example.org"
---@field domain string what is behind the @, in lower case
---@field name? string "Ann"

--- What is in an address as jobq.smtp.send takes it.
---@param text string
---@return jobq.smtp.Address?
---@return string? message
---@return string? code "bad_address"
---@nodiscard
function smtp.parse_address(text) end

--- A Message-ID that all attempts of a job share, so that the receiver can drop a second copy.
---@param job jobq.Job
---@return string
---@nodiscard
function smtp.message_id(job) end

--- True when another attempt cannot help: the server said no for good, or the mail itself is wrong.
---@param code? string
---@return boolean
---@nodiscard
function smtp.is_permanent(code) end

return smtp
