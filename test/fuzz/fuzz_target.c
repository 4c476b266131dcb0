/*
 * test/fuzz/fuzz_target.c
 *
 * Two readers of one URL: outbox_route_create, which says what a target may
 * be (outbox.route_check_url in sql/route.sql, written out here in C), and
 * libcurl, which connects.  What the first accepts the second must be able to
 * read, with the same host and port, and without a user, a password or a
 * fragment.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/spec.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOST_MAX SPEC_TARGET_MAX

typedef struct Authority
{
	char host[HOST_MAX]; /* with the brackets of an IPv6 address */
	char port[8];        /* "": none is given */
} Authority;

static bool
is_word(char c, const char *more)
{
	return isalnum((unsigned char) c) || (c != '\0' && strchr(more, c) != NULL);
}

/* [A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])? or an IPv6 address in brackets */
static bool
take_host(const char **at, char *host)
{
	size_t len = 0;
	char inner[HOST_MAX];
	uint8_t address[16];

	if (**at == '[')
	{
		len = strcspn(*at, "]");
		if ((*at)[len] != ']')
			return false;
		memcpy(inner, *at + 1, len - 1);
		inner[len - 1] = '\0';
		if (strspn(inner, "0123456789abcdefABCDEF:.") != len - 1 ||
			inet_pton(AF_INET6, inner, address) != 1)
			return false;
		len++;
	}
	else
	{
		while (is_word((*at)[len], "._-"))
			len++;
		if (len == 0 || !is_word((*at)[0], "") || !is_word((*at)[len - 1], "."))
			return false;
	}
	memcpy(host, *at, len);
	host[len] = '\0';
	*at += len;
	return true;
}

static bool
take_port(const char **at, char *port)
{
	size_t len;

	port[0] = '\0';
	if (**at != ':')
		return true;
	len = strspn(++*at, "0123456789");
	if (len < 1 || len > 5)
		return false;
	memcpy(port, *at, len);
	port[len] = '\0';
	*at += len;
	return atoi(port) >= 1 && atoi(port) <= 65535;
}

static bool
is_accepted(const char *target, Authority *authority)
{
	const char *at = strstr(target, "://");

	if (strlen(target) >= SPEC_TARGET_MAX || strchr(target, '#') != NULL ||
		(strncasecmp(target, "http://", 7) != 0 &&
		 strncasecmp(target, "https://", 8) != 0))
		return false;
	for (const char *c = target; *c != '\0'; c++)
		if (*c < 0x21 || *c > 0x7e)
			return false;
	at += 3;
	return take_host(&at, authority->host) && take_port(&at, authority->port) &&
		   (*at == '\0' || *at == '/' || *at == '?');
}

static void
check_part(CURLU *url, CURLUPart part, const char *expected)
{
	char *text = NULL;
	CURLUcode code = curl_url_get(url, part, &text, 0);

	if (expected == NULL ? code == CURLUE_OK
						 : code != CURLUE_OK || strcasecmp(text, expected) != 0)
		abort();
	curl_free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *target = malloc(size + 1);
	Authority authority;
	CURLU *url = curl_url();

	memcpy(target, data, size);
	target[size] = '\0';
	if (is_accepted(target, &authority))
	{
		if (curl_url_set(url, CURLUPART_URL, target, 0) != CURLUE_OK)
			abort();
		check_part(url, CURLUPART_USER, NULL);
		check_part(url, CURLUPART_PASSWORD, NULL);
		check_part(url, CURLUPART_FRAGMENT, NULL);
		/* libcurl writes numbers as it understands them */
		if (isalpha((unsigned char) authority.host[0]))
			check_part(url, CURLUPART_HOST, authority.host);
		if (authority.port[0] != '\0')
		{
			char number[8];

			snprintf(number, sizeof(number), "%d", atoi(authority.port));
			check_part(url, CURLUPART_PORT, number);
		}
	}
	curl_url_cleanup(url);
	free(target);
	return 0;
}
