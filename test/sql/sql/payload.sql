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
TRUNCATE outbox.message;
-- every character that is escaped, and its neighbours, at every place of a word
SELECT count(outbox_enqueue('string', to_jsonb(repeat('.', before) || chr(c) || repeat('.', after)), tag => format('%s/%s/%s', before, c, after)))
FROM unnest(array(SELECT generate_series(1, 35)) || '{47,91,92,93,126,127,128,160,8364,128512}'::integer[]) c, generate_series(0, 8) before, (VALUES (0), (1), (7), (8), (9)) a (after);
SELECT count(*), count(DISTINCT payload), count(*) FILTER (WHERE payload <> convert_to(to_jsonb(repeat('.', part[1]) || chr(part[2]) || repeat('.', part[3]))::text, 'UTF8')) AS wrong
FROM (SELECT payload, string_to_array(tag, '/')::integer[] AS part FROM outbox.message WHERE type = 'string') m;
-- every shape
CREATE TEMPORARY TABLE shape (n serial, js jsonb);
INSERT INTO shape (js) VALUES ('1'), ('-0.50'), ('1e300'), ('1.0e-7'), ('true'), ('false'), ('null'), ('""'), ('"a"'), ('{}'), ('[]'), ('[[]]'),
	('[{}]'), ('[{}, {}]'), ('[[], []]'), ('{"": ""}'), ('{"a": {}}'), ('{"a": []}'), ('{"a": [], "b": {}, "c": null}'), ('[1, "a", null, true, [2, [3]], {"b": 4}, 5]'),
	('{"a": {"b": {"c": [1, {"d": [], "e": {}}, 2]}, "f": false}, "g": [[1], [2]]}'), ('{"\"\\": "\u0001\t"}'),
	((repeat('[', 2000) || repeat(']', 2000))::jsonb), ((repeat('{"k": ', 1000) || '0' || repeat('}', 1000))::jsonb);
INSERT INTO shape (js) SELECT jsonb_build_object('n', i, 'all', (SELECT jsonb_agg(js ORDER BY js) FROM shape), 'text', repeat('"', i)) FROM generate_series(1, 20) i;
SELECT count(outbox_enqueue('shape', js, tag => n::text)) FROM shape;
SELECT count(*), count(*) FILTER (WHERE payload <> convert_to(js::text, 'UTF8')) AS wrong FROM outbox.message JOIN shape ON tag = n::text;
-- 64 MB is the most that can be allowed
BEGIN;
SELECT outbox_set('max_payload', '64MB');
SELECT outbox_enqueue_bytes('huge', convert_to(repeat('x', 67108864), 'UTF8')) > 0 AS id;
SELECT length(payload) FROM outbox.message WHERE type = 'huge';
SELECT left(outcome($$SELECT outbox_enqueue_bytes('huge', convert_to(repeat('x', 67108865), 'UTF8'))$$), 120);
ROLLBACK;
