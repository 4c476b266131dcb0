--
-- Enqueue in triggers of business tables, also when COPY drives them.
--
TRUNCATE outbox.message, outbox.dedup;
CREATE TABLE business (id integer PRIMARY KEY, amount integer);
CREATE FUNCTION business_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM outbox_enqueue('row', to_jsonb(new), message_key => new.id::text);
	RETURN NULL;
END
$$;
CREATE FUNCTION business_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM outbox_enqueue_many('statement', (SELECT coalesce(array_agg(to_jsonb(n) ORDER BY id), '{}') FROM changed n));
	RETURN NULL;
END
$$;
CREATE TRIGGER by_row AFTER INSERT OR UPDATE ON business FOR EACH ROW EXECUTE FUNCTION business_row();
CREATE TRIGGER by_statement AFTER INSERT ON business REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION business_statement();
COPY business FROM STDIN;
1	10
2	20
\.
INSERT INTO business VALUES (3, 30), (4, 40);
UPDATE business SET amount = amount + 1 WHERE id = 1;
INSERT INTO business VALUES (5, 50) ON CONFLICT DO NOTHING;
INSERT INTO business VALUES (5, 51) ON CONFLICT DO NOTHING;
SELECT type, message_key, encode(payload, 'escape') AS payload FROM outbox.message ORDER BY type, id;
-- a failing statement takes its messages along
INSERT INTO business VALUES (6, 60), (1, 1);
SELECT count(*) FROM outbox.message;
-- deferred to the commit
CREATE CONSTRAINT TRIGGER deferred AFTER DELETE ON business INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION business_row();
ALTER TABLE business DISABLE TRIGGER by_row;
CREATE OR REPLACE FUNCTION business_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM outbox_enqueue('deferred', to_jsonb(old));
	RETURN NULL;
END
$$;
BEGIN;
DELETE FROM business WHERE id < 3;
SELECT count(*) FROM outbox.message WHERE type = 'deferred';
COMMIT;
SELECT count(*) FROM outbox.message WHERE type = 'deferred';
-- triggers on a leaf, if somebody makes them, are fired
CREATE TABLE seen (n integer);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (1); RETURN NULL; END $$;
CREATE TRIGGER see AFTER INSERT ON outbox.message_0_0 FOR EACH ROW EXECUTE FUNCTION see();
SELECT count(outbox_enqueue('x', '1')) FROM generate_series(1, 200);
SELECT (SELECT count(*) FROM seen) = (SELECT count(*) FROM outbox.message_0_0 WHERE type = 'x') AS fired, count(*) > 0 AS some FROM seen;
DROP TRIGGER see ON outbox.message_0_0;
DROP TABLE seen, business;
DROP FUNCTION see, business_row, business_statement;
-- columns of others: refused, unless the server fills them
BEGIN;
ALTER TABLE outbox.message ADD COLUMN note text NOT NULL DEFAULT 'x';
SELECT outcome($$SELECT outbox_enqueue('x', '1')$$);
ALTER TABLE outbox.message DROP COLUMN note;
ALTER TABLE outbox.message ADD COLUMN size int GENERATED ALWAYS AS (octet_length(payload)) STORED;
SELECT outbox_enqueue('x', '12345') AS id \gset
SELECT size FROM outbox.message WHERE id = :id;
ROLLBACK;
