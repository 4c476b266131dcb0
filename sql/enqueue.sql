/*
 * sql/enqueue.sql
 *
 * What producers call, and the settings.  All in C; the functions write to
 * the tables by themselves, their callers have no rights on them.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
CREATE FUNCTION @extschema@.outbox_enqueue(
	type text,
	payload jsonb,
	biz_key text DEFAULT NULL,
	topic text DEFAULT NULL,
	tag text DEFAULT NULL,
	message_key text DEFAULT NULL,
	sharding_key text DEFAULT NULL,
	headers jsonb DEFAULT NULL,
	deliver_at timestamptz DEFAULT NULL,
	on_duplicate text DEFAULT 'error'
) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'outbox_enqueue';
COMMENT ON FUNCTION @extschema@.outbox_enqueue IS 'enqueue a JSON message, delivered if this transaction commits; returns its id';
REVOKE ALL ON FUNCTION @extschema@.outbox_enqueue FROM PUBLIC;

CREATE FUNCTION @extschema@.outbox_enqueue_bytes(
	type text,
	payload bytea,
	content_type text DEFAULT 'application/octet-stream',
	biz_key text DEFAULT NULL,
	topic text DEFAULT NULL,
	tag text DEFAULT NULL,
	message_key text DEFAULT NULL,
	sharding_key text DEFAULT NULL,
	headers jsonb DEFAULT NULL,
	deliver_at timestamptz DEFAULT NULL,
	on_duplicate text DEFAULT 'error'
) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'outbox_enqueue_bytes';
COMMENT ON FUNCTION @extschema@.outbox_enqueue_bytes IS 'enqueue a message whose bytes arrive exactly as given; returns its id';
REVOKE ALL ON FUNCTION @extschema@.outbox_enqueue_bytes FROM PUBLIC;

CREATE FUNCTION @extschema@.outbox_enqueue_many(
	type text,
	payloads jsonb[],
	message_keys text[] DEFAULT NULL,
	topic text DEFAULT NULL,
	tag text DEFAULT NULL,
	sharding_key text DEFAULT NULL,
	headers jsonb DEFAULT NULL,
	deliver_at timestamptz DEFAULT NULL,
	biz_keys text[] DEFAULT NULL,
	on_duplicate text DEFAULT 'error'
) RETURNS bigint[]
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'outbox_enqueue_many';
COMMENT ON FUNCTION @extschema@.outbox_enqueue_many IS 'enqueue a JSON message for each payload; returns their ids in the same order';
REVOKE ALL ON FUNCTION @extschema@.outbox_enqueue_many FROM PUBLIC;

CREATE FUNCTION @extschema@.outbox_shard(key text) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'outbox_shard';
COMMENT ON FUNCTION @extschema@.outbox_shard IS 'shard 0 to 1023 of a key: murmur2 as in Kafka''s Java client, masked, modulo 1024';
REVOKE ALL ON FUNCTION @extschema@.outbox_shard FROM PUBLIC;

CREATE FUNCTION @extschema@.outbox_set(name text, value text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'outbox_set';
COMMENT ON FUNCTION @extschema@.outbox_set IS 'change a setting; NULL goes back to its default';
REVOKE ALL ON FUNCTION @extschema@.outbox_set FROM PUBLIC;

CREATE FUNCTION @extschema@.outbox_get(name text) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'outbox_get';
COMMENT ON FUNCTION @extschema@.outbox_get IS 'the value of a setting, its default if it was never set';
REVOKE ALL ON FUNCTION @extschema@.outbox_get FROM PUBLIC;

CREATE FUNCTION outbox.cache_changed() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'outbox_cache_changed';
COMMENT ON FUNCTION outbox.cache_changed IS 'trigger: tells every session to read routes and settings again';
REVOKE ALL ON FUNCTION outbox.cache_changed FROM PUBLIC;

/*
 * ENABLE ALWAYS and by row: a logical replication subscription fires nothing
 * else.  TRUNCATE has only statement triggers.
 */
DO $$
DECLARE
	watched pg_catalog.name;
BEGIN
	FOREACH watched IN ARRAY ARRAY['route', 'setting', 'generation', 'cluster']::pg_catalog.name[] LOOP
		EXECUTE pg_catalog.format(
			'CREATE TRIGGER cache_changed AFTER INSERT OR UPDATE OR DELETE ON outbox.%I '
			'FOR EACH ROW EXECUTE FUNCTION outbox.cache_changed()', watched);
		EXECUTE pg_catalog.format(
			'CREATE TRIGGER cache_truncated AFTER TRUNCATE ON outbox.%I '
			'FOR EACH STATEMENT EXECUTE FUNCTION outbox.cache_changed()', watched);
		EXECUTE pg_catalog.format('ALTER TABLE outbox.%I ENABLE ALWAYS TRIGGER cache_changed', watched);
		EXECUTE pg_catalog.format('ALTER TABLE outbox.%I ENABLE ALWAYS TRIGGER cache_truncated', watched);
	END LOOP;
END
$$;
