--
-- Payloads of every size arrive byte for byte, at the edge of TOAST and above.
--
TRUNCATE outbox.message;
SELECT count(outbox_enqueue_bytes('size', decode(repeat('0a', n), 'hex'), tag => n::text))
FROM (SELECT generate_series(0, 3) UNION ALL SELECT generate_series(120, 135) UNION ALL SELECT generate_series(1900, 2100) UNION ALL
	SELECT generate_series(8100, 8200) UNION ALL VALUES (32768), (32769), (65536), (1048576)) s (n);
SELECT count(*), count(*) FILTER (WHERE payload <> decode(repeat('0a', tag::integer), 'hex')) AS wrong FROM outbox.message WHERE type = 'size';
-- such as cannot be compressed
SELECT count(outbox_enqueue_bytes('noise', (SELECT string_agg(sha256(int4send(i)), '') FROM generate_series(1, n) i), tag => n::text))
FROM (VALUES (1), (62), (63), (64), (65), (255), (256), (1024), (32768)) v (n);
SELECT count(*), count(*) FILTER (WHERE payload <> (SELECT string_agg(sha256(int4send(i)), '') FROM generate_series(1, tag::integer) i)) AS wrong
FROM outbox.message WHERE type = 'noise';
-- jsonb is rendered as the server prints it
SELECT count(outbox_enqueue('json', jsonb_build_object('a', repeat('ä"', n), 'n', n))) FROM generate_series(990, 1010) n;
SELECT count(*), count(*) FILTER (WHERE convert_from(payload, 'UTF8') <> jsonb_build_object('a', repeat('ä"', n), 'n', n)::text) AS wrong
FROM outbox.message, LATERAL (SELECT (convert_from(payload, 'UTF8')::jsonb ->> 'n')::integer) v (n) WHERE type = 'json';
-- 64 MB is the most that can be allowed
BEGIN;
SELECT outbox_set('max_payload', '64MB');
SELECT outbox_enqueue_bytes('huge', convert_to(repeat('x', 67108864), 'UTF8')) > 0 AS id;
SELECT length(payload) FROM outbox.message WHERE type = 'huge';
SELECT left(outcome($$SELECT outbox_enqueue_bytes('huge', convert_to(repeat('x', 67108865), 'UTF8'))$$), 120);
ROLLBACK;
