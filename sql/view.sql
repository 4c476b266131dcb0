/*
 * sql/view.sql
 *
 * What a person looks at.  By id all of it is index look-ups; counts come
 * from the summaries (backlog, parked, relay), never from payloads.
 *
 * SPDX-License-Identifier: PostgreSQL
 */

/*
 * Only functions of pg_catalog here: a view's functions are checked against
 * the caller, its tables against the owner.  At or below the floor all is
 * resolved; the set of the rest is made once, and only when it is needed.
 */
CREATE VIEW outbox.messages AS
SELECT m.id, m.generation, m.shard_id, x.route_id, r.name AS route, r.kind,
	m.type, m.topic, m.tag, m.biz_key, m.message_key, m.sharding_key,
	CASE
		WHEN p.status IS NOT NULL THEN p.status
		WHEN b.seq IS NOT NULL THEN 'NEW'
		WHEN m.id <= (SELECT floor FROM outbox.relay) THEN 'SENT'
		WHEN m.id <@ (SELECT pg_catalog.range_agg(s.ids) FROM outbox.resolved AS s) THEN 'SENT'
		ELSE 'NEW'
	END AS status,
	coalesce(p.retry_count, 0) AS retry_count,
	p.next_retry_time, p.instance_id, p.lock_until, p.last_error,
	m.deliver_at, m.create_time,
	coalesce(p.update_time, b.create_time,
		(SELECT s.resolved_at FROM outbox.resolved AS s WHERE s.ids @> m.id LIMIT 1),
		m.create_time) AS update_time,
	m.content_type, m.headers, m.payload
FROM outbox.message AS m
LEFT JOIN LATERAL unnest(m.routes) AS x (route_id) ON true
LEFT JOIN outbox.route AS r ON r.id = x.route_id
LEFT JOIN outbox.parked AS p ON p.message_id = m.id AND p.route_id = x.route_id
LEFT JOIN LATERAL (
	SELECT b.seq, b.create_time
	FROM outbox.backlog AS b
	WHERE pg_catalog.int8range(b.first_id, b.last_id, '[]') @> m.id
		AND b.route_id = x.route_id
		AND NOT b.done @> pg_catalog.array_position(b.ids, m.id) - 1
	LIMIT 1) AS b ON true;
COMMENT ON VIEW outbox.messages IS 'one row for each message and route, with its status; ask by id';

/* The heads of backlogs and waiting rows stand for all: they are in order. */
CREATE FUNCTION outbox.oldest(route smallint) RETURNS timestamptz
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT min(m.create_time) FROM outbox.message AS m WHERE m.id = ANY (ARRAY[
		(SELECT b.first_id FROM outbox.backlog AS b WHERE b.route_id = route AND b.key_hash IS NULL
		 ORDER BY b.seq LIMIT 1),
		(SELECT b.first_id FROM outbox.backlog AS b WHERE b.route_id = route AND b.key_hash IS NOT NULL
		 ORDER BY b.run, b.pos LIMIT 1),
		(SELECT w.message_id FROM outbox.parked AS w WHERE w.route_id = route
			AND w.status IN ('NEW', 'CLAIMED', 'FAILED')
		 ORDER BY w.run, w.pos LIMIT 1)]);
END;
COMMENT ON FUNCTION outbox.oldest(smallint) IS 'when the first was enqueued that waits for this route in backlog or parked';

CREATE FUNCTION @extschema@.outbox_oldest() RETURNS TABLE (route_id smallint, oldest timestamptz)
	LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT o.id, o.oldest FROM (
		SELECT r.id, outbox.oldest(r.id) AS oldest FROM outbox.route AS r) AS o
	WHERE o.oldest IS NOT NULL ORDER BY o.id;
END;
COMMENT ON FUNCTION @extschema@.outbox_oldest() IS 'of each route with something in backlog or parked: when the first of that was enqueued';

