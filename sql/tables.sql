/*
 * sql/tables.sql
 *
 * The tables of schema outbox.  Nobody but the functions of the extension
 * reads or writes them; PUBLIC gets nothing.  All that will ever be needed is
 * made here: no DDL runs later.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
\echo Use "CREATE EXTENSION outbox" to load this file. \quit

/*
 * The server puts the extension's schema first.  A body in BEGIN ATOMIC and a
 * view are resolved now, so whoever may create there could have planted a
 * function that fits better than the server's.  Undone when the script ends.
 */
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'outbox') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_schema',
			MESSAGE = 'schema "outbox" already exists',
			HINT = 'The extension makes this schema itself. Rename or drop the existing one first; functions can go to another schema by CREATE EXTENSION outbox SCHEMA name.';
	END IF;
END
$$;

CREATE SCHEMA outbox;
REVOKE ALL ON SCHEMA outbox FROM PUBLIC;
COMMENT ON SCHEMA outbox IS 'tables of the extension outbox, reached through its functions and views';

/*
 * CACHE 1: gaps are closed by the rule that every id up to last_value was
 * taken by a transaction that had its xid before; a cached range breaks that.
 * 47 bits: the rest of an id is the base and the timeline.
 */
CREATE SEQUENCE outbox.message_id_seq AS bigint
	MINVALUE 1 MAXVALUE 140737488355327 NO CYCLE CACHE 1;
COMMENT ON SEQUENCE outbox.message_id_seq IS 'low 47 bits of message ids';

/*
 * No CHECK on shard_id: the bounds of the leaves say it, and the server
 * compiles a CHECK anew for each enqueue, a quarter of its time.
 */
CREATE TABLE outbox.message (
	id bigint NOT NULL,
	create_time timestamptz NOT NULL,
	deliver_at timestamptz,
	generation smallint NOT NULL,
	shard_id smallint NOT NULL,
	routes smallint[] NOT NULL,
	type text NOT NULL,
	biz_key text,
	topic text,
	tag text,
	message_key text,
	sharding_key text,
	content_type text NOT NULL,
	headers jsonb,
	payload bytea NOT NULL
) PARTITION BY LIST (generation);
COMMENT ON TABLE outbox.message IS 'one insert-only row per message';

CREATE TABLE outbox.message_held PARTITION OF outbox.message FOR VALUES IN (-1);
COMMENT ON TABLE outbox.message_held IS 'messages kept although their generation is emptied';
CREATE INDEX message_held_id ON outbox.message_held (id);

DO $$
DECLARE
	leaves constant int := 8;
	part text;
BEGIN
	FOR g IN 0..2 LOOP
		EXECUTE pg_catalog.format('CREATE TABLE outbox.message_%s PARTITION OF outbox.message FOR VALUES IN (%s)'
					   ' PARTITION BY RANGE (shard_id)', g, g);
		EXECUTE pg_catalog.format('COMMENT ON TABLE outbox.message_%s IS %L', g,
			pg_catalog.format('messages of generation %s', g));
		FOR i IN 0..leaves - 1 LOOP
			part := pg_catalog.format('message_%s_%s', g, i);
			EXECUTE pg_catalog.format('CREATE TABLE outbox.%I PARTITION OF outbox.message_%s'
						   ' FOR VALUES FROM (%s) TO (%s)'
						   ' WITH (autovacuum_vacuum_insert_threshold = -1)',
						   part, g, i * 1024 / leaves, (i + 1) * 1024 / leaves);
			EXECUTE pg_catalog.format('CREATE INDEX %I ON outbox.%I (id)', part || '_id', part);
			EXECUTE pg_catalog.format('COMMENT ON TABLE outbox.%I IS %L', part,
				pg_catalog.format('messages of generation %s, shards %s to %s', g,
					i * 1024 / leaves, (i + 1) * 1024 / leaves - 1));
		END LOOP;
	END LOOP;
END
$$;

/*
 * One row per system identifier, database and schema that has ever enqueued
 * here.  A restore into the same database makes the schema anew.
 */
CREATE TABLE outbox.cluster (
	system_identifier bigint NOT NULL,
	database_oid oid NOT NULL,
	schema_oid oid NOT NULL,
	base bigint NOT NULL CHECK (base BETWEEN 0 AND 65535),
	era integer NOT NULL CHECK (era > 0),
	armed boolean NOT NULL,
	first_seen timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (system_identifier, database_oid, schema_oid)
);
COMMENT ON TABLE outbox.cluster IS 'where this database has lived: keeps ids unique over restores and tells a copy from the original';

/* The generation that enqueue writes to; only a hint. */
CREATE TABLE outbox.generation (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	current smallint NOT NULL CHECK (current BETWEEN 0 AND 2)
);
INSERT INTO outbox.generation (current) VALUES (0);
COMMENT ON TABLE outbox.generation IS 'the generation that new messages go to';

CREATE TABLE outbox.setting (
	name text PRIMARY KEY,
	value text NOT NULL
);
COMMENT ON TABLE outbox.setting IS 'settings that differ from their defaults; written by outbox_set()';

CREATE SEQUENCE outbox.route_id_seq AS smallint MINVALUE 1 NO CYCLE CACHE 1;
COMMENT ON SEQUENCE outbox.route_id_seq IS 'ids of routes, never given twice';

