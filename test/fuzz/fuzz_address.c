/*
 * test/fuzz/fuzz_address.c
 *
 * A byte for the family, then the bytes of an address.  What it prints reads
 * back; an address is in the network made of itself and in the whole space;
 * an IPv6 address that carries an IPv4 address is no freer than that.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef union Address
{
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} Address;

static void
check_print(const Address *address, int bits)
{
	char text[ADDRESS_TEXT_MAX];
	uint8_t again[16];
	const void *bytes = address->any.sa_family == AF_INET
							? (const void *) &address->v4.sin_addr
							: &address->v6.sin6_addr;
	Network own = {address->any.sa_family, {0}, bits};
	Network all = {address->any.sa_family, {0}, 0};

	address_print(&address->any, text, sizeof(text));
	if (inet_pton(address->any.sa_family, text, again) != 1 ||
		memcmp(again, bytes, (size_t) bits / 8) != 0)
		abort();
	memcpy(own.address, bytes, (size_t) bits / 8);
	if (!address_in(&address->any, &own) || !address_in(&address->any, &all) ||
		!address_allowed(&address->any, &own, 1) ||
		address_allowed(&address->any, NULL, 0) ==
			address_is_special(&address->any))
		abort();
}

/* The four ways to carry an IPv4 address: as special as what is carried. */
static void
check_carried(const uint8_t *v4)
{
	static const struct
	{
		uint8_t prefix[12];
		int offset;
	} ways[] = {
		{{[10] = 0xff, [11] = 0xff}, 12},
		{{0x00, 0x64, 0xff, 0x9b}, 12},
		{{0x20, 0x02}, 2},
	};
	Address inner = {.v4 = {.sin_family = AF_INET}};

	memcpy(&inner.v4.sin_addr, v4, 4);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
	{
		Address outer = {.v6 = {.sin6_family = AF_INET6}};
		uint8_t *bytes = outer.v6.sin6_addr.s6_addr;

		memcpy(bytes, ways[i].prefix, 12);
		memcpy(bytes + ways[i].offset, v4, 4);
		if (address_is_special(&outer.any) != address_is_special(&inner.any))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Address address = {.v4 = {.sin_family = AF_INET}};

	if (size == 5 && data[0] == 4)
	{
		memcpy(&address.v4.sin_addr, data + 1, 4);
		check_print(&address, 32);
		check_carried(data + 1);
	}
	else if (size == 17 && data[0] == 6)
	{
		address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
		memcpy(&address.v6.sin6_addr, data + 1, 16);
		check_print(&address, 128);
	}
	else if (size > 0)
	{
		address.any.sa_family = data[0];
		if (data[0] != AF_INET && data[0] != AF_INET6 &&
			(!address_is_special(&address.any) ||
			 address_allowed(&address.any, NULL, 0)))
			abort();
	}
	return 0;
}
