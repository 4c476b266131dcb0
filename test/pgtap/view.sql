/*
 * test/pgtap/view.sql
 *
 * The derived status, and what outbox_status, outbox_relay_status and
 * outbox_trace tell.  In a database of its own.
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
SELECT outbox_route_create('one', 'http', 'http://one.example/', '{order}') \g /dev/null
SELECT outbox_route_create('two', 'kafka', 'main/orders', '{order}',
	options => '{"trace": "all", "ordering": "none", "max_attempts": 3}') \g /dev/null
SELECT outbox_enqueue_bytes('order', '\x01', 'a/b', message_key => 'k', tag => 'x')
FROM generate_series(1, 8) \g /dev/null
SELECT outbox_enqueue_bytes('other', '\x', 'a/b') \g /dev/null
SELECT outbox_lease('me') \g /dev/null
CREATE TABLE test.run AS SELECT * FROM outbox_start('me', 'no_such_slot');
CREATE FUNCTION test.settle(ids int8multirange, facts jsonb DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	SELECT outbox_settle(run, system_identifier, timeline, NULL, '{0}', ARRAY[ids], facts) FROM test.run
$$;
CREATE FUNCTION test.parked(id bigint, route int, status text, error text DEFAULT NULL) RETURNS jsonb
LANGUAGE sql AS $$
	SELECT jsonb_build_object('id', id, 'route', route, 'generation', 0, 'shard', 0, 'run', 1, 'pos', id,
		'status', status, 'retry_count', 2, 'retry_in_ms', 3600000, 'error', error)
$$;
CREATE FUNCTION test.status(bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', route, status), ', ' ORDER BY route_id) FROM outbox.messages WHERE id = $1
$$;

SELECT plan(33);

SELECT is(test.status(1), 'one NEW, two NEW', 'NEW at first');
SELECT test.settle('{[1,2)}') \g /dev/null
SELECT is(test.status(1), 'one SENT, two SENT', 'SENT when resolved');
SELECT test.settle('{[2,6)}', jsonb_build_object(
	'backlog', '[{"route": 1, "seq": 1, "generation": 0, "pos": 2, "ids": [2, 3]}]'::jsonb,
	'park', jsonb_build_array(test.parked(3, 2, 'FAILED', 'first'), test.parked(4, 1, 'CLAIMED'),
		test.parked(4, 2, 'DEAD', 'second'), test.parked(5, 1, 'CANCELLED'), test.parked(5, 2, 'NEW'),
		test.parked(7, 1, 'FAILED', 'third')))) \g /dev/null
SELECT is(test.status(2), 'one NEW, two SENT', 'NEW while in the backlog, SENT elsewhere');
SELECT is(test.status(3), 'one NEW, two FAILED', 'parked counts before resolved');
SELECT is(test.status(4), 'one CLAIMED, two DEAD', 'CLAIMED and DEAD');
SELECT is(test.status(5), 'one CANCELLED, two NEW', 'CANCELLED is never SENT, a follower is NEW');
SELECT is(test.status(6), 'one NEW, two NEW', 'not resolved: NEW');
SELECT is(test.status(7), 'one FAILED, two NEW', 'parked on one route, under way on the other');
SELECT is(test.status(9), 'NEW', 'a message without routes has one row');
SELECT is(test.status(99), NULL, 'no message, no row');
SELECT results_eq('SELECT retry_count, round(extract(epoch FROM next_retry_time - clock_timestamp()) / 600), instance_id, last_error, kind, type, tag,
		message_key, payload FROM outbox.messages WHERE id = 3 AND route = ''two''',
	$$VALUES (2, 6::numeric, 'me', 'first', 'kafka', 'order', 'x', 'k', '\x01'::bytea)$$,
	'the classic columns');
SELECT columns_are('outbox', 'messages', '{id,generation,shard_id,route_id,route,kind,type,topic,tag,biz_key,
	message_key,sharding_key,status,retry_count,next_retry_time,instance_id,lock_until,last_error,deliver_at,
	create_time,update_time,content_type,headers,payload}', 'all its columns');

/* Out of the segment, which still has another. */
SELECT test.settle('{}', '{"progress": [{"route": 1, "seq": 1, "done": "{[0,1)}"}]}') \g /dev/null
SELECT is(test.status(2), 'one SENT, two SENT', 'SENT once it has left the backlog');
SELECT is(detail, 'segment 1, element 0, left', 'a backlog in words') FROM outbox_trace(2) WHERE event = 'backlog';
SELECT is(test.status(3), 'one NEW, two FAILED', 'its neighbour waits');
SELECT test.settle('{}', '{"progress": [{"route": 1, "seq": 1, "done": "{[1,2)}"}], "backlog": [{"route": 1,
	"key_hash": 5, "seq": 2, "generation": 0, "run": 1, "pos": 2, "ids": [3]}]}') \g /dev/null
SELECT is(test.status(3), 'one NEW, two FAILED', 'NEW in the backlog of its key');
SELECT is(detail, 'segment 2 of its key, element 0, waits', 'which its story tells')
FROM outbox_trace(3) WHERE event = 'backlog';
SELECT test.settle('{}', '{"unpark": [{"id": 3, "route": 2}]}') \g /dev/null
SELECT is(test.status(3), 'one NEW, two SENT', 'SENT when a retry was delivered');

