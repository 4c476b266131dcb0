--
-- DROP and CREATE EXTENSION under the feet of a session that has everything cached.
--
\set SHOW_CONTEXT never
SELECT outbox_enqueue('x', '1', biz_key => 'before the drop') > 0 AS id;
SET client_min_messages = warning;
DROP FUNCTION routed;
DROP EXTENSION outbox CASCADE;
RESET client_min_messages;
SELECT count(*) AS left_behind FROM pg_namespace WHERE nspname = 'outbox';
CREATE EXTENSION outbox;
SELECT outcome($$SELECT outbox_enqueue('x', '1')$$);
SELECT outbox_route_create('new', 'http', 'http://h/');
SELECT outbox_enqueue('x', '1', biz_key => 'before the drop') > 0 AS id;
SELECT outbox_enqueue('x', '1', biz_key => 'before the drop', on_duplicate => 'ignore') = max(id) AS same FROM outbox.message;
SELECT routes, id >> 47 AS prefix FROM outbox.message;
-- a first id of its own: 1, and the failed one took no more than one
SELECT max(id) <= 3 AS from_the_start FROM outbox.message;
-- in another schema
DROP EXTENSION outbox;
CREATE SCHEMA "Api %s x";
CREATE EXTENSION outbox SCHEMA "Api %s x";
SET search_path = "Api %s x", public;
SELECT outbox_route_create('new', 'http', 'http://h/') > 0 AS id;
SELECT outbox_enqueue('x', '1') > 0 AS id;
SELECT outbox_route_drop('new');
SELECT outcome($$SELECT outbox_enqueue('x', '1')$$);
RESET search_path;
DROP SCHEMA "Api %s x" CASCADE;
DROP FUNCTION outcome;
