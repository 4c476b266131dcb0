--
-- outbox_enqueue() and outbox_enqueue_bytes(): what the row is.
--
TRUNCATE outbox.message;
SELECT outbox_enqueue('order.created', '{"b": 1,   "a": "ä"}', topic => 'orders', tag => 'red', message_key => 'k1',
	sharding_key => '21', headers => '{"X-A": "v"}') > 0 AS id;
SELECT outbox_enqueue('order.created', 'null', message_key => '21') > 0 AS id;
SELECT outbox_enqueue('order.created', '1') > 0 AS id;
SELECT outbox_enqueue_bytes('raw', '\x00ff0d0a') > 0 AS id;
SELECT outbox_enqueue_bytes('raw', '', 'text/plain; charset=utf-8', headers => '{}') > 0 AS id;
SELECT row_number() OVER (ORDER BY id) AS n, create_time BETWEEN now() - interval '1 minute' AND now() AS fresh, deliver_at, generation,
	shard_id = coalesce(outbox_shard(coalesce(sharding_key, message_key)), shard_id) AS shard, type, biz_key, topic, tag, message_key,
	sharding_key, content_type, headers, payload
FROM outbox.message ORDER BY id;
SELECT encode(payload, 'escape') AS payload FROM outbox.message WHERE tag = 'red';

-- in the leaf that its shard says, found by id through the index
SELECT bool_and(tableoid::regclass::text = format('outbox.message_%s_%s', generation, shard_id / 128)) AS in_leaf FROM outbox.message;
SET enable_seqscan = off;
SELECT count(*) FROM outbox.message m WHERE id IN (SELECT id FROM outbox.message);
RESET enable_seqscan;

-- ids rise; their high bits are base and timeline
SELECT count(DISTINCT id) = 5 AS distinct, max(id >> 47) AS prefix FROM outbox.message;

-- spread without a key
SELECT count(outbox_enqueue('spread', '1')) FROM generate_series(1, 200);
SELECT count(DISTINCT tableoid) AS leaves FROM outbox.message WHERE type = 'spread';

-- the generation pointer is followed, back and forth
UPDATE outbox.generation SET current = 2;
SELECT outbox_enqueue('second', '1', message_key => '21') > 0 AS id;
UPDATE outbox.generation SET current = 0;
SELECT outbox_enqueue('second', '1', message_key => '21') > 0 AS id;
SELECT tableoid::regclass, generation FROM outbox.message WHERE type = 'second' ORDER BY id;

-- from a query, a CTE, a prepared statement
SELECT count(*) FROM (SELECT outbox_enqueue('x', to_jsonb(i)) FROM generate_series(1, 3) i OFFSET 0) s;
WITH s AS (INSERT INTO outbox.setting VALUES ('unused', '1') RETURNING name) SELECT outbox_enqueue('x', to_jsonb(name)) > 0 AS id FROM s;
DELETE FROM outbox.setting;
PREPARE enqueue (text, jsonb) AS SELECT outbox_enqueue($1, $2) > 0 AS id;
EXECUTE enqueue ('x', '"prepared"');
EXECUTE enqueue ('x', '"twice"');
DEALLOCATE enqueue;
SELECT provolatile, proparallel, prosecdef FROM pg_proc WHERE proname ~ '^outbox_enqueue' GROUP BY 1, 2, 3;
BEGIN READ ONLY;
SELECT outbox_enqueue('x', '1');
ROLLBACK;
