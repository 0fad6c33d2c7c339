/* levels_test.c - where a claim looks, and how cursors move. */
#include "core/base/clock.h"
#include "core/flow/levels.h"

#include "spec/unit/unit.h"

/* How many levels a choice takes. */
static size_t chosen(struct levels *l, enum level_choice choice, uint64_t now_ms)
{
    struct db_params p = {0};
    size_t count = levels_add_choice(l, choice, now_ms, &p);

    assert_int_equal(p.count, 4);
    db_params_fini(&p);
    return count;
}

static struct level *level_of(struct levels *l, int32_t lane_id, uint32_t priority)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->items[i].lane_id == lane_id && l->items[i].priority == priority) {
            return &l->items[i];
        }
    }
    fail_msg("no level %d/%u", lane_id, priority);
    return NULL;
}

static void test_orders_priorities_strictly_and_lanes_in_turn(void **state)
{
    struct levels l = {0};

    (void)state;
    levels_set_lanes(&l, (const int32_t[]){7, 8, 9}, 3);
    assert_int_equal(l.count, 3 * PRIORITY_COUNT);
    for (size_t i = 1; i < l.count; i++) {
        assert_true(l.items[i].priority >= l.items[i - 1].priority);
    }
    assert_int_equal(chosen(&l, LEVELS_ALL, clock_now_ms()), 30);
    levels_fini(&l);
}

static void test_only_levels_with_jobs_are_hot(void **state)
{
    struct levels l = {0};
    uint64_t now_ms = clock_now_ms();

    (void)state;
    levels_set_lanes(&l, (const int32_t[]){1, 2, 3, 4}, 4);
    levels_answered(&l, true);
    assert_int_equal(chosen(&l, LEVELS_HOT, now_ms), 0);
    levels_took(&l, 3, 5, 1000, 42);
    assert_int_equal(chosen(&l, LEVELS_HOT, now_ms + 1), 1);
    assert_int_equal(chosen(&l, LEVELS_HOT, now_ms + 60000), 0);
    levels_fini(&l);
}

static void test_cursor_moves_forward_and_a_sweep_resets_it(void **state)
{
    struct levels l = {0};

    (void)state;
    levels_set_lanes(&l, (const int32_t[]){1}, 1);
    levels_took(&l, 1, 5, 1000, 42);
    levels_took(&l, 1, 5, 1000, 41);
    levels_took(&l, 1, 5, 900, 50);
    assert_int_equal(level_of(&l, 1, 5)->run_at, 1000);
    assert_int_equal(level_of(&l, 1, 5)->id, 42);
    chosen(&l, LEVELS_HOT, clock_now_ms());
    assert_int_equal(level_of(&l, 1, 5)->id, 42);
    chosen(&l, LEVELS_ALL, clock_now_ms());
    assert_int_equal(level_of(&l, 1, 5)->id, 0);
    assert_true(level_of(&l, 1, 5)->run_at == INT64_MIN);
    levels_fini(&l);
}

static void test_a_wake_up_lasts_until_a_short_claim_has_looked(void **state)
{
    struct levels l = {0};
    uint64_t now_ms = clock_now_ms();

    (void)state;
    levels_set_lanes(&l, (const int32_t[]){1, 2, 3}, 3);
    chosen(&l, LEVELS_ALL, now_ms);
    levels_answered(&l, true); /* a new lane counts as woken until it was looked at */

    assert_false(levels_wake(&l, 99));
    assert_true(levels_wake(&l, 2));
    assert_int_equal(chosen(&l, LEVELS_WOKEN, now_ms), PRIORITY_COUNT);
    levels_answered(&l, false); /* full: it may not have come as far as lane 2 */
    assert_true(level_of(&l, 2, 0)->woken);

    chosen(&l, LEVELS_WOKEN, now_ms);
    levels_wake(&l, 2); /* while the claim is under way */
    levels_answered(&l, true);
    assert_true(level_of(&l, 2, 0)->woken);

    chosen(&l, LEVELS_WOKEN, now_ms);
    levels_answered(&l, true);
    assert_false(level_of(&l, 2, 0)->woken);
    levels_fini(&l);
}

static void test_new_lanes_keep_what_is_known_of_the_old(void **state)
{
    struct levels l = {0};

    (void)state;
    levels_set_lanes(&l, (const int32_t[]){1}, 1);
    levels_took(&l, 1, 0, 77, 7);
    levels_set_lanes(&l, (const int32_t[]){5, 1}, 2);
    assert_int_equal(level_of(&l, 1, 0)->id, 7);
    assert_true(levels_has_lane(&l, 5));
    assert_false(levels_has_lane(&l, 2));
    levels_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders_priorities_strictly_and_lanes_in_turn),
        cmocka_unit_test(test_only_levels_with_jobs_are_hot),
        cmocka_unit_test(test_cursor_moves_forward_and_a_sweep_resets_it),
        cmocka_unit_test(test_a_wake_up_lasts_until_a_short_claim_has_looked),
        cmocka_unit_test(test_new_lanes_keep_what_is_known_of_the_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
