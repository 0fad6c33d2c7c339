/*
 * refusal.c - a second try, for the SQLSTATE of the first.
 *
 * PQconnectdbParams() leaves nothing but words, which the server writes in its own language. The number
 * is in them only at another verbosity, and that can be set only on a connection that PQconnectStart has
 * begun. We do not connect that way for good: on a host that is silent libpq's own loop goes on to the
 * next one after connect_timeout, which nobody outside of libpq can make it do.
 */
#include "core/db/refusal.h"

#include <ctype.h>
#include <poll.h>
#include <string.h>

#include <libpq-fe.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

#define ANSWER_MS 5000u

static PGconn *try_once(const char *const *keys, const char *const *values);

enum link_failure refusal_ask(const char *const *keys, const char *const *values)
{
    char sqlstate[SQLSTATE_SIZE];
    PGPing ping = PQpingParams(keys, values, 1);

    if (ping != PQPING_OK) {
        return ping == PQPING_NO_ATTEMPT ? LINK_BAD_DSN : LINK_UNREACHABLE;
    }
    PGconn *pg = try_once(keys, values);
    /* Still under way, or connected by now: then it was no refusal. */
    bool refused = PQstatus(pg) == CONNECTION_BAD &&
                   (PQconnectionNeedsPassword(pg) ||
                    (refusal_sqlstate(PQerrorMessage(pg), sqlstate) && refusal_is_final(sqlstate)));
    PQfinish(pg);
    return refused ? LINK_REFUSED : LINK_UNREACHABLE;
}

/* "...: FATAL:  28P01\n"; of several hosts the last one tried comes last. */
bool refusal_sqlstate(const char *message, char sqlstate[SQLSTATE_SIZE])
{
    static const char before[] = ":  ";
    const size_t digits = SQLSTATE_SIZE - 1;
    size_t size = strlen(message);

    while (size > 0 && message[size - 1] == '\n') {
        size--;
    }
    if (size < digits + strlen(before) ||
        memcmp(message + size - digits - strlen(before), before, strlen(before)) != 0) {
        return false;
    }
    memcpy(sqlstate, message + size - digits, digits);
    sqlstate[digits] = 0;
    for (size_t i = 0; i < digits; i++) {
        unsigned char c = (unsigned char)sqlstate[i];
        if (!(isdigit)(c) && !(isupper)(c)) {
            return false;
        }
    }
    return true;
}

/*
 * What passes by itself, by the classes of PostgreSQL's appendix A: connection exception (PgBouncer says
 * it of all its troubles), insufficient resources, operator intervention (starting, stopping), system
 * error, internal error.
 */
bool refusal_is_final(const char *sqlstate)
{
    static const char *const passing[] = {"08", "53", "57", "58", "XX"};

    for (size_t i = 0; i < LENGTH_OF(passing); i++) {
        if (strncmp(sqlstate, passing[i], 2) == 0) {
            return false;
        }
    }
    return true;
}

static PGconn *try_once(const char *const *keys, const char *const *values)
{
    uint64_t deadline_ms = clock_now_ms() + ANSWER_MS;
    PGconn *pg = PQconnectStartParams(keys, values, 1);
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    uint64_t now_ms;

    PQsetErrorVerbosity(pg, PQERRORS_SQLSTATE);
    while (PQstatus(pg) != CONNECTION_BAD && next != PGRES_POLLING_OK &&
           (now_ms = clock_now_ms()) < deadline_ms) {
        struct pollfd socket = {
            .fd = PQsocket(pg),
            .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT,
        };
        if (poll(&socket, 1, (int)(deadline_ms - now_ms)) > 0) {
            next = PQconnectPoll(pg);
        }
    }
    return pg;
}
