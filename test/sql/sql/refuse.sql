--
-- Arguments that are refused: SQLSTATE, message, hint, never the payload.
--
SELECT count(*) AS before FROM outbox.message \gset
SELECT call, outcome('SELECT outbox_enqueue(' || call || ')')
FROM (VALUES ('NULL, ''"secret"'''), (''''', ''"secret"'''), ('''t'', NULL'),
	('''t'', ''"secret"'', biz_key => '''''), ('''t'', ''"secret"'', tag => '''''),
	('''t'', ''"secret"'', message_key => '''''), ('''t'', ''"secret"'', topic => '''''),
	('''t'', ''"secret"'', topic => ''a b'''), ('''t'', ''"secret"'', topic => ''..'''), ('''t'', ''"secret"'', topic => ''ä'''),
	('E''a\nb'', ''"secret"'''), ('E''a\x7f'', ''"secret"'''), ('''t'', ''"secret"'', message_key => E''a\rb'''),
	('''t'', ''"secret"'', deliver_at => now()'), ('''t'', ''"secret"'', on_duplicate => ''skip'''),
	('''t'', ''"secret"'', on_duplicate => NULL')) v (call);
-- limits: the longest is allowed, one more is not
SELECT field, outcome(format('SELECT outbox_enqueue(''t'', ''1'', %s => %L)', field, repeat('x', most))) AS most,
	outcome(format('SELECT outbox_enqueue(''t'', ''1'', %s => %L)', field, repeat('x', most + 1))) AS more
FROM (VALUES ('biz_key', 255), ('topic', 249), ('tag', 255), ('message_key', 1024), ('sharding_key', 1024)) v (field, most);
SELECT outcome(format('SELECT outbox_enqueue(%L, ''1'')', repeat('ä', 127))), outcome(format('SELECT outbox_enqueue(%L, ''1'')', repeat('ä', 128)));
SELECT type, outcome(format('SELECT outbox_enqueue_bytes(''t'', ''secret'', %L)', type))
FROM (VALUES (NULL), (''), ('text'), ('/x'), ('text/ä'), (E'a/b\r\nX: y'), ('a/' || repeat('x', 254)), ('a/b; c="d"')) v (type);
SELECT outcome('SELECT outbox_enqueue_bytes(''t'', NULL)');
-- over max_payload
SELECT outcome(format('SELECT outbox_enqueue(''t'', %L)', to_jsonb(repeat('s', 1048575))));
SELECT outcome(format('SELECT outbox_enqueue_bytes(''t'', %L)', convert_to(repeat('s', 1048577), 'UTF8')));
-- hostile text arrives as it is
SELECT outbox_enqueue('x''; DROP TABLE outbox.route; --', '"%s%n"', tag => '"$$\', message_key => '🙂 مرحبا ''"\') > 0 AS id;
SELECT type, tag, message_key, encode(payload, 'escape') AS payload FROM outbox.message ORDER BY id DESC LIMIT 1;
-- nor is it in the server's log, which is this backend's standard error: there are
-- the errors, but neither statement nor context
\set SHOW_CONTEXT never
DO $$ BEGIN PERFORM outbox_enqueue('t', '"hush-hush"', tag => ''); END $$;
DO $$ BEGIN PERFORM outbox_enqueue('t', '"hush-hush"', headers => '{"log-me": [1]}'); END $$;
DO $$ BEGIN PERFORM outbox_enqueue_bytes('t', 'hush-hush', 'text/log-me'); PERFORM outbox_enqueue_bytes('t', 'hush-hush', 'log-me'); END $$;
DO $$ BEGIN PERFORM outbox_enqueue_many('t', '{"\"hush-hush\""}', '{log,me,twice}'); END $$;
SELECT position(convert_to('log-me', 'UTF8') IN log) > 0 AS errors,
	position(convert_to('message_keys has 3 elements', 'UTF8') IN log) > 0 AS of_many,
	position(convert_to('hush' || '-hush', 'UTF8') IN log) > 0 AS payload
FROM pg_read_binary_file('/proc/self/fd/2') AS log;
SELECT count(*) - :before AS enqueued FROM outbox.message;
