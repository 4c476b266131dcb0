--
-- Bases and eras: ids stay unique when the database moves to another cluster.
-- An unknown system identifier is played by changing the row.
--
SELECT system_identifier = (SELECT system_identifier FROM pg_control_system()) AS here, base, era, armed FROM outbox.cluster;
BEGIN;
TRUNCATE outbox.message, outbox.dedup;
UPDATE outbox.cluster SET system_identifier = 1;
SELECT outbox_enqueue('i', '1') >> 47 AS prefix;
SELECT system_identifier = 1 AS old, base, era, armed FROM outbox.cluster ORDER BY era;
-- a second time: the row is there
SELECT outbox_enqueue('i', '2') >> 47 AS prefix;
SELECT count(*) FROM outbox.cluster;
ROLLBACK;
SELECT outbox_enqueue('i', '3') >> 47 AS prefix;
-- where the row is there, nobody who makes a route holds up others
BEGIN;
SELECT outbox_route_create('unlocked', 'http', 'http://h/') > 0 AS id;
SELECT count(*) AS locks FROM pg_locks
WHERE pid = pg_backend_pid() AND relation = 'outbox.cluster'::regclass AND mode LIKE 'Share%Exclusive%';
ROLLBACK;
-- a restore into the same database makes the schema anew
BEGIN;
SELECT is_armed FROM outbox.is_armed();
UPDATE outbox.cluster SET schema_oid = 1;
SELECT is_armed FROM outbox.is_armed();
SELECT outbox_enqueue('i', '4') >> 47 AS prefix, outbox.last_id() >> 47 AS last_prefix;
SELECT schema_oid = 'outbox'::regnamespace AS here, base, era, armed FROM outbox.cluster ORDER BY era;
SELECT outbox_arm();
SELECT schema_oid = 'outbox'::regnamespace AS here, armed FROM outbox.cluster ORDER BY era;
ROLLBACK;
-- above every id that is recorded anywhere
CREATE FUNCTION next_prefix(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	prefix bigint;
BEGIN
	UPDATE outbox.cluster SET system_identifier = 1, era = 4;
	EXECUTE statement;
	prefix := outbox_enqueue('i', '1') >> 47;
	RAISE EXCEPTION '% era %', prefix, (SELECT max(era) FROM outbox.cluster);
EXCEPTION WHEN raise_exception THEN
	RETURN SQLERRM;
END
$$;
SELECT place, next_prefix(statement) FROM (VALUES
	('message', 'INSERT INTO outbox.message SELECT 7::bigint << 47, now(), NULL, 1, 5, ''{}'', ''t'', NULL, NULL, NULL, NULL, NULL, ''a/b'', NULL, '''''),
	('held', 'INSERT INTO outbox.message SELECT (8::bigint << 47) + 9, now(), NULL, -1, 5, ''{}'', ''t'', NULL, NULL, NULL, NULL, NULL, ''a/b'', NULL, '''''),
	('resolved', 'INSERT INTO outbox.resolved VALUES (0, int8multirange(int8range(5, 9::bigint << 47)), now(), 1)'),
	('resolved', 'INSERT INTO outbox.resolved VALUES (0, int8multirange(int8range(5, (9::bigint << 47) + 1)), now(), 1)'),
	('backlog', 'INSERT INTO outbox.backlog SELECT 1, 1, 0, 1, 1, 1, 10::bigint << 47, ''{}'''),
	('parked', 'INSERT INTO outbox.parked (message_id, route_id, generation, shard_id, status) VALUES (11::bigint << 47, 1, 0, 0, ''DEAD'')'),
	('dedup', 'INSERT INTO outbox.dedup VALUES (''t'', ''k'', 12::bigint << 47, now())'),
	('cluster', 'UPDATE outbox.cluster SET base = 13')) v (place, statement);
-- out of range
BEGIN;
UPDATE outbox.cluster SET base = 65535;
SELECT outbox_enqueue('i', '1') >> 47 AS last_prefix;
ROLLBACK;
SELECT next_prefix('UPDATE outbox.cluster SET base = 65535');
BEGIN;
ALTER SEQUENCE outbox.message_id_seq RESTART 140737488355327;
SELECT outbox_enqueue('i', '1') & 140737488355327 AS last;
SELECT outcome($$SELECT outbox_enqueue('i', '1')$$);
ROLLBACK;
DROP FUNCTION next_prefix;
