/*
 * test/pgtap/relay_start.sql
 *
 * Lease, start and identity, as the relay sees them.  In a database of its
 * own; needs nothing but the extension.
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

SELECT plan(28);

SELECT throws_ok($$SELECT outbox_start('a', 's')$$, '55000',
	'this session does not hold the lease', 'a start needs the lease');
SELECT ok(outbox_lease('a'), 'the lease is free');
SELECT ok(outbox_lease('a'), 'and still ours when asked again');
SELECT is((SELECT count(*)::int FROM pg_locks WHERE objsubid = 3 AND objid = 1
		   AND locktype = 'advisory' AND pid = pg_backend_pid()), 1, 'it is one lock');

/* SQL's advisory locks cannot reach it: 1869968482 is its class. */
SELECT ok(pg_try_advisory_lock(1869968482, 1) AND pg_try_advisory_lock(1869968482::bigint << 32 | 1),
	'whoever locks these numbers by SQL does not meet our lock');

SELECT * FROM outbox_start('a', 's1') \gset one_
SELECT is(:one_run::bigint, 1::bigint, 'the first run of a new database');
SELECT ok(:'one_armed'::boolean, 'a new database is armed');
SELECT ok("position" IS NULL, 'no position yet') FROM outbox.relay;
SELECT is(:one_schema_oid::oid, 'outbox'::regnamespace::oid, 'the schema''s OID');
SELECT is(:one_system_identifier::bigint, (SELECT system_identifier FROM pg_control_system()),
	'the system identifier');
SELECT is(:one_timeline::int, (SELECT timeline_id FROM pg_control_checkpoint()), 'the timeline');
SELECT is(instance || ' ' || slot || ' ' || (pid = pg_backend_pid()), 'a s1 true',
	'the relay wrote down who it is') FROM outbox.relay;

SELECT outbox_settle(:one_run, :one_system_identifier, :one_timeline, '0/100', NULL, NULL, NULL) \g /dev/null
SELECT * FROM outbox_start('b', 's2') \gset two_
SELECT is(:two_run::bigint, 2::bigint, 'each start is another run');
SELECT is(:'two_position'::pg_lsn, '0/100'::pg_lsn, 'P is kept on the same server');
SELECT throws_ok(format('SELECT outbox_settle(%s, %s, %s, NULL, NULL, NULL, NULL)', :one_run,
	:one_system_identifier, :one_timeline), '55000', 'relay run 1 is not the current one',
	'the run before is refused');

BEGIN;
SELECT outbox_start('b', 's2') \g /dev/null
SELECT results_eq($$SELECT mode FROM pg_locks WHERE objsubid = 3 AND objid = 2
	AND locktype = 'advisory' AND pid = pg_backend_pid()$$, $$VALUES ('ExclusiveLock')$$,
	'a start has the fence alone');
ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT throws_ok($$SELECT outbox_start('a', 's')$$, '25000', NULL,
	'a start with an old snapshot is refused');
SELECT throws_ok($$SELECT outbox_settle(2, 1, 1, NULL, NULL, NULL, NULL)$$, '25000', NULL,
	'so is a settle');
SELECT throws_ok($$SELECT outbox_maintain(2)$$, '25000', NULL, 'so is maintenance');
ROLLBACK;

/* Another identity: what the row says was true of the original. */
UPDATE outbox.relay SET system_identifier = 1, noted_id = 5, noted_xid = '5';
SELECT throws_ok(format('SELECT outbox_settle(%s, %s, %s, NULL, NULL, NULL, NULL)', :two_run,
	:one_system_identifier, :one_timeline), '55000', NULL, 'a settle of another server is refused');
SELECT * FROM outbox_start('b', 's2') \gset three_
SELECT ok("position" IS NULL AND noted_id IS NULL AND noted_xid IS NULL,
	'a start on another server forgets position and note') FROM outbox.relay;

/* A copy: the table knows other places, not this one. */
INSERT INTO outbox.cluster VALUES (4711, 1, 1, 0, 7, true);
SELECT armed FROM outbox_start('b', 's2') \gset copy_
SELECT ok(NOT :'copy_armed'::boolean, 'a copy is not armed');
SELECT outbox_arm() \g /dev/null
SELECT run, armed FROM outbox_start('b', 's2') \gset copy_
SELECT ok(:'copy_armed'::boolean, 'until somebody says so');
SELECT is(:copy_run::bigint >> 40, 8::bigint, 'its runs come after all runs of the original');
SELECT is((SELECT count(*)::int FROM outbox.cluster WHERE armed), 2, 'arming adds one row');
SELECT outbox_arm() \g /dev/null
SELECT is((SELECT count(*)::int FROM outbox.cluster), 2, 'and once is enough');

SELECT throws_ok($$SELECT outbox_takeover('s', 999)$$, '22023', NULL,
	'a time-out under a second is refused');
SELECT ok(NOT outbox_takeover('s', 1000), 'nobody else holds the lease: nothing to end');

SELECT * FROM finish();
