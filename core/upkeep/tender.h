/* tender.h - makes days to come, drops days that are over, sweeps small tables: hourly. */
#ifndef CORE_UPKEEP_TENDER_H
#define CORE_UPKEEP_TENDER_H

#include <uv.h>

#include "core/db/link.h"

struct tender;

struct tender *tender_open(uv_loop_t *loop, struct link *upkeep);

/* The connection is up: tends soon, then hourly. */
void tender_up(struct tender *t);

void tender_close(struct tender *t);

#endif
