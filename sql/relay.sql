/*
 * sql/relay.sql
 *
 * What the relay calls: lease and takeover, start, what it reads at a start,
 * and the one function by which it writes.  doc/interface.md is the contract.
 *
 * SPDX-License-Identifier: PostgreSQL
 */

/* Helpers that SQL lacks; nobody is granted them. */
CREATE FUNCTION outbox.lease_held() RETURNS boolean
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'outbox_lease_held';
COMMENT ON FUNCTION outbox.lease_held() IS 'does this very session hold the lease';

CREATE FUNCTION outbox.fence_exclusive() RETURNS void
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'outbox_fence_exclusive';
COMMENT ON FUNCTION outbox.fence_exclusive() IS 'keeps every settle out until the transaction ends';

CREATE FUNCTION outbox.system_identifier() RETURNS bigint
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'outbox_system_identifier';
COMMENT ON FUNCTION outbox.system_identifier() IS 'of this server, as in pg_control_system()';

CREATE FUNCTION outbox.timeline() RETURNS integer
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'outbox_timeline';
COMMENT ON FUNCTION outbox.timeline() IS 'the timeline that this server writes to';

CREATE FUNCTION @extschema@.outbox_next_xid() RETURNS xid8
	LANGUAGE c VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'outbox_next_xid';
COMMENT ON FUNCTION @extschema@.outbox_next_xid() IS 'above every transaction id given out so far: once a snapshot''s xmin has reached it, all that was open has ended';

CREATE FUNCTION outbox.register() RETURNS void
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'outbox_register';
COMMENT ON FUNCTION outbox.register() IS 'gives this system identifier, database and schema a row in outbox.cluster';

CREATE FUNCTION outbox.database_oid() RETURNS oid
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
	AS 'SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()';
COMMENT ON FUNCTION outbox.database_oid() IS 'OID of this database';

CREATE FUNCTION outbox.schema_oid() RETURNS oid
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $$SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'outbox'$$;
COMMENT ON FUNCTION outbox.schema_oid() IS 'OID of schema outbox: another one after a restore';

CREATE FUNCTION @extschema@.outbox_lease(instance text) RETURNS boolean
	LANGUAGE c VOLATILE STRICT SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'outbox_lease';
COMMENT ON FUNCTION @extschema@.outbox_lease(text) IS 'tries to become the relay that delivers; true when this session is';

/*
 * When a session last did something that a frozen relay cannot have done.
 * reply_time is the relay's own clock: the two may differ by less than the
 * time-out.  A backend that has the slot and does not stream has never
 * replied: it makes the slot, for as long as older transactions are open, or
 * it is a person's.  What the holder itself does counts then.
 */
CREATE FUNCTION outbox.last_heard(holder integer, walsender integer) RETURNS timestamptz
	LANGUAGE sql VOLATILE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT greatest(
		(SELECT greatest(reply_time, backend_start)
		 FROM pg_catalog.pg_stat_replication WHERE pid = walsender),
		CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_stat_replication
							  WHERE pid = walsender AND reply_time IS NOT NULL) THEN greatest(
			(SELECT greatest(backend_start, state_change)
			 FROM pg_catalog.pg_stat_activity WHERE pid = holder),
			(SELECT greatest(started, heartbeat) FROM outbox.relay WHERE pid = holder)) END);
END;
COMMENT ON FUNCTION outbox.last_heard(integer, integer) IS 'when the relay of these two backends last showed a sign of life';

/* Only a walsender of ours in this database: nobody may end another's. */
CREATE FUNCTION @extschema@.outbox_takeover(slot name, lease_timeout_ms integer) RETURNS boolean
	LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	holder integer;
	walsender integer;
	ended boolean := false;
