/*
 * test/unit/test_address.c
 *
 * Which addresses are special, at both edges of each network, and what
 * allow_targets makes of them.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "tap.h"

static const struct sockaddr *
parse(const char *text)
{
	static struct sockaddr_in v4;
	static struct sockaddr_in6 v6;

	v4.sin_family = AF_INET;
	v6.sin6_family = AF_INET6;
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return (const struct sockaddr *) &v4;
	if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		return (const struct sockaddr *) &v6;
	diag("not an address: %s", text);
	exit(1);
}

static const char *const special[] = {
	"0.0.0.0",
	"0.255.255.255",
	"10.0.0.0",
	"10.255.255.255",
	"100.64.0.0",
	"100.127.255.255",
	"127.0.0.1",
	"127.255.255.255",
	"169.254.0.0",
	"169.254.169.254",
	"172.16.0.0",
	"172.31.255.255",
	"192.0.0.1",
	"192.168.0.0",
	"192.168.255.255",
	"198.18.0.0",
	"198.19.255.255",
	"224.0.0.1",
	"239.255.255.255",
	"240.0.0.1",
	"255.255.255.255",
	"::",
	"::1",
	"fc00::",
	"fdff:ffff::1",
	"fe80::1",
	"febf::1",
	"fec0::1",
	"ff02::1",
	"100::1",
	"2001::1",
	"::ffff:127.0.0.1",
	"::ffff:10.1.2.3",
	"::ffff:169.254.169.254",
	"::10.0.0.1",
	"64:ff9b::10.0.0.1",
	"64:ff9b::127.0.0.1",
	"64:ff9b:1::8.8.8.8",
	"2002:7f00:1::",
	"2002:a00:1::1",
};

static const char *const usual[] = {
	"1.0.0.0",        "9.255.255.255",    "11.0.0.0",        "100.63.255.255",
	"100.128.0.0",    "126.255.255.255",  "128.0.0.0",       "169.253.255.255",
	"169.255.0.0",    "172.15.255.255",   "172.32.0.0",      "192.167.255.255",
	"192.169.0.0",    "198.17.255.255",   "198.20.0.0",      "223.255.255.255",
	"8.8.8.8",        "2606:4700::1111",  "2a00::1",         "fbff::1",
	"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
};

static void
test_tables(void)
{
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		ok(address_is_special(parse(special[i])), "%s is special", special[i]);
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		ok(!address_is_special(parse(usual[i])), "%s is not", usual[i]);
}

static void
test_allowed(void)
{
	const Network networks[] = {
		{AF_INET, {10, 1}, 16},
		{AF_INET6, {0xfd, 0x12}, 15},
		{AF_INET, {127, 0, 0, 1}, 32},
	};
	const Network all = {AF_INET, {0}, 0};

	ok(address_allowed(parse("10.1.255.255"), networks, 3), "in a network");
	ok(!address_allowed(parse("10.2.0.0"), networks, 3), "beside it");
	ok(address_allowed(parse("127.0.0.1"), networks, 3), "one address");
	ok(!address_allowed(parse("127.0.0.2"), networks, 3), "not the next");
	ok(address_allowed(parse("::ffff:10.1.0.1"), networks, 3), "mapped");
	ok(!address_allowed(parse("::ffff:10.2.0.1"), networks, 3),
	   "mapped, beside");
	ok(address_allowed(parse("fd13::1"), networks, 3), "bits within a byte");
	ok(!address_allowed(parse("fd14::1"), networks, 3), "beside them");
	ok(address_allowed(parse("8.8.8.8"), NULL, 0), "public needs no network");
	ok(!address_allowed(parse("::1"), NULL, 0), "special needs one");
	ok(address_allowed(parse("192.168.1.1"), &all, 1), "0.0.0.0/0 is all");
	ok(!address_allowed(parse("::1"), &all, 1), "of IPv4 only");
}

static void
test_print(void)
{
	struct sockaddr local = {.sa_family = AF_UNIX};
	char text[ADDRESS_TEXT_MAX];

	address_print(parse("10.0.0.1"), text, sizeof(text));
	is_str(text, "10.0.0.1", "IPv4 is printed");
	address_print(parse("fe80::1"), text, sizeof(text));
	is_str(text, "fe80::1", "IPv6 is printed");
	address_print(&local, text, sizeof(text));
	is_str(text, "unknown", "another family is unknown");
	ok(address_is_special(&local), "and special");
}

int
main(void)
{
	test_tables();
	test_allowed();
	test_print();
	return tap_done();
}
