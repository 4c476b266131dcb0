/*
 * test/unit/test_conninfo.c
 *
 * What is said of a connection string that libpq cannot read, and that no
 * part of a password is.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "conninfo.h"

#include "tap.h"

#define UNREADABLE                                                             \
	"conninfo cannot be read, expected keyword = value pairs or a "            \
	"postgresql:// URI"
#define AFTER(keyword)                                                         \
	"conninfo has an unknown keyword after " keyword                           \
	"; a value with blanks stands in single quotes"
#define UNKNOWN(word) "conninfo has an unknown keyword \"" word "\""

static void
test_good(void)
{
	static const char *const good[] = {
		"host=/tmp dbname = x",
		"dbname='a b' password='c d=e\\' f' user=g",
		"password=a\\ b\\\\ host=c",
		"postgresql://u:p@[::1]:5432/x?sslmode=disable&connect_timeout=2",
		"postgres:///x?ssl=true",
		"service=shop",
	};
	char err[300];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		err[0] = '\0';
		ok(conninfo_check(good[i], err, sizeof(err)) && err[0] == '\0', "%s",
		   good[i]);
	}
}

static void
test_wrong(void)
{
	static const struct
	{
		const char *conninfo;
		const char *said;
	} cases[] = {
		{"host=/tmp dbnam=x", UNKNOWN("dbnam")},
		{"hots = /tmp", UNKNOWN("hots")},
		{"password='a b\\' c' user=d dbnam=x", UNKNOWN("dbnam")},
		{"password=a\\ b\\\\ user=d dbnam=x", UNKNOWN("dbnam")},
		{"user='a' hosts=b", UNKNOWN("hosts")},
		{"host=/tmp # here", UNKNOWN("#")},
		{"host=/tmp =canary", UNKNOWN("")},
		{"password=a canary=b host=/tmp", AFTER("password")},
		{"host=/tmp password = a canary", AFTER("password")},
		{"sslpassword=a canary=1", AFTER("sslpassword")},
		{"password='canary", UNREADABLE},
		{"password=a host canary=b", UNREADABLE},
		{"host", UNREADABLE},
		{"postgresql://u:canary@h/x?ssmode=a&b=c", UNKNOWN("ssmode")},
		{"postgresql://h/x?ssl=true&sslmod=a", UNKNOWN("sslmod")},
		{"postgresql://h/x?password=a&canary=b", AFTER("password")},
		{"postgresql://u:a/b?canary=c@h/x", UNREADABLE},
		{"postgresql://u:canary@[::1/x", UNREADABLE},
		{"postgresql://h/x?canary%zz", UNKNOWN("canary%zz")},
	};
	char err[300];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		err[0] = '\0';
		ok(!conninfo_check(cases[i].conninfo, err, sizeof(err)), "refused: %s",
		   cases[i].conninfo);
		is_str(err, cases[i].said, "what is said");
	}
	ok(!conninfo_check("dbnam=x", err, 10), "a short buffer");
	is_str(err, "conninfo ", "is not overrun");
}

int
main(void)
{
	test_good();
	test_wrong();
	return tap_done();
}
