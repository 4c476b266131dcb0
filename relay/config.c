/*
 * relay/config.c
 *
 * The configuration.  config_table.c decides what settings there are;
 * config_value.c how a value is written, core/ini.c how a line is.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "config_value.h"
#include "core/ini.h"
#include "core/mem.h"

/* Far above any real one; a wrong path is not read for long. */
#define CONFIG_FILE_MAX (1024 * 1024)
#define CLUSTERS_MAX 100
#define PROPERTIES_MAX 500
#define CLUSTER_NAME_MAX 63

/* Where the reading of a file stands. */
typedef struct Reading
{
	Config *config;
	char section[INI_NAME_MAX]; /* "" before the first, "kafka" in a cluster */
	KafkaCluster *cluster;
	int lines[SETTINGS_MAX]; /* where each setting was given, 0: not yet */
	int line;
	char *err;
	size_t err_size;
} Reading;

static bool fail(Reading *reading, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool
fail(Reading *reading, const char *format, ...)
{
	va_list args;
	int len;

	len = snprintf(reading->err, reading->err_size,
				   "%s:%d: ", reading->config->path, reading->line);
	if (len < 0 || (size_t) len >= reading->err_size)
		return false;
	va_start(args, format);
	vsnprintf(reading->err + len, reading->err_size - (size_t) len, format,
			  args);
	va_end(args);
	return false;
}

static char *
copy_text(const char *text)
{
	return mem_copy(text, strlen(text) + 1);
}

static int
find_setting(const char *section, const char *name)
{
	for (int i = 0; i < config_nsettings; i++)
	{
		if (strcmp(config_settings[i].section, section) == 0 &&
			strcmp(config_settings[i].name, name) == 0)
			return i;
	}
	return -1;
}

static bool
is_section(const char *name)
{
	for (int i = 0; i < config_nsettings; i++)
	{
		if (strcmp(config_settings[i].section, name) == 0)
			return true;
	}
	return false;
}

/* A route's target is cluster/topic, so a cluster has no slash in its name. */
static bool
is_cluster_name(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= CLUSTER_NAME_MAX &&
		   strspn(name, "abcdefghijklmnopqrstuvwxyz"
						"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == len;
}

static bool
take_cluster(Reading *reading, const char *name)
{
	KafkaCluster **last = &reading->config->kafka;
	int n = 0;

	if (!is_cluster_name(name))
		return fail(reading,
					"name of a Kafka cluster cannot be \"%s\", expected 1 to "
					"%d of a-z, A-Z, 0-9, _, - and .",
					name, CLUSTER_NAME_MAX);
	for (; *last != NULL; last = &(*last)->next, n++)
	{
		if (strcmp((*last)->name, name) == 0)
			return fail(reading, "section [kafka %s] is in line %d already",
						name, (*last)->line);
	}
	if (n == CLUSTERS_MAX)
		return fail(reading, "expected at most %d Kafka clusters",
					CLUSTERS_MAX);
	*last = mem_alloc(sizeof(**last));
	(*last)->name = copy_text(name);
	(*last)->line = reading->line;
	reading->cluster = *last;
	return true;
}

static bool
take_section(Reading *reading, const char *name)
{
	reading->cluster = NULL;
	snprintf(reading->section, sizeof(reading->section), "%s", name);
	if (strncmp(name, "kafka", 5) == 0 && (name[5] == ' ' || name[5] == '\t'))
		return take_cluster(reading, name + 5 + strspn(name + 5, " \t"));
	if (is_section(name))
		return true;
	return fail(reading,
				"unknown section [%s], expected [relay], [database], [http] "
				"or [kafka NAME]",
				name);
}

static bool
take_property(Reading *reading, const char *name, const char *value)
{
	KafkaProperty **last = &reading->cluster->properties;
	int n = 0;

	for (; *last != NULL; last = &(*last)->next, n++)
	{
		if (strcmp((*last)->name, name) == 0)
			return fail(reading, "%s was set in line %d already", name,
						(*last)->line);
	}
	if (n == PROPERTIES_MAX)
		return fail(reading, "expected at most %d properties", PROPERTIES_MAX);
	*last = mem_alloc(sizeof(**last));
	(*last)->name = copy_text(name);
	(*last)->value = copy_text(value);
	(*last)->line = reading->line;
	return true;
}

const char *
config_comment_hint(const char *value)
{
	bool found = strstr(value, " #") != NULL || strstr(value, " ;") != NULL ||
				 strstr(value, "\t#") != NULL || strstr(value, "\t;") != NULL;

	return found ? "; a comment needs a line of its own" : "";
}

/* refuse: the value of a text is not printed, it may hold a password. */
static bool
refuse(Reading *reading, const Setting *setting, const char *value,
	   const char *expected)
{
	const char *hint = config_comment_hint(value);

	if (setting->type == VALUE_TEXT)
		return fail(reading, "%s has a wrong length, %s%s", setting->name,
					expected, hint);
	return fail(reading, "%s cannot be \"%.100s\", %s%s", setting->name, value,
				expected, hint);
}

static bool
take_setting(Reading *reading, const char *name, const char *value)
{
	char expected[256] = "";
	int i = find_setting(reading->section, name);

	if (i < 0)
		return fail(reading, "unknown setting \"%s\" in section [%s]", name,
					reading->section);
	if (reading->lines[i] != 0)
		return fail(reading, "%s was set in line %d already", name,
					reading->lines[i]);
	reading->lines[i] = reading->line;
	if (config_settings[i].offset == offsetof(Config, conninfo))
		reading->config->conninfo_line = reading->line;
	if (config_settings[i].offset == offsetof(Config, ca_file))
		reading->config->ca_file_line = reading->line;
	if (value_parse(&config_settings[i], value, reading->config, expected,
					sizeof(expected)))
		return true;
	return refuse(reading, &config_settings[i], value, expected);
}

static bool
take_pair(Reading *reading, const char *name, const char *value)
{
	if (reading->section[0] == '\0')
		return fail(reading, "expected a [section] before \"%s\"", name);
	if (reading->cluster != NULL)
		return take_property(reading, name, value);
	return take_setting(reading, name, value);
}

static bool
check_required(Reading *reading)
{
	for (int i = 0; i < config_nsettings; i++)
	{
		if (config_settings[i].required && reading->lines[i] == 0)
			return fail(reading, "%s is missing in section [%s]",
						config_settings[i].name, config_settings[i].section);
	}
	return true;
}

static bool
read_lines(Reading *reading, Ini *ini)
{
	for (;;)
	{
		IniKind kind = ini_next(ini);
		bool taken;

		reading->line = ini->line;
		if (kind == INI_END)
			return check_required(reading);
		if (kind == INI_SECTION)
			taken = take_section(reading, ini->name);
		else if (kind == INI_PAIR)
			taken = take_pair(reading, ini->name, ini->value);
		else
			taken = fail(reading, "%s", ini->value);
		if (!taken)
			return false;
	}
}

static void
set_initial(Config *config)
{
	char expected[256];
	char host[128] = "";
	char name[160];

	for (int i = 0; i < config_nsettings; i++)
	{
		if (config_settings[i].initial != NULL)
			(void) value_parse(&config_settings[i], config_settings[i].initial,
							   config, expected, sizeof(expected));
	}
	gethostname(host, sizeof(host) - 1);
	snprintf(name, sizeof(name), "%s:%d", host, (int) getpid());
	config->name = copy_text(name);
}

Config *
config_parse(const char *path, const char *text, size_t len, char *err,
			 size_t err_size)
{
	Config *config = mem_alloc(sizeof(*config));
	Ini *ini = mem_alloc(sizeof(*ini));
	Reading reading = {.config = config, .err = err, .err_size = err_size};

	config->path = copy_text(path);
	set_initial(config);
	ini_init(ini, text, len);
	if (!read_lines(&reading, ini))
	{
		config_free(config);
		config = NULL;
	}
	mem_free(ini);
	return config;
}

Config *
config_read(const char *path, char *err, size_t err_size)
{
	Config *config = NULL;
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t len;

	if (file == NULL && errno == ENOMEM)
		mem_exhausted();
	if (file == NULL)
	{
		snprintf(err, err_size, "%s: could not open: %s", path,
				 strerror(errno));
		return NULL;
	}
	text = mem_alloc(CONFIG_FILE_MAX + 1);
	errno = 0;
	len = fread(text, 1, CONFIG_FILE_MAX + 1, file);
	if (ferror(file))
		snprintf(err, err_size, "%s: could not read: %s", path,
				 strerror(errno));
	else if (len > CONFIG_FILE_MAX)
		snprintf(err, err_size, "%s: expected at most %d bytes", path,
				 CONFIG_FILE_MAX);
	else
		config = config_parse(path, text, len, err, err_size);
	mem_free(text);
	fclose(file);
	return config;
}

static void
free_clusters(KafkaCluster *cluster)
{
	while (cluster != NULL)
	{
		KafkaCluster *next = cluster->next;

		while (cluster->properties != NULL)
		{
			KafkaProperty *property = cluster->properties;

			cluster->properties = property->next;
			mem_free(property->name);
			mem_free(property->value);
			mem_free(property);
		}
		mem_free(cluster->name);
		mem_free(cluster);
		cluster = next;
	}
}

void
config_free(Config *config)
{
	if (config == NULL)
		return;
	for (int i = 0; i < config_nsettings; i++)
		value_free(&config_settings[i], config);
	free_clusters(config->kafka);
	mem_free(config->path);
	mem_free(config);
}

const KafkaCluster *
config_kafka(const Config *config, const char *name)
{
	const KafkaCluster *cluster = config->kafka;

	while (cluster != NULL && strcmp(cluster->name, name) != 0)
		cluster = cluster->next;
	return cluster;
}

void
config_print(const Config *config, FILE *out)
{
	const char *section = "";

	for (int i = 0; i < config_nsettings; i++)
	{
		if (strcmp(section, config_settings[i].section) != 0)
			fprintf(out, "[%s]\n", config_settings[i].section);
		section = config_settings[i].section;
		/* the one setting whose absence says something */
		if (config_settings[i].offset == offsetof(Config, ca_file) &&
			config->ca_file == NULL)
			continue;
		fprintf(out, "%s = ", config_settings[i].name);
		value_print(&config_settings[i], config, out);
		fputc('\n', out);
	}
	for (const KafkaCluster *it = config->kafka; it != NULL; it = it->next)
	{
		fprintf(out, "[kafka %s]\n", it->name);
		for (KafkaProperty *p = it->properties; p != NULL; p = p->next)
			fprintf(out, "%s = %s\n", p->name, p->value);
	}
}

void
config_print_reference(FILE *out)
{
	fputs("| section | setting | type | default | reload | |\n"
		  "|---|---|---|---|---|---|\n",
		  out);
	for (int i = 0; i < config_nsettings; i++)
	{
		const Setting *setting = &config_settings[i];
		const char *initial = setting->initial;

		fprintf(out, "| `[%s]` | `%s` | %s | ", setting->section, setting->name,
				value_type_name(setting));
		if (setting->choices != NULL)
			fprintf(out, "`%s` of `%s`", initial, setting->choices);
		else if (initial != NULL && initial[0] != '\0')
			fprintf(out, "`%s`", initial);
		else
			fputs(setting->required ? "required" : "", out);
		fprintf(out, " | %s | %s |\n", setting->reloadable ? "yes" : "no",
				setting->help);
	}
	fputs("| `[kafka NAME]` | any | text | | no | property of librdkafka, as "
		  "it is |\n",
		  out);
}

static bool
same_clusters(const KafkaCluster *a, const KafkaCluster *b)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next)
	{
		const KafkaProperty *p = a->properties;
		const KafkaProperty *q = b->properties;

		for (; p != NULL && q != NULL; p = p->next, q = q->next)
		{
			if (strcmp(p->name, q->name) != 0 ||
				strcmp(p->value, q->value) != 0)
				return false;
		}
		if (p != q || strcmp(a->name, b->name) != 0)
			return false;
	}
	return a == b;
}

static void
add_name(char *names, size_t size, const char *name)
{
	size_t len = strlen(names);

	snprintf(names + len, size - len, "%s%s", len == 0 ? "" : ", ", name);
}

void
config_reload_diff(const Config *old, const Config *fresh, char *names,
				   size_t size)
{
	names[0] = '\0';
	for (int i = 0; i < config_nsettings; i++)
	{
		if (!config_settings[i].reloadable &&
			!value_equal(&config_settings[i], old, fresh))
			add_name(names, size, config_settings[i].name);
	}
	if (!same_clusters(old->kafka, fresh->kafka))
		add_name(names, size, "kafka");
}
