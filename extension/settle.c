/*
 * extension/settle.c
 *
 * The one way in which the relay writes.  Decides nothing about messages: it
 * sees to it that only the current run writes (fence, then check), and that
 * the writes carry an origin the decoder filters.  What is written are the
 * statements of the table below.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/pg_lsn.h"

#include "lease.h"

#define EPOCH_BITS 40
#define MAX_ARGS 5

PG_FUNCTION_INFO_V1(outbox_settle);
PG_FUNCTION_INFO_V1(outbox_maintain);

/* One statement, planned once in a session. */
typedef struct Statement
{
	const char *fact; /* its key in facts; NULL: not of facts */
	const char *sql;
	int nargs;
	Oid types[MAX_ARGS];
	SPIPlanPtr plan;
} Statement;

/*
 * The check and the heartbeat are one update.  It runs after the fence has
 * been taken, with a snapshot of its own, so it sees what the last start
 * committed.
 */
static Statement check_statement = {
	NULL,
	"UPDATE outbox.relay SET heartbeat = clock_timestamp(),"
	" \"position\" = greatest(\"position\", $5)"
	" WHERE run = $1 AND system_identifier = $2 AND database_oid = $3"
	" AND timeline = $4",
	5,
	{INT8OID, INT8OID, OIDOID, INT4OID, PG_LSNOID},
	NULL};

/* sent is of facts too: how many deliveries each route had. */
static Statement resolved_statement = {
	"sent",
	"INSERT INTO outbox.resolved (generation, ids, resolved_at, epoch, sent)"
	" SELECT g, r, clock_timestamp(), $3, $4 -> g::text"
	" FROM unnest($1, $2) AS u (g, r)"
	" WHERE NOT isempty(r) OR $4 ? g::text",
	4,
	{INT2ARRAYOID, INT8MULTIRANGEARRAYOID, INT8OID, JSONBOID},
	NULL};

static Statement merge_statement = {
	NULL, "SELECT outbox.merge()", 0, {0}, NULL};

/*
 * In the order in which they run; $1 is the array of the fact, $2 the run.
 * Each has the same effect when it is said twice (attempts apart).
 */
