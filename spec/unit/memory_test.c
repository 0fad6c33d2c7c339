/* memory_test.c - who is charged, who is refused, what is left. */
#include <string.h>

#include "bindings/memory.h"

#include "spec/unit/unit.h"

#define ONE 1u
#define TWO 2u

static int refusals;

static void on_refused(struct memory *m)
{
    (void)m;
    refusals++;
}

static void open_memory(struct memory *m)
{
    refusals = 0;
    memory_init(m, on_refused);
    memory_open_account(m, ONE, 1000);
    memory_open_account(m, TWO, 1000);
}

static void *take(struct memory *m, uint32_t payer, size_t size)
{
    m->payer = payer;
    return memory_allocate(m, NULL, 0, size);
}

static void refuses_above_the_limit(void **state)
{
    struct memory m;
    (void)state;

    open_memory(&m);
    void *block = take(&m, ONE, 900);
    assert_non_null(block);
    assert_null(take(&m, ONE, 101));
    assert_int_equal(refusals, 1);
    void *other = take(&m, TWO, 101);
    assert_non_null(other);
    memory_set_limit(&m, MEMORY_NOBODY, 100);
    assert_null(take(&m, MEMORY_NOBODY, 101));
    memory_set_limit(&m, MEMORY_NOBODY, INT64_MAX);
    void *shared = take(&m, MEMORY_NOBODY, 101);
    assert_non_null(shared);
    assert_int_equal(m.bytes, 900 + 101 + 101);
    memory_allocate(&m, block, 900, 0);
    memory_allocate(&m, other, 101, 0);
    memory_allocate(&m, shared, 101, 0);
    assert_int_equal(m.bytes, 0);
    memory_fini(&m);
}

static void knows_what_closed_accounts_left(void **state)
{
    struct memory m;
    (void)state;

    open_memory(&m);
    void *early = take(&m, ONE, 100);
    void *late = take(&m, ONE, 200);
    memory_allocate(&m, early, 100, 0);
    assert_int_equal(m.left_bytes, 0);
    memory_close_account(&m, ONE);
    assert_int_equal(m.left_bytes, 200);
    memory_open_account(&m, ONE, 1000);
    late = memory_allocate(&m, late, 200, 250);
    assert_int_equal(m.left_bytes, 250);
    assert_int_equal(m.accounts[ONE].bytes, 0);
    memory_allocate(&m, late, 250, 0);
    assert_int_equal(m.left_bytes, 0);
    memory_fini(&m);
}

static void counts_files_by_account(void **state)
{
    struct memory m;
    (void)state;

    open_memory(&m);
    m.payer = ONE;
    struct file_owner early = memory_add_file(&m);
    struct file_owner late = memory_add_file(&m);
    assert_int_equal(m.accounts[ONE].files, 2);
    m.payer = TWO; /* whoever closes it */
    memory_remove_file(&m, early);
    assert_int_equal(m.accounts[ONE].files, 1);
    assert_int_equal(m.accounts[TWO].files, 0);
    memory_close_account(&m, ONE);
    assert_int_equal(m.left_files, 1);
    memory_open_account(&m, ONE, 1000);
    memory_remove_file(&m, late);
    assert_int_equal(m.left_files, 0);
    assert_int_equal(m.accounts[ONE].files, 0);
    memory_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_above_the_limit),
        cmocka_unit_test(knows_what_closed_accounts_left),
        cmocka_unit_test(counts_files_by_account),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
