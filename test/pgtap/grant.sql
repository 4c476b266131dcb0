/*
 * test/pgtap/grant.sql
 *
 * Who may do what: PUBLIC nothing, each kind of role its functions and no
 * others.  In a database of its own; functions in a schema of their own, so
 * that names that need quotes and a search_path without them are tried.
 *
 * SPDX-License-Identifier: PostgreSQL
 */
\set QUIET 1
\set ON_ERROR_STOP 1
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;

/* What somebody has planted must not be called by our script or functions. */
CREATE SCHEMA "Msg q";
CREATE FUNCTION public.coalesce_trap() RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE 'trap'; END$$;
CREATE FUNCTION public.lower(int8range) RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RAISE 'trap'; END$$;
CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN RAISE 'trap'; END$$;
CREATE TEMP TABLE relay (epoch int);
CREATE TEMP TABLE message (id int);
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
CREATE EXTENSION outbox SCHEMA "Msg q";

CREATE VIEW member AS
SELECT p.oid, p.proname, p.prosecdef, p.proconfig, p.proacl, p.proowner, p.pronamespace
FROM pg_depend AS d
JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
WHERE e.extname = 'outbox' AND d.deptype = 'e';

SELECT plan(39);

SELECT cmp_ok(count(*)::int, '>', 30, 'the extension has functions') FROM member;
SELECT is_empty($$SELECT m.oid::regprocedure FROM member AS m,
	aclexplode(coalesce(m.proacl, acldefault('f', m.proowner))) AS a
	WHERE a.grantee = 0$$, 'no function is for PUBLIC');
SELECT is_empty($$SELECT oid::regprocedure FROM member
	WHERE prosecdef AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))$$,
	'each SECURITY DEFINER function sets its search_path');
SELECT is_empty($$SELECT oid::regprocedure FROM member
	WHERE 'internal'::regtype = ANY ((SELECT proargtypes FROM pg_proc WHERE pg_proc.oid = member.oid)::oid[])$$,
	'none takes an internal argument');
SELECT is_empty($$SELECT oid::regprocedure FROM member WHERE obj_description(oid, 'pg_proc') IS NULL$$,
	'each function has a comment');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class AS c, aclexplode(c.relacl) AS a
	WHERE c.relnamespace = 'outbox'::regnamespace AND a.grantee = 0$$,
	'no table, view or sequence is for PUBLIC, whatever the default privileges');
SELECT is_empty($$SELECT FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
	WHERE n.nspname = 'outbox' AND a.grantee = 0$$, 'nor is the schema');

BEGIN;
CREATE ROLE outbox_test_producer;
CREATE ROLE outbox_test_relay;
CREATE ROLE outbox_test_operator;
CREATE ROLE outbox_test_observer;
CREATE ROLE outbox_test_nobody;
CREATE ROLE outbox_test_admin;
GRANT outbox_test_producer, outbox_test_relay, outbox_test_operator, outbox_test_observer,
	outbox_test_nobody TO CURRENT_USER;

CREATE FUNCTION may(role name, function text) RETURNS boolean LANGUAGE sql AS $$
	SELECT bool_and(has_function_privilege(role, oid, 'EXECUTE')) FROM member WHERE proname = function
$$;
CREATE FUNCTION may_of(role name) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM member WHERE has_function_privilege(role, oid, 'EXECUTE')
$$;

SELECT is(may_of('outbox_test_nobody'), 0::bigint, 'a new role has nothing');
SELECT throws_ok($$SELECT "Msg q".outbox_grant('outbox_test_nobody', 'boss')$$, '22023', NULL, 'no such kind');
SELECT throws_ok($$SELECT "Msg q".outbox_grant('outbox_test_none', 'relay')$$, '42704', NULL, 'no such role');
SELECT "Msg q".outbox_grant('outbox_test_' || k, k) FROM unnest('{producer,relay,operator,observer}'::text[]) AS k \g /dev/null

/* Names in the table of rights are names of functions. */
SELECT is_empty(format($$SELECT f FROM unnest(outbox.functions_of(%L)) AS f
	WHERE f NOT IN (SELECT proname FROM member WHERE pronamespace = '"Msg q"'::regnamespace)$$, k),
	'all functions of a ' || k || ' exist')
FROM unnest('{producer,relay,operator,observer}'::text[]) AS k;
SELECT is(may_of('outbox_test_' || k), cardinality(outbox.functions_of(k))::bigint, 'a ' || k || ' has these and no more')
FROM unnest('{producer,relay,operator,observer}'::text[]) AS k;
SELECT ok(may('outbox_test_producer', 'outbox_enqueue') AND NOT may('outbox_test_producer', 'outbox_settle'),
	'a producer enqueues and does not settle');
SELECT ok(may('outbox_test_relay', 'outbox_settle') AND NOT may('outbox_test_relay', 'outbox_arm'),
	'a relay settles and does not arm');
