/*
 * relay/address.c
 *
 * See address.h.  The two tables are all there is to check: the special
 * networks, and the IPv6 networks whose addresses carry an IPv4 address.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const Network special_networks[] = {
	{AF_INET, {0}, 8},           /* "this" network, unspecified */
	{AF_INET, {10}, 8},          /* private */
	{AF_INET, {100, 64}, 10},    /* shared, carrier-grade NAT */
	{AF_INET, {127}, 8},         /* loopback */
	{AF_INET, {169, 254}, 16},   /* link-local, cloud metadata */
	{AF_INET, {172, 16}, 12},    /* private */
	{AF_INET, {192, 0, 0}, 24},  /* protocol assignments */
	{AF_INET, {192, 168}, 16},   /* private */
	{AF_INET, {198, 18}, 15},    /* benchmarking */
	{AF_INET, {224}, 4},         /* multicast */
	{AF_INET, {240}, 4},         /* reserved, broadcast */
	{AF_INET6, {0}, 128},        /* unspecified */
	{AF_INET6, {[15] = 1}, 128}, /* loopback */
	{AF_INET6, {0x00, 0x64, 0xff, 0x9b, 0, 1}, 48}, /* local-use NAT64 */
	{AF_INET6, {0x01}, 64},                         /* discard only */
	{AF_INET6, {0x20, 0x01, 0, 0}, 32}, /* Teredo: a tunnel to anywhere */
	{AF_INET6, {0xfc}, 7},              /* unique-local */
	{AF_INET6, {0xfe, 0x80}, 10},       /* link-local */
	{AF_INET6, {0xfe, 0xc0}, 10},       /* site-local, of old */
	{AF_INET6, {0xff}, 8},              /* multicast */
};

/* IPv6 networks whose members reach the IPv4 address at offset. */
static const struct
{
	Network network;
	size_t offset;
} carriers[] = {
	{{AF_INET6, {[10] = 0xff, [11] = 0xff}, 96}, 12}, /* mapped */
	{{AF_INET6, {0}, 96}, 12},                        /* compatible */
	{{AF_INET6, {0x00, 0x64, 0xff, 0x9b}, 96}, 12},   /* NAT64 */
	{{AF_INET6, {0x20, 0x02}, 16}, 2},                /* 6to4 */
};

/* The bytes of an address; NULL when it is of no family known here. */
static const uint8_t *
address_bytes(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return (const uint8_t *) &((const struct sockaddr_in *) address)
			->sin_addr;
	if (address->sa_family == AF_INET6)
		return (const uint8_t *) &((const struct sockaddr_in6 *) address)
			->sin6_addr;
	return NULL;
}

static bool
bytes_in(int family, const uint8_t *bytes, const Network *network)
{
	size_t whole = (size_t) network->bits / 8;
	int rest = network->bits % 8;
	uint8_t mask = (uint8_t) (0xff00 >> rest);

	if (family != network->family ||
		memcmp(bytes, network->address, whole) != 0)
		return false;
	return rest == 0 || ((bytes[whole] ^ network->address[whole]) & mask) == 0;
}

static bool
bytes_special(int family, const uint8_t *bytes)
{
	for (size_t i = 0; i < COUNT(special_networks); i++)
	{
		if (bytes_in(family, bytes, &special_networks[i]))
			return true;
	}
	return false;
}

/*
 * The IPv4 address that an IPv6 address carries, else NULL.  What is special
 * by itself carries none: ::1 is loopback, not 0.0.0.1.
 */
static const uint8_t *
carried(int family, const uint8_t *bytes)
{
	if (bytes_special(family, bytes))
		return NULL;
	for (size_t i = 0; i < COUNT(carriers); i++)
	{
		if (bytes_in(family, bytes, &carriers[i].network))
			return bytes + carriers[i].offset;
	}
	return NULL;
}

bool
address_is_special(const struct sockaddr *address)
{
	const uint8_t *bytes = address_bytes(address);
	const uint8_t *inner;

	if (bytes == NULL || bytes_special(address->sa_family, bytes))
		return true;
	inner = carried(address->sa_family, bytes);
	return inner != NULL && bytes_special(AF_INET, inner);
}

bool
address_in(const struct sockaddr *address, const Network *network)
{
	const uint8_t *bytes = address_bytes(address);
	const uint8_t *inner;

	if (bytes == NULL)
		return false;
	if (bytes_in(address->sa_family, bytes, network))
		return true;
	inner = carried(address->sa_family, bytes);
	return inner != NULL && bytes_in(AF_INET, inner, network);
}

bool
address_allowed(const struct sockaddr *address, const Network *networks, int n)
{
	if (!address_is_special(address))
		return true;
	for (int i = 0; i < n; i++)
	{
		if (address_in(address, &networks[i]))
			return true;
	}
	return false;
}

void
address_print(const struct sockaddr *address, char *text, size_t size)
{
	const uint8_t *bytes = address_bytes(address);

	if (bytes == NULL ||
		inet_ntop(address->sa_family, bytes, text, (socklen_t) size) == NULL)
		snprintf(text, size, "unknown");
}
