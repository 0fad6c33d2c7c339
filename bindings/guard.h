/*
 * guard.h - a process that starts one program with limits, and ends with nothing of it left.
 *
 * jobq.process starts it as "jobq-run --guard ...". The program gets a session of its own; whatever it
 * starts stays a descendant of the guard, even a daemon, and is killed when the program has ended.
 *
 *   executor -- GUARD_TERMINATE --> guard: SIGTERM to the program's group, SIGKILL to all after the grace
 *   executor -- end of file ------> guard: SIGKILL to all, at once: the executor may be dead
 *   executor <-- guard_report ----- guard: nothing is left
 */
#ifndef BINDINGS_GUARD_H
#define BINDINGS_GUARD_H

#include <stdint.h>

/* The guard's end of a socket pair. */
#define GUARD_FD 3

/* The byte that asks for the end. */
#define GUARD_TERMINATE 'T'

/* What stands before the program on the command line; an empty text is none. */
enum guard_argument {
    GUARD_GRACE_MS = 2, /* behind "jobq-run --guard" */
    GUARD_MEMORY,       /* bytes of address space */
    GUARD_CPU,          /* seconds */
    GUARD_FILES,        /* open at a time */
    GUARD_PROCESSES,    /* of the user */
    GUARD_FILE_SIZE,    /* bytes */
    GUARD_CWD,
    GUARD_STDIN, /* paths; else the guard's own descriptors are the program's */
    GUARD_STDOUT,
    GUARD_STDERR,
    GUARD_PROGRAM,
};

/* Both sides are one program: it is sent as it is. */
struct guard_report {
    int32_t error;   /* 0, or the errno for which the program did not start */
    int32_t subject; /* enum guard_argument that error is about */
    int32_t status;  /* its exit status, or -1 */
    int32_t signal;  /* that ended it, or 0 */
    uint64_t peak_bytes;
    uint64_t cpu_us;
};

int guard_main(int argc, char **argv);

#endif
