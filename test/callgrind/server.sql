/*
 * test/callgrind/server.sql
 *
 * What is counted in a single-user backend.  A call of outbox_shard() ends a
 * section; its argument says what the section was: name / messages / the
 * functions that count, with all that they call.  An empty one: it only
 * warmed up.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
SELECT outbox_route_create('guard', 'http', 'http://127.0.0.1:9/');

CREATE TABLE payloads AS SELECT array_agg(jsonb_build_object('n', 100000 + n,
 'text', repeat('0123456789abcdef', 11))) AS js, array_agg(n::text) AS keys
 FROM generate_series(1, 1000) n;

CREATE FUNCTION enqueue(n integer) RETURNS bigint LANGUAGE sql AS
 $$SELECT count(outbox_enqueue('guard', js[i], message_key => keys[i])) FROM payloads, generate_series(1, n) i$$;

CREATE FUNCTION enqueue_bytes(n integer) RETURNS bigint LANGUAGE sql AS
 $$SELECT count(outbox_enqueue_bytes('guard', convert_to(js[i]::text, 'UTF8'), 'application/json')) FROM payloads, generate_series(1, n) i$$;

CREATE FUNCTION enqueue_many(n integer) RETURNS bigint LANGUAGE sql AS
 $$SELECT sum(cardinality(outbox_enqueue_many('guard', js, message_keys => keys))) FROM payloads, generate_series(1, n)$$;

CREATE PROCEDURE enqueue_each(n integer) LANGUAGE plpgsql AS
 $$BEGIN FOR i IN 1..n LOOP PERFORM outbox_enqueue('guard', js[i % 1000 + 1]) FROM payloads; COMMIT; END LOOP; END$$;

CREATE FUNCTION decode(slot name) RETURNS bigint LANGUAGE sql AS
 $$SELECT count(*) FROM pg_logical_slot_peek_binary_changes(slot, NULL, NULL, 'proto_version', '1', 'schema_oid', 'outbox'::regnamespace::oid::text)$$;

SELECT enqueue(100), enqueue_bytes(100), enqueue_many(1);

SELECT outbox_shard('');

SELECT enqueue(1000);

SELECT outbox_shard('enqueue / 1000 / outbox_enqueue');

SELECT enqueue_bytes(1000);

SELECT outbox_shard('enqueue_bytes / 1000 / outbox_enqueue_bytes');

SELECT enqueue_many(5);

SELECT outbox_shard('enqueue_many / 5000 / outbox_enqueue_many');

SELECT slot_name FROM pg_create_logical_replication_slot('one', 'outbox_decoder');

CALL enqueue_each(1000);

SELECT decode('one');

SELECT outbox_shard('');

SELECT decode('one');

SELECT outbox_shard('decode, one a transaction / 1000 / decoder_begin decoder_change decoder_commit');

SELECT pg_drop_replication_slot('one');

SELECT slot_name FROM pg_create_logical_replication_slot('many', 'outbox_decoder');

SELECT enqueue_many(3);

SELECT decode('many');

SELECT outbox_shard('');

SELECT decode('many');

SELECT outbox_shard('decode, 3000 a transaction / 3000 / decoder_begin decoder_change decoder_commit');

