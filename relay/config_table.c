/*
 * relay/config_table.c
 *
 * The settings, one row each.  A new one is a row here and a field of Config.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "config_value.h"

#define AT(member) offsetof(Config, member)

const Setting config_settings[] = {
	{.section = "relay",
	 .name = "name",
	 .type = VALUE_TEXT,
	 .offset = AT(name),
	 .min = 1,
	 .max = 200,
	 .help = "name of this instance, shown as instance_id; default host:pid"},
	{.section = "relay",
	 .name = "listen",
	 .type = VALUE_ADDRESS,
	 .offset = AT(listen),
	 .initial = "127.0.0.1:9187",
	 .help = "where /metrics, /healthz and /readyz are served; port 0: any "
			 "free one; empty: nowhere"},
	{.section = "relay",
	 .name = "log_level",
	 .type = VALUE_CHOICE,
	 .offset = AT(log_level),
	 .initial = "info",
	 .choices = "debug info warning error",
	 .reloadable = true,
	 .help = "least severity of events that are logged"},
	{.section = "relay",
	 .name = "log_format",
	 .type = VALUE_CHOICE,
	 .offset = AT(log_format),
	 .initial = "text",
	 .choices = "text json",
	 .reloadable = true,
	 .help = "form of a log line"},
	{.section = "relay",
	 .name = "memory_budget",
	 .type = VALUE_SIZE,
	 .offset = AT(memory_budget),
	 .initial = "48MB",
	 .min = 1 << 20,
	 .max = INT64_C(64) << 30,
	 .reloadable = true,
	 .help = "bytes of messages held in memory, all routes together"},
	{.section = "database",
	 .name = "conninfo",
	 .type = VALUE_TEXT,
	 .offset = AT(conninfo),
	 .min = 1,
	 .max = 8192,
	 .required = true,
	 .help = "libpq connection string; direct to the server, not through a "
			 "pooler"},
	{.section = "database",
	 .name = "slot",
	 .type = VALUE_SLOT,
	 .offset = AT(slot),
	 .initial = "outbox",
	 .help = "replication slot; made when there is none"},
	{.section = "database",
	 .name = "lease_timeout",
	 .type = VALUE_DURATION,
	 .offset = AT(lease_timeout_ms),
	 .initial = "10s",
	 .min = 1000,
	 .max = 600000,
	 .help = "silence of the relay that delivers after which another one takes "
			 "over"},
	{.section = "database",
	 .name = "reconcile_wait",
	 .type = VALUE_DURATION,
	 .offset = AT(reconcile_wait_ms),
	 .initial = "30s",
	 .min = 0,
	 .max = 86400000,
	 .help = "longest hold after a lost slot, for commits that are not visible "
			 "yet; order is not promised past it"},
	{.section = "database",
	 .name = "held_wal",
	 .type = VALUE_SIZE,
	 .offset = AT(held_wal),
	 .initial = "1GB",
	 .min = 0,
	 .max = INT64_C(1) << 40,
	 .help = "WAL that may wait unread for a route that is busy and keeps up; "
			 "past it the route's messages go to the backlog; 0B: none"},
	{.section = "http",
	 .name = "allow_targets",
	 .type = VALUE_NETWORKS,
	 .offset = AT(allow_targets),
	 .initial = "",
	 .help = "networks or addresses that routes may reach although they are "
			 "loopback, private or link-local"},
	{.section = "http",
	 .name = "ca_file",
	 .type = VALUE_TEXT,
	 .offset = AT(ca_file),
	 .min = 1,
	 .max = 4096,
	 .help = "certificates to verify endpoints with; default the system's"},
};

const int config_nsettings =
	(int) (sizeof(config_settings) / sizeof(config_settings[0]));

_Static_assert(sizeof(config_settings) / sizeof(config_settings[0]) <=
				   SETTINGS_MAX,
			   "SETTINGS_MAX is too low");
