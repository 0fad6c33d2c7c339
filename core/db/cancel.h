/* cancel.h - asks a server to stop what a session does. libpq waits for that, so it is done in a thread. */
#ifndef CORE_DB_CANCEL_H
#define CORE_DB_CANCEL_H

#include <libpq-fe.h>
#include <uv.h>

/* Takes cancel, from PQgetCancel(); NULL does nothing. Nobody is told what came of it. */
void cancel_start(uv_loop_t *loop, PGcancel *cancel);

#endif