static Statement fact_statements[] = {
	{"backlog",
	 "INSERT INTO outbox.backlog"
	 " (route_id, key_hash, seq, generation, run, pos, first_id, last_id, ids)"
	 " SELECT f.route, f.key_hash, f.seq, f.generation, coalesce(f.run, $2),"
	 " f.pos, m.least, m.greatest, f.ids FROM jsonb_to_recordset($1)"
	 " AS f (route smallint, key_hash integer, seq bigint,"
	 " generation smallint, run bigint, pos bigint, ids bigint[])"
	 " CROSS JOIN LATERAL (SELECT min(i) AS least, max(i) AS greatest"
	 " FROM unnest(f.ids) AS i) AS m ON CONFLICT (route_id, seq) DO NOTHING",
	 2,
	 {JSONBOID, INT8OID},
	 NULL},
	{"progress",
	 "DELETE FROM outbox.backlog AS b USING (SELECT route, seq,"
	 " range_agg(done) AS done FROM jsonb_to_recordset($1)"
	 " AS r (route smallint, seq bigint, done int4multirange)"
	 " GROUP BY route, seq) AS f"
	 " WHERE b.route_id = f.route AND b.seq = f.seq"
	 " AND b.done + f.done @> int4range(0, cardinality(b.ids))",
	 2,
	 {JSONBOID, INT8OID},
	 NULL},
	{"progress",
	 "UPDATE outbox.backlog AS b SET done = b.done + f.done"
	 " FROM (SELECT route, seq, range_agg(done) AS done"
	 " FROM jsonb_to_recordset($1)"
	 " AS r (route smallint, seq bigint, done int4multirange)"
	 " GROUP BY route, seq) AS f"
	 " WHERE b.route_id = f.route AND b.seq = f.seq"
	 " AND NOT b.done @> f.done",
	 2,
	 {JSONBOID, INT8OID},
	 NULL},
	{"park",
	 "INSERT INTO outbox.parked AS p (message_id, route_id, generation,"
	 " shard_id, key_hash, run, pos, status, retry_count, next_retry_time,"
	 " instance_id, lock_until, last_error, update_time)"
	 " SELECT DISTINCT ON (f.id, f.route) f.id, f.route, f.generation,"
	 " f.shard, f.key_hash, f.run, f.pos, f.status, coalesce(f.retry_count, 0),"
	 " clock_timestamp() + f.retry_in_ms * interval '1 millisecond',"
	 " l.instance,"
	 " CASE f.status WHEN 'CLAIMED' THEN clock_timestamp()"
	 " + coalesce((t.options ->> 'timeout_ms')::integer, 10000)"
	 " * interval '1 millisecond' END, left(f.error, 2000), clock_timestamp()"
	 " FROM ROWS FROM (jsonb_to_recordset($1) AS (id bigint, route smallint,"
	 " generation smallint, shard smallint, key_hash integer, run bigint,"
	 " pos bigint, status text, retry_count integer, retry_in_ms bigint,"
	 " error text)) WITH ORDINALITY AS f"
	 " CROSS JOIN (SELECT instance FROM outbox.relay WHERE run = $2) AS l"
	 " LEFT JOIN outbox.route AS t ON t.id = f.route"
	 " ORDER BY f.id, f.route, f.ordinality DESC"
	 " ON CONFLICT (message_id, route_id) DO UPDATE SET"
	 " generation = excluded.generation, shard_id = excluded.shard_id,"
	 " key_hash = excluded.key_hash, run = excluded.run, pos = excluded.pos,"
	 " status = excluded.status, retry_count = excluded.retry_count,"
	 " next_retry_time = excluded.next_retry_time,"
	 " instance_id = excluded.instance_id, lock_until = excluded.lock_until,"
	 " last_error = excluded.last_error, update_time = excluded.update_time"
	 " WHERE p.status <> 'CANCELLED'",
	 2,
	 {JSONBOID, INT8OID},
	 NULL},
	{"unpark",
	 "DELETE FROM outbox.parked AS p"
	 " USING jsonb_to_recordset($1) AS f (id bigint, route smallint)"
	 " WHERE p.message_id = f.id AND p.route_id = f.route",
	 2,
	 {JSONBOID, INT8OID},
	 NULL},
	{"attempts",
	 "INSERT INTO outbox.attempt (message_id, route_id, attempt, started,"
	 " duration, outcome, status, error, answer)"
	 " SELECT id, route, attempt, to_timestamp(started_ms / 1000.0),"
	 " duration_us * interval '1 microsecond', outcome, coalesce(status, 0),"
	 " left(error, 2000), decode(answer, 'hex')"
	 " FROM jsonb_to_recordset($1) AS f (id bigint, route smallint,"
	 " attempt integer, started_ms bigint, duration_us bigint, outcome text,"
	 " status integer, error text, answer text)",
	 2,
	 {JSONBOID, INT8OID},
	 NULL},
};

/* What a settle says about itself, to be compared with what is. */
typedef struct Claim
{
	int64 run;
	int64 system_identifier;
	int32 timeline;
} Claim;

static int64
claim_epoch(Claim claim)
{
	return claim.run & ((INT64CONST(1) << EPOCH_BITS) - 1);
}

/* Gives the number of rows.  A space in nulls[i]: values[i] counts. */
static uint64
statement_run(Statement *statement, Datum *values, const char *nulls)
{
	int result;

	if (statement->plan == NULL)
	{
		SPIPlanPtr plan =
			SPI_prepare(statement->sql, statement->nargs, statement->types);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not plan \"%s\": %s", statement->sql,
				 SPI_result_code_string(SPI_result));
		statement->plan = plan;
	}
	result = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", statement->sql,
			 SPI_result_code_string(result));
	return SPI_processed;
}

/* A snapshot from before the fence would see the run of before. */
static void
require_read_committed(const char *function)
{
	PreventCommandIfReadOnly(function);
	if (IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
						errmsg("%s must run in a READ COMMITTED transaction",
							   function)));
}

static bool
claim_is_current(Claim claim, bool has_position, XLogRecPtr position)
{
	Datum values[5];
	char nulls[] = "     ";

	if (claim.system_identifier != (int64) GetSystemIdentifier() ||
		claim.timeline != (int32) GetWALInsertionTimeLine())
		return false;
	values[0] = Int64GetDatum(claim.run);
	values[1] = Int64GetDatum(claim.system_identifier);
	values[2] = ObjectIdGetDatum(MyDatabaseId);
	values[3] = Int32GetDatum(claim.timeline);
	values[4] = LSNGetDatum(position);
	if (!has_position)
		nulls[4] = 'n';
	return statement_run(&check_statement, values, nulls) == 1;
}

