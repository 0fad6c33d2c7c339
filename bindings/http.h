/* http.h - one request over HTTP; what it consists of is made in bindings/lua/jobq/http.lua. */
#ifndef BINDINGS_HTTP_H
#define BINDINGS_HTTP_H

#include <lua.h>

/*
 * Waits. A table of options, named as in struct http_options, texts and integers, headers as an
 * array of lines, and origin for messages -> status, head (its lines), body or nil when it went to
 * to_file, url (the last one), seconds, bytes of the body, version of HTTP; or nil, message, code:
 * "connect", "tls", "timeout", "closed", "redirects", "bad_url", "bad_reply", "private_address",
 * "too_large", "ENOENT" and the like.
 */
int bind_http_perform(lua_State *L);

#endif
