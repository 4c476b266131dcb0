/*
 * test/pgtap/relay_unresolved.sql
 *
 * R and U as a relay reads them after a crash: which messages, in which runs,
 * with which routes left.  In a database of its own.
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

/* Straight into the table: ids, generations and routes are the test's. */
CREATE FUNCTION test.message(first bigint, last bigint, generation int DEFAULT 0,
	routes smallint[] DEFAULT '{1,2}') RETURNS void LANGUAGE sql AS $$
	INSERT INTO outbox.message (id, create_time, generation, shard_id, routes, type, content_type,
		headers, payload)
	SELECT i, '2020-01-01', $3, i % 1024, $4, 't', 'a/b', '{"n": "v", "long-name": "w"}', '\x01'
	FROM generate_series($1, $2) AS i
$$;
CREATE FUNCTION test.unresolved() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s-%s %s', generation, first, last, routes), '; ')
	FROM outbox_unresolved()
$$;
CREATE FUNCTION test.resolve(int8multirange) RETURNS void LANGUAGE sql AS $$
	INSERT INTO outbox.resolved VALUES (0, $1, now(), 1)
$$;

SELECT plan(23);

SELECT is(test.unresolved(), NULL, 'an empty table');
SELECT test.message(1, 20) \g /dev/null
SELECT is(test.unresolved(), '0 1-20 {1,2}', 'nothing resolved yet: all');
SELECT test.resolve('{[1,5),[7,11)}') \g /dev/null
SELECT is(test.unresolved(), '0 5-6 {1,2}; 0 11-20 {1,2}', 'a hole and the tail');
SELECT test.resolve('{[15,30)}') \g /dev/null
SELECT is(test.unresolved(), '0 5-6 {1,2}; 0 11-14 {1,2}', 'resolved ids that are not visible yet are no harm');
SELECT results_eq('SELECT * FROM outbox_resolved()',
	'VALUES (1::bigint, 4::bigint), (7, 10), (15, 29)', 'R, merged');

/* Route 1 of id 12 and 13 is in the backlog, 13 has left it. */
INSERT INTO outbox.backlog VALUES (1, 1, 0, 1, 1, 2, 13, '{13,12,2}', '{[0,1)}');
SELECT is(test.unresolved(), '0 5-6 {1,2}; 0 11-11 {1,2}; 0 12-12 {2}; 0 13-14 {1,2}',
	'a route that has the message in its backlog is not in U');
/* Route 1 of 12 moves to the backlog of its key, in one settle. */
INSERT INTO outbox.backlog (route_id, key_hash, seq, generation, run, pos, first_id, last_id, ids)
VALUES (1, -7, 2, 0, 1, 1, 12, 12, '{12}');
UPDATE outbox.backlog SET done = '{[0,2)}' WHERE seq = 1;
SELECT is(test.unresolved(), '0 5-6 {1,2}; 0 11-11 {1,2}; 0 12-12 {2}; 0 13-14 {1,2}',
	'nor is one that has it in the backlog of a key');
/* Both routes of 6 are parked, in whatever status. */
INSERT INTO outbox.parked (message_id, route_id, generation, shard_id, status)
VALUES (6, 1, 0, 0, 'DEAD'), (6, 2, 0, 0, 'CANCELLED'), (14, 2, 0, 0, 'NEW');
SELECT is(test.unresolved(), '0 5-5 {1,2}; 0 6-6 {}; 0 11-11 {1,2}; 0 12-12 {2}; 0 13-13 {1,2}; 0 14-14 {1}',
	'nor is one that has it parked; a message with no route left is told');

/* Generations and far ids. */
SELECT test.message(31, 32, 1), test.message(33, 33, -1), test.message(34, 34, -1, '{}'),
	test.message(35, 36, 0, '{3}') \g /dev/null
SELECT test.message(140737488355329, 140737488355330) \g /dev/null
SELECT is(split_part(test.unresolved(), '14-14 {1}; ', 2),
	'1 31-32 {1,2}; -1 33-33 {1,2}; -1 34-34 {}; 0 35-36 {3}; 0 140737488355329-140737488355330 {1,2}',
	'runs end where generation, routes or ids do');