static void
claim_require(Claim claim, bool has_position, XLogRecPtr position)
{
	if (!claim_is_current(claim, has_position, position))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relay run " INT64_FORMAT " is not the current one",
						claim.run),
				 errdetail("Another relay has started, or this server is not "
						   "the one on which the run began.")));
}

/* The value of the fact that the statement is about; NULL: not said. */
static Jsonb *
fact_find(Jsonb *facts, const Statement *statement)
{
	JsonbValue *value;

	if (facts == NULL)
		return NULL;
	value = getKeyJsonValueFromContainer(&facts->root, statement->fact,
										 (int) strlen(statement->fact), NULL);
	return value == NULL ? NULL : JsonbValueToJsonb(value);
}

static void
resolved_write(FunctionCallInfo fcinfo, int64 epoch, Jsonb *facts)
{
	Jsonb *sent = fact_find(facts, &resolved_statement);
	Datum values[4];

	if (PG_ARGISNULL(4) || PG_ARGISNULL(5))
		return;
	values[0] = PG_GETARG_DATUM(4);
	values[1] = PG_GETARG_DATUM(5);
	values[2] = Int64GetDatum(epoch);
	values[3] = JsonbPGetDatum(sent);
	(void) statement_run(&resolved_statement, values,
						 sent == NULL ? "   n" : "    ");
}

static void
facts_write(Jsonb *facts, int64 run)
{
	for (size_t i = 0; i < lengthof(fact_statements); i++)
	{
		Statement *statement = &fact_statements[i];
		Jsonb *array = fact_find(facts, statement);
		Datum values[2];

		if (array == NULL)
			continue;
		values[0] = JsonbPGetDatum(array);
		values[1] = Int64GetDatum(run);
		(void) statement_run(statement, values, NULL);
	}
}

static void
settle_write(FunctionCallInfo fcinfo, Claim claim)
{
	bool has_position = !PG_ARGISNULL(3);
	Jsonb *facts = PG_ARGISNULL(6) ? NULL : PG_GETARG_JSONB_P(6);

	claim_require(claim, has_position, has_position ? PG_GETARG_LSN(3) : 0);
	if (facts != NULL && !JB_ROOT_IS_OBJECT(facts))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("facts must be a JSON object")));
	resolved_write(fcinfo, claim_epoch(claim), facts);
	if (facts != NULL)
		facts_write(facts, claim.run);
}

static void
maintain_write(FunctionCallInfo fcinfo, Claim claim)
{
	claim_require(claim, false, InvalidXLogRecPtr);
	(void) statement_run(&merge_statement, NULL, NULL);
}

/*
 * Runs write under the fence.  The origin goes on only around our own writes:
 * were it still set at commit, the whole transaction would be filtered, the
 * caller's business rows included.
 */
static void
write_fenced(FunctionCallInfo fcinfo, Claim claim,
			 void (*write)(FunctionCallInfo, Claim))
{
	RepOriginId before = replorigin_session_origin;

	fence_share();
	SPI_connect();
	replorigin_session_origin = DoNotReplicateId;
	PG_TRY();
	{
		write(fcinfo, claim);
	}
	PG_FINALLY();
	{
		replorigin_session_origin = before;
	}
	PG_END_TRY();
	SPI_finish();
}

/* outbox_settle(run, system_identifier, timeline, position, generations,
 * resolved, facts), see doc/interface.md */
Datum
outbox_settle(PG_FUNCTION_ARGS)
{
	Claim claim;

	require_read_committed("outbox_settle()");
	for (int i = 0; i < 3; i++)
		if (PG_ARGISNULL(i))
			ereport(
				ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg(
					 "run, system_identifier and timeline must not be null")));
	claim.run = PG_GETARG_INT64(0);
	claim.system_identifier = PG_GETARG_INT64(1);
	claim.timeline = PG_GETARG_INT32(2);
	write_fenced(fcinfo, claim, settle_write);
	PG_RETURN_VOID();
}

/* outbox_maintain(run bigint); the work itself is in outbox.merge() */
Datum
outbox_maintain(PG_FUNCTION_ARGS)
{
	Claim claim;

	require_read_committed("outbox_maintain()");
	claim.run = PG_GETARG_INT64(0);
	claim.system_identifier = (int64) GetSystemIdentifier();
	claim.timeline = (int32) GetWALInsertionTimeLine();
	write_fenced(fcinfo, claim, maintain_write);
	PG_RETURN_VOID();
}
