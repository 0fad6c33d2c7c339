/* run_log.h - job.log: lines that travel to jobq.log with the outcome of their run. */
#ifndef BINDINGS_RUN_LOG_H
#define BINDINGS_RUN_LOG_H

#include <lua.h>

#include "core/base/log.h"
#include "core/base/slice.h"

struct run;

/* log, message [, fields] -> nothing. Fields are a table that becomes a JSON object. */
int bind_log_debug(lua_State *L);
int bind_log_info(lua_State *L);
int bind_log_warn(lua_State *L);
int bind_log_error(lua_State *L);

/* Says how many lines were dropped, if any were; before the outcome. */
void run_log_finish(struct run *r);

#endif
