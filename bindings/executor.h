/* executor.h - the door of `jobq-run --executor`: a process that loads handlers and runs jobs. */
#ifndef BINDINGS_EXECUTOR_H
#define BINDINGS_EXECUTOR_H

/*
 * Talks to its supervisor over EXECUTOR_CHANNEL_FD until it is told to quit; returns the exit
 * status. Ends the process itself when the supervisor is gone.
 */
int executor_main(void);

#endif
