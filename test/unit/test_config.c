/*
 * test/unit/test_config.c
 *
 * The configuration file: defaults, every type of value, and an error with
 * its line for everything that is wrong.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "config.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"

#define DATABASE "[database]\nconninfo = dbname=x\n"

static char err[512];

static Config *
parse(const char *text)
{
	err[0] = '\0';
	return config_parse("f.conf", text, strlen(text), err, sizeof(err));
}

static void
test_defaults(void)
{
	Config *config = parse(DATABASE);
	char name[300] = "";

	if (!ok(config != NULL, "conninfo is all that must be given"))
		return;
	gethostname(name, 200);
	snprintf(name + strlen(name), 20, ":%d", (int) getpid());
	is_str(config->path, "f.conf", "path");
	is_str(config->name, name, "name");
	is_str(config->listen, "127.0.0.1:9187", "listen");
	is_str(config->log_level, "info", "log_level");
	is_str(config->log_format, "text", "log_format");
	is_int(config->memory_budget, 48 << 20, "memory_budget");
	is_str(config->conninfo, "dbname=x", "conninfo");
	is_str(config->slot, "outbox", "slot");
	is_int(config->lease_timeout_ms, 10000, "lease_timeout");
	is_int(config->reconcile_wait_ms, 30000, "reconcile_wait");
	is_int(config->nallow_targets, 0, "allow_targets");
	is_str(config->ca_file, NULL, "ca_file");
	ok(config->kafka == NULL, "no Kafka cluster");
	config_free(config);
	config_free(NULL);
}

static const char *const full =
	"\xef\xbb\xbf# comment\r\n"
	"; another\n"
	"\n"
	"[relay]\n"
	"name = relay one\n"
	"listen = [::1]:0\n"
	"log_level=debug\n"
	"log_format\t=\tjson\n"
	"memory_budget = 64 MB\n"
	" [ database ] \n"
	"  conninfo = host=a password=x ;y # z = '[q]'\n"
	"slot = my_slot_1\n"
	"lease_timeout = 2500ms\n"
	"reconcile_wait = 0s\n"
	"[http]\n"
	"allow_targets = 10.0.0.0/8,fd00::/8 , 127.0.0.1/32,10.1.2.3,fd00::1\n"
	"ca_file = /etc/ca.pem\n"
	"[kafka main]\n"
	"bootstrap.servers = a:1,b:2\n"
	"sasl.password = ;#=p\n"
	"empty =\n"
	"[kafka second-1]";

static void
test_values(Config *config)
{
	is_str(config->name, "relay one", "name");
	is_str(config->listen, "[::1]:0", "listen");
	is_str(config->log_level, "debug", "log_level");
	is_str(config->log_format, "json", "log_format");
	is_int(config->memory_budget, 64 << 20, "memory_budget");
	is_str(config->conninfo, "host=a password=x ;y # z = '[q]'",
		   "conninfo is verbatim");
	is_str(config->slot, "my_slot_1", "slot");
	is_int(config->lease_timeout_ms, 2500, "lease_timeout");
	is_int(config->reconcile_wait_ms, 0, "reconcile_wait");
	is_int(config->nallow_targets, 5, "five networks");
	is_int(config->allow_targets[0].family, AF_INET, "IPv4");
	is_mem(config->allow_targets[0].address, 4, "\x0a\0\0\0", 4, "address");
	is_int(config->allow_targets[0].bits, 8, "bits");
	is_int(config->allow_targets[1].family, AF_INET6, "IPv6");
	is_int(config->allow_targets[2].bits, 32, "blanks do not matter");
	is_int(config->allow_targets[3].bits, 32, "an address is a network");
	is_int(config->allow_targets[4].bits, 128, "of IPv6 too");
	is_str(config->ca_file, "/etc/ca.pem", "ca_file");
}

static void
test_clusters(Config *config)
{
	const KafkaCluster *cluster = config_kafka(config, "main");

	ok(config_kafka(config, "none") == NULL, "no such cluster");
	ok(config_kafka(config, "second-1") != NULL, "an empty cluster is one");
	if (!ok(cluster != NULL, "cluster main"))
		return;
	is_int(cluster->line, 18, "its line");
	is_str(cluster->properties->name, "bootstrap.servers", "property");
	is_str(cluster->properties->value, "a:1,b:2", "its value");
	is_int(cluster->properties->line, 19, "its line");
	is_str(cluster->properties->next->value, ";#=p", "a value is verbatim");
	is_str(cluster->properties->next->next->value, "", "and may be empty");
}

static char *
printed(const Config *config)
{
	size_t len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	config_print(config, out);
	fclose(out);
	return text;
}

static void
test_full(void)
{
	Config *config = parse(full);
	Config *again;
	char *text;
	char *text_again;
	char names[200];

	if (!ok(config != NULL, "everything at once %s", err))
		return;
	test_values(config);
	test_clusters(config);
	text = printed(config);
	again = parse(text);
	if (ok(again != NULL, "what is printed reads back %s", err))
	{
		text_again = printed(again);
		is_str(text_again, text, "the same");
		config_reload_diff(config, again, names, sizeof(names));
		is_str(names, "", "without a difference");
		free(text_again);
	}
	free(text);
	config_free(config);
	config_free(again);
}

static void
test_reload(void)
{
	static const struct
	{
		const char *text;
		const char *names;
	} cases[] = {
		{DATABASE "[relay]\nname = a\nlog_level = error\nlog_format = json\n",
		 ""},
		{DATABASE "[relay]\nname = b\nlisten = a:1\n", "name, listen"},
		{"[relay]\nname = a\nmemory_budget = 1GB\n[database]\nconninfo = y\n",
		 "conninfo"},
		{DATABASE "[relay]\nname = a\n[http]\nca_file = x\n", "ca_file"},
		{DATABASE "[relay]\nname = a\n[http]\nallow_targets = ::1/128\n",
		 "allow_targets"},
		{DATABASE "[relay]\nname = a\n[kafka k]\n", "kafka"},
		{DATABASE "slot = s\nlease_timeout = 1s\n[relay]\nname = a\n",
		 "slot, lease_timeout"},
	};
	Config *old = parse(DATABASE "[relay]\nname = a\n");
	char names[200];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Config *fresh = parse(cases[i].text);

		config_reload_diff(old, fresh, names, sizeof(names));
		is_str(names, cases[i].names, "restart for: %s", cases[i].names);
		config_free(fresh);
	}
	config_free(old);
}

static void
test_kafka_reload(void)
{
	Config *old = parse(DATABASE "[kafka k]\na = 1\nb = 2\n");
	Config *value = parse(DATABASE "[kafka k]\na = 1\nb = 3\n");
	Config *fewer = parse(DATABASE "[kafka k]\na = 1\n");
	Config *name = parse(DATABASE "[kafka l]\na = 1\nb = 2\n");
	char names[100];

	config_reload_diff(old, value, names, sizeof(names));
	is_str(names, "kafka", "another value");
	config_reload_diff(old, fewer, names, sizeof(names));
	is_str(names, "kafka", "a property less");
	config_reload_diff(old, name, names, sizeof(names));
	is_str(names, "kafka", "another name");
	config_free(old);
	config_free(value);
	config_free(fewer);
	config_free(name);
}

/* Each text is wrong in one way; the message begins with where. */
static const struct
{
	const char *text;
	const char *expected;
} faults[] = {
	{"", "f.conf:0: conninfo is missing"},
	{"[relay]\n", "f.conf:1: conninfo is missing"},
	{"x = 1", "f.conf:1: expected a [section]"},
	{"\n\n[nope]", "f.conf:3: unknown section [nope], expected [relay]"},
	{"[kafka]", "f.conf:1: unknown section [kafka]"},
	{"[relay", "f.conf:1: expected ]"},
	{"[ ]", "f.conf:1: expected the name of a section"},
	{"[relay]\nhello", "f.conf:2: expected [section] or name = value"},
	{"[relay]\n= 1", "f.conf:2: expected a name before ="},
	{"[relay]\nlisten = a:1\n\nslot = s",
	 "f.conf:4: unknown setting \"slot\" in section [relay]"},
	{"[relay]\nname = a\n[database]\n[relay]\nname = b",
	 "f.conf:5: name was set in line 2 already"},
	{"[relay]\nname =", "f.conf:2: name has a wrong length, expected 1 to"},
	{"[database]\nconninfo =", "f.conf:2: conninfo has a wrong length"},
	{"[relay]\nlog_level = loud",
	 "f.conf:2: log_level cannot be \"loud\", expected one of: debug info "
	 "warning error"},
	{"[relay]\nlog_level = debug info", "f.conf:2: log_level cannot be"},
	{"[relay]\nlog_level =", "f.conf:2: log_level cannot be \"\""},
	{"[relay]\nlisten = 9187", "f.conf:2: listen cannot be \"9187\", expected "
							   "host:port"},
	{"[relay]\nlisten = a:65536", "f.conf:2: listen cannot be"},
	{"[relay]\nlisten = :1", "f.conf:2: listen cannot be"},
	{"[relay]\nlisten = a:", "f.conf:2: listen cannot be"},
	{"[relay]\nlisten = ::1:80", "f.conf:2: listen cannot be"},
	{"[relay]\nlisten = []:80", "f.conf:2: listen cannot be"},
	{"[relay]\nmemory_budget = 48",
	 "f.conf:2: memory_budget cannot be \"48\", expected a size in B, kB, MB "
	 "or GB from 1MB to 64GB"},
	{"[relay]\nmemory_budget = MB", "f.conf:2: memory_budget cannot be"},
	{"[relay]\nmemory_budget = -5MB", "f.conf:2: memory_budget cannot be"},
	{"[relay]\nmemory_budget = 65GB", "f.conf:2: memory_budget cannot be"},
	{"[relay]\nmemory_budget = 1kB", "f.conf:2: memory_budget cannot be"},
	{"[relay]\nmemory_budget = 99999999999999999999MB",
	 "f.conf:2: memory_budget cannot be"},
	{"[relay]\nmemory_budget = 9223372036854775807GB",
	 "f.conf:2: memory_budget cannot be"},
	/* 2^64 bytes and a gigabyte */
	{"[relay]\nmemory_budget = 17179869185GB",
	 "f.conf:2: memory_budget cannot be"},
	{"[database]\nlease_timeout = 10", "f.conf:2: lease_timeout cannot be "
									   "\"10\", expected a duration in ms, s, "
									   "min or h from 1s to 10min"},
	{"[database]\nlease_timeout = 999ms", "f.conf:2: lease_timeout cannot be"},
	{"[database]\nslot = Outbox", "f.conf:2: slot cannot be \"Outbox\""},
	{"[database]\nslot = a-b", "f.conf:2: slot cannot be"},
	{"[database]\nslot =", "f.conf:2: slot cannot be"},
	{"[http]\nallow_targets = 10.0.0", "f.conf:2: allow_targets cannot be"},
	{"[http]\nallow_targets = 10.0.0.1/8", "f.conf:2: allow_targets cannot be"},
	{"[http]\nallow_targets = 10.0.0.0/33", "f.conf:2: allow_targets"},
	{"[http]\nallow_targets = fd00::/129", "f.conf:2: allow_targets"},
	{"[http]\nallow_targets = host/8", "f.conf:2: allow_targets"},
	{"[http]\nallow_targets = 10.0.0.0/8 x", "f.conf:2: allow_targets"},
	{"[http]\nallow_targets = 10.0.0.0/8,", "f.conf:2: allow_targets"},
	{"[http]\nallow_targets = 10.0.0.0/", "f.conf:2: allow_targets"},
	{"[kafka a/b]", "f.conf:1: name of a Kafka cluster cannot be \"a/b\""},
	{"[kafka a]\n[kafka b]\n[kafka a]",
	 "f.conf:3: section [kafka a] is in line 1 already"},
	{"[kafka a]\nx = 1\ny = 2\nx = 3", "f.conf:4: x was set in line 2 already"},
};