BEGIN
	IF lease_timeout_ms < 1000 THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('lease_timeout_ms must be at least 1000, not %s', lease_timeout_ms);
	END IF;
	SELECT l.pid INTO holder FROM pg_catalog.pg_locks AS l
	WHERE l.locktype = 'advisory' AND l.database = outbox.database_oid()
		AND l.classid = 1869968482 AND l.objid = 1 AND l.objsubid = 3
		AND l.granted AND l.pid <> pg_backend_pid();
	SELECT s.active_pid INTO walsender FROM pg_catalog.pg_replication_slots AS s
	WHERE s.slot_name = slot AND s.database = current_database()
		AND s.plugin = 'outbox_decoder';

	IF outbox.last_heard(holder, walsender)
		> clock_timestamp() - lease_timeout_ms * interval '1 millisecond' THEN
		RETURN false;
	END IF;
	IF holder IS NOT NULL THEN
		ended := pg_terminate_backend(holder);
	END IF;
	IF walsender IS NOT NULL THEN
		ended := pg_terminate_backend(walsender) OR ended;
	END IF;
	RETURN ended;
END
$$;
COMMENT ON FUNCTION @extschema@.outbox_takeover(name, integer) IS 'ends a relay that has not been heard of for so long, and its walsender';

CREATE FUNCTION outbox.is_armed() RETURNS boolean
	LANGUAGE sql VOLATILE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT NOT EXISTS (SELECT FROM outbox.cluster)
		OR EXISTS (SELECT FROM outbox.cluster
				   WHERE armed AND system_identifier = outbox.system_identifier()
					   AND database_oid = outbox.database_oid()
					   AND schema_oid = outbox.schema_oid());
END;
COMMENT ON FUNCTION outbox.is_armed() IS 'false in a copy until outbox_arm()';

/*
 * The fence first, then a statement of its own: that one sees the last settle
 * of the run before.  Position and note are true of one identity only, and
 * the note of one timeline only.
 */
CREATE FUNCTION @extschema@.outbox_start(instance text, slot name,
		OUT run bigint, OUT armed boolean, OUT "position" pg_lsn,
		OUT system_identifier bigint, OUT timeline integer, OUT schema_oid oid)
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	here_era bigint;
	sysid constant bigint := outbox.system_identifier();
	tli constant integer := outbox.timeline();
	same boolean;
BEGIN
	IF NOT outbox.lease_held() THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'this session does not hold the lease',
			HINT = 'Call outbox_lease() first, until it returns true.';
	ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_transaction_state',
			MESSAGE = 'outbox_start() must run in a READ COMMITTED transaction';
	END IF;
	PERFORM outbox.fence_exclusive();

	armed := outbox.is_armed();
	SELECT c.era INTO here_era FROM outbox.cluster AS c
	WHERE c.system_identifier = sysid AND c.database_oid = outbox.database_oid()
		AND c.schema_oid = outbox.schema_oid();
	SELECT r.system_identifier = sysid AND r.database_oid = outbox.database_oid()
	INTO same FROM outbox.relay AS r;

	UPDATE outbox.relay AS r SET
		epoch = r.epoch + 1,
		run = coalesce(here_era, 0) << 40 | (r.epoch + 1),
		instance = $1, slot = $2, pid = pg_backend_pid(),
		started = clock_timestamp(), heartbeat = clock_timestamp(),
		"position" = CASE WHEN same THEN r."position" END,
		noted_id = CASE WHEN same AND r.timeline = tli THEN r.noted_id END,
		noted_xid = CASE WHEN same AND r.timeline = tli THEN r.noted_xid END,
		system_identifier = sysid, database_oid = outbox.database_oid(), timeline = tli
	RETURNING r.run, r."position", r.system_identifier, r.timeline
	INTO run, "position", system_identifier, timeline;
	schema_oid := outbox.schema_oid();
END
$$;
COMMENT ON FUNCTION @extschema@.outbox_start(text, name) IS 'begins a new run of the relay: no settle of an older one is accepted any more';

