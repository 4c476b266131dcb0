--
-- biz_key, unique with type.
--
\set SHOW_CONTEXT never
TRUNCATE outbox.message, outbox.dedup;
SELECT outbox_enqueue('b', '"first"', biz_key => 'k') AS first \gset
SELECT outbox_enqueue('b', '"second"', biz_key => 'k');
SELECT outcome($$SELECT outbox_enqueue('b', '"second"', biz_key => 'k')$$);
SELECT outbox_enqueue('b', '"third"', biz_key => 'k', on_duplicate => 'ignore') = :first AS same;
SELECT outbox_enqueue('c', '"other type"', biz_key => 'k') <> :first AS other;
SELECT type, biz_key, encode(payload, 'escape') AS payload FROM outbox.message ORDER BY id;
SELECT count(*), bool_and(m.create_time = d.create_time) AS times FROM outbox.dedup d JOIN outbox.message m USING (id, type, biz_key);
-- again after a rollback, whole or to a savepoint
BEGIN;
SELECT outbox_enqueue('b', '1', biz_key => 'again') > 0 AS id;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT outbox_enqueue('b', '2', biz_key => 'again') > 0 AS id;
ROLLBACK TO s;
SELECT outbox_enqueue('b', '3', biz_key => 'again') > 0 AS id;
SELECT outcome($$SELECT outbox_enqueue('b', '4', biz_key => 'again')$$);
COMMIT;
SELECT encode(payload, 'escape') AS payload FROM outbox.message WHERE biz_key = 'again';
-- twice in one statement
SELECT count(DISTINCT outbox_enqueue('b', to_jsonb(i), biz_key => 'one', on_duplicate => 'ignore')) FROM generate_series(1, 5) i;
SELECT encode(payload, 'escape') AS payload FROM outbox.message WHERE biz_key = 'one';
-- in the other isolation levels, for a row that they see
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT outbox_enqueue('b', '1', biz_key => 'k', on_duplicate => 'ignore') = :first AS same;
SELECT outcome($$SELECT outbox_enqueue('b', '1', biz_key => 'k')$$);
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT outbox_enqueue('b', '1', biz_key => 'k', on_duplicate => 'ignore') = :first AS same;
COMMIT;