CREATE FUNCTION @extschema@.outbox_status()
	RETURNS TABLE (route_id smallint, route text, kind text, state text, sent bigint, rate float8,
		backlog bigint, new bigint, claimed bigint, failed bigint, dead bigint, cancelled bigint,
		oldest_age interval, next_retry_time timestamptz, last_error text, last_error_time timestamptz)
	LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH parked AS (
		SELECT p.route_id,
			count(*) FILTER (WHERE p.status = 'NEW') AS new,
			count(*) FILTER (WHERE p.status = 'CLAIMED') AS claimed,
			count(*) FILTER (WHERE p.status = 'FAILED') AS failed,
			count(*) FILTER (WHERE p.status = 'DEAD') AS dead,
			count(*) FILTER (WHERE p.status = 'CANCELLED') AS cancelled,
			min(p.next_retry_time) FILTER (WHERE p.status = 'FAILED') AS next_retry_time
		FROM outbox.parked AS p GROUP BY p.route_id
	), deliveries AS (
		SELECT e.key::smallint AS route_id, sum(e.value::bigint)::bigint AS sent,
			coalesce(sum(e.value::bigint) FILTER (
				WHERE d.resolved_at > statement_timestamp() - interval '10 seconds'), 0)::float8 / 10 AS rate
		FROM outbox.resolved AS d CROSS JOIN LATERAL jsonb_each_text(d.sent) AS e
		GROUP BY e.key
	), segments AS (
		SELECT b.route_id, sum(cardinality(b.ids)
			- coalesce((SELECT sum(upper(d) - lower(d)) FROM unnest(b.done) AS d), 0))::bigint AS backlog
		FROM outbox.backlog AS b GROUP BY b.route_id
	)
	SELECT r.id, r.name, r.kind, r.state, coalesce(d.sent, 0), coalesce(d.rate, 0),
		coalesce(s.backlog, 0),
		coalesce(p.new, 0), coalesce(p.claimed, 0), coalesce(p.failed, 0),
		coalesce(p.dead, 0), coalesce(p.cancelled, 0),
		statement_timestamp() - outbox.oldest(r.id),
		p.next_retry_time, e.last_error, e.update_time
	FROM outbox.route AS r
	LEFT JOIN parked AS p ON p.route_id = r.id
	LEFT JOIN segments AS s ON s.route_id = r.id
	LEFT JOIN deliveries AS d ON d.route_id = r.id
	LEFT JOIN LATERAL (
		SELECT l.last_error, l.update_time FROM outbox.parked AS l
		WHERE l.route_id = r.id AND l.last_error IS NOT NULL
		ORDER BY l.update_time DESC LIMIT 1) AS e ON true
	WHERE r.state <> 'dropped' OR p.route_id IS NOT NULL OR s.route_id IS NOT NULL
	ORDER BY r.id;
END;
COMMENT ON FUNCTION @extschema@.outbox_status() IS 'each route: deliveries so far and a second (of the last ten), what waits, what failed, the age of the oldest that waits, the last error';

/* LSNs of a standby are those it has replayed. */
CREATE FUNCTION outbox.wal_end() RETURNS pg_lsn
	LANGUAGE sql VOLATILE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
		ELSE pg_current_wal_insert_lsn() END;
END;
COMMENT ON FUNCTION outbox.wal_end() IS 'where the WAL ends now';

/*
 * undecided counts ids, not rows: what was taken from the sequence and is not
 * resolved yet, rolled-back ids that no maintenance has closed included.
 */
