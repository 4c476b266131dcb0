/*
 * relay/session_check.c
 *
 * Is this a server and a database that the relay can work with.  One clear
 * line for each thing that is wrong, saying what to do.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "session_private.h"

#define VERSION_MIN 150000

/*
 * allowed: whether output_plugin_libraries, on servers that know it, has our
 * plugin; asked of pg_settings, which leaves out what this role may not see
 * where current_setting() would raise.  slot_ok: the slot, if there is one,
 * is ours.
 */
static const char check_sql[] =
	"SELECT current_setting('server_version_num')::int,"
	" current_setting('wal_level'),"
	" pg_is_in_recovery(),"
	" (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'outbox'),"
	" (SELECT quote_ident(n.nspname) FROM pg_extension e"
	"  JOIN pg_namespace n ON n.oid = e.extnamespace"
	"  WHERE e.extname = 'outbox'),"
	" (SELECT r.rolreplication OR r.rolsuper FROM pg_roles r"
	"  WHERE r.rolname = current_user),"
	" coalesce((SELECT 'outbox_decoder' = ANY (SELECT trim(both ' \"' from v)"
	"   FROM regexp_split_to_table(g.setting, ',') AS v)"
	"  FROM pg_settings g WHERE g.name = 'output_plugin_libraries'), true),"
	" (SELECT s.plugin = 'outbox_decoder' AND s.database = current_database()"
	"  FROM pg_replication_slots s WHERE s.slot_name = $1),"
	" current_database(), current_user,"
	" pg_size_bytes(current_setting('max_slot_wal_keep_size'))";

enum
{
	COLUMN_VERSION,
	COLUMN_WAL_LEVEL,
	COLUMN_RECOVERY,
	COLUMN_EXTENSION,
	COLUMN_SCHEMA,
	COLUMN_REPLICATION,
	COLUMN_PLUGIN_ALLOWED,
	COLUMN_SLOT_OK,
	COLUMN_DATABASE,
	COLUMN_USER,
	COLUMN_SLOT_KEEP
};

static bool
is_true(const PGresult *result, int column)
{
	return PQgetvalue(result, 0, column)[0] == 't';
}

static bool
check_server(Session *session, const PGresult *result)
{
	int version = atoi(PQgetvalue(result, 0, COLUMN_VERSION));
	const char *wal_level = PQgetvalue(result, 0, COLUMN_WAL_LEVEL);

	if (version < VERSION_MIN)
		session_end(session, SESSION_FATAL,
					"the server has version %d, at "
					"least PostgreSQL 15 is needed",
					version / 10000);
	else if (is_true(result, COLUMN_RECOVERY))
		session_end(session, SESSION_LOST,
					"the server is a standby; the "
					"relay works on the primary and will try again");
	else if (strcmp(wal_level, "logical") != 0)
		session_end(session, SESSION_FATAL,
					"wal_level is \"%s\"; set "
					"wal_level = logical in postgresql.conf and restart the "
					"server",
					wal_level);
	else if (!is_true(result, COLUMN_PLUGIN_ALLOWED))
		session_end(session, SESSION_FATAL,
					"the server does not allow the "
					"output plugin outbox_decoder; set output_plugin_libraries"
					" = 'pgoutput, test_decoding, outbox_decoder' in "
					"postgresql.conf and reload");
	return !session->ended;
}

static bool
check_database(Session *session, const PGresult *result)
{
	const char *database = PQgetvalue(result, 0, COLUMN_DATABASE);
	const char *version = PQgetvalue(result, 0, COLUMN_EXTENSION);
	const char *user = PQgetvalue(result, 0, COLUMN_USER);

	if (PQgetisnull(result, 0, COLUMN_EXTENSION))
		session_end(session, SESSION_FATAL,
					"database \"%s\" does not have "
					"the extension; run CREATE EXTENSION outbox there",
					database);
	else if (strcmp(version, OUTBOX_VERSION) != 0)
		session_end(session, SESSION_FATAL,
					"the extension in database \"%s\""
					" has version %s, this relay is for %s; run ALTER "
					"EXTENSION outbox UPDATE or install the other relay",
					database, version, OUTBOX_VERSION);
	else if (!is_true(result, COLUMN_REPLICATION))
		session_end(session, SESSION_FATAL,
					"role \"%s\" may not replicate; "
					"run ALTER ROLE \"%s\" REPLICATION",
					user, user);
	else if (!PQgetisnull(result, 0, COLUMN_SLOT_OK) &&
			 !is_true(result, COLUMN_SLOT_OK))
		session_end(session, SESSION_FATAL,
					"replication slot \"%s\" belongs "
					"to another plugin or database; set another slot in "
					"[database]",
					session->config->slot);
	return !session->ended;
}

static void
path_set(void *arg, const PGresult *result)
{
	Session *session = arg;

	if (!session_failed(session, result))
		session_lease(session);
}

static void
checked(void *arg, const PGresult *result)
{
	Session *session = arg;
	char path[256];
	const char *values[] = {path};

	if (session_failed(session, result) || !check_server(session, result) ||
		!check_database(session, result))
		return;
	session->slot_keep_bytes = rows_int(result, 0, COLUMN_SLOT_KEEP);
	snprintf(path, sizeof(path), "%s, pg_catalog, pg_temp",
			 PQgetvalue(result, 0, COLUMN_SCHEMA));
	/*
	 * A settle has to be flushed before its position may be confirmed, and
	 * must not wait for a standby, whatever the role's defaults are.  Text
	 * comes as it is stored, as the stream brings it.
	 */
	db_query(
		session->db,
		"SELECT set_config('search_path', $1, false),"
		" set_config('synchronous_commit', 'local', false),"
		" set_config('statement_timeout', '0', false),"
		" set_config('lock_timeout', '30s', false),"
		" set_config('idle_session_timeout', '0', false),"
		" set_config('DateStyle', 'ISO', false),"
		" set_config('TimeZone', 'UTC', false),"
		" set_config('client_encoding', current_setting('server_encoding'),"
		" false)",
		1, values, DB_TEXT, path_set, session);
}

void
session_check(Session *session)
{
	const char *values[] = {session->config->slot};

	db_query(session->db, check_sql, 1, values, DB_TEXT, checked, session);
}