UPDATE outbox.relay SET floor = 30;
SELECT is(test.unresolved(), '1 31-32 {1,2}; -1 33-33 {1,2}; -1 34-34 {}; 0 35-36 {3}; 0 140737488355329-140737488355330 {1,2}',
	'nothing at or below the floor is looked at');
SELECT is((SELECT last FROM outbox_resolved() WHERE first = 1), 30::bigint, 'R has all of it');

/* A late commit shows up, in the middle of what is resolved. */
UPDATE outbox.relay SET floor = 0;
TRUNCATE outbox.resolved, outbox.parked, outbox.backlog, outbox.message;
SELECT test.message(1, 99), test.message(101, 200) \g /dev/null
SELECT test.resolve('{[1,100),[101,201)}') \g /dev/null
SELECT is(test.unresolved(), NULL, 'all done');
SELECT test.message(100, 100) \g /dev/null
SELECT is(test.unresolved(), '0 100-100 {1,2}', 'a low id that commits late is found');

/* Fetch. */
SELECT test.message(500, 500, 2), test.message(501, 501, -1) \g /dev/null
SELECT results_eq('SELECT id, generation, shard_id, routes, type, headers, payload, create_time
		FROM outbox_fetch(''{500, 400, 501}'')',
	$$SELECT id::bigint, generation::smallint, id::smallint, '{1,2}'::smallint[], 't',
		'{n,v,long-name,w}'::text[], '\x01'::bytea, '2020-01-01'::timestamptz
	FROM (VALUES (500, 2), (501, -1)) AS v (id, generation)$$,
	'messages of any generation; others are left out');
SELECT results_eq('SELECT id, generation, shard_id, routes, type, headers, payload, create_time
		FROM outbox_fetch(''{501, 499, 500}'')',
	$$SELECT id::bigint, generation::smallint, id::smallint, '{1,2}'::smallint[], 't',
		'{n,v,long-name,w}'::text[], '\x01'::bytea, '2020-01-01'::timestamptz
	FROM (VALUES (501, -1), (500, 2)) AS v (id, generation)$$,
	'and such as lie close together, in the order asked for');
SELECT is_empty('SELECT outbox_fetch(''{}'')', 'none asked, none given');

/* The cost is that of the holes, not of the table. */
SELECT test.message(1001, 61000) \g /dev/null
SELECT test.resolve('{[100,101),[500,502)}') \g /dev/null
SELECT test.resolve(int8multirange(int8range(1001, 61001)) - '{[30000,30003)}') \g /dev/null
ANALYZE outbox.message;
CREATE VIEW test.work AS SELECT sum(pg_stat_get_xact_numscans(oid))::int AS scans,
	sum(pg_stat_get_xact_tuples_fetched(oid))::int AS fetched
FROM pg_class
WHERE relnamespace = 'outbox'::regnamespace AND relname ~ '^message_' AND relkind = 'r';
BEGIN;
SELECT * FROM test.work \gset
SELECT is(test.unresolved(), '0 30000-30002 {1,2}', 'three in sixty thousand');
SELECT is(scans - :scans, 0, 'without a scan of a leaf') FROM test.work;
SELECT cmp_ok(fetched - :fetched, '<', 100, 'and few rows looked at') FROM test.work;
COMMIT;

/* Where to look. */
SELECT results_eq($$SELECT * FROM outbox.windows('{[1,10),[11,200),[400,501)}', 1000) ORDER BY 1$$,
	'VALUES (10::bigint, 10::bigint), (200, 399), (501, 999)', 'a window for each hole');
SELECT results_eq($$SELECT * FROM outbox.windows('{[1,10),[11,20),[400,500)}', 500)$$,
	'VALUES (10::bigint, 399::bigint)', 'one for holes that are near');
SELECT results_eq($$SELECT * FROM outbox.windows('{}', 9223372036854775807)$$,
	'VALUES (1::bigint, 9223372036854775806::bigint)', 'one for all');
SELECT is_empty($$SELECT * FROM outbox.windows('{[1,500)}', 500)$$, 'none when there is no hole');

SELECT * FROM finish();
