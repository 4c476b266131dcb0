/*
 * sql/maintain.sql
 *
 * What the relay calls about once a minute: the rows of outbox.resolved
 * become few, the gaps of rolled-back ids are closed, the floor rises.
 *
 * SPDX-License-Identifier: PostgreSQL
 */

/* The greatest id that can have been given out; NULL before the first. */
CREATE FUNCTION outbox.last_id() RETURNS bigint
	LANGUAGE sql VOLATILE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT (c.base + outbox.timeline() - 1) << 47
		| CASE WHEN s.is_called THEN s.last_value ELSE 0 END
	FROM outbox.cluster AS c CROSS JOIN outbox.message_id_seq AS s
	WHERE c.system_identifier = outbox.system_identifier()
		AND c.database_oid = outbox.database_oid() AND c.schema_oid = outbox.schema_oid();
END;
COMMENT ON FUNCTION outbox.last_id() IS 'no message has a greater id now';

/*
 * An id up to noted_id was taken by a transaction whose xid is below
 * noted_xid.  When a snapshot's xmin has reached that, all of them have ended
 * and are seen: an id that no leaf has will never be there.  A statement
 * after the test has a snapshot at least as new.  noted_id is 0 when there was
 * no message yet.
 */
CREATE FUNCTION outbox.close_gaps() RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET jit = off
AS $$
DECLARE
	noted record;
	resolved int8multirange;
	gaps int8multirange;
BEGIN
	SELECT r.noted_id, r.noted_xid INTO noted FROM outbox.relay AS r;
	IF noted.noted_xid <= pg_snapshot_xmin(pg_current_snapshot()) THEN
		resolved := outbox.resolved_ids();
		SELECT int8multirange(int8range(1, noted.noted_id + 1)) - resolved
			- coalesce(range_agg(int8range(m.id, m.id, '[]')), '{}')
		INTO gaps
		FROM outbox.windows(resolved, noted.noted_id + 1) AS w CROSS JOIN LATERAL (
			SELECT m.id FROM outbox.message AS m
			WHERE m.id BETWEEN w.first AND w.last OFFSET 0) AS m
		WHERE NOT m.id <@ resolved;
		PERFORM outbox.add_gaps(gaps);
		noted.noted_xid := NULL;
	END IF;
	IF noted.noted_xid IS NULL THEN
		UPDATE outbox.relay SET noted_id = outbox.last_id();
		UPDATE outbox.relay SET noted_xid = @extschema@.outbox_next_xid() WHERE noted_id IS NOT NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION outbox.close_gaps() IS 'takes ids that were rolled back for resolved';

/* A gap joins the generation of the ids beside it, so that ranges grow together. */
CREATE FUNCTION outbox.add_gaps(gaps int8multirange) RETURNS void
	LANGUAGE sql VOLATILE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	INSERT INTO outbox.resolved (generation, ids, resolved_at, epoch)
	WITH edge AS MATERIALIZED (
		SELECT s.generation, lower(e) AS first, upper(e) AS after
		FROM outbox.resolved AS s CROSS JOIN LATERAL unnest(s.ids) AS e
	), left_edge AS (
		SELECT after, min(generation) AS generation FROM edge GROUP BY after
	), right_edge AS (
		SELECT first, min(generation) AS generation FROM edge GROUP BY first
	)
	SELECT coalesce(l.generation, r.generation, c.current) AS generation,
		range_agg(g), clock_timestamp(), (SELECT epoch FROM outbox.relay)
	FROM unnest(gaps) AS g
	CROSS JOIN outbox.generation AS c
	LEFT JOIN left_edge AS l ON l.after = lower(g)
	LEFT JOIN right_edge AS r ON r.first = upper(g)
	GROUP BY 1;
END;
COMMENT ON FUNCTION outbox.add_gaps(int8multirange) IS 'records ids that will never exist';

/* Rows of the last ten seconds stay: outbox_status() makes the rate of them. */
CREATE FUNCTION outbox.merge() RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	before constant timestamptz := clock_timestamp() - interval '10 seconds';
BEGIN
	PERFORM outbox.close_gaps();
	IF EXISTS (SELECT FROM outbox.resolved AS r WHERE r.resolved_at < before
			   GROUP BY r.generation HAVING count(*) > 1) THEN
		WITH old AS (
			DELETE FROM outbox.resolved AS r WHERE r.resolved_at < before
			RETURNING r.generation, r.ids, r.resolved_at, r.epoch, r.sent
		), sent AS (
			SELECT s.generation, jsonb_object_agg(s.route_id, s.n) AS counts
			FROM (SELECT o.generation, e.key AS route_id, sum(e.value::bigint) AS n
				  FROM old AS o CROSS JOIN LATERAL jsonb_each_text(o.sent) AS e
				  GROUP BY o.generation, e.key) AS s
			GROUP BY s.generation
		)
		INSERT INTO outbox.resolved (generation, ids, resolved_at, epoch, sent)
		SELECT o.generation, range_agg(o.ids), max(o.resolved_at), max(o.epoch),
			(SELECT s.counts FROM sent AS s WHERE s.generation = o.generation)
		FROM old AS o GROUP BY o.generation;
	END IF;
	UPDATE outbox.relay AS r SET floor = upper(s.ids) - 1
	FROM unnest(outbox.resolved_ids()) AS s (ids)
	WHERE s.ids @> r.floor + 1;
END
$$;
COMMENT ON FUNCTION outbox.merge() IS 'the work of outbox_maintain()';

CREATE FUNCTION @extschema@.outbox_maintain(run bigint) RETURNS void
	LANGUAGE c VOLATILE STRICT SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'outbox_maintain';
COMMENT ON FUNCTION @extschema@.outbox_maintain(bigint) IS 'merges what is resolved and closes the gaps of ids that no transaction can commit any more';
