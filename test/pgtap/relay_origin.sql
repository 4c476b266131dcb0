/*
 * test/pgtap/relay_origin.sql
 *
 * The writes of a settle carry an origin that a decoder can leave out, and
 * the rest of their transaction does not.  In a database of its own; needs
 * wal_level = logical, a free slot, and test_decoding among the allowed
 * plugins.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
\set QUIET 1
\set ON_ERROR_STOP 1
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS outbox;
CREATE SCHEMA test;
CREATE TABLE test.business (id int);
SELECT outbox_lease('me') \g /dev/null
CREATE TABLE test.run AS SELECT * FROM outbox_start('me', 's');
CREATE FUNCTION test.settle(facts jsonb) RETURNS void LANGUAGE sql AS $$
	SELECT outbox_settle(run, system_identifier, timeline, '0/1', '{0}', '{"{[1,9)}"}', facts) FROM test.run
$$;
SELECT 'outbox_test_' || oid AS slot FROM pg_database WHERE datname = current_database() \gset
SELECT pg_create_logical_replication_slot(:'slot', 'test_decoding', true) \g /dev/null

SELECT plan(8);

BEGIN;
INSERT INTO test.business VALUES (1);
SELECT test.settle('{"park": [{"id": 1, "route": 1, "generation": 0, "shard": 0, "status": "DEAD"}]}') \g /dev/null
INSERT INTO test.business VALUES (2);
COMMIT;

SELECT ok(count(*) FILTER (WHERE data LIKE '%outbox.resolved: INSERT%') = 1
	AND count(*) FILTER (WHERE data LIKE '%outbox.relay: UPDATE%') = 1
	AND count(*) FILTER (WHERE data LIKE '%outbox.parked: INSERT%') = 1
	AND count(*) FILTER (WHERE data LIKE '%test.business: INSERT%') = 2,
	'all of the transaction is in the WAL')
FROM pg_logical_slot_peek_changes(:'slot', NULL, NULL);
SELECT is(string_agg(data, '; ' ORDER BY lsn), 'table test.business: INSERT: id[integer]:1; '
	'table test.business: INSERT: id[integer]:2', 'without origins the business rows are left')
FROM pg_logical_slot_get_changes(:'slot', NULL, NULL, 'only-local', '1', 'include-xids', '0')
WHERE data LIKE 'table %';

/* After an error within a settle the origin is off as well. */
BEGIN;
SAVEPOINT before;
SELECT throws_ok($$SELECT test.settle('{"attempts": [{"id": 1}]}')$$, '23502', NULL, 'a settle that fails');
ROLLBACK TO before;
INSERT INTO test.business VALUES (3);
COMMIT;
SELECT is(string_agg(data, '; '), 'table test.business: INSERT: id[integer]:3', 'what follows it is not left out')
FROM pg_logical_slot_get_changes(:'slot', NULL, NULL, 'only-local', '1', 'include-xids', '0')
WHERE data LIKE 'table test%';

/* Maintenance, too, and the session's own origin is given back. */
SELECT pg_replication_origin_create(:'slot') \g /dev/null
SELECT pg_replication_origin_session_setup(:'slot') \g /dev/null
SELECT outbox_maintain(run) FROM test.run \g /dev/null
SELECT ok(pg_replication_origin_session_is_setup(), 'the session keeps its own origin');
INSERT INTO test.business VALUES (4);
SELECT pg_replication_origin_session_reset() \g /dev/null
INSERT INTO test.business VALUES (5);
SELECT is(string_agg(data, '; '), 'table test.business: INSERT: id[integer]:5',
	'and what it writes after a settle carries it')
FROM pg_logical_slot_peek_changes(:'slot', NULL, NULL, 'only-local', '1', 'include-xids', '0')
WHERE data LIKE 'table test%';
SELECT is(count(*)::int, 0, 'nothing of the maintenance is left')
FROM pg_logical_slot_peek_changes(:'slot', NULL, NULL, 'only-local', '1', 'include-xids', '0')
WHERE data LIKE 'table outbox%';

/* A message enqueued within a settle would be left out, too. */
CREATE FUNCTION test.enqueue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.outbox_enqueue('x', '1');
	RETURN NULL;
END
$$;
SELECT outbox_set('allow_unrouted', 'true') \g /dev/null
CREATE TRIGGER enqueue AFTER INSERT ON outbox.parked FOR EACH ROW EXECUTE FUNCTION test.enqueue();
SELECT throws_ok($$SELECT test.settle('{"park": [{"id": 4, "route": 1, "generation": 0, "shard": 0, "status": "DEAD"}]}')$$,
	'0A000', 'cannot execute outbox_enqueue() within a write of the relay', 'a settle cannot enqueue');

SELECT pg_replication_origin_drop(:'slot') \g /dev/null
SELECT pg_drop_replication_slot(:'slot') \g /dev/null
SELECT * FROM finish();
