--- What a file is by its content, whatever its name says.
local M = {}

M.BYTES = 4096 -- of the beginning: all that is looked at

--- Where, what is there, and what it is then; the first that fits.
local SIGNATURES = {
  { 1, "\xff\xd8\xff", "image/jpeg" },
  { 1, "\x89PNG\r\n\x1a\n", "image/png" },
  { 1, "GIF87a", "image/gif" },
  { 1, "GIF89a", "image/gif" },
  { 9, "WEBP", "image/webp" },
  { 1, "II*\0", "image/tiff" },
  { 1, "MM\0*", "image/tiff" },
  { 5, "ftypavif", "image/avif" },
  { 5, "ftypavis", "image/avif" },
  { 5, "ftypheic", "image/heic" },
  { 5, "ftypheix", "image/heic" },
  { 5, "ftypqt", "video/quicktime" },
  { 5, "ftypM4A", "audio/mp4" },
  { 5, "ftyp", "video/mp4" },
  { 9, "WAVE", "audio/wav" },
  { 9, "AVI ", "video/x-msvideo" },
  { 1, "\x1a\x45\xdf\xa3", "video/webm" },
  { 1, "OggS", "audio/ogg" },
  { 1, "fLaC", "audio/flac" },
  { 1, "ID3", "audio/mpeg" },
  { 1, "%PDF-", "application/pdf" },
  { 1, "PK\3\4", "application/zip" },
  { 1, "\x1f\x8b", "application/gzip" },
  { 1, "\x28\xb5\x2f\xfd", "application/zstd" },
  { 1, "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed" },
  { 1, "\x7fELF", "application/x-executable" },
  { 1, "MZ", "application/x-msdownload" },
  { 258, "ustar", "application/x-tar" },
}

--- Texts that a browser would run.
local MARKUP = {
  ["<!doctype html"] = "text/html", ["<html"] = "text/html", ["<script"] = "text/html",
  ["<svg"] = "image/svg+xml", ["<?xml"] = "text/xml",
}

local EXTENSIONS = {
  avif = "image/avif", gif = "image/gif", heic = "image/heic", jpeg = "image/jpeg",
  jpg = "image/jpeg", pdf = "application/pdf", png = "image/png", tif = "image/tiff",
  tiff = "image/tiff", webp = "image/webp", zip = "application/zip",
}

--- UTF-8 without control characters; its last one may be cut.
local function is_text(head)
  if head:find("[%z\1-\8\14-\26\28-\31\127]") then
    return false
  end
  local _, stop = utf8.len(head)
  return stop == nil or stop > #head - 4 and #head == M.BYTES
end

local function text_type(head)
  local start = head:gsub("^\xef\xbb\xbf", ""):match("^%s*(.*)"):sub(1, 20):lower()
  for mark, name in pairs(MARKUP) do
    if start:sub(1, #mark) == mark then
      return name
    end
  end
  return "text/plain"
end

--- An image whose first name is only that of the container: the others follow.
local function container_type(head)
  local names = head:sub(9, 64)
  return names:find("avif", 1, true) and "image/avif" or "image/heic"
end

--- Of the first bytes of a file.
---@param head string
function M.of(head)
  if head:sub(5, 12) == "ftypmif1" then
    return container_type(head)
  end
  for _, signature in ipairs(SIGNATURES) do
    local at, bytes, name = table.unpack(signature)
    if head:sub(at, at + #bytes - 1) == bytes then
      return name
    end
  end
  return is_text(head) and text_type(head) or "application/octet-stream"
end

--- What the name promises; nil if nothing that could be checked.
function M.promised(name)
  return EXTENSIONS[(name:match("%.(%w+)$") or ""):lower()]
end

--- Is it in a list like { "image/*", "application/pdf" }?
function M.is_in(name, list)
  for _, item in ipairs(list) do
    if item == "*" or item == name or item == name:match("^[^/]*/") .. "*" then
      return true
    end
  end
  return false
end

return M
