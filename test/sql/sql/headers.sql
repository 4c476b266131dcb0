--
-- Headers of a message.
--
CREATE FUNCTION headers(given jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := outcome(format('SELECT outbox_enqueue(''t'', ''1'', headers => %L)', given));
BEGIN
	IF result = 'ok' THEN
		SELECT coalesce(headers::text, 'none') INTO result FROM outbox.message ORDER BY id DESC LIMIT 1;
	END IF;
	RETURN result;
END
$$;
SELECT given, headers(given::jsonb)
FROM (VALUES (NULL), ('{}'), ('{"X-A": "v"}'), ('{"a": 1.50, "b": true, "c": false}'), ('{"!#$%&''*+-.^_`|~09Az": ""}'), ('{"a": "ä 🙂"}'),
	('[]'), ('"a"'), ('null'), ('{"a": null}'), ('{"a": {}}'), ('{"a": ["b"]}'),
	('{"": "v"}'), ('{"a b": "v"}'), ('{"a:": "v"}'), ('{"ä": "v"}'), ('{"a\r\nb": "v"}'),
	('{"a": "v\r\nX: y"}'), ('{"a": "v\n"}'), ('{"a": "\u0001"}'), ('{"a": "\t"}'), ('{"a": "\u007f"}')) v (given);
SELECT name, headers(jsonb_build_object(name, 'v'))
FROM (VALUES ('Host'), ('content-length'), ('Content-Type'), ('TRANSFER-ENCODING'), ('Connection'), ('Keep-Alive'), ('Expect'), ('TE'),
	('Trailer'), ('Upgrade'), ('Proxy-Connection'), ('Outbox-Id'), ('outbox-'), ('Outbox'), ('Hosts')) v (name);
-- 64 of them, 16 kB in all
SELECT n, left(headers((SELECT jsonb_object_agg('h' || i, 'v') FROM generate_series(1, n) i)), 40) FROM (VALUES (64), (65)) v (n);
SELECT n, left(headers(jsonb_build_object('abcd', repeat('x', n))), 80) FROM (VALUES (16380), (16381), (65536)) v (n);
DROP FUNCTION headers;
