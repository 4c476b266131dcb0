/*
 * test/pgtap/relay_settle.sql
 *
 * What a settle writes, that it may be said twice, who is refused, and what
 * its facts do to backlog and parked rows.  In a database of its own.
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

/* Two routes, ten messages for both. */
SELECT outbox_route_create('one', 'http', 'http://one.example/', '{*}') \g /dev/null
SELECT outbox_route_create('two', 'http', 'http://two.example/', '{*}',
	options => '{"timeout_ms": 5000}') \g /dev/null
SELECT outbox_enqueue_bytes('order', '\x01', 'a/b', message_key => 'k' || i)
FROM generate_series(1, 10) AS i \g /dev/null
SELECT outbox_lease('me') \g /dev/null
CREATE TABLE test.run AS SELECT * FROM outbox_start('me', 's');

CREATE FUNCTION test.settle(facts jsonb DEFAULT NULL, ids int8multirange DEFAULT '{}',
	"position" pg_lsn DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	SELECT outbox_settle(run, system_identifier, timeline, $3, '{0}', ARRAY[ids], facts) FROM test.run
$$;
CREATE FUNCTION test.park(id bigint, status text, run bigint DEFAULT 1) RETURNS jsonb
LANGUAGE sql AS $$
	SELECT jsonb_build_object('park', jsonb_build_array(jsonb_build_object('id', id, 'route', 2,
		'generation', 0, 'shard', 3, 'key_hash', -7, 'run', run, 'pos', 9, 'status', status,
		'retry_count', 1, 'retry_in_ms', 3600000, 'error', 'boom')))
$$;

SELECT plan(44);

/* Who is refused. */
SELECT throws_ok($$SELECT outbox_settle(run + 1, system_identifier, timeline, NULL, NULL, NULL, NULL)
	FROM test.run$$, '55000', NULL, 'another run');
SELECT throws_ok($$SELECT outbox_settle(run, system_identifier, timeline + 1, NULL, NULL, NULL, NULL)
	FROM test.run$$, '55000', NULL, 'another timeline');
SELECT throws_ok($$SELECT outbox_settle(run, 1, timeline, NULL, NULL, NULL, NULL) FROM test.run$$,
	'55000', NULL, 'another system');
SELECT throws_ok($$SELECT outbox_settle(NULL, 1, 1, NULL, NULL, NULL, NULL)$$, '22004', NULL, 'no run');
SELECT throws_ok($$SELECT test.settle('[]')$$, '22023', 'facts must be a JSON object', 'facts of no use');
SELECT throws_ok($$SELECT test.settle(test.park(1, 'SENT'))$$, '23514', NULL, 'a status that no parked row has');
SELECT throws_ok($$SELECT outbox_maintain(2)$$, '55000', NULL, 'maintenance by another run');
SELECT is((SELECT count(*)::int FROM outbox.resolved), 0, 'none of them left anything');

/* The fence, until the transaction ends; the row of the relay keeps others out as well. */
BEGIN;
SELECT test.settle() \g /dev/null
SELECT results_eq($$SELECT mode FROM pg_locks WHERE objsubid = 3 AND objid = 2
	AND locktype = 'advisory' AND pid = pg_backend_pid()$$, $$VALUES ('ShareLock')$$, 'a settle shares the fence');
COMMIT;

/* Resolved and P. */
SELECT lives_ok($$SELECT test.settle(ids => '{[1,4),[6,7)}', "position" => '0/50')$$, 'ids and a position');
SELECT results_eq('SELECT * FROM outbox_resolved()', 'VALUES (1::bigint, 3::bigint), (6, 6)', 'are read back');
SELECT is((SELECT "position" FROM outbox.relay), '0/50'::pg_lsn, 'P has risen');
SELECT test.settle("position" => '0/40') \g /dev/null
SELECT test.settle() \g /dev/null
SELECT is((SELECT "position" FROM outbox.relay), '0/50'::pg_lsn, 'a lower one and none leave P alone');
SELECT test.settle(ids => '{[1,4),[6,7)}', "position" => '0/50') \g /dev/null
SELECT results_eq('SELECT * FROM outbox_resolved()', 'VALUES (1::bigint, 3::bigint), (6, 6)', 'said twice: the same');
SELECT is((SELECT count(*)::int FROM outbox.resolved), 2, 'an empty set makes no row');
SELECT outbox_maintain(run) FROM test.run \g /dev/null
SELECT is((SELECT count(*)::int FROM outbox.resolved), 2, 'what is younger than ten seconds is not merged');
UPDATE outbox.resolved SET resolved_at = resolved_at - interval '10 seconds';
SELECT outbox_maintain(run) FROM test.run \g /dev/null
SELECT is((SELECT string_agg(generation || ' ' || ids, ';') FROM outbox.resolved), '0 {[1,4),[6,7)}', 'merged to one row');
SELECT is((SELECT floor FROM outbox.relay), 3::bigint, 'the floor is below the first that is open');

/* Backlog: 4 and 5 of route 1, out of order. */
CREATE TABLE test.segment AS SELECT
	'{"backlog": [{"route": 1, "seq": 7, "generation": 0, "pos": 100, "ids": [5, 4, 8]}]}'::jsonb AS facts;
SELECT test.settle(facts) FROM test.segment \g /dev/null
SELECT test.settle(facts) FROM test.segment \g /dev/null
SELECT results_eq($$SELECT seq, generation, run, pos, ids, done FROM outbox_backlog(1::smallint, NULL, 0, 9)$$,
	$$SELECT 7::bigint, 0::smallint, run, 100::bigint, '{5,4,8}'::bigint[], '{}'::int4multirange FROM test.run$$,
	'a segment, said twice');
SELECT is(first_id || '-' || last_id, '4-8', 'least and greatest id') FROM outbox.backlog;
SELECT is_empty($$SELECT outbox_backlog(1::smallint, NULL, 7, 9)$$, 'none after it');
SELECT is_empty($$SELECT outbox_backlog(2::smallint, NULL, 0, 9)$$, 'none of the other route');
SELECT test.settle('{"progress": [{"route": 1, "seq": 7, "done": "{[0,1)}"},
	{"route": 1, "seq": 7, "done": "{[2,3)}"}]}') \g /dev/null
