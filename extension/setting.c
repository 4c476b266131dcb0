/*
 * extension/setting.c
 *
 * One row a setting, and outbox_set() and outbox_get() that follow from it.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "outbox.h"
#include "setting.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

typedef enum SettingType
{
	SETTING_BYTES,
	SETTING_BOOL
} SettingType;

typedef struct Setting
{
	const char *name;
	SettingType type;
	int default_value;
	int min;
	int max;
	const char *help;
} Setting;

static const Setting settings[] = {
	{"max_payload", SETTING_BYTES, 1048576, 1, 67108864,
	 "bytes of a message's payload, from 1 to 64MB"},
	{"allow_unrouted", SETTING_BOOL, 0, 0, 1,
	 "whether a message without a matching route is allowed, true or false"},
};

PG_FUNCTION_INFO_V1(outbox_set);
PG_FUNCTION_INFO_V1(outbox_get);

static const char *
setting_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (size_t i = 0; i < lengthof(settings); i++)
		appendStringInfo(&names, "%s\"%s\"", i == 0 ? "" : ", ",
						 settings[i].name);
	return names.data;
}

static const Setting *
setting_find(const char *name)
{
	for (size_t i = 0; i < lengthof(settings); i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("there is no setting \"%s\"", name),
					errhint("Settings are %s.", setting_names())));
}

static bool
value_parse(const Setting *setting, const char *value, int *result)
{
	bool flag;

	if (setting->type == SETTING_BYTES)
		return parse_int(value, result, GUC_UNIT_BYTE, NULL);
	if (!parse_bool(value, &flag))
		return false;
	*result = flag;
	return true;
}

int64
setting_default(const char *name)
{
	return setting_find(name)->default_value;
}

static bool
value_in_range(const Setting *setting, const char *value, int *result)
{
	return value_parse(setting, value, result) && *result >= setting->min &&
		   *result <= setting->max;
}

int64
setting_stored(const char *name, const char *value)
{
	const Setting *setting = setting_find(name);
	int result;

	if (value_in_range(setting, value, &result))
		return result;
	ereport(WARNING, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					  errmsg("setting \"%s\" is stored with an invalid value "
							 "\"%s\", using its default",
							 name, value),
					  errhint("Set it by outbox_set().")));
	return setting->default_value;
}

int64
setting_parse(const char *name, const char *value)
{
	const Setting *setting = setting_find(name);
	int result;

	if (!value_in_range(setting, value, &result))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for setting \"%s\": \"%s\"", name,
							   value),
						errhint("It is %s.", setting->help)));
	return result;
}

static const char *
setting_print(const Setting *setting, int64 value)
{
	if (setting->type == SETTING_BOOL)
		return value != 0 ? "true" : "false";
	return psprintf("%lld", (long long) value);
}

static void
setting_write(const char *query, const char *name, const char *value)
{
	Oid types[] = {TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(name), CStringGetTextDatum(value)};
	Owner owner;

	owner_enter(&owner, outbox_relid("setting"));
	if (SPI_execute_with_args(query, lengthof(types), types, values, NULL,
							  false, 0) < 0)
		elog(ERROR, "could not write outbox.setting");
	owner_leave(&owner);
}

static void
argument_check(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("name of a setting must not be null"),
						errhint("Settings are %s.", setting_names())));
}

/* NULL goes back to the default. */
Datum
outbox_set(PG_FUNCTION_ARGS)
{
	const char *name;
	const char *value = "";
	const char *query =
		"DELETE FROM outbox.setting WHERE name OPERATOR(pg_catalog.=) $1";

	PreventCommandIfReadOnly("outbox_set()");
	argument_check(fcinfo);
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	(void) setting_find(name);
	if (!PG_ARGISNULL(1))
	{
		value = text_to_cstring(PG_GETARG_TEXT_PP(1));
		value = setting_print(setting_find(name), setting_parse(name, value));
		query = "INSERT INTO outbox.setting (name, value) VALUES ($1, $2)"
				" ON CONFLICT (name) DO UPDATE SET value = $2";
	}
	setting_write(query, name, value);
	PG_RETURN_VOID();
}

Datum
outbox_get(PG_FUNCTION_ARGS)
{
	const Setting *setting;
	Oid types[] = {TEXTOID};
	Datum values[1];
	int64 value;
	Owner owner;

	argument_check(fcinfo);
	values[0] = PG_GETARG_DATUM(0);
	setting = setting_find(TextDatumGetCString(values[0]));
	value = setting->default_value;
	owner_enter(&owner, outbox_relid("setting"));
	owner_read("SELECT value FROM outbox.setting"
			   " WHERE name OPERATOR(pg_catalog.=) $1",
			   1, types, values);
	if (SPI_processed > 0)
		value = setting_stored(
			setting->name,
			SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	owner_leave(&owner);
	PG_RETURN_TEXT_P(cstring_to_text(setting_print(setting, value)));
}
