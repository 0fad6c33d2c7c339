/* outcome.c - pure: verdicts, words, delays. */
#include "core/job/outcome.h"

#define LONGEST_DELAY_S 3600.0

/* 2^12 is past the longest delay. */
#define LARGEST_EXPONENT 12u

const char *outcome_word(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_COMPLETED: return "completed";
    case OUTCOME_FAILED: return "failed";
    case OUTCOME_CANCELLED: return "cancelled";
    case OUTCOME_RETRY: return "retry";
    case OUTCOME_SNOOZE: return "snooze";
    case OUTCOME_RETURN: return "return";
    case OUTCOME_SUSPECT: return "suspect";
    case OUTCOME_CRASH: return "crash";
    case OUTCOME_PARK: return "park";
    }
    return "failed";
}

enum outcome outcome_of(enum verdict verdict,
                        enum stop_reason stopped,
                        uint32_t attempt,
                        uint32_t max_attempts)
{
    enum outcome failed = attempt < max_attempts ? OUTCOME_RETRY : OUTCOME_FAILED;

    switch (verdict) {
    case VERDICT_DONE:
    case VERDICT_SETTLED: return OUTCOME_COMPLETED;
    case VERDICT_DISCARDED: return OUTCOME_FAILED;
    case VERDICT_SNOOZED: return OUTCOME_SNOOZE;
    case VERDICT_PARKED: return OUTCOME_PARK;
    case VERDICT_FAILED: return failed;
    case VERDICT_STOPPED: break;
    }
    switch (stopped) {
    case STOP_CANCEL: return OUTCOME_CANCELLED;
    case STOP_SHUTDOWN: return OUTCOME_RETURN;
    case STOP_NONE:
    case STOP_DEADLINE: break;
    }
    return failed;
}

double retry_delay_s(uint32_t attempt)
{
    double delay = 1u << (attempt < LARGEST_EXPONENT ? attempt : LARGEST_EXPONENT);

    return delay < LONGEST_DELAY_S ? delay : LONGEST_DELAY_S;
}
