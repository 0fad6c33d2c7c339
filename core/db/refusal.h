/*
 * refusal.h - why a connection was not made, whatever language the server speaks.
 */
#ifndef CORE_DB_REFUSAL_H
#define CORE_DB_REFUSAL_H

#include <stdbool.h>

#include "core/db/link.h"

#define SQLSTATE_SIZE 6 /* with the zero behind it */

/*
 * Asks the server once more, with the keys and values of PQconnectdbParams(), dbname expanded. Blocks
 * for some seconds at most, and for as long as it takes to resolve names.
 */
enum link_failure refusal_ask(const char *const *keys, const char *const *values);

/*
 * The SQLSTATE at the end of libpq's message of verbosity PQERRORS_SQLSTATE; false if none stands
 * there: libpq writes about its own troubles in words.
 */
bool refusal_sqlstate(const char *message, char sqlstate[SQLSTATE_SIZE]);

/* Whether somebody has to change something before a server that said this lets us in. */
bool refusal_is_final(const char *sqlstate);

#endif