CREATE TABLE outbox.route (
	id smallint PRIMARY KEY DEFAULT pg_catalog.nextval('outbox.route_id_seq'),
	name text NOT NULL,
	kind text NOT NULL CHECK (kind IN ('http', 'kafka')),
	target text NOT NULL,
	types text[] NOT NULL,
	tags text[],
	options jsonb NOT NULL,
	state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'dropped')),
	create_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
	update_time timestamptz NOT NULL DEFAULT pg_catalog.now()
);
/* A dropped route keeps its id for ever, its name is free again. */
CREATE UNIQUE INDEX route_name ON outbox.route (name) WHERE state <> 'dropped';
COMMENT ON TABLE outbox.route IS 'destinations, chosen by type and tag when a message is enqueued';

/* Written only for messages that were given a biz_key. */
CREATE TABLE outbox.dedup (
	type text NOT NULL,
	biz_key text NOT NULL,
	id bigint NOT NULL,
	create_time timestamptz NOT NULL,
	PRIMARY KEY (type, biz_key)
);
COMMENT ON TABLE outbox.dedup IS 'the first message of each type and biz_key';

CREATE TABLE outbox.resolved (
	generation smallint NOT NULL,
	ids int8multirange NOT NULL,
	resolved_at timestamptz NOT NULL,
	epoch bigint NOT NULL,
	/* deliveries told by the same settle: {"route_id": count} */
	sent jsonb
);
COMMENT ON TABLE outbox.resolved IS 'ids whose every route is delivered, or has a row in backlog or parked; how many deliveries each route had';

/*
 * Up to 1,000 messages of one route, in the order in which they are to go; with
 * a key_hash, of one key of it whose earlier messages failed and are parked.
 */
CREATE TABLE outbox.backlog (
	route_id smallint NOT NULL,
	seq bigint NOT NULL,
	generation smallint NOT NULL,
	run bigint NOT NULL,
	pos bigint NOT NULL,
	first_id bigint NOT NULL,
	last_id bigint NOT NULL,
	ids bigint[] NOT NULL,
	done int4multirange NOT NULL DEFAULT '{}',
	create_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
	key_hash integer,
	PRIMARY KEY (route_id, seq)
) WITH (fillfactor = 70);
CREATE INDEX backlog_route ON outbox.backlog (route_id, seq) WHERE key_hash IS NULL;
CREATE INDEX backlog_key ON outbox.backlog (route_id, key_hash, seq) WHERE key_hash IS NOT NULL;
/* first_id and last_id are the least and the greatest: status by id. */
CREATE INDEX backlog_ids ON outbox.backlog
	USING gist (pg_catalog.int8range(first_id, last_id, '[]'));
COMMENT ON TABLE outbox.backlog IS 'messages that could not go out when they came, about a thousand a row';

CREATE TABLE outbox.parked (
	message_id bigint NOT NULL,
	route_id smallint NOT NULL,
	generation smallint NOT NULL,
	shard_id smallint NOT NULL,
	key_hash integer,
	run bigint,
	pos bigint,
	status text NOT NULL CHECK (status IN ('NEW', 'CLAIMED', 'FAILED', 'DEAD', 'CANCELLED')),
	retry_count integer NOT NULL DEFAULT 0,
	next_retry_time timestamptz,
	instance_id text,
	lock_until timestamptz,
	last_error text,
	update_time timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (message_id, route_id)
);
CREATE INDEX parked_waiting ON outbox.parked (route_id, run, pos)
	WHERE status IN ('NEW', 'CLAIMED', 'FAILED');
COMMENT ON TABLE outbox.parked IS 'messages whose next step a time or a person decides; never a payload';

CREATE TABLE outbox.attempt (
	message_id bigint NOT NULL,
	route_id smallint NOT NULL,
	generation smallint NOT NULL DEFAULT 0,
	attempt integer NOT NULL,
	started timestamptz NOT NULL,
	duration interval NOT NULL,
	outcome text NOT NULL CHECK (outcome IN ('OK', 'TRANSIENT', 'PERMANENT')),
	status integer NOT NULL,
	error text,
	answer bytea
);
CREATE INDEX attempt_message ON outbox.attempt (message_id);
COMMENT ON TABLE outbox.attempt IS 'failed attempts, and all attempts of routes with trace = all';

/* The relay's own row: lease holder, position P, where that was. */
CREATE TABLE outbox.relay (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	epoch bigint NOT NULL,
	instance text,
	slot text,
	pid integer,
	started timestamptz,
	heartbeat timestamptz,
	position pg_lsn,
	system_identifier bigint,
	database_oid oid,
	timeline integer,
	/* all ids up to here are resolved or will never exist */
	floor bigint NOT NULL DEFAULT 0,
	/* era << 40 | epoch of the last start */
	run bigint NOT NULL DEFAULT 0,
	/* noted to close gaps: who took an id up to here has an xid before that */
	noted_id bigint,
	noted_xid xid8
) WITH (fillfactor = 20);
INSERT INTO outbox.relay (epoch) VALUES (0);
COMMENT ON TABLE outbox.relay IS 'the last relay that started, its position and the floor; one row';

/* outbox.relay and generation are not dumped: what they say is true of this copy alone. */
SELECT pg_catalog.pg_extension_config_dump('outbox.message_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbox.route_id_seq', '');
/* One by one: each call writes the same row of pg_extension. */
DO $$
DECLARE
	relation pg_catalog.oid;
BEGIN
	FOR relation IN
		SELECT c.oid
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n
			ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
		WHERE n.nspname OPERATOR(pg_catalog.=) 'outbox' AND c.relkind OPERATOR(pg_catalog.=) 'r'
			AND (c.relname IN ('message_held', 'cluster', 'setting', 'route', 'dedup', 'resolved',
							   'backlog', 'parked', 'attempt')
				 OR c.relname OPERATOR(pg_catalog.~) '^message_[0-2]_[0-9]+$')
	LOOP
		PERFORM pg_catalog.pg_extension_config_dump(relation, '');
	END LOOP;
END
$$;