SELECT is(done, '{[0,1),[2,3)}'::int4multirange, 'progress of one segment, twice in a call') FROM outbox.backlog;
SELECT test.settle('{"progress": [{"route": 1, "seq": 7, "done": "{[1,2)}"}]}') \g /dev/null
SELECT is_empty('SELECT FROM outbox.backlog', 'a segment that is wholly done is gone');
SELECT lives_ok($$SELECT test.settle('{"progress": [{"route": 1, "seq": 7, "done": "{[1,2)}"}]}')$$,
	'said again: nothing to do');

/* Backlogs of keys, in the numbers of their route. */
SELECT test.settle('{"backlog": [{"route": 1, "seq": 8, "generation": 0, "pos": 103, "ids": [4, 5]},
	{"route": 1, "key_hash": -7, "seq": 9, "generation": 0, "run": 1, "pos": 50, "ids": [6, 7]},
	{"route": 1, "key_hash": 8, "seq": 10, "generation": 0, "run": 1, "pos": 60, "ids": [8]},
	{"route": 1, "key_hash": -7, "seq": 11, "generation": 0, "run": 1, "pos": 70, "ids": [9]},
	{"route": 2, "key_hash": -7, "seq": 1, "generation": 0, "run": 1, "pos": 50, "ids": [6]}]}') \g /dev/null
SELECT results_eq($$SELECT seq, ids FROM outbox_backlog(1::smallint, NULL, 0, 9)$$,
	$$VALUES (8::bigint, '{4,5}'::bigint[])$$, 'the backlog of the route has none of its keys''');
SELECT results_eq($$SELECT seq, run, pos, ids FROM outbox_backlog(1::smallint, -7, 0, 9)$$,
	$$VALUES (9::bigint, 1::bigint, 50::bigint, '{6,7}'::bigint[]), (11, 1, 70, '{9}')$$,
	'that of a key, with run and pos of its first messages');
SELECT is((SELECT array_agg(seq) FROM outbox_backlog(1::smallint, -7, 0, 1)), '{9}', 'so many of them');
SELECT is((SELECT array_agg(seq) FROM outbox_backlog(1::smallint, -7, 9, 9)), '{11}', 'and those after one');
SELECT test.settle('{"progress": [{"route": 1, "seq": 9, "done": "{[0,1)}"}]}') \g /dev/null
SELECT results_eq('SELECT * FROM outbox_backlog_summary()',
	'VALUES (1::smallint, -7, 11::bigint, 2::bigint), (1::smallint, 8, 10, 1), (1::smallint, NULL, 8, 2), (2::smallint, -7, 1, 1)',
	'the summary has each');