/* Nothing in a value is special, which surprises who writes a comment there. */
static void
test_comments(void)
{
	static const char *const hinted[] = {
		"[relay]\nlog_level = debug # while we look",
		"[relay]\nmemory_budget = 64MB ; enough",
		"[http]\nallow_targets = 10.0.0.0/8\t# ours",
		"[database]\nlease_timeout = 10s\t; short",
	};

	for (size_t i = 0; i < sizeof(hinted) / sizeof(hinted[0]); i++)
	{
		parse(hinted[i]);
		ok(strstr(err, "; a comment needs a line of its own") != NULL, "%s",
		   err);
	}
	parse("[relay]\nlog_level = debug#");
	ok(err[0] != '\0' && strstr(err, "comment") == NULL,
	   "no word of comments where there is none: %s", err);
}

static void
test_faults(void)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
	{
		Config *config = parse(faults[i].text);

		if (!ok(config == NULL && strncmp(err, faults[i].expected,
										  strlen(faults[i].expected)) == 0,
				"%s", faults[i].expected))
			diag("got \"%s\"", err);
		config_free(config);
	}
	parse("[database]\nconninfo = x\npassword canary");
	ok(strstr(err, "canary") == NULL, "a line that is wrong is not printed");
	ok(config_parse("f.conf", "[relay]\nname = a\0b", 19, err, sizeof(err)) ==
		   NULL,
	   "NUL is refused: %s", err);
}

