/* http_address.h - which addresses belong to the public internet. */
#ifndef BINDINGS_HTTP_ADDRESS_H
#define BINDINGS_HTTP_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * True for an address that is unicast and globally reachable by the registries of special-purpose
 * addresses (RFC 6890 and its updates). IPv6 addresses that carry an IPv4 one (mapped, NAT64, 6to4)
 * are as public as that one. Anything but IPv4 and IPv6 is not.
 */
bool http_address_is_public(const struct sockaddr *address);

#endif