CREATE FUNCTION @extschema@.outbox_routes()
	RETURNS TABLE (id smallint, name text, kind text, target text, state text, ordering text,
		retry_initial_ms integer, retry_max_ms integer, retry_multiplier real,
		max_attempts integer, timeout_ms integer, connect_timeout_ms integer,
		concurrency integer, trace text)
	LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT r.id, r.name, r.kind, r.target, r.state,
		coalesce(r.options ->> 'ordering', 'key'),
		coalesce((r.options ->> 'retry_initial_ms')::integer, 1000),
		coalesce((r.options ->> 'retry_max_ms')::integer, 600000),
		coalesce((r.options ->> 'retry_multiplier')::real, 2),
		coalesce((r.options ->> 'max_attempts')::integer, 16),
		coalesce((r.options ->> 'timeout_ms')::integer, 10000),
		coalesce((r.options ->> 'connect_timeout_ms')::integer, 3000),
		coalesce((r.options ->> 'concurrency')::integer,
				 CASE r.kind WHEN 'http' THEN 16 ELSE 1000 END),
		coalesce(r.options ->> 'trace', 'failures')
	FROM outbox.route AS r ORDER BY r.id;
END;
COMMENT ON FUNCTION @extschema@.outbox_routes() IS 'every route ever made, with its options filled in';

/* R: what is resolved, and all that the floor says. */
CREATE FUNCTION outbox.resolved_ids() RETURNS int8multirange
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT coalesce((SELECT range_agg(ids) FROM outbox.resolved), '{}')
		+ int8multirange(int8range(1, (SELECT floor FROM outbox.relay) + 1));
END;
COMMENT ON FUNCTION outbox.resolved_ids() IS 'the merged set of ids that need no delivery any more';

CREATE FUNCTION @extschema@.outbox_resolved() RETURNS TABLE (first bigint, last bigint)
	LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT lower(r), upper(r) - 1 FROM unnest(outbox.resolved_ids()) AS r ORDER BY 1;
END;
COMMENT ON FUNCTION @extschema@.outbox_resolved() IS 'the resolved ids as ranges, last inclusive';

/*
 * Where to look for what is not resolved.  Holes that are near to each other
 * are looked at together: with one id in ten rolled back, a descent into each
 * leaf for each hole would cost more than reading what lies between.
 */
CREATE FUNCTION outbox.windows(resolved int8multirange, below bigint)
	RETURNS TABLE (first bigint, last bigint)
	LANGUAGE sql IMMUTABLE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT min(h.first), max(h.last)
	FROM (
		SELECT g.first, g.last, count(*) FILTER (WHERE g.far) OVER (ORDER BY g.first) AS island
		FROM (
			SELECT lower(r) AS first, upper(r) - 1 AS last,
				lower(r) - lag(upper(r)) OVER (ORDER BY r) > 100 AS far
			FROM unnest(int8multirange(int8range(1, below)) - resolved) AS r
		) AS g
	) AS h
	GROUP BY h.island;
END;
COMMENT ON FUNCTION outbox.windows(int8multirange, bigint) IS 'ranges of ids that together hold every id not resolved';

/*
 * Of messages not resolved: the routes that have a row.  The lateral
 * subqueries keep OFFSET 0, and sequential scans are off, so that only the
 * windows are looked into.
 */
