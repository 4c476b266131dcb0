/*
 * relay/config_value.h
 *
 * The types that a setting can have: how its text is read into the field of
 * Config, and how the field is printed so that it reads back the same.  Used
 * by config.c alone.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_CONFIG_VALUE_H
#define OUTBOX_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config.h"

typedef enum ValueType
{
	VALUE_TEXT,     /* char *, length min..max */
	VALUE_CHOICE,   /* char *, one word of choices */
	VALUE_SLOT,     /* char *, name of a replication slot */
	VALUE_ADDRESS,  /* char *, host:port or empty */
	VALUE_SIZE,     /* int64_t bytes, min..max */
	VALUE_DURATION, /* int64_t milliseconds, min..max */
	VALUE_NETWORKS  /* Network array and its number */
} ValueType;

#define VALUE_NETWORKS_MAX 256

/* One setting: everything about it. */
typedef struct Setting
{
	const char *section;
	const char *name;
	ValueType type;
	size_t offset;       /* of the field in Config */
	const char *initial; /* as written in a file; NULL: none */
	int64_t min;
	int64_t max;
	const char *choices; /* words with one blank between */
	bool required;
	bool reloadable;
	const char *help;
} Setting;

/* The settings, by section; config_table.c. */
#define SETTINGS_MAX 64
extern const Setting config_settings[];
extern const int config_nsettings;

/*
 * value_parse: false with what was expected in expected; the field is then as
 * before.  An old value of the field is freed.
 */
extern bool value_parse(const Setting *setting, const char *text,
						Config *config, char *expected, size_t size);

/* value_print: as value_parse reads it. */
extern void value_print(const Setting *setting, const Config *config,
						FILE *out);

extern bool value_equal(const Setting *setting, const Config *a,
						const Config *b);
extern void value_free(const Setting *setting, Config *config);

/* value_type_name: for the reference. */
extern const char *value_type_name(const Setting *setting);

#endif /* OUTBOX_CONFIG_VALUE_H */