/* many: prefix, then n times a line made of format and its number. */
static Config *
parse_many(const char *prefix, const char *name, int n)
{
	size_t len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);
	Config *config;

	fputs(prefix, out);
	for (int i = 0; i < n; i++)
		fprintf(out, strcmp(name, "[") == 0 ? "[kafka c%d]\n" : "p%d = x\n", i);
	fclose(out);
	config = config_parse("f", text, len, err, sizeof(err));
	free(text);
	return config;
}

static void
test_limits(void)
{
	char *text = malloc(80000);
	Config *config;

	config = parse_many(DATABASE "[kafka k]\n", "p", 500);
	ok(config != NULL, "500 properties");
	config_free(config);
	ok(parse_many(DATABASE "[kafka k]\n", "p", 501) == NULL, "%s", err);
	config = parse_many(DATABASE, "[", 100);
	ok(config != NULL, "100 clusters");
	config_free(config);
	ok(parse_many(DATABASE, "[", 101) == NULL, "%s", err);
	strcpy(text, DATABASE "[kafka k]\np = ");
	memset(text + strlen(text), 'x', 65535);
	text[strlen(DATABASE "[kafka k]\np = ") + 65535] = '\0';
	config = parse(text);
	ok(config != NULL && strlen(config->kafka->properties->value) == 65535,
	   "a value of 65535 bytes");
	config_free(config);
	strcat(text, "x");
	ok(parse(text) == NULL, "one more is too long: %s", err);
	free(text);
}

