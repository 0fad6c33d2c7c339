/* trace.h - errors as people read them: text, place, and the handler's own frames. */
#ifndef BINDINGS_TRACE_H
#define BINDINGS_TRACE_H

#include <stdint.h>

#include <lua.h>

#include "core/base/buffer.h"

#include "bindings/vm.h"

/* What the database keeps of an error; a longer message is cut with a note. */
#define TRACE_MESSAGE_MAX ((size_t)60 << 10)
#define TRACE_ERROR_MAX   ((size_t)64 << 10)

/* Adds "file:line: " of the innermost frame of the handler, if there is one. */
void trace_add_place(struct buffer *out, lua_State *co);

/* Adds "\nstack traceback:" and a line for each frame of the handler from level on. */
void trace_add_stack(struct buffer *out, lua_State *co, int level);

/* The same without the heading. */
void trace_add_frames(struct buffer *out, lua_State *co, int level);

/* Adds the name of the API function in which co waits, say "jobq.sleep". Raises nothing. */
void trace_add_wait(struct buffer *out, lua_State *co);

/* Notes in the pulse where co is. */
void trace_note_place(struct pulse *pulse, lua_State *co);

/* Adds what to say of a run that was refused memory: Lua's own message names neither. */
void trace_add_memory_error(struct buffer *out, const struct vm *vm, uint32_t account);

/* Pushes the place of trace_add_place(), or an empty text. For the coroutine that runs. */
void trace_push_place(lua_State *L);

/* Pushes the name of the function of the API that runs, say "jobq.sleep". */
void trace_push_function_name(lua_State *L);

/* any error value -> text without a traceback; never runs the value's __tostring unprotected. */
int bind_explain(lua_State *L);

/* -> what trace_add_memory_error says of the run that calls, as long as it has not waited since. */
int bind_memory_error(lua_State *L);

/* message: raises it as an error of the handler's line that has called us. */
int bind_raise(lua_State *L);

/* -> "file:line: " of the handler's line that has called us, or "" */
int bind_place(lua_State *L);

/* any error value -> text and traceback: a message handler for xpcall. */
int bind_traceback(lua_State *L);

#endif
