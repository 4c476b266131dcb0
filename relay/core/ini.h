/*
 * relay/core/ini.h
 *
 * An INI text, line by line: [section], name = value, comments that begin a
 * line with # or ;.  A value is all that follows the first =, without white
 * space at its ends: nothing in it is special, so that no password and no
 * librdkafka property needs quoting.
 *
 * Own code, because Debian's libinih cuts lines at 200 bytes and section
 * names at 49 without a word, ends a value at " ;", and does not tell of a
 * section that is empty.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#ifndef OUTBOX_INI_H
#define OUTBOX_INI_H

#include <stddef.h>

#define INI_NAME_MAX 256    /* with the final NUL */
#define INI_VALUE_MAX 65536 /* with the final NUL */

typedef enum IniKind
{
	INI_END,
	INI_SECTION, /* name */
	INI_PAIR,    /* name and value */
	INI_ERROR    /* value: what was expected */
} IniKind;

typedef struct Ini
{
	const char *text;
	size_t len;
	size_t pos;
	int line; /* of what was read last, from 1 */
	char name[INI_NAME_MAX];
	char value[INI_VALUE_MAX];
} Ini;

/* ini_init: text need not end with NUL, and stays the caller's. */
extern void ini_init(Ini *ini, const char *text, size_t len);

/* ini_next: after INI_ERROR nothing more can be read. */
extern IniKind ini_next(Ini *ini);

#endif /* OUTBOX_INI_H */
