/* embedded_programs.h - where the server programs of PostgreSQL are. */
#ifndef CORE_DB_EMBEDDED_PROGRAMS_H
#define CORE_DB_EMBEDDED_PROGRAMS_H

#include "core/base/buffer.h"
#include "core/base/mem.h"

/*
 * The folder with initdb and postgres: the newest, or that of the given major version, since a
 * cluster is bound to the one that made it; 0: any. Owned by the caller; -ENOENT with `error` filled
 * in.
 */
MUST_USE int programs_find(int major, char **folder, struct buffer *error);

#endif
