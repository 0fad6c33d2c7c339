/* run_steps.h - what durable steps need of a run: a place to remember, its lease, a way out. */
#ifndef BINDINGS_RUN_STEPS_H
#define BINDINGS_RUN_STEPS_H

#include <lua.h>

struct run;

/* -> a table that lives as long as this run. Raises where a handler cannot wait. */
int bind_run_memo(lua_State *L);

/* -> how long this run has taken in us, worker, seq, slot, job; of a run by hand only the first. */
int bind_run_place(lua_State *L);

/*
 * [seconds] -> never: the run ends here, and its job runs again from the top after so long at most.
 * Without seconds it only raises where that cannot be.
 */
int bind_run_park(lua_State *L);

/* Raises where a handler cannot wait. */
int bind_check(lua_State *L);

/* -> never: ends the run right here. */
int bind_leave(lua_State *L);

/* The run is over. */
void run_steps_forget(struct run *r);

#endif
