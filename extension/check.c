/*
 * extension/check.c
 *
 * The limits of a message's texts and payload, see check.h.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "check.h"

#include "utils/builtins.h"

/* Kafka's limit and characters for the name of a topic. */
#define TOPIC_CHARACTERS                                                       \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

typedef struct FieldRule
{
	const char *name;
	size_t max; /* bytes */
	bool required;
} FieldRule;

/* In the order of MessageField. */
static const FieldRule rules[MESSAGE_FIELDS] = {
	{"type", 255, true},          {"biz_key", 255, false},
	{"topic", 249, false},        {"tag", 255, false},
	{"message_key", 1024, false}, {"sharding_key", 1024, false},
	{"content_type", 255, true},
};

static void
check_null(const FieldRule *rule)
{
	if (rule->required)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s of a message must not be null", rule->name),
						errhidestmt(true)));
}

static void
check_length(const FieldRule *rule, size_t len)
{
	if (len == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s of a message must not be empty", rule->name),
						rule->required ? 0 : errhint("Pass NULL for none."),
						errhidestmt(true)));
	if (len > rule->max)
		ereport(ERROR, (errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
						errmsg("%s of a message is too long", rule->name),
						errdetail("It has %zu bytes, the limit is %zu.", len,
								  rule->max),
						errhidestmt(true)));
}

/* These texts become HTTP and Kafka headers. */
static void
check_controls(const FieldRule *rule, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = data[i];

		if (c < 0x20 || c == 0x7f)
			ereport(
				ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("%s of a message has a control character", rule->name),
				 errdetail("Byte 0x%02x stands at position %zu.", c, i + 1),
				 errhint("Remove line breaks, tabs and other control "
						 "characters."),
				 errhidestmt(true)));
	}
}

static void
check_topic(const char *data, size_t len)
{
	bool legal = strspn(data, TOPIC_CHARACTERS) == len;

	if (!legal || strcmp(data, ".") == 0 || strcmp(data, "..") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("topic of a message is not a legal Kafka topic name"),
				 errhint("Use letters, digits, \".\", \"_\" and \"-\", and "
						 "not just \".\" or \"..\"."),
				 errhidestmt(true)));
}

static void
check_content_type(const char *data, size_t len)
{
	bool ascii = true;

	for (size_t i = 0; i < len; i++)
		ascii = ascii && (unsigned char) data[i] < 0x80;
	if (!ascii || data[0] == '/' || memchr(data, '/', len) == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("content_type of a message is not a media type"),
						errhint("Write it like \"application/octet-stream\"."),
						errhidestmt(true)));
}

void
check_field(MessageField field, const text *value)
{
	const FieldRule *rule = &rules[field];
	const char *data;
	size_t len;

	if (value == NULL)
	{
		check_null(rule);
		return;
	}
	data = VARDATA_ANY(value);
	len = VARSIZE_ANY_EXHDR(value);
	check_length(rule, len);
	check_controls(rule, data, len);
	if (field == MESSAGE_TOPIC)
		check_topic(text_to_cstring(value), len);
	if (field == MESSAGE_CONTENT_TYPE)
		check_content_type(data, len);
}

void
check_fields(const Message *message)
{
	for (int field = 0; field < MESSAGE_CONTENT_TYPE; field++)
		check_field(field, message->fields[field]);
}

void
check_payload(const bytea *payload, int64 max_payload)
{
	int64 len;

	if (payload == NULL)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("payload of a message must not be null"),
						errhint("An empty payload or the JSON value null are "
								"allowed."),
						errhidestmt(true)));
	len = VARSIZE_ANY_EXHDR(payload);
	if (len > max_payload)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("payload of a message is too large"),
						errdetail("It has %lld bytes, the limit is %lld.",
								  (long long) len, (long long) max_payload),
						errhint("Send a reference instead, or raise the limit "
								"by outbox_set('max_payload', ...)."),
						errhidestmt(true)));
}

OnDuplicate
check_on_duplicate(const text *value)
{
	const char *word = value == NULL ? "" : text_to_cstring(value);

	if (strcmp(word, "error") == 0)
		return DUPLICATE_ERROR;
	if (strcmp(word, "ignore") == 0)
		return DUPLICATE_IGNORE;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("on_duplicate is not valid"),
					errhint("Use 'error' or 'ignore'."), errhidestmt(true)));
}

void
check_undelayed(bool deliver_at_is_null)
{
	if (!deliver_at_is_null)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("delayed delivery is not supported by this version"),
				 errhint("Leave deliver_at NULL."), errhidestmt(true)));
}