SELECT ok(may('outbox_test_operator', 'outbox_arm') AND NOT may('outbox_test_operator', 'outbox_enqueue'),
	'an operator arms and does not enqueue');
SELECT ok(may('outbox_test_observer', 'outbox_status') AND NOT may('outbox_test_observer', 'outbox_route_drop'),
	'an observer looks and does not touch');
SELECT ok(rolreplication, 'a relay got REPLICATION from a superuser') FROM pg_roles WHERE rolname = 'outbox_test_relay';
SELECT is((SELECT string_agg(DISTINCT k, ',') FROM unnest('{producer,relay,nobody}'::text[]) AS k, pg_class AS c
		   WHERE c.relnamespace = 'outbox'::regnamespace AND c.relkind IN ('r', 'p', 'v')
			AND has_table_privilege('outbox_test_' || k, c.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE')),
	NULL, 'none of them reads a table');
SELECT is((SELECT string_agg(c.relname, ',') FROM pg_class AS c
		   WHERE c.relnamespace = 'outbox'::regnamespace AND c.relkind IN ('r', 'p', 'v')
			AND has_table_privilege('outbox_test_observer', c.oid, 'SELECT')), 'messages',
	'an observer reads the view only');

/* It works for them, with what was planted in the way. */
SELECT "Msg q".outbox_set('allow_unrouted', 'on') \g /dev/null
SET LOCAL ROLE outbox_test_producer;
SET LOCAL search_path = pg_temp, public;
SELECT public.is("Msg q".outbox_enqueue_bytes('t', '\x01', 'a/b'), 1::bigint, 'the producer enqueues');
SELECT public.throws_ok('SELECT FROM outbox.message', '42501', NULL, 'and cannot read what it wrote');
SET LOCAL ROLE outbox_test_relay;
SELECT public.ok("Msg q".outbox_lease('r'), 'the relay has the lease');
SELECT * FROM "Msg q".outbox_start('r', 's') \gset
SELECT public.is("Msg q".outbox_settle(:run, :system_identifier, :timeline, NULL, '{0}', '{"{[1,2)}"}', NULL)::text, '',
	'it settles');
SELECT public.is(first, 1::bigint, 'it reads R') FROM "Msg q".outbox_resolved();
SELECT public.is((SELECT pg_catalog.count(*) FROM "Msg q".outbox_unresolved()), 0::bigint, 'it reads U');
SELECT public.is((SELECT payload FROM "Msg q".outbox_fetch('{1}')), '\x01'::bytea, 'it fetches');
SELECT public.is("Msg q".outbox_maintain(:run)::text, '', 'it maintains');
SET LOCAL ROLE outbox_test_observer;
SELECT public.is(status, 'SENT', 'the observer sees it') FROM outbox.messages WHERE id = 1;
SELECT public.is(instance, 'r', 'and the relay') FROM "Msg q".outbox_relay_status();
SELECT public.is((SELECT pg_catalog.string_agg(event, ' ') FROM "Msg q".outbox_trace(1)), 'enqueued resolved',
	'and its story');
RESET ROLE;
RESET search_path;

/* REPLICATION is not given by whoever may not. */
SELECT current_user AS owner \gset
GRANT EXECUTE ON FUNCTION "Msg q".outbox_grant(name, text), outbox.set_rights(text, name, text),
	outbox.require_replication(name), outbox.functions_of(text) TO outbox_test_admin;
GRANT USAGE ON SCHEMA outbox, "Msg q" TO outbox_test_admin WITH GRANT OPTION;
DO $$
DECLARE f text;
BEGIN
	FOR f IN SELECT oid::regprocedure FROM member WHERE proname = ANY (outbox.functions_of('relay')) LOOP
		EXECUTE 'GRANT EXECUTE ON FUNCTION ' || f || ' TO outbox_test_admin WITH GRANT OPTION';
	END LOOP;
END
$$;
SET LOCAL ROLE outbox_test_admin;
SELECT throws_matching($$SELECT "Msg q".outbox_grant('outbox_test_nobody', 'relay')$$,
	'role outbox_test_nobody has no REPLICATION attribute', 'an admin is told what is missing');
RESET ROLE;

SELECT "Msg q".outbox_revoke('outbox_test_' || k, k) FROM unnest('{producer,relay,operator,observer}'::text[]) AS k \g /dev/null
SELECT is(sum(may_of('outbox_test_' || k))::int, 0, 'all is taken back')
FROM unnest('{producer,relay,operator,observer}'::text[]) AS k;
SELECT ok(NOT has_table_privilege('outbox_test_observer', 'outbox.messages', 'SELECT'), 'the view as well');
SELECT * FROM finish();
/* Roles belong to the whole cluster: none is left behind. */
ROLLBACK;