CREATE FUNCTION outbox.kept(resolved int8multirange, OUT ids bigint[], OUT routes smallint[])
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET jit = off
BEGIN ATOMIC
	WITH windows AS MATERIALIZED (
		SELECT w.first, w.last FROM outbox.windows(resolved, 9223372036854775807) AS w
	), kept AS (
		SELECT p.message_id AS id, p.route_id FROM windows AS w CROSS JOIN LATERAL (
			SELECT p.message_id, p.route_id FROM outbox.parked AS p
			WHERE p.message_id BETWEEN w.first AND w.last OFFSET 0) AS p
		WHERE NOT p.message_id <@ resolved
		UNION ALL
		SELECT e.id, b.route_id FROM windows AS w CROSS JOIN LATERAL (
			SELECT b.route_id, b.ids, b.done FROM outbox.backlog AS b
			WHERE int8range(b.first_id, b.last_id, '[]') && int8range(w.first, w.last, '[]')
			OFFSET 0) AS b
		CROSS JOIN LATERAL unnest(b.ids) WITH ORDINALITY AS e (id, n)
		WHERE NOT e.id <@ resolved AND NOT b.done @> (e.n - 1)::integer
	)
	SELECT coalesce(array_agg(k.id ORDER BY k.id), '{}'),
		coalesce(array_agg(k.route_id ORDER BY k.id), '{}') FROM kept AS k;
END;
COMMENT ON FUNCTION outbox.kept(int8multirange) IS 'rows in backlog and parked of messages that are not resolved, by id';

CREATE FUNCTION outbox.unresolved_runs(resolved int8multirange, kept_ids bigint[], kept_routes smallint[])
	RETURNS TABLE (generation smallint, routes smallint[], first bigint, last bigint)
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'outbox_unresolved_runs';
COMMENT ON FUNCTION outbox.unresolved_runs(int8multirange, bigint[], smallint[]) IS 'visible messages not in resolved, without the routes kept';

/* One statement's snapshot for all. */
CREATE FUNCTION @extschema@.outbox_unresolved()
	RETURNS TABLE (generation smallint, routes smallint[], first bigint, last bigint)
	LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT u.generation, u.routes, u.first, u.last
	FROM outbox.resolved_ids() AS r (ids)
	CROSS JOIN LATERAL outbox.kept(r.ids) AS k (ids, routes)
	CROSS JOIN LATERAL outbox.unresolved_runs(r.ids, k.ids, k.routes) AS u;
END;
COMMENT ON FUNCTION @extschema@.outbox_unresolved() IS 'visible messages that are not resolved, as runs of ids with the routes that are left';

/*
 * Each id is looked for in every leaf, 20 us.  Of ids that lie close together,
 * as those of a backlog do, one range a leaf is read instead, 4 us an id.
 */
CREATE FUNCTION @extschema@.outbox_fetch(ids bigint[])
	RETURNS TABLE (id bigint, generation smallint, shard_id smallint, create_time timestamptz,
		routes smallint[], type text, biz_key text, topic text, tag text, message_key text,
		sharding_key text, content_type text, headers text[], payload bytea)
	LANGUAGE plpgsql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	low bigint;
	high bigint;
BEGIN
	SELECT min(i), max(i) INTO low, high FROM unnest($1) AS i;
	IF high::numeric - low < 8 * cardinality($1) THEN
		RETURN QUERY
		WITH wanted AS MATERIALIZED (
			SELECT w.id, w.n FROM unnest($1) WITH ORDINALITY AS w (id, n)
		), found AS MATERIALIZED (
			SELECT m.* FROM outbox.message AS m WHERE m.id BETWEEN low AND high
		)
		SELECT m.id, m.generation, m.shard_id, m.create_time, m.routes, m.type, m.biz_key,
			m.topic, m.tag, m.message_key, m.sharding_key, m.content_type,
			CASE WHEN m.headers IS NULL THEN '{}' ELSE
				ARRAY(SELECT v.part FROM jsonb_each_text(m.headers) WITH ORDINALITY AS h (key, value, n)
					  CROSS JOIN LATERAL (VALUES (1, h.key), (2, h.value)) AS v (side, part)
					  ORDER BY h.n, v.side) END,
			m.payload
		FROM wanted AS w JOIN found AS m ON m.id = w.id ORDER BY w.n;
	ELSE
		RETURN QUERY
		SELECT m.* FROM unnest($1) AS wanted (id) CROSS JOIN LATERAL (
			SELECT m.id, m.generation, m.shard_id, m.create_time, m.routes, m.type, m.biz_key,
				m.topic, m.tag, m.message_key, m.sharding_key, m.content_type,
				CASE WHEN m.headers IS NULL THEN '{}' ELSE
					ARRAY(SELECT v.part FROM jsonb_each_text(m.headers) WITH ORDINALITY AS h (key, value, n)
						  CROSS JOIN LATERAL (VALUES (1, h.key), (2, h.value)) AS v (side, part)
						  ORDER BY h.n, v.side) END,
				m.payload
			FROM outbox.message AS m WHERE m.id = wanted.id OFFSET 0) AS m;
	END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.outbox_fetch(bigint[]) IS 'messages by id, wherever they are; those not visible are left out';

