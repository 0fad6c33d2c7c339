/* query.h - the statements of sql/queries, one enum value a file: SQL_CLAIM is claim.sql. */
#ifndef CORE_DB_QUERY_H
#define CORE_DB_QUERY_H

#include "embedded_queries.h"

/* Static. The name is the file's, and the prepared statement's. */
const char *sql_query_text(enum sql_query q);
const char *sql_query_name(enum sql_query q);

#endif
