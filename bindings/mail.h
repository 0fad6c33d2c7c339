/* mail.h - text as a mail may carry it: UTF-8 in header fields (RFC 2047) and bodies (RFC 2045). */
#ifndef BINDINGS_MAIL_H
#define BINDINGS_MAIL_H

#include <lua.h>

/* text -> the same, or folded encoded words when it is long or not plain ASCII. No line ends in text. */
int bind_mail_encode_header(lua_State *L);

/*
 * text, may_be_plain -> encoded lines with CR LF, and the Content-Transfer-Encoding. Invalid UTF-8
 * becomes U+FFFD. What is not plain never contains "=_", so boundaries may start with it.
 */
int bind_mail_encode_body(lua_State *L);

/* bytes -> the same as lines of base64, each with CR LF. */
int bind_mail_encode_bytes(lua_State *L);

#endif
