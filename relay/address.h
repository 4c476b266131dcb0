/*
 * relay/address.h
 *
 * Which addresses an HTTP route may connect to.  A route's target is data
 * that a database user wrote, so without this a route could reach whatever
 * the relay's machine can: its own services, the private network, the
 * metadata service of a cloud.  Pure: no I/O, no name is resolved here; the
 * sink asks for the very address that a socket is about to be connected to,
 * which is why a name that changes between two look-ups gains nothing.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_ADDRESS_H
#define OUTBOX_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "config.h"

/* Longest text of address_print, with the final NUL. */
#define ADDRESS_TEXT_MAX 64

/*
 * address_is_special: true for what is not a public unicast address
 * (loopback, RFC 1918, link-local, CGNAT, unique-local, multicast,
 * unspecified, reserved: the IANA special-purpose registries, RFC 6890), for
 * an IPv6 address that carries such an IPv4 address (mapped, compatible,
 * NAT64, 6to4), and for any address that is neither IPv4 nor IPv6.
 */
extern bool address_is_special(const struct sockaddr *address);

/* address_in: the address, or the IPv4 address it carries, is in network. */
extern bool address_in(const struct sockaddr *address, const Network *network);

/* address_allowed: not special, or in one of the n networks. */
extern bool address_allowed(const struct sockaddr *address,
							const Network *networks, int n);

/* address_print: numeric, without the port; "unknown" when it has no form. */
extern void address_print(const struct sockaddr *address, char *text,
						  size_t size);

#endif /* OUTBOX_ADDRESS_H */
