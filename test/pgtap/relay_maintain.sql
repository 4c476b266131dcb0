/*
 * test/pgtap/relay_maintain.sql
 *
 * Merging, and the gaps of ids that were rolled back: closed when nobody can
 * commit them any more and not before.  In a database of its own; a prepared
 * transaction needs max_prepared_transactions > 0.
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

SELECT outbox_set('allow_unrouted', 'on') \g /dev/null
SELECT outbox_lease('me') \g /dev/null
CREATE TABLE test.run AS SELECT * FROM outbox_start('me', 's');
CREATE FUNCTION test.enqueue() RETURNS bigint LANGUAGE sql AS
	$$SELECT outbox_enqueue_bytes('t', '\x01', 'a/b')$$;
CREATE FUNCTION test.settle(VARIADIC ids bigint[]) RETURNS void LANGUAGE sql AS $$
	SELECT outbox_settle(run, system_identifier, timeline, NULL, '{0}',
		ARRAY[(SELECT range_agg(int8range(i, i, '[]')) FROM unnest(ids) AS i)], NULL) FROM test.run
$$;
/*
 * Each is a transaction of its own: a note is never used by the one that made
 * it.  What is merged is older than ten seconds.
 */
CREATE PROCEDURE test.maintain(times int DEFAULT 1) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..times LOOP
		UPDATE outbox.resolved SET resolved_at = resolved_at - interval '1 minute';
		PERFORM outbox_maintain(run) FROM test.run;
		COMMIT;
	END LOOP;
END
$$;
CREATE FUNCTION test.resolved() RETURNS text LANGUAGE sql AS
	$$SELECT string_agg(first || '-' || last, ' ') FROM outbox_resolved()$$;
CREATE FUNCTION test.floor() RETURNS bigint LANGUAGE sql AS 'SELECT floor FROM outbox.relay';

SELECT plan(19);

CALL test.maintain(2);
SELECT is(test.floor(), 0::bigint, 'no floor before anything');
/* A database that is known, by its first route, and has no message yet. */
SELECT outbox.register() \g /dev/null
CALL test.maintain(3);
SELECT is(test.floor(), 0::bigint, 'no floor before the first message');

/* 1 commits, 2 is rolled back, 3 commits. */
SELECT test.enqueue() \g /dev/null
BEGIN;
SELECT test.enqueue() \g /dev/null
ROLLBACK;
SELECT test.enqueue() \g /dev/null
SELECT test.settle(1) \g /dev/null
SELECT test.settle(3) \g /dev/null
CALL test.maintain();
SELECT is(test.resolved(), '1-1 3-3', 'the first call only notes');
SELECT is(test.floor(), 1::bigint, 'the floor is below the gap');
CALL test.maintain();
SELECT is(test.resolved(), '1-3', 'the second closes');
SELECT is(test.floor(), 3::bigint, 'and the floor rises over it');
CALL test.maintain();
SELECT is((SELECT count(*)::int FROM outbox.resolved), 1, 'the gap joined its neighbours');

/* 4 is prepared, 5 unresolved, 6 rolled back, 7 resolved. */
BEGIN;
SELECT test.enqueue() \g /dev/null
PREPARE TRANSACTION 'outbox_test';
SELECT test.enqueue() \g /dev/null
BEGIN;
SELECT test.enqueue() \g /dev/null
ROLLBACK;
SELECT test.enqueue() \g /dev/null
SELECT test.settle(7) \g /dev/null
CALL test.maintain(5);
SELECT is(test.resolved(), '1-3 7-7', 'nothing is closed beside a prepared transaction');
COMMIT PREPARED 'outbox_test';
SELECT results_eq('SELECT i FROM outbox_unresolved(), generate_series(first, last) AS i ORDER BY i',
	'VALUES (4::bigint), (5)',
	'what was prepared is there when it commits');
CALL test.maintain(2);
SELECT is(test.resolved(), '1-3 6-7', 'then gaps are closed, and unresolved messages are no gaps');
SELECT is(test.floor(), 3::bigint, 'the floor stays below them');
SELECT test.settle(4, 5) \g /dev/null
CALL test.maintain(2);
SELECT is(test.floor(), 7::bigint, 'until they are resolved');

/* A prepared transaction that is rolled back leaves a gap. */
BEGIN;
SELECT test.enqueue() \g /dev/null
PREPARE TRANSACTION 'outbox_test';
CALL test.maintain(3);
SELECT is(test.floor(), 7::bigint, 'prepared: no gap');
ROLLBACK PREPARED 'outbox_test';
CALL test.maintain(2);
SELECT is(test.floor(), 8::bigint, 'rolled back: a gap');

/* Another prefix, as after a promotion: what lies between never existed. */
UPDATE outbox.cluster SET base = 5;
SELECT test.enqueue() AS id \gset
CALL test.maintain(2);
SELECT is(test.floor(), :id - 1, 'all ids of older timelines are closed');
SELECT test.settle(:id) \g /dev/null
CALL test.maintain(2);
SELECT is(test.floor(), :id::bigint, 'and the new one goes on');

/* One row for each generation. */
INSERT INTO outbox.resolved VALUES (1, int8multirange(int8range(:id + 10, :id + 12)), now(), 1),
	(1, int8multirange(int8range(:id + 12, :id + 13)), now(), 1);
CALL test.maintain();
SELECT results_eq('SELECT generation::int, count(*)::int FROM outbox.resolved GROUP BY 1 ORDER BY 1',
	'VALUES (0, 1), (1, 1)', 'generations stay apart');
SELECT is(ids::text, format('{[%s,%s)}', :id + 10, :id + 13), 'and their rows are merged')
FROM outbox.resolved WHERE generation = 1;
SELECT is((SELECT count(*)::int FROM outbox_resolved()), 2, 'R is small');

SELECT * FROM finish();
