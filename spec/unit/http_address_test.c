/* http_address_test.c - both ends of every range, and their neighbours. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "core/base/mem.h"

#include "bindings/http_address.h"

#include "spec/unit/unit.h"

static bool is_public(const char *text)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
        return http_address_is_public((const struct sockaddr *)&in4);
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1) {
        fail_msg("'%s' is no address", text);
    }
    return http_address_is_public((const struct sockaddr *)&in6);
}

static void refuses_special_addresses(void **state)
{
    static const char *const addresses[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:1.1.1.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:1ff:ffff::",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::",
        "2620:4f:8000::1",
        "3fff::1",
        "3fff:fff:ffff::1",
        "4000::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "1fff:ffff::1",
    };
    (void)state;

    for (size_t i = 0; i < LENGTH_OF(addresses); i++) {
        if (is_public(addresses[i])) {
            fail_msg("%s is taken for public", addresses[i]);
        }
    }
}

static void takes_public_addresses(void **state)
{
    static const char *const addresses[] = {
        "1.0.0.0",          "1.1.1.1",         "9.255.255.255",   "11.0.0.0",
        "100.63.255.255",   "100.128.0.0",     "126.255.255.255", "128.0.0.0",
        "169.253.255.255",  "169.255.0.0",     "172.15.255.255",  "172.32.0.0",
        "192.0.1.0",        "192.0.3.0",       "192.167.255.255", "192.169.0.0",
        "198.17.255.255",   "198.20.0.0",      "223.255.255.255", "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1", "2001:200::1",     "2001:db7::1",     "2001:db9::1",
        "2002:101:101::",   "2606:4700::1111", "2a00:1450::1",    "3ffe::1",
        "3fff:1000::1",
    };
    (void)state;

    for (size_t i = 0; i < LENGTH_OF(addresses); i++) {
        if (!is_public(addresses[i])) {
            fail_msg("%s is taken for special", addresses[i]);
        }
    }
}

static void refuses_other_families(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;

    assert_false(http_address_is_public((const struct sockaddr *)&address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_special_addresses),
        cmocka_unit_test(takes_public_addresses),
        cmocka_unit_test(refuses_other_families),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
