/* outcome_test.c - every way a run can end, as a table. */
#include "core/base/mem.h"
#include "core/job/outcome.h"

#include "spec/unit/unit.h"

static void names_outcomes_as_settle_does(void **state)
{
    static const char *const words[] = {
        [OUTCOME_COMPLETED] = "completed",
        [OUTCOME_FAILED] = "failed",
        [OUTCOME_CANCELLED] = "cancelled",
        [OUTCOME_RETRY] = "retry",
        [OUTCOME_SNOOZE] = "snooze",
        [OUTCOME_RETURN] = "return",
        [OUTCOME_SUSPECT] = "suspect",
        [OUTCOME_CRASH] = "crash",
        [OUTCOME_PARK] = "park",
    };
    (void)state;

    for (size_t i = 0; i < LENGTH_OF(words); i++) {
        assert_string_equal(outcome_word((enum outcome)i), words[i]);
    }
}

static void turns_verdicts_into_outcomes(void **state)
{
    static const struct {
        enum verdict verdict;
        enum stop_reason stopped;
        enum outcome early; /* on attempt 1 of 3 */
        enum outcome last;  /* on attempt 3 of 3 */
    } rows[] = {
        {VERDICT_DONE, STOP_NONE, OUTCOME_COMPLETED, OUTCOME_COMPLETED},
        {VERDICT_DONE, STOP_CANCEL, OUTCOME_COMPLETED, OUTCOME_COMPLETED},
        {VERDICT_FAILED, STOP_NONE, OUTCOME_RETRY, OUTCOME_FAILED},
        {VERDICT_DISCARDED, STOP_NONE, OUTCOME_FAILED, OUTCOME_FAILED},
        {VERDICT_SNOOZED, STOP_NONE, OUTCOME_SNOOZE, OUTCOME_SNOOZE},
        {VERDICT_STOPPED, STOP_DEADLINE, OUTCOME_RETRY, OUTCOME_FAILED},
        {VERDICT_STOPPED, STOP_CANCEL, OUTCOME_CANCELLED, OUTCOME_CANCELLED},
        {VERDICT_STOPPED, STOP_SHUTDOWN, OUTCOME_RETURN, OUTCOME_RETURN},
        {VERDICT_STOPPED, STOP_NONE, OUTCOME_RETRY, OUTCOME_FAILED},
        {VERDICT_SETTLED, STOP_NONE, OUTCOME_COMPLETED, OUTCOME_COMPLETED},
        {VERDICT_PARKED, STOP_NONE, OUTCOME_PARK, OUTCOME_PARK},
        {VERDICT_PARKED, STOP_SHUTDOWN, OUTCOME_PARK, OUTCOME_PARK},
    };

    (void)state;

    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        assert_int_equal(outcome_of(rows[i].verdict, rows[i].stopped, 1, 3), rows[i].early);
        assert_int_equal(outcome_of(rows[i].verdict, rows[i].stopped, 3, 3), rows[i].last);
    }
}

static void gives_no_second_chance_when_one_was_asked_for(void **state)
{
    (void)state;

    assert_int_equal(outcome_of(VERDICT_FAILED, STOP_NONE, 1, 1), OUTCOME_FAILED);
    assert_int_equal(outcome_of(VERDICT_FAILED, STOP_NONE, 4, 3), OUTCOME_FAILED);
}

static void doubles_delays_up_to_an_hour(void **state)
{
    (void)state;

    assert_true(retry_delay_s(0) == 1);
    assert_true(retry_delay_s(1) == 2);
    assert_true(retry_delay_s(2) == 4);
    assert_true(retry_delay_s(11) == 2048);
    assert_true(retry_delay_s(12) == 3600);
    assert_true(retry_delay_s(UINT32_MAX) == 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_outcomes_as_settle_does),
        cmocka_unit_test(turns_verdicts_into_outcomes),
        cmocka_unit_test(gives_no_second_chance_when_one_was_asked_for),
        cmocka_unit_test(doubles_delays_up_to_an_hour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
