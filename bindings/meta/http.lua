---@meta jobq.http
error("meta files are read by editors, never loaded")

--- HTTP. Connections are kept and shared by the jobs of an executor. Addresses that are not public
--- (private, loopback, link-local, a cloud's metadata) are refused, also where a redirect leads, unless
--- `allow_private` or the setting http.allow_private says otherwise. Further settings: http.ca_file,
--- http.proxy, http.no_proxy; the proxy variables of the environment mean nothing here, and behind a
--- proxy it is the proxy that decides what can be reached.
---@class jobq.http
local http = {}

---@class jobq.http.Options
---@field headers? table<string, string|jobq.Secret|(string|jobq.Secret)[]>
---@field query? table<string, string|number|boolean|jobq.Secret|table> added to the url
---@field body? string one of body, json, form and file
---@field json? any what has a JSON
---@field form? table<string, string|number|boolean|jobq.Secret|table>
---@field file? string path: the body is read from there while it is sent
---@field to_file? string path: a 2xx body goes there, whole or not at all; other bodies come as text
---@field timeout? number seconds for all of it, default 60
---@field connect_timeout? number seconds, default 10
---@field redirects? integer how many are followed, default 5; only GET and HEAD follow any. Your headers
---   go along, but for Authorization and Cookie
---@field limit? integer|string bytes of the body after it was unpacked; default "10M", for files "1G"
---@field username? string|jobq.Secret
---@field password? string|jobq.Secret
---@field bearer? string|jobq.Secret a token
---@field idempotency_key? true|string the header Idempotency-Key; true: job.idempotency_key
---@field ca_file? string certificates to trust; default the system's
---@field cert_file? string our own certificate
---@field key_file? string its key
---@field key_password? string|jobq.Secret
---@field allow_private? boolean default false
---@field http2? boolean|"prior_knowledge" default true: where TLS agrees on it

---@class jobq.http.Request: jobq.http.Options
---@field url string
---@field method? string default "GET"

---@class jobq.http.Headers names in any case; fields that came several times are joined with ", "
---@field all fun(self: jobq.http.Headers, name: string): string[] each of them
---@field [string] string

---@class jobq.http.Reply
---@field status integer
---@field ok boolean status is 2xx
---@field headers jobq.http.Headers
---@field body? string nil when it is in the file
---@field file? string to_file, when the body is there
---@field size integer bytes of the body
---@field url string of the last request
---@field seconds number
---@field version string of HTTP: "1.0", "1.1", "2"
---@field json fun(self: jobq.http.Reply): any, string?, string? the body's value; nil, message, code

--- One request. Any status is a reply; nil, message, code when there is none.
---@async
---@param options jobq.http.Request
---@return jobq.http.Reply?
---@return string? message
---@return string? code "connect", "timeout", "tls", "closed", "redirects", "bad_url", "bad_header", "bad_reply", "private_address", "too_large", "ENOENT" and other errnos of files
function http.request(options) end

---@async
---@param url string
---@param options? jobq.http.Options
---@return jobq.http.Reply?
---@return string? message
---@return string? code
function http.get(url, options) end

---@async
---@param url string
---@param options? jobq.http.Options
---@return jobq.http.Reply?
---@return string? message
---@return string? code
function http.head(url, options) end

---@async
---@param url string
---@param options? jobq.http.Options
---@return jobq.http.Reply?
---@return string? message
---@return string? code
function http.post(url, options) end

---@async
---@param url string
---@param options? jobq.http.Options
---@return jobq.http.Reply?
---@return string? message
---@return string? code
function http.put(url, options) end

---@async
---@param url string
---@param options? jobq.http.Options
---@return jobq.http.Reply?
---@return string? message
---@return string? code
function http.patch(url, options) end

---@async
---@param url string
---@param options? jobq.http.Options
---@return jobq.http.Reply?
---@return string? message
---@return string? code
function http.delete(url, options) end

return http
