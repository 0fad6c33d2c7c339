/* status.h - the names of HTTP's status codes (RFC 9110, 15). */
#ifndef CORE_HTTP_STATUS_H
#define CORE_HTTP_STATUS_H

/* Of those that jobq answers with; "Status" for others. */
const char *http_status_text(unsigned status);

#endif
