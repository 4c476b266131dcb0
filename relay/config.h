/*
 * relay/config.h
 *
 * The configuration file: INI, read whole and checked before anything is
 * started.  A setting is one row of the table in config.c (name, type,
 * default, range, reloadable, help): parsing, --help, the reference in doc/
 * and the diff on reload all come from it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_CONFIG_H
#define OUTBOX_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One property of a [kafka NAME] section, handed to librdkafka as it is. */
typedef struct KafkaProperty
{
	char *name;
	char *value;
	int line;
	struct KafkaProperty *next;
} KafkaProperty;

typedef struct KafkaCluster
{
	char *name;
	int line;
	KafkaProperty *properties;
	struct KafkaCluster *next;
} KafkaCluster;

/* A network in CIDR notation. */
typedef struct Network
{
	int family; /* AF_INET or AF_INET6 */
	uint8_t address[16];
	int bits;
} Network;

typedef struct Config
{
	char *path;
	/* [relay] */
	char *name;            /* instance; default host:pid */
	char *listen;          /* host:port, port 0: any; "" none */
	char *log_level;       /* debug info warning error */
	char *log_format;      /* text json */
	int64_t memory_budget; /* bytes of message bodies held */
	/* [database] */
	char *conninfo;
	int conninfo_line; /* where it stands in the file */
	char *slot;
	int64_t lease_timeout_ms;
	int64_t reconcile_wait_ms; /* longest hold; order is not promised past it */
	int64_t held_wal;          /* bytes that may wait for a route's lane */
	/* [http] */
	Network *allow_targets;
	int nallow_targets;
	char *ca_file; /* NULL: the system's */
	int ca_file_line;
	/* [kafka NAME] */
	KafkaCluster *kafka;
} Config;

/*
 * config_read: NULL when the file cannot be used, with "FILE:LINE: what was
 * found, what was expected" in err.  Whether libpq can read the conninfo is
 * looked at by relay_config.
 */
extern Config *config_read(const char *path, char *err, size_t err_size);

/*
 * config_parse: the same from memory; path is for messages and Config.path.
 * config_print: as a file that reads back the same, conninfo included.
 */
extern Config *config_parse(const char *path, const char *text, size_t len,
							char *err, size_t err_size);
extern void config_print(const Config *config, FILE *out);

/* config_comment_hint: for a refused value that may end in a comment, or "". */
extern const char *config_comment_hint(const char *value);

extern void config_free(Config *config);
extern const KafkaCluster *config_kafka(const Config *config, const char *name);
/* config_print_reference: every setting as a Markdown table, for doc/. */
extern void config_print_reference(FILE *out);
/* config_reload_diff: names of changed settings that need a restart, "" none. */
extern void config_reload_diff(const Config *old, const Config *fresh,
							   char *names, size_t size);

#endif /* OUTBOX_CONFIG_H */
