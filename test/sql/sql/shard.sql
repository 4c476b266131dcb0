--
-- outbox_shard(): Kafka's murmur2, whose vectors are in UtilsTest of the Java client.
--
SELECT key, outbox_shard(key), (hash & 2147483647) % 1024 AS expected
FROM (VALUES
	('21', -973932308),
	('foobar', -790332482),
	('a-little-bit-long-string', -985981536),
	('a-little-bit-longer-string', -1486304829),
	('lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971),
	('abc', 479470107),
	('', 275646681)) AS vectors (key, hash);
SELECT outbox_shard(NULL) IS NULL AS strict;
SELECT min(outbox_shard(i::text)), max(outbox_shard(i::text)), count(DISTINCT outbox_shard(i::text))
FROM generate_series(1, 20000) i;
-- every leaf gets its share, within a fifth
SELECT min(n) > 2000 AND max(n) < 3000 AS even
FROM (SELECT count(*) AS n FROM generate_series(1, 20000) i GROUP BY outbox_shard(i::text) / 128) s;
EXPLAIN (COSTS OFF, VERBOSE) SELECT outbox_shard('21');
-- without a key the id's bytes, the highest first: murmur2 of X'0000011F71FB04CB'
BEGIN;
SELECT outbox_set('allow_unrouted', 'true');
ALTER SEQUENCE outbox.message_id_seq RESTART 1234567890123;
SELECT outbox_enqueue('x', '1');
SELECT id, shard_id FROM outbox.message;
ROLLBACK;
