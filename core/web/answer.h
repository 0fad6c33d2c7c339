/* answer.h - the text that a route gives for an answer, taken apart. */
#ifndef CORE_WEB_ANSWER_H
#define CORE_WEB_ANSWER_H

#include "core/base/mem.h"
#include "core/http/connection.h"

/*
 * json is the result of a run, a JSON string; see gateway.h. 0 with a, which borrows from text, where
 * the string is unpacked; or -EBADMSG: it is no answer.
 */
MUST_USE int answer_read(struct slice json, struct buffer *text, struct http_answer *a);

#endif
