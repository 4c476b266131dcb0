--
-- outbox_enqueue_many().
--
TRUNCATE outbox.message;
SELECT outbox_enqueue_many('m', '{}'), outbox_enqueue_many('m', ARRAY[]::jsonb[], '{}');
SELECT array_length(outbox_enqueue_many('m', ARRAY['1', '{"a": 2}', 'null']::jsonb[], '{21,NULL,foobar}', topic => 't', tag => 'red',
	headers => '{"X": 1}', biz_keys => '{b1,NULL,b3}'), 1) AS n;
SELECT row_number() OVER (ORDER BY id) AS n, message_key, biz_key, topic, tag, headers, encode(payload, 'escape') AS payload,
	shard_id = outbox_shard(message_key) AS shard FROM outbox.message ORDER BY id;
-- ids in the order of the payloads, one sharding key for all
CREATE TEMPORARY TABLE enqueued AS
	SELECT outbox_enqueue_many('o', array_agg(to_jsonb(i) ORDER BY i), sharding_key => 's') AS ids FROM generate_series(1, 5000) i;
SELECT count(*), bool_and(m.payload = convert_to(u.n::text, 'UTF8')) AS in_order, count(DISTINCT shard_id) AS shards
FROM enqueued, unnest(ids) WITH ORDINALITY u (id, n) JOIN outbox.message m USING (id);
DROP TABLE enqueued;
-- over all leaves at once
SELECT array_length(outbox_enqueue_many('l', array_agg('1'::jsonb), array_agg(i::text)), 1) FROM generate_series(1, 1000) i;
SELECT count(DISTINCT tableoid), count(*) FROM outbox.message WHERE type = 'l';
-- the first one's id, within one call too
SELECT ids[1] = ids[2] AS same, ids[1] <> ids[3] AS other
FROM outbox_enqueue_many('d', '{1,2,3}', biz_keys => '{x,x,y}', on_duplicate => 'ignore') ids;
SELECT biz_key, encode(payload, 'escape') AS payload FROM outbox.message WHERE type = 'd' ORDER BY id;
SELECT call, outcome('SELECT outbox_enqueue_many(' || call || ')')
FROM (VALUES ('''d'', NULL'), ('''d'', ''{1,NULL}'''), ('NULL, ''{1}'''), ('''d'', ''{1,2}'', ''{a}'''), ('''d'', ''{1}'', biz_keys => ''{a,b}'''),
	('''d'', ''{1,2}'', biz_keys => ''{z,z}'''), ('''d'', ''{1}'', on_duplicate => ''x'''), ('''d'', ''{1}'', deliver_at => now()'),
	('''d'', ''{1}'', ''{""}'''), ('''d'', ''{1}'', headers => ''{"Host": "x"}''')) v (call);
-- all or nothing
SELECT count(*) FROM outbox.message WHERE type = 'd';
