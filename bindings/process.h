/* process.h - programs under a guard, for bindings/lua/jobq/process.lua. */
#ifndef BINDINGS_PROCESS_H
#define BINDINGS_PROCESS_H

#include <lua.h>

/*
 * words, {env, input, timeout, max_output, stdout, stderr} -> process; or nil, message, code.
 * words are those of guard.h from GUARD_GRACE_MS on, all strings. env: changes, false removes;
 * stdout, stderr: "capture", "pieces" or "file".
 */
int bind_process_start(lua_State *L);

/* Waits. process -> is it over? Returns also when a piece can be taken. A stop ends the process. */
int bind_process_wait(lua_State *L);

/* process, "stdout" or "stderr" -> what came in since. */
int bind_process_take(lua_State *L);

/*
 * process that is over -> {status, signal, seconds, cpu_seconds, peak_memory, timed_out, too_large};
 * or nil, message, code if it did not start.
 */
int bind_process_result(lua_State *L);

#endif