CREATE FUNCTION @extschema@.outbox_relay_status()
	RETURNS TABLE (instance text, lease_pid integer, armed boolean, run bigint, epoch bigint,
		started timestamptz, heartbeat timestamptz, "position" pg_lsn, floor bigint,
		undecided bigint, slot text, slot_active boolean, wal_status text,
		lag_bytes bigint, retained_bytes bigint, lag interval)
	LANGUAGE sql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT r.instance,
		(SELECT l.pid FROM pg_catalog.pg_locks AS l
		 WHERE l.locktype = 'advisory' AND l.database = outbox.database_oid()
			AND l.classid = 1869968482 AND l.objid = 1 AND l.objsubid = 3 AND l.granted),
		outbox.is_armed(), r.run, r.epoch, r.started, r.heartbeat, r."position", r.floor,
		CASE WHEN NOT pg_is_in_recovery() THEN
			(SELECT coalesce(sum(upper(h) - lower(h)), 0)::bigint FROM outbox.last_id() AS last (id)
			 CROSS JOIN LATERAL unnest(
				int8multirange(int8range(greatest(r.floor, last.id >> 47 << 47) + 1,
										 greatest(r.floor, last.id) + 1))
				- outbox.resolved_ids()) AS h) END,
		r.slot, s.active, s.wal_status,
		(outbox.wal_end() - s.confirmed_flush_lsn)::bigint,
		(outbox.wal_end() - s.restart_lsn)::bigint,
		(SELECT w.replay_lag FROM pg_catalog.pg_stat_replication AS w WHERE w.pid = s.active_pid)
	FROM outbox.relay AS r
	LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.slot_name = r.slot;
END;
COMMENT ON FUNCTION @extschema@.outbox_relay_status() IS 'the relay: who holds the lease, how far it is, what its slot holds back';

CREATE FUNCTION outbox.trace_events(message bigint)
	RETURNS TABLE ("time" timestamptz, route_id smallint, event text, detail text)
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT m.create_time, NULL::smallint, 'enqueued',
		format('type %s, generation %s, shard %s, %s bytes, routes %s', m.type, m.generation,
			   m.shard_id, octet_length(m.payload), m.routes)
	FROM outbox.message AS m WHERE m.id = message
	UNION ALL
	SELECT b.create_time, b.route_id, 'backlog', format('segment %s%s, element %s', b.seq,
		CASE WHEN b.key_hash IS NOT NULL THEN ' of its key' END, array_position(b.ids, message) - 1)
		|| CASE WHEN b.done @> array_position(b.ids, message) - 1 THEN ', left' ELSE ', waits' END
	FROM outbox.backlog AS b
	WHERE int8range(b.first_id, b.last_id, '[]') @> message AND message = ANY (b.ids)
	UNION ALL
	SELECT a.started, a.route_id, 'attempt', format('%s: %s, status %s, %s ms', a.attempt,
		a.outcome, a.status, round(extract(epoch FROM a.duration) * 1000, 3)) || coalesce(': ' || a.error, '')
	FROM outbox.attempt AS a WHERE a.message_id = message
	UNION ALL
	SELECT p.update_time, p.route_id, p.status, concat_ws(', ', format('%s attempts', p.retry_count),
		'next at ' || p.next_retry_time, 'relay ' || p.instance_id, p.last_error)
	FROM outbox.parked AS p WHERE p.message_id = message
	UNION ALL
	SELECT min(s.resolved_at), NULL::smallint, 'resolved',
		'delivered, or in backlog or parked, for each route; recorded at or before this time'
	FROM outbox.resolved AS s WHERE s.ids @> message HAVING count(*) > 0;
END;
COMMENT ON FUNCTION outbox.trace_events(bigint) IS 'the rows of outbox_trace() before their order';

CREATE FUNCTION @extschema@.outbox_trace(id bigint)
	RETURNS TABLE ("time" timestamptz, route text, event text, detail text)
	LANGUAGE sql STABLE STRICT SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT t."time", r.name, t.event, t.detail
	FROM outbox.trace_events(id) AS t LEFT JOIN outbox.route AS r ON r.id = t.route_id
	ORDER BY t."time", t.event = 'resolved';
END;
COMMENT ON FUNCTION @extschema@.outbox_trace(bigint) IS 'the story of one message, as far as it is recorded';
