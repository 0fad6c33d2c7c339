/* http_address.c - two tables of ranges, and the ways an IPv4 address hides in an IPv6 one. */
#include "bindings/http_address.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "core/base/mem.h"

struct range4 {
    uint32_t first;
    int bits;
};

/* iana-ipv4-special-registry, and what is no unicast. */
static const struct range4 special4[] = {
    {0x00000000, 8},  /* 0.0.0.0: this network; Linux connects to itself */
    {0x0a000000, 8},  /* 10.0.0.0: private */
    {0x64400000, 10}, /* 100.64.0.0: carrier-grade NAT; some clouds' metadata */
    {0x7f000000, 8},  /* 127.0.0.0: loopback */
    {0xa9fe0000, 16}, /* 169.254.0.0: link-local; most clouds' metadata */
    {0xac100000, 12}, /* 172.16.0.0: private */
    {0xc0000000, 24}, /* 192.0.0.0: protocol assignments */
    {0xc0000200, 24}, /* 192.0.2.0: documentation */
    {0xc0586300, 24}, /* 192.88.99.0: 6to4 relays, withdrawn */
    {0xc0a80000, 16}, /* 192.168.0.0: private */
    {0xc6120000, 15}, /* 198.18.0.0: benchmarks */
    {0xc6336400, 24}, /* 198.51.100.0: documentation */
    {0xcb007100, 24}, /* 203.0.113.0: documentation */
    {0xe0000000, 4},  /* 224.0.0.0: multicast */
    {0xf0000000, 4},  /* 240.0.0.0: reserved, broadcast */
};

struct range6 {
    uint8_t first[16];
    int bits;
};

/* Within 2000::/3, the only part of IPv6 that is global unicast. */
static const struct range6 special6[] = {
    {{0x20, 0x01, 0x00}, 23},                   /* 2001::/23: protocol assignments, Teredo */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},             /* 2001:db8::/32: documentation */
    {{0x3f, 0xff}, 20},                         /* 3fff::/20: documentation */
    {{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48}, /* 2620:4f:8000::/48: AS112 */
};

static bool starts_with(const uint8_t *address, const uint8_t *prefix, int bits)
{
    int bytes = bits / 8;
    int rest = bits % 8;
    int mask = (0xff << (8 - rest)) & 0xff;

    return memcmp(address, prefix, (size_t)bytes) == 0 &&
           (rest == 0 || (address[bytes] & mask) == (prefix[bytes] & mask));
}

static bool is_public4(uint32_t address)
{
    for (size_t i = 0; i < LENGTH_OF(special4); i++) {
        uint32_t mask = ~(uint32_t)0 << (32 - special4[i].bits);
        if ((address & mask) == special4[i].first) {
            return false;
        }
    }
    return true;
}

static bool is_public_bytes4(const uint8_t *a)
{
    return is_public4((uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3]);
}

static bool is_public6(const uint8_t *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t sixtofour[2] = {0x20, 0x02};

    if (memcmp(a, mapped, sizeof(mapped)) == 0 || memcmp(a, nat64, sizeof(nat64)) == 0) {
        return is_public_bytes4(a + 12);
    }
    if (memcmp(a, sixtofour, sizeof(sixtofour)) == 0) {
        return is_public_bytes4(a + 2);
    }
    if ((a[0] & 0xe0) != 0x20) {
        return false;
    }
    for (size_t i = 0; i < LENGTH_OF(special6); i++) {
        if (starts_with(a, special6[i].first, special6[i].bits)) {
            return false;
        }
    }
    return true;
}

bool http_address_is_public(const struct sockaddr *address)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    switch (address->sa_family) {
    case AF_INET: memcpy(&in4, address, sizeof(in4)); return is_public4(ntohl(in4.sin_addr.s_addr));
    case AF_INET6: memcpy(&in6, address, sizeof(in6)); return is_public6(in6.sin6_addr.s6_addr);
    default: return false;
    }
}
