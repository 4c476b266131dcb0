--
-- Routes and how messages find them.
--
\set SHOW_CONTEXT never
CREATE FUNCTION routed(type text, tag text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT outbox_enqueue($1, '1', tag => $2);
	SELECT string_agg(r.name, ' ' ORDER BY r.id)
	FROM outbox.message m, unnest(m.routes) WITH ORDINALITY u (id, n) JOIN outbox.route r USING (id)
	WHERE m.id = (SELECT last_value FROM outbox.message_id_seq)
$$;
SELECT outbox_route_create('all', 'http', 'https://example.com/all') AS id;
SELECT outbox_route_create('orders', 'kafka', 'main/orders', '{order.*}', options => '{"concurrency": 5, "max_attempts": 3.0}') AS id;
SELECT outbox_route_create('exact', 'kafka', 'main/', '{order.created,sms}') AS id;
SELECT outbox_route_create('tagged', 'http', 'http://[::1]:8080/x?y=%20z', '{*}', '{red,green}') AS id;
SELECT id, name, kind, target, types, tags, state, jsonb_pretty(options) FROM outbox.route WHERE id IN (1, 2) ORDER BY id;
SELECT routed('order.created'), routed('order'), routed('order.'), routed('orders.x'), routed('sms');
SELECT routed('x', 'red'), routed('x', 'blue'), routed('x', 're');

-- ids in ascending order, one array for all
SELECT DISTINCT routes FROM outbox.message ORDER BY routes;

-- paused ones still get their messages, dropped ones no more
SELECT outbox_route_pause('exact');
SELECT routed('sms');
SELECT outbox_route_drop('all');
SELECT routed('sms');
SELECT outbox_route_resume('exact');
SELECT name, state FROM outbox.route ORDER BY id;
SELECT outbox_enqueue('unknown', '1');
SELECT outbox_enqueue('unknown', '1', tag => 'blue');
SELECT outbox_set('allow_unrouted', 'true');
SELECT routed('unknown') IS NULL AS unrouted;
SELECT outbox_set('allow_unrouted', NULL);

-- a dropped name is free again, with another id
SELECT outbox_route_create('all', 'http', 'https://example.com/again') > 4 AS another;
SELECT outbox_route_create('all', 'http', 'https://example.com/again');
-- one that is refused takes no id
SELECT last_value AS before FROM outbox.route_id_seq \gset
SELECT outbox_route_create('all', 'http', 'https://example.com/again');
SELECT outbox_route_create('unsound', 'http', 'https://example.com/', options => '{"unknown": 1}');
SELECT last_value - :before AS taken FROM outbox.route_id_seq;

-- alter keeps what is NULL
SELECT outbox_route_alter('orders', types => '{order.*,refund}', options => '{"concurrency": 7}');
SELECT outbox_route_alter('tagged', tags => '{}');
SELECT name, target, types, tags, options ->> 'concurrency' AS concurrency, options ->> 'max_attempts' AS max_attempts
FROM outbox.route WHERE name IN ('orders', 'tagged');
SELECT routed('refund');
SELECT outbox_route_alter('orders', target => 'main/other');
SELECT target, types FROM outbox.route WHERE name = 'orders';

-- a transaction sees its own routes, and none of them when it is rolled back
BEGIN;
SELECT outbox_route_drop('all'), outbox_route_drop('tagged');
SELECT outcome($$SELECT outbox_enqueue('lonely', '1')$$);
SAVEPOINT s;
SELECT outbox_route_create('lonely', 'http', 'http://h/', '{lonely}') > 0 AS made;
SELECT routed('lonely');
ROLLBACK TO s;
SELECT outcome($$SELECT outbox_enqueue('lonely', '1')$$);
ROLLBACK;
SELECT routed('lonely');

-- TRUNCATE and a plain UPDATE are noticed too
BEGIN;
TRUNCATE outbox.route;
SELECT outcome($$SELECT outbox_enqueue('lonely', '1')$$);
ROLLBACK;
SELECT routed('lonely');
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE outbox.route SET types = '{nothing}';
SELECT outcome($$SELECT outbox_enqueue('lonely', '1')$$);
ROLLBACK;
SELECT routed('lonely');

-- 256 routes for a message, not more
BEGIN;
SELECT count(outbox_route_create('n' || i, 'http', 'http://h/', '{much}')) FROM generate_series(1, 254) i;
SELECT array_length(string_to_array(routed('much'), ' '), 1) AS n;
SELECT outbox_route_create('n255', 'http', 'http://h/', '{much}') > 0 AS one_more;
SELECT outcome($$SELECT outbox_enqueue('much', '1')$$);
ROLLBACK;
