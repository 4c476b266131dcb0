--
-- Whatever somebody has added to a leaf is kept: what is plain, directly, all else through the executor.
--
TRUNCATE outbox.message;
-- the rows that an index finds
CREATE FUNCTION by_index(condition text) RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
	found bigint;
BEGIN
	EXECUTE 'SELECT count(*) FROM outbox.message_0_0 WHERE ' || condition INTO found;
	RETURN found;
END
$$;
-- 100 messages to leaf 0, half of them with a tag
CREATE FUNCTION fill() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(CASE WHEN n % 4 = 0 THEN outbox_enqueue('Leaf', '1', tag => 't', message_key => '12', headers => '{"a": 1}')
		WHEN n % 4 = 1 THEN outbox_enqueue('Leaf', '1', message_key => '12')
		WHEN n % 4 = 2 THEN (outbox_enqueue_many('Leaf', '{1}', message_keys => '{12}', tag => 't', headers => '{"a": 1}'))[1]
		ELSE outbox_enqueue_bytes('Leaf', '1', message_key => '12') END)
	FROM generate_series(1, 100) n
$$;
SELECT outbox_shard('12') / 128 AS leaf;
-- none, and those of the same kind
DROP INDEX outbox.message_0_0_id;
SELECT fill();
CREATE INDEX message_0_0_id ON outbox.message_0_0 (id);
CREATE INDEX one ON outbox.message_0_0 (message_key, create_time) INCLUDE (tag);
CREATE INDEX two ON outbox.message_0_0 USING hash (type);
CREATE INDEX three ON outbox.message_0_0 USING gin (headers);
CREATE INDEX four ON outbox.message_0_0 USING brin (create_time);
SELECT fill();
SELECT by_index('id > 0') AS id, by_index($$message_key = '12'$$) AS key, by_index($$type = 'Leaf'$$) AS type,
	by_index($$headers ? 'a'$$) AS headers, by_index($$create_time > '2000-01-01'$$) AS time;
-- of other kinds
CREATE INDEX five ON outbox.message_0_0 (topic) WHERE content_type = 'text/plain';
SELECT fill();
SELECT outbox_enqueue_bytes('Leaf', '1', 'text/plain', message_key => '12') > 0 AS id;
SELECT by_index($$content_type = 'text/plain'$$) AS content_type, by_index('id > 0') AS id;
DROP INDEX outbox.five;
CREATE INDEX five ON outbox.message_0_0 (lower(type));
SELECT fill();
SELECT by_index($$lower(type) = 'leaf'$$) AS lower, by_index('id > 0') AS id;
DROP INDEX outbox.five;
CREATE UNIQUE INDEX five ON outbox.message_0_0 (id, payload);
SELECT fill();
SELECT by_index('id > 0') AS id;
DROP INDEX outbox.five;
BEGIN;
DELETE FROM outbox.message_0_0;
CREATE UNIQUE INDEX five ON outbox.message_0_0 (tag);
SELECT outcome($$SELECT outbox_enqueue_many('Leaf', '{1, 2}', message_keys => '{12, 12}', tag => 't')$$);
ROLLBACK;
BEGIN;
DELETE FROM outbox.message_0_0;
ALTER TABLE outbox.message_0_0 ADD EXCLUDE (tag WITH =);
SELECT outcome($$SELECT outbox_enqueue_many('Leaf', '{1, 2}', message_keys => '{12, 12}', tag => 't')$$);
ROLLBACK;
-- columns that are gone
BEGIN;
DO $$
BEGIN
	FOR i IN 1..100 LOOP
		ALTER TABLE outbox.message ADD COLUMN note text;
		ALTER TABLE outbox.message DROP COLUMN note;
	END LOOP;
END
$$;
SELECT fill();
SELECT by_index('id > 0') AS id, count(payload) FROM outbox.message_0_0;
ROLLBACK;
-- constraints
BEGIN;
ALTER TABLE outbox.message ADD CONSTRAINT good CHECK (type <> 'bad');
SELECT left(outcome($$SELECT outbox_enqueue('bad', '1')$$), 5), outcome($$SELECT outbox_enqueue('good', '1')$$);
ROLLBACK;
BEGIN;
DELETE FROM outbox.message;
ALTER TABLE outbox.message ALTER topic SET NOT NULL;
SELECT left(outcome($$SELECT outbox_enqueue('x', '1')$$), 5), outcome($$SELECT outbox_enqueue('x', '1', topic => 't')$$);
ROLLBACK;
BEGIN;
CREATE TABLE allowed (type text PRIMARY KEY);
INSERT INTO allowed VALUES ('Leaf');
ALTER TABLE outbox.message_0_0 ADD FOREIGN KEY (type) REFERENCES allowed;
SELECT outcome($$SELECT outbox_enqueue('bad', '1', message_key => '12')$$), outcome($$SELECT outbox_enqueue('Leaf', '1', message_key => '12')$$);
ROLLBACK;
-- a leaf with and one without a trigger in one call
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.tag := 'seen'; RETURN new; END $$;
CREATE TRIGGER see BEFORE INSERT ON outbox.message_0_0 FOR EACH ROW EXECUTE FUNCTION see();
SELECT cardinality(outbox_enqueue_many('both', array_agg(to_jsonb(n)))) FROM generate_series(1, 500) n;
SELECT tableoid::regclass = 'outbox.message_0_0'::regclass AS leaf, tag, count(*) > 0 AS some FROM outbox.message WHERE type = 'both' GROUP BY 1, 2 ORDER BY 1;
SELECT by_index('id > 0') = (SELECT count(*) FROM outbox.message_0_0) AS indexed;
DROP TRIGGER see ON outbox.message_0_0;
DROP FUNCTION see, fill, by_index;
DROP INDEX outbox.one, outbox.two, outbox.three, outbox.four;
TRUNCATE outbox.message;
