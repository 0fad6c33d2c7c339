/* outcome.h - how a run can end, and why it may be stopped. */
#ifndef CORE_JOB_OUTCOME_H
#define CORE_JOB_OUTCOME_H

#include <stdint.h>

/* What an executor says of a run. The supervisor turns it into a word for jobq.settle. */
enum verdict {
    VERDICT_DONE,
    VERDICT_FAILED,    /* tried again while attempts are left */
    VERDICT_DISCARDED, /* failed, never tried again */
    VERDICT_SNOOZED,   /* again after delay, this run does not count */
    VERDICT_STOPPED,   /* the supervisor asked for it and knows why */
    VERDICT_SETTLED,   /* completed, by a transaction of the handler's: nothing is left to do */
    VERDICT_PARKED,    /* again after delay or an event, behind its steps; no run that counts */
};

enum stop_reason {
    STOP_NONE,
    STOP_DEADLINE, /* the run took longer than its timeout: failed */
    STOP_CANCEL,   /* somebody cancelled the job: cancelled */
    STOP_SHUTDOWN, /* the worker ends: returned, the run does not count */
};

/* The words of jobq.settle. */
enum outcome {
    OUTCOME_COMPLETED,
    OUTCOME_FAILED,
    OUTCOME_CANCELLED,
    OUTCOME_RETRY,
    OUTCOME_SNOOZE,
    OUTCOME_RETURN,
    OUTCOME_SUSPECT, /* as return, but it runs alone next: its executor died and nobody knows why */
    OUTCOME_CRASH,   /* as retry, and it runs alone next: its executor died while it computed */
    OUTCOME_PARK,    /* as return, or until an event comes that its handler waits for */
};

/* The word itself; static. */
const char *outcome_word(enum outcome outcome);

/* What a verdict means for a job on its attempt-th run (from 1) of at most max_attempts. */
enum outcome outcome_of(enum verdict verdict,
                        enum stop_reason stopped,
                        uint32_t attempt,
                        uint32_t max_attempts);

/* Seconds before the next attempt after the attempt-th failed: 2^attempt, from 1 to 3600. */
double retry_delay_s(uint32_t attempt);

#endif
