--
-- A role with EXECUTE alone can enqueue, and can do nothing else.
--
TRUNCATE outbox.message, outbox.dedup;
CREATE ROLE outbox_test_producer;
CREATE ROLE outbox_test_stranger;
GRANT EXECUTE ON FUNCTION outbox_enqueue, outbox_enqueue_bytes, outbox_enqueue_many TO outbox_test_producer;
GRANT EXECUTE ON FUNCTION outcome TO outbox_test_producer, outbox_test_stranger;
CREATE SCHEMA planted;
GRANT USAGE, CREATE ON SCHEMA planted TO outbox_test_producer;
SET ROLE outbox_test_producer;
SELECT outbox_enqueue('r', '1', biz_key => 'k') AS first \gset
SELECT outbox_enqueue('r', '2', biz_key => 'k', on_duplicate => 'ignore') = :first AS same;
SELECT outcome($$SELECT outbox_enqueue('r', '3', biz_key => 'k')$$);
SELECT outbox_enqueue_bytes('r', 'x') > 0 AS id;
SELECT array_length(outbox_enqueue_many('r', '{1,2}'), 1) AS n;
SELECT current_user;
-- with objects of its own before everything else
SET search_path = planted, pg_catalog, public;
CREATE FUNCTION planted.taken(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted called as %', current_user; END $$;
CREATE OPERATOR planted.= (FUNCTION = planted.taken, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR planted.<> (FUNCTION = planted.taken, LEFTARG = text, RIGHTARG = text);
SELECT public.outbox_enqueue('r', '5', biz_key => 'k', on_duplicate => 'ignore') = :first AS same;
\c -
SET ROLE outbox_test_producer;
SET search_path = planted, pg_catalog, public;
SELECT public.outbox_enqueue('r', '5', biz_key => 'k2') > 0 AS id;
RESET search_path;
SELECT statement, outcome(statement)
FROM (VALUES ('SELECT * FROM outbox.message'), ('INSERT INTO outbox.message_0_0 DEFAULT VALUES'), ('SELECT nextval(''outbox.message_id_seq'')'),
	('SELECT outbox_route_create(''x'', ''http'', ''http://h/'')'), ('SELECT outbox_set(''max_payload'', ''1'')'),
	('SELECT outbox_get(''max_payload'')'), ('SELECT outbox.cache_changed()')) v (statement);
SET ROLE outbox_test_stranger;
SELECT statement, outcome(statement)
FROM (VALUES ('SELECT outbox_enqueue(''r'', ''1'')'), ('SELECT outbox_enqueue_bytes(''r'', ''1'')'), ('SELECT outbox_enqueue_many(''r'', ''{}'')'),
	('SELECT outbox_shard(''r'')')) v (statement);
RESET ROLE;
SELECT count(*) FROM outbox.message;
DROP SCHEMA planted CASCADE;
DROP OWNED BY outbox_test_producer, outbox_test_stranger;
DROP ROLE outbox_test_producer, outbox_test_stranger;
