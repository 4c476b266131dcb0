/*
 * test/pgtap/relay_takeover.sql
 *
 * A lease holder that shows no sign of life is ended, others are not.  The
 * holder is a session made by dblink.  In a database of its own.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
\set QUIET 1
\set ON_ERROR_STOP 1
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE EXTENSION IF NOT EXISTS outbox;
CREATE SCHEMA test;

CREATE FUNCTION test.remote(session text, query text) RETURNS text LANGUAGE sql AS
	$$SELECT r FROM dblink(session, query) AS d (r text)$$;
/* Asks until it is true, for at most 20 seconds. */
CREATE FUNCTION test.until(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	deadline constant timestamptz := clock_timestamp() + '20 s';
	done boolean := false;
BEGIN
	LOOP
		EXECUTE query INTO done;
		EXIT WHEN done OR clock_timestamp() > deadline;
		PERFORM pg_sleep(0.02);
	END LOOP;
	RETURN done;
END
$$;
SELECT dblink_connect(s, format('dbname=%L host=%L port=%s user=%L', current_database(),
	split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_user))
FROM unnest('{holder,bystander}'::text[]) AS s \g /dev/null

SELECT 'outbox_test_' || oid AS slot FROM pg_database WHERE datname = current_database() \gset
SELECT plan(22);

SELECT is(test.remote('holder', $$SELECT outbox_lease('old')$$), 't', 'another session has the lease');
SELECT is(test.remote('bystander', 'SELECT pg_try_advisory_lock(1869968482, 1)'), 't',
	'a bystander holds a lock of nearly the same name');
SELECT ok(NOT outbox_lease('new'), 'we cannot have the lease');
SELECT ok(NOT outbox_lease('new'), 'nor when asked again');
SELECT ok(NOT outbox_takeover('s', 600000), 'a young lease is left alone before the relay has started');
SELECT is(test.remote('holder', $$SELECT run FROM outbox_start('old', 's')$$), '1', 'the holder starts');
SELECT ok(NOT outbox_takeover('s', 600000), 'and is left alone');

/* Signs of life count anew: without its own session it was long ago. */
SELECT is((SELECT pid FROM outbox.relay), test.remote('holder', 'SELECT pg_backend_pid()')::int, 'its backend is known');
SELECT ok(test.until($$SELECT outbox.last_heard(pid, NULL) < clock_timestamp() - interval '3.1 s' FROM outbox.relay$$),
	'it falls silent');
SELECT test.remote('holder', 'SELECT outbox_maintain(run) FROM outbox.relay') \g /dev/null
SELECT ok(NOT outbox_takeover('s', 3000), 'a holder that has done something is left alone');

/*
 * So they do while its walsender makes the slot, which waits for a transaction
 * that is open; such a walsender has not replied yet.
 */
SELECT dblink_exec('bystander', 'BEGIN; CREATE TABLE test.open ()') \g /dev/null
SELECT dblink_connect('maker', format('dbname=%L host=%L port=%s user=%L replication=database', current_database(),
	split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_user)) \g /dev/null
SELECT dblink_send_query('maker', format('CREATE_REPLICATION_SLOT %s LOGICAL outbox_decoder (SNAPSHOT ''nothing'')', :'slot')) \g /dev/null
SELECT ok(test.until(format('SELECT active_pid IS NOT NULL FROM pg_replication_slots WHERE slot_name = %L', :'slot')),
	'a slot is being made');
SELECT ok(test.until(format('SELECT outbox.last_heard(pid, active_pid) < clock_timestamp() - interval ''3.1 s'''
	' FROM outbox.relay, pg_replication_slots WHERE slot_name = %L', :'slot')), 'and nothing else happens');
SELECT test.remote('holder', 'SELECT outbox_maintain(run) FROM outbox.relay') \g /dev/null
SELECT ok(NOT outbox_takeover(:'slot', 3000), 'a holder that waits for its slot is left alone');
SELECT dblink_exec('bystander', 'ROLLBACK') \g /dev/null
SELECT ok(test.until(format('SELECT active_pid IS NULL FROM pg_replication_slots WHERE slot_name = %L', :'slot')),
	'the slot is made');
SELECT dblink_disconnect('maker') \g /dev/null

/* A backend that reads the slot by SQL is no walsender at all. */
SELECT ok(outbox.last_heard(pid, pg_backend_pid()) = outbox.last_heard(pid, NULL),
	'a person who has the slot takes nothing from the holder') FROM outbox.relay;
SELECT lives_ok(format('SELECT pg_drop_replication_slot(%L)', :'slot'), 'the slot is dropped');

SELECT ok(test.until($$SELECT outbox_takeover('s', 1000)$$), 'when it is silent for long enough it is ended');
SELECT ok(test.until($$SELECT outbox_lease('new')$$), 'then the lease is free');
SELECT is((SELECT run FROM outbox_start('new', 's')), 2::bigint, 'and a new run begins');
SELECT throws_matching($$SELECT test.remote('holder', 'SELECT 1')$$, '.', 'the old session is gone');
SELECT is(test.remote('bystander', 'SELECT 1'), '1', 'the bystander is not');
SELECT ok(NOT outbox_takeover('s', 1000), 'nobody takes over from himself');

SELECT * FROM finish();
SELECT dblink_disconnect('bystander') \g /dev/null
