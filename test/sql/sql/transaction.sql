--
-- Every kind of transaction: what is committed is there, the rest is not.
--
\set SHOW_CONTEXT never
TRUNCATE outbox.message, outbox.dedup;
-- savepoints half rolled back
BEGIN;
SELECT outbox_enqueue('s', '1') > 0 AS id;
SAVEPOINT a;
SELECT outbox_enqueue('s', '2') > 0 AS id;
SAVEPOINT b;
SELECT outbox_enqueue('s', '3') > 0 AS id;
ROLLBACK TO b;
SELECT outbox_enqueue('s', '4') > 0 AS id;
RELEASE a;
SAVEPOINT c;
SELECT outbox_enqueue('s', '5') > 0 AS id;
ROLLBACK TO c;
COMMIT;
SELECT string_agg(encode(payload, 'escape'), ' ' ORDER BY id) FROM outbox.message;
-- exception blocks of PL/pgSQL
DO $$
BEGIN
	FOR i IN 1..10 LOOP
		BEGIN
			PERFORM outbox_enqueue('p', to_jsonb(i));
			IF i % 2 = 0 THEN
				RAISE EXCEPTION 'even';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END
$$;
SELECT string_agg(encode(payload, 'escape'), ' ' ORDER BY id) FROM outbox.message WHERE type = 'p';
-- a call that fails in a block leaves the session able to enqueue
DO $$
BEGIN
	FOR i IN 1..100 LOOP
		BEGIN
			PERFORM outbox_enqueue_many('f', ARRAY['1', NULL]::jsonb[]);
		EXCEPTION WHEN null_value_not_allowed THEN
			NULL;
		END;
	END LOOP;
	PERFORM outbox_enqueue('f', '"alive"');
END
$$;
SELECT string_agg(encode(payload, 'escape'), ' ' ORDER BY id) FROM outbox.message WHERE type = 'f';
-- procedures that commit on their way
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..4 LOOP
		PERFORM outbox_enqueue('c', to_jsonb(i));
		IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
	END LOOP;
END
$$;
CALL commits();
DROP PROCEDURE commits;
SELECT string_agg(encode(payload, 'escape'), ' ' ORDER BY id) FROM outbox.message WHERE type = 'c';
-- isolation levels
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT outbox_enqueue('r', '1', biz_key => 'r') > 0 AS id;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT outbox_enqueue('r', '2', biz_key => 's') > 0 AS id;
COMMIT;
SELECT string_agg(encode(payload, 'escape'), ' ' ORDER BY id) FROM outbox.message WHERE type = 'r';
-- two-phase commit, the second one rolled back; the key is free again only then
BEGIN;
SELECT outbox_enqueue('2', '1', biz_key => 'one') > 0 AS id;
PREPARE TRANSACTION 'outbox test 1';
BEGIN;
SELECT outbox_enqueue('2', '2', biz_key => 'two') > 0 AS id;
PREPARE TRANSACTION 'outbox test 2';
SELECT count(*) FROM outbox.message WHERE type = '2';
SET lock_timeout = '10ms';
SELECT outcome($$SELECT outbox_enqueue('2', '3', biz_key => 'two')$$) ~ '^55P03' AS waits;
RESET lock_timeout;
COMMIT PREPARED 'outbox test 1';
ROLLBACK PREPARED 'outbox test 2';
SELECT outbox_enqueue('2', '4', biz_key => 'two') > 0 AS id;
SELECT string_agg(encode(payload, 'escape'), ' ' ORDER BY id) FROM outbox.message WHERE type = '2';
-- a route that is part of a prepared transaction
BEGIN;
SELECT outbox_route_create('prepared', 'http', 'http://h/', '{prepared}') > 0 AS id;
SELECT outbox_enqueue('prepared', '1') > 0 AS id;
PREPARE TRANSACTION 'outbox test 3';
SELECT outbox_enqueue('prepared', '2') > 0 AS id;
COMMIT PREPARED 'outbox test 3';
SELECT outbox_enqueue('prepared', '3') > 0 AS id;
SELECT encode(payload, 'escape') AS payload, EXISTS (SELECT FROM outbox.route r WHERE r.id = ANY (m.routes) AND name = 'prepared') AS routed
FROM outbox.message m WHERE type = 'prepared' ORDER BY id;
SELECT outbox_route_drop('prepared');
-- the xid is taken before the id, so that a gap can be told from a late commit
BEGIN;
SELECT pg_current_xact_id_if_assigned() IS NULL AS none;
SELECT left(outcome($$SELECT outbox_enqueue('t', NULL)$$), 5) AS refused;
SELECT outbox_enqueue('x', '1') > 0 AS id;
SELECT pg_current_xact_id_if_assigned() IS NULL AS none;
ROLLBACK;
-- DISCARD ALL keeps nothing that would break
DISCARD ALL;
SELECT outbox_enqueue('x', '1', biz_key => 'after discard') > 0 AS id;
