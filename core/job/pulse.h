/*
 * pulse.h - one shared page an executor, written by it, read by its supervisor.
 *
 * It says which run computes right now. The supervisor looks when that run is past its deadline, and
 * when the executor has died: then this run is the one to blame, and all others go back unpunished.
 * The place is for people who look at a run that computes and does not answer; it may be torn.
 */
#ifndef CORE_JOB_PULSE_H
#define CORE_JOB_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PULSE_NO_RUN UINT32_MAX

/* The descriptors that a supervisor passes to `jobq-run --executor`. */
#define EXECUTOR_CHANNEL_FD 3
#define EXECUTOR_PULSE_FD   4

/* The signal that tells a computing executor to read its mail. */
#define EXECUTOR_MAIL_SIGNAL SIGUSR2

struct pulse {
    _Atomic uint32_t run;       /* inside lua_resume right now, or PULSE_NO_RUN */
    _Atomic uint64_t since_us;  /* clock_now_us() when it got the processor */
    _Atomic uint64_t lua_bytes; /* what the Lua state holds */
    _Atomic bool is_worn;       /* it has no descriptor left: another should take its place */
    _Atomic int line;           /* of the handler, where that run was last seen; 0: not yet */
    char source[60];            /* the file; as long as Lua's short_src */
};

#endif