/* Two branches, so that each has its own partial index; one of them is run. */
CREATE FUNCTION @extschema@.outbox_backlog(route_id smallint, key_hash integer, after_seq bigint,
		most integer)
	RETURNS TABLE (seq bigint, generation smallint, run bigint, pos bigint, ids bigint[],
		done int4multirange)
	LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	(SELECT b.seq, b.generation, b.run, b.pos, b.ids, b.done
	 FROM outbox.backlog AS b
	 WHERE $2 IS NULL AND b.key_hash IS NULL AND b.route_id = $1 AND b.seq > after_seq
	 ORDER BY b.seq LIMIT most)
	UNION ALL
	(SELECT b.seq, b.generation, b.run, b.pos, b.ids, b.done
	 FROM outbox.backlog AS b
	 WHERE b.key_hash = $2 AND b.route_id = $1 AND b.seq > after_seq
	 ORDER BY b.seq LIMIT most);
END;
COMMENT ON FUNCTION @extschema@.outbox_backlog(smallint, integer, bigint, integer) IS 'the next segments of a route, or of one of its keys, that wait to be sent';

CREATE FUNCTION @extschema@.outbox_backlog_summary()
	RETURNS TABLE (route_id smallint, key_hash integer, seq bigint, messages bigint)
	LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT b.route_id, b.key_hash, max(b.seq), sum(array_length(b.ids, 1)
		- (SELECT coalesce(sum(upper(d) - lower(d)), 0) FROM unnest(b.done) AS d))::bigint
	FROM outbox.backlog AS b GROUP BY b.route_id, b.key_hash ORDER BY b.route_id, b.key_hash;
END;
COMMENT ON FUNCTION @extschema@.outbox_backlog_summary() IS 'of each route and key with a backlog: its last segment and how many messages wait';

CREATE FUNCTION @extschema@.outbox_waiting(most integer)
	RETURNS TABLE (message_id bigint, route_id smallint, generation smallint, shard_id smallint,
		key_hash integer, run bigint, pos bigint, status text, retry_count integer,
		next_retry_time timestamptz)
	LANGUAGE sql STABLE STRICT SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT w.message_id, w.route_id, w.generation, w.shard_id, w.key_hash, w.run, w.pos,
		w.status, w.retry_count, w.next_retry_time
	FROM outbox.route AS r CROSS JOIN LATERAL (
		SELECT p.* FROM outbox.parked AS p
		WHERE p.route_id = r.id AND p.status IN ('NEW', 'CLAIMED', 'FAILED')
		ORDER BY p.run, p.pos LIMIT most) AS w
	ORDER BY w.run, w.pos, w.route_id;
END;
COMMENT ON FUNCTION @extschema@.outbox_waiting(integer) IS 'parked messages that hold back later ones of their key, in order';

CREATE FUNCTION @extschema@.outbox_settle(run bigint, system_identifier bigint, timeline integer,
		"position" pg_lsn, generations smallint[], resolved int8multirange[], facts jsonb)
	RETURNS void
	LANGUAGE c VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'outbox_settle';
COMMENT ON FUNCTION @extschema@.outbox_settle(bigint, bigint, integer, pg_lsn, smallint[], int8multirange[], jsonb)
	IS 'the one way the relay writes';
