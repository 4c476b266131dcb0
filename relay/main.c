/*
 * relay/main.c
 *
 * outbox-relay: the command line.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "relay.h"

#define ERROR_MAX 512

/*
 * Messages come and go in bursts. Giving the heap back between two of them and
 * taking it again costs more than all else the core does with a message.
 */
#define HEAP_KEPT (16 * 1024 * 1024)

enum
{
	OPTION_CONFIG = 'c',
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
	OPTION_CHECK = 256,
	OPTION_REFERENCE
};

static const struct option options[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"check-config", no_argument, NULL, OPTION_CHECK},
	{"print-reference", no_argument, NULL, OPTION_REFERENCE},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0}};

static void
usage(FILE *out)
{
	fputs("outbox-relay delivers the messages that transactions enqueued in\n"
		  "PostgreSQL to HTTP endpoints and Kafka.\n\n"
		  "Usage: outbox-relay --config FILE\n\n"
		  "  -c, --config FILE      configuration, an INI file\n"
		  "      --check-config     read it, say what is wrong, exit\n"
		  "      --print-reference  every setting, as a Markdown table\n"
		  "  -V, --version          version, exit\n"
		  "  -h, --help             this text, exit\n\n"
		  "Exit status: 0 asked to stop, 1 start me again, 2 the\n"
		  "configuration or the server has to be corrected first.\n",
		  out);
}

int
main(int argc, char **argv)
{
	const char *path = NULL;
	bool check = false;
	char error[ERROR_MAX];
	Config *config;
	int option;

	mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
	while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1)
		switch (option)
		{
			case OPTION_CONFIG:
				path = optarg;
				break;
			case OPTION_CHECK:
				check = true;
				break;
			case OPTION_REFERENCE:
				config_print_reference(stdout);
				return RELAY_EXIT_ASKED;
			case OPTION_HELP:
				usage(stdout);
				return RELAY_EXIT_ASKED;
			case OPTION_VERSION:
				puts("outbox-relay " OUTBOX_VERSION);
				return RELAY_EXIT_ASKED;
			default:
				usage(stderr);
				return RELAY_EXIT_CONFIG;
		}
	if (path == NULL || optind < argc)
	{
		usage(stderr);
		return RELAY_EXIT_CONFIG;
	}
	config = relay_config(path, error, sizeof(error));
	if (config == NULL)
	{
		fprintf(stderr, "%s\n", error);
		return RELAY_EXIT_CONFIG;
	}
	if (!check)
		return relay_run(config);
	printf("%s: ok\n", path);
	config_free(config);
	return RELAY_EXIT_ASKED;
}
