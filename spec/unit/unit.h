/* unit.h - cmocka with what it needs before it, and the few checks that our tests share. */
#ifndef SPEC_UNIT_UNIT_H
#define SPEC_UNIT_UNIT_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h> /* needs those before it */
/* clang-format on */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/base/slice.h"

/* The line that fails is the caller's. */
#define assert_slice(s, expected)                             \
    do {                                                      \
        struct slice got_ = (s);                              \
        const char *expected_ = (expected);                   \
        assert_int_equal(got_.size, strlen(expected_));       \
        assert_memory_equal(got_.data, expected_, got_.size); \
    } while (0)

#define assert_contains(text, part)                           \
    do {                                                      \
        if (strstr((text), (part)) == NULL) {                 \
            fail_msg("expected '%s' in: %s", (part), (text)); \
        }                                                     \
    } while (0)

#endif