static void
test_file(void)
{
	char path[] = "/tmp/test_config_XXXXXX";
	int fd = mkstemp(path);
	Config *config;

	ok(write(fd, full, strlen(full)) == (ssize_t) strlen(full), "a file");
	config = config_read(path, err, sizeof(err));
	ok(config != NULL, "is read");
	config_free(config);
	ok(ftruncate(fd, 2 << 20) == 0, "a file that is too big");
	ok(config_read(path, err, sizeof(err)) == NULL, "%s", err);
	close(fd);
	unlink(path);
	ok(config_read(path, err, sizeof(err)) == NULL &&
		   strstr(err, "could not open") != NULL,
	   "no file: %s", err);
	ok(config_read("/", err, sizeof(err)) == NULL, "a folder: %s", err);
}

static void
test_reference(void)
{
	static const char *const names[] = {
		"`name`",     "`listen`",        "`log_level`",      "`log_format`",
		"`conninfo`", "`memory_budget`", "`slot`",           "`lease_timeout`",
		"`ca_file`",  "`allow_targets`", "`reconcile_wait`", "`[kafka NAME]`"};
	size_t len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	config_print_reference(out);
	fclose(out);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ok(strstr(text, names[i]) != NULL, "the reference names %s", names[i]);
	free(text);
}

int
main(void)
{
	test_defaults();
	test_full();
	test_reload();
	test_kafka_reload();
	test_faults();
	test_comments();
	test_limits();
	test_file();
	test_reference();
	return tap_done();
}
