/* job_test.c - claimed jobs, their leases, the kinds of a generation. */
#include "core/base/slice.h"
#include "core/job/job.h"
#include "core/job/kind.h"

#include "spec/unit/unit.h"

static void test_a_job_owns_its_texts(void **state)
{
    char args[] = "{\"a\":1}";
    struct job *j = job_new(slice_of(args), slice_of("{}"));

    (void)state;
    memset(args, 'x', sizeof(args) - 1);
    assert_true(slice_is(j->args, "{\"a\":1}"));
    assert_true(slice_is(j->meta, "{}"));
    job_free(j);
}

static void test_jobs_run_by_priority_then_time_then_id(void **state)
{
    struct job a = {.priority = 1, .run_at_us = 9, .id = 9};
    struct job b = {.priority = 5, .run_at_us = 1, .id = 8};
    struct job c = {.priority = 5, .run_at_us = 2, .id = 1};
    struct job d = {.priority = 5, .run_at_us = 2, .id = 2};

    (void)state;
    assert_true(job_compare(&a, &b) < 0);
    assert_true(job_compare(&b, &c) < 0);
    assert_true(job_compare(&c, &d) < 0);
    assert_true(job_compare(&d, &c) > 0);
    assert_int_equal(job_compare(&d, &d), 0);
}

static void test_the_last_job_frees_its_lease(void **state)
{
    struct lease_list list = {0};
    struct lease *a = lease_add(&list, 1);
    struct lease *b = lease_add(&list, 2);
    struct lease *c = lease_add(&list, 3);

    (void)state;
    a->open = 1;
    b->open = 2;
    c->open = 1;
    lease_settle(&list, b);
    assert_int_equal(list.count, 3);
    lease_settle(&list, b);
    assert_int_equal(list.count, 2);
    assert_ptr_equal(list.first, a);
    assert_ptr_equal(a->next, c);
    assert_ptr_equal(c->prev, a);
    lease_settle(&list, a);
    lease_settle(&list, c);
    assert_null(list.first);
    assert_null(list.last);
    lease_list_fini(&list);
}

static struct wire_kind told(const char *name)
{
    return (struct wire_kind){
        .name = slice_of(name),
        .queue = slice_of("default"),
        .summary = slice_of(""),
        .schema = slice_of(""),
        .source = slice_of("x.lua:1"),
        .schedule = slice_of(""),
        .limits = slice_of(""),
        .max_attempts = 3,
        .timeout_s = 60,
    };
}

static void add(struct kind_list *list, const char *name)
{
    struct wire_kind k = told(name);

    kind_list_add(list, &k);
}

static void test_kinds_are_found_by_their_whole_name(void **state)
{
    struct kind_list list = {0};

    (void)state;
    add(&list, "email.send");
    add(&list, "email.sendmore");
    add(&list, "a");
    add(&list, "email.send");
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0].name, "a");
    assert_string_equal(kind_by_name(&list, slice_of("email.send"))->name, "email.send");
    assert_null(kind_by_name(&list, slice_of("email.sen")));
    assert_null(kind_by_name(&list, slice_of("email.send.x")));
    kind_list_fini(&list);
}

static void test_a_new_generation_takes_ids_over_and_is_filtered(void **state)
{
    struct kind_list old = {0};
    struct kind_list loaded = {0};
    struct kind_list list = {0};

    (void)state;
    add(&old, "email.send");
    old.items[0].id = 17;
    add(&loaded, "email.send");
    add(&loaded, "email.digest");
    add(&loaded, "file.scan");
    kind_list_copy(&list, &loaded, &old);
    kind_list_filter(&list, "email.*,!email.digest");
    assert_int_equal(list.count, 1);
    assert_int_equal(kind_by_id(&list, 17)->id, 17);
    assert_null(kind_by_id(&list, 18));
    kind_list_fini(&old);
    kind_list_fini(&loaded);
    kind_list_fini(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_owns_its_texts),
        cmocka_unit_test(test_jobs_run_by_priority_then_time_then_id),
        cmocka_unit_test(test_the_last_job_frees_its_lease),
        cmocka_unit_test(test_kinds_are_found_by_their_whole_name),
        cmocka_unit_test(test_a_new_generation_takes_ids_over_and_is_filtered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