SELECT results_eq('SELECT route, kind, state, backlog, new, claimed, failed, dead, cancelled, last_error
		FROM outbox_status()',
	$$VALUES ('one', 'http', 'active', 1::bigint, 0::bigint, 1::bigint, 1::bigint, 0::bigint, 1::bigint, 'third'),
		('two', 'kafka', 'active', 0, 1, 0, 0, 1, 0, 'second')$$, 'counts by route');
SELECT is((SELECT now() - oldest_age FROM outbox_status() WHERE route = 'one'),
	(SELECT create_time FROM outbox.message WHERE id = 3), 'how long the oldest waits');

SELECT outbox_route_drop('two') \g /dev/null
SELECT is((SELECT state FROM outbox_status() WHERE route = 'two'), 'dropped', 'a dropped route shows while it has something');

SELECT results_eq('SELECT instance, lease_pid = pg_backend_pid(), armed, epoch, floor, undecided, slot, slot_active
		FROM outbox_relay_status()',
	$$VALUES ('me', true, true, 1::bigint, 0::bigint, 4::bigint, 'no_such_slot', NULL::boolean)$$, 'the relay');
SELECT outbox_maintain(run) FROM test.run \g /dev/null
SELECT is((SELECT floor FROM outbox_relay_status()), 5::bigint, 'and how far all is resolved');
SELECT is(test.status(1), 'one SENT, two SENT', 'below the floor the ranges are not asked');

/* Three deliveries now, of one of them no id was resolved; twenty an hour ago. */
SELECT test.settle('{}', '{"sent": {"0": {"1": 2}, "1": {"1": 5}}}') \g /dev/null
SELECT test.settle('{}', '{"sent": {"0": {"1": 1, "2": 1}}}') \g /dev/null
INSERT INTO outbox.resolved VALUES (0, '{}', now() - interval '1 hour', 1, '{"1": 20}'),
	(0, '{}', now() - interval '1 hour', 1, '{"1": 1, "2": 4}');
SELECT results_eq('SELECT route, sent, rate FROM outbox_status()',
	$$VALUES ('one', 24::bigint, 0.3::float8), ('two', 5, 0.1)$$, 'deliveries so far, and a second of the last ten');
SELECT outbox_maintain(run) FROM test.run \g /dev/null
SELECT results_eq('SELECT route, sent, rate FROM outbox_status()',
	$$VALUES ('one', 24::bigint, 0.3::float8), ('two', 5, 0.1)$$, 'merging changes neither');

SELECT test.settle('{}', '{"attempts": [{"id": 4, "route": 2, "attempt": 1, "started_ms": 32503680000000,
	"duration_us": 2500, "outcome": "PERMANENT", "status": 404, "error": "no"}]}') \g /dev/null
SELECT is((SELECT string_agg(event || ' ' || coalesce(route, '-'), ', ' ORDER BY event COLLATE "C") FROM outbox_trace(4)),
	'CLAIMED one, DEAD two, attempt two, enqueued -, resolved -', 'the story of a message');
SELECT is(detail, '1: PERMANENT, status 404, 2.500 ms: no', 'an attempt in words')
FROM outbox_trace(4) WHERE event = 'attempt';
SELECT is_empty('SELECT outbox_trace(99)', 'no message, no story');

SELECT results_eq('SELECT name, state, ordering, retry_initial_ms, retry_max_ms, retry_multiplier, max_attempts,
		timeout_ms, connect_timeout_ms, concurrency, trace FROM outbox_routes()',
	$$VALUES ('one', 'active', 'key', 1000, 600000, 2::real, 16, 10000, 3000, 16, 'failures'),
		('two', 'dropped', 'none', 1000, 600000, 2::real, 3, 10000, 3000, 4000, 'all')$$, 'routes with their options');

SELECT test.settle('{[1,10)}') \g /dev/null
SELECT is((SELECT undecided FROM outbox_relay_status()), 0::bigint, 'nothing is undecided');
SELECT outbox_maintain(run) FROM test.run \g /dev/null
SELECT is((SELECT undecided FROM outbox_relay_status()), 0::bigint, 'neither when the floor is at the last id');

/* By id, on full leaves: index look-ups only. */
INSERT INTO outbox.message (id, create_time, generation, shard_id, routes, type, content_type, payload)
SELECT i, now(), g, i % 1024, '{1}', 't', 'a/b', '\x01'
FROM generate_series(100, 30000) AS i CROSS JOIN generate_series(-1, 2) AS g;
ANALYZE outbox.message;
CREATE FUNCTION test.plan() RETURNS SETOF text LANGUAGE plpgsql AS
	$$BEGIN RETURN QUERY EXECUTE 'EXPLAIN SELECT * FROM outbox.messages WHERE id = 77'; END$$;
SELECT is_empty($$SELECT p FROM test.plan() AS p WHERE p LIKE '%Seq Scan on message%'$$, 'no scan of a leaf');

SELECT * FROM finish();