SELECT test.settle('{"progress": [{"route": 1, "seq": 8, "done": "{[0,2)}"}, {"route": 1, "seq": 9, "done": "{[1,2)}"},
	{"route": 1, "seq": 10, "done": "{[0,1)}"}, {"route": 1, "seq": 11, "done": "{[0,1)}"},
	{"route": 2, "seq": 1, "done": "{[0,1)}"}]}') \g /dev/null
SELECT is_empty('SELECT FROM outbox.backlog', 'they end like the others');

/* Parked. */
SELECT test.settle(test.park(5, 'FAILED')) \g /dev/null
SELECT test.settle(test.park(5, 'FAILED')) \g /dev/null
SELECT results_eq('SELECT message_id, route_id, generation, shard_id, key_hash, run, pos, status,
		retry_count, round(extract(epoch FROM next_retry_time - clock_timestamp()) / 600) FROM outbox_waiting(10)',
	$$VALUES (5::bigint, 2::smallint, 0::smallint, 3::smallint, -7, 1::bigint, 9::bigint, 'FAILED', 1,
		6::numeric)$$, 'a parked row, said twice: its time is by the clock of the server');
SELECT test.settle(test.park(5, 'CLAIMED', 2)) \g /dev/null
SELECT is(status || ' ' || run || ' ' || instance_id, 'CLAIMED 2 me', 'the later one replaces it') FROM outbox.parked;
SELECT ok(lock_until BETWEEN clock_timestamp() AND clock_timestamp() + '5 s',
	'claimed for as long as an attempt may take') FROM outbox.parked;
SELECT lives_ok($$SELECT test.settle(jsonb_build_object('park',
	(test.park(5, 'FAILED') -> 'park') || (test.park(5, 'DEAD') -> 'park')))$$, 'one row twice in a call');
SELECT is(status, 'DEAD', 'the last one counts') FROM outbox.parked;
SELECT is_empty('SELECT outbox_waiting(10)', 'what is DEAD holds nothing back');
UPDATE outbox.parked SET status = 'CANCELLED';
SELECT test.settle(test.park(5, 'FAILED')) \g /dev/null
SELECT is(status, 'CANCELLED', 'what a person cancelled stays so') FROM outbox.parked;
SELECT test.settle('{"unpark": [{"id": 5, "route": 1}]}') \g /dev/null
SELECT is((SELECT count(*)::int FROM outbox.parked), 1, 'another route''s delivery is not its own');
SELECT test.settle('{"unpark": [{"id": 5, "route": 2}]}') \g /dev/null
SELECT is_empty('SELECT FROM outbox.parked', 'a delivery removes it');

/* Attempts. */
SELECT test.settle('{"attempts": [{"id": 5, "route": 2, "attempt": 1, "started_ms": 1700000000123,
	"duration_us": 1500, "outcome": "TRANSIENT", "status": 503, "error": "boom", "answer": "6e6f"}]}') \g /dev/null
SELECT results_eq('SELECT message_id, route_id, attempt, started, duration, outcome, status, error, answer
		FROM outbox.attempt',
	$$VALUES (5::bigint, 2::smallint, 1, '2023-11-14 22:13:20.123+00'::timestamptz,
		interval '1.5 ms', 'TRANSIENT', 503, 'boom', '\x6e6f'::bytea)$$, 'an attempt');

/* All or nothing. */
SELECT throws_ok($$SELECT test.settle(test.park(6, 'FAILED') || '{"attempts": [{"id": 6}]}', '{[9,10)}')$$,
	'23502', NULL, 'a fact that lacks something');
SELECT ok(NOT EXISTS (SELECT FROM outbox.parked) AND NOT EXISTS (
	SELECT FROM outbox_resolved() WHERE 9 BETWEEN first AND last), 'and the rest of that settle is not there');
SELECT lives_ok($$SELECT test.settle(ids => '{[9,10)}')$$, 'the next one works');

SELECT * FROM finish();
