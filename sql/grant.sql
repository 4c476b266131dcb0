/*
 * sql/grant.sql
 *
 * Who may do what.  PUBLIC may do nothing; outbox_grant() gives a role the
 * functions of one kind of work.
 *
 * SPDX-License-Identifier: PostgreSQL
 */

CREATE FUNCTION @extschema@.outbox_arm() RETURNS void
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM outbox.register();
	UPDATE outbox.cluster SET armed = true
	WHERE system_identifier = outbox.system_identifier()
		AND database_oid = outbox.database_oid() AND schema_oid = outbox.schema_oid() AND NOT armed;
END
$$;
COMMENT ON FUNCTION @extschema@.outbox_arm() IS 'this copy is to deliver from now on; the relay sees it at its next start';

/* The table of rights: a kind of work, and the names of its functions. */
CREATE FUNCTION outbox.functions_of(kind text) RETURNS text[]
	LANGUAGE sql IMMUTABLE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT CASE kind
		WHEN 'producer' THEN '{outbox_enqueue, outbox_enqueue_bytes, outbox_enqueue_many,
			outbox_shard}'::text[]
		WHEN 'relay' THEN '{outbox_lease, outbox_takeover, outbox_start, outbox_routes,
			outbox_resolved, outbox_unresolved, outbox_fetch, outbox_backlog, outbox_backlog_summary, outbox_waiting, outbox_oldest,
			outbox_settle, outbox_maintain, outbox_next_xid}'
		WHEN 'operator' THEN '{outbox_route_create, outbox_route_alter, outbox_route_drop,
			outbox_route_pause, outbox_route_resume, outbox_set, outbox_get, outbox_arm, outbox_routes,
			outbox_status, outbox_relay_status, outbox_trace, outbox_shard}'
		WHEN 'observer' THEN '{outbox_routes, outbox_status, outbox_relay_status, outbox_trace,
			outbox_shard}'
	END;
END;
COMMENT ON FUNCTION outbox.functions_of(text) IS 'what outbox_grant() gives, NULL for an unknown kind';

/* GRANT or REVOKE, for each function of ours that has one of the names. */
CREATE FUNCTION outbox.set_rights(verb text, role name, kind text) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	names constant text[] := outbox.functions_of(kind);
	direction constant text := CASE verb WHEN 'GRANT' THEN 'TO' ELSE 'FROM' END;
	f record;
BEGIN
	IF names IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown kind of role %L', kind),
			HINT = 'It is one of producer, relay, operator, observer.';
	ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %I does not exist', role);
	END IF;
	FOR f IN SELECT p.oid::regprocedure AS signature
		FROM pg_catalog.pg_extension AS e
		JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_extension'::regclass
			AND d.refobjid = e.oid AND d.deptype = 'e'
			AND d.classid = 'pg_catalog.pg_proc'::regclass
		JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid
		WHERE e.extname = 'outbox' AND p.pronamespace = e.extnamespace AND p.proname = ANY (names)
	LOOP
		EXECUTE format('%s EXECUTE ON FUNCTION %s %s %I', verb, f.signature, direction, role);
	END LOOP;
	IF kind IN ('operator', 'observer') THEN
		EXECUTE format('%s USAGE ON SCHEMA outbox %s %I', verb, direction, role);
		EXECUTE format('%s SELECT ON outbox.messages %s %I', verb, direction, role);
	END IF;
END
$$;
COMMENT ON FUNCTION outbox.set_rights(text, name, text) IS 'the work of outbox_grant() and outbox_revoke()';

/* The caller's own rights decide whether this works. */
CREATE FUNCTION outbox.require_replication(role name) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_roles
			   WHERE rolname = role AND (rolreplication OR rolsuper)) THEN
		RETURN;
	END IF;
	EXECUTE format('ALTER ROLE %I REPLICATION', role);
EXCEPTION WHEN insufficient_privilege THEN
	RAISE EXCEPTION USING
		ERRCODE = 'insufficient_privilege',
		MESSAGE = format('role %I has no REPLICATION attribute', role),
		DETAIL = 'The relay reads the stream of changes.',
		HINT = format('Let a superuser run: ALTER ROLE %I REPLICATION;', role);
END
$$;
COMMENT ON FUNCTION outbox.require_replication(name) IS 'gives a role REPLICATION if the caller may, else says who can';

/*
 * Both run with the rights of their caller: who may not GRANT on our objects
 * cannot do it through them either.
 */
CREATE FUNCTION @extschema@.outbox_grant(role name, kind text) RETURNS void
	LANGUAGE plpgsql VOLATILE STRICT
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM outbox.set_rights('GRANT', role, kind);
	EXECUTE 'GRANT USAGE ON SCHEMA @extschema@ TO ' || quote_ident(role);
	IF kind = 'relay' THEN
		PERFORM outbox.require_replication(role);
	END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.outbox_grant(name, text) IS 'lets a role work as producer, relay, operator or observer';

CREATE FUNCTION @extschema@.outbox_revoke(role name, kind text) RETURNS void
	LANGUAGE plpgsql VOLATILE STRICT
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM outbox.set_rights('REVOKE', role, kind);
END
$$;
COMMENT ON FUNCTION @extschema@.outbox_revoke(name, text) IS 'takes back what outbox_grant() gave for a kind; what another kind gave as well goes with it';

/*
 * PUBLIC gets nothing, whatever default privileges this database has.  This
 * is the end of the script: all that it made is a member by now.
 */
DO $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN SELECT d.objid::regprocedure
		FROM pg_catalog.pg_depend AS d
		JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
		WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
			AND d.classid = 'pg_catalog.pg_proc'::regclass AND e.extname = 'outbox'
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
	END LOOP;
END
$$;
REVOKE ALL ON ALL TABLES IN SCHEMA outbox FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA outbox FROM PUBLIC;
REVOKE ALL ON SCHEMA outbox FROM PUBLIC;
