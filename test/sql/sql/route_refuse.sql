--
-- What a route may not be.
--
SELECT name, outcome(format('SELECT outbox_route_create(%L, ''http'', ''http://h/'')', name))
FROM (VALUES (NULL), (''), ('Upper'), ('a b'), ('-a'), ('ä'), ('a;drop'), (repeat('x', 64))) v (name);
SELECT outcome(format('SELECT outbox_route_create(%L, ''http'', ''http://h/'')', repeat('x', 63)));
SELECT kind, outcome(format('SELECT outbox_route_create(''r'', %L, ''http://h/'')', kind))
FROM (VALUES (NULL), (''), ('HTTP'), ('amqp')) v (kind);
SELECT left(url, 40) AS url, outcome(format('SELECT outbox_route_create(''r'', ''http'', %L)', url))
FROM (VALUES (NULL), (''), ('example.com'), ('ftp://h/'), ('http://'), ('http:///x'), ('http://h:0/'), ('http://h:65536/'),
	('http://h:/'), ('http://u:p@h/'), ('http://u@h'), ('http://h/#x'), ('http://h/a b'), (E'http://h/\r\nX: y'), ('http://h/ä'),
	('http://-h/'), ('http://[::1'), ('http://[zz]/'), ('http://[:::::1]/'), ('http://[127.0.0.1]/'), ('http://h/' || repeat('x', 2040))) v (url);
SELECT left(url, 40) AS url, outcome(format('SELECT outbox_route_alter(%L, %L)', repeat('x', 63), url))
FROM (VALUES ('HTTPS://Example.COM'), ('http://127.0.0.1:65535/?a=b@c'), ('http://[fe80::1]/'), ('http://h./'),
	('http://h/' || repeat('x', 2039)), ('main/topic')) v (url);
SELECT left(target, 40) AS target, outcome(format('SELECT outbox_route_create(''k'', ''kafka'', %L)', target))
FROM (VALUES (NULL), (''), ('main'), ('/t'), ('m n/t'), ('main/t/u'), ('main/a b'), ('main/.'), ('main/..'), ('main/' || repeat('x', 250))) v (target);
SELECT option, outcome(format('SELECT outbox_route_alter(%L, options => %L)', repeat('x', 63), option))
FROM (VALUES ('[]'), ('null'), ('{"retries": 1}'), ('{"ordering": "type"}'), ('{"ordering": null}'), ('{"ordering": 1}'), ('{"max_attempts": 0}'),
	('{"max_attempts": "3"}'), ('{"max_attempts": 1.5}'), ('{"max_attempts": 1e99}'), ('{"retry_multiplier": 0.5}'), ('{"retry_multiplier": true}'),
	('{"retry_initial_ms": 5000, "retry_max_ms": 1000}'), ('{"retry_max_ms": 999}'), ('{"timeout_ms": -1}'), ('{"connect_timeout_ms": 0}'),
	('{"concurrency": 100001}'), ('{"trace": "none"}'), ('{"trace": "all", "ordering": "none", "retry_multiplier": 1.5}')) v (option);
SELECT list, outcome(format('SELECT outbox_route_alter(%L, types => %L)', repeat('x', 63), list))
FROM (VALUES ('{}'), ('{NULL}'), ('{""}'), ('{a*}'), ('{*.a}'), ('{a.*.b}'), ('{**}'), ('{.*}'), ('{{a},{b}}'), (E'{"a\tb"}'),
	('{' || repeat('x', 256) || '}'), ('{a.b.*,*}')) v (list);
SELECT outcome(format('SELECT outbox_route_alter(%L, tags => %L)', repeat('x', 63), list))
FROM (VALUES ('{NULL}'), ('{""}'), ('{"*"}')) v (list);
SELECT outcome('SELECT outbox_route_alter(''absent'')'), outcome('SELECT outbox_route_drop(''absent'')'),
	outcome('SELECT outbox_route_pause(NULL)'), outcome('SELECT outbox_route_resume(''absent'')');
SELECT types, tags, options ->> 'trace' AS trace, options ->> 'retry_multiplier' AS multiplier FROM outbox.route WHERE name = repeat('x', 63);
SELECT outbox_route_drop(repeat('x', 63));
