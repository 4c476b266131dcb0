--
-- outbox_set() and outbox_get().
--
SELECT outbox_get('max_payload'), outbox_get('allow_unrouted');
SELECT outbox_set('max_payload', '64kB');
SELECT outbox_get('max_payload');
SELECT outbox_set('max_payload', '67108864');
SELECT outbox_get('max_payload');
SELECT outbox_set('allow_unrouted', 'on');
SELECT outbox_get('allow_unrouted');
SELECT * FROM outbox.setting ORDER BY name;
SELECT name, value, outcome(format('SELECT outbox_set(%L, %L)', name, value))
FROM (VALUES (NULL, '1'), ('nothing', '1'), ('max_payload', '0'), ('max_payload', '-1'), ('max_payload', '65MB'), ('max_payload', 'many'),
	('max_payload', ''), ('allow_unrouted', 'maybe'), ('Max_Payload', '1')) v (name, value);
SELECT outcome('SELECT outbox_get(NULL)'), outcome('SELECT outbox_get(''nothing'')');
SELECT outbox_set('max_payload', NULL), outbox_set('allow_unrouted', NULL);
SELECT outbox_get('max_payload'), outbox_get('allow_unrouted');
SELECT count(*) FROM outbox.setting;
-- a change counts at once, and not when it is rolled back
BEGIN;
SELECT outbox_set('max_payload', '3');
SELECT outcome($$SELECT outbox_enqueue('x', '1234')$$), outcome($$SELECT outbox_enqueue('x', '123')$$);
ROLLBACK;
SELECT outcome($$SELECT outbox_enqueue('x', '1234')$$);
-- one that this version does not allow hinders nobody
BEGIN;
INSERT INTO outbox.setting VALUES ('max_payload', '1TB'), ('allow_unrouted', 'at night');
SELECT outbox_enqueue('x', '1234') > 0 AS id;
SELECT outbox_get('max_payload');
ROLLBACK;
BEGIN READ ONLY;
SELECT outbox_get('max_payload');
SELECT outbox_set('max_payload', '3');
ROLLBACK;
