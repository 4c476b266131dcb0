--
-- CREATE EXTENSION, what it makes and what PUBLIC gets of it.
-- outcome() is for the tests after this one.
--
\set SHOW_CONTEXT never
CREATE SCHEMA outbox;
CREATE EXTENSION outbox;
DROP SCHEMA outbox;

-- objects planted before must not be used in place of the server's
CREATE FUNCTION format(text, integer, integer) RETURNS text LANGUAGE sql AS $$ SELECT 'SELECT planted' $$;
CREATE FUNCTION planted_equal(oid, regnamespace) RETURNS boolean LANGUAGE sql AS $$ SELECT 1 / 0 = 0 $$;
CREATE OPERATOR = (FUNCTION = planted_equal, LEFTARG = oid, RIGHTARG = regnamespace);
CREATE FUNCTION planted_match(name, name) RETURNS boolean LANGUAGE sql AS $$ SELECT 1 / 0 = 0 $$;
CREATE OPERATOR ~ (FUNCTION = planted_match, LEFTARG = name, RIGHTARG = name);
CREATE FUNCTION planted_class(oid, regclass) RETURNS boolean LANGUAGE sql AS $$ SELECT 1 / 0 = 0 $$;
CREATE OPERATOR = (FUNCTION = planted_class, LEFTARG = oid, RIGHTARG = regclass);
CREATE FUNCTION unnest(int8multirange) RETURNS SETOF int8range LANGUAGE sql AS $$ SELECT NULL::int8range $$;
CREATE FUNCTION unnest(smallint[]) RETURNS SETOF smallint LANGUAGE sql AS $$ SELECT 1::smallint $$;
CREATE EXTENSION outbox;
-- refused if anything were bound to them
DROP FUNCTION unnest(int8multirange);
DROP FUNCTION unnest(smallint[]);
DROP FUNCTION format(text, integer, integer);
DROP FUNCTION planted_equal, planted_match, planted_class CASCADE;

SELECT count(*) AS leaves, count(*) FILTER (WHERE relispartition) AS partitions
FROM pg_class WHERE relnamespace = 'outbox'::regnamespace AND relkind = 'r' AND relname ~ '^message_';
SELECT seqcache FROM pg_sequence WHERE seqrelid = 'outbox.message_id_seq'::regclass;

SHOW search_path;

-- the boundaries that C computes are those of the partitions
SELECT count(*) AS wrong
FROM generate_series(0, 2) g, generate_series(0, 7) i
WHERE pg_get_expr((SELECT relpartbound FROM pg_class WHERE oid = format('outbox.message_%s_%s', g, i)::regclass), 0)
	<> format('FOR VALUES FROM (''%s'') TO (''%s'')', i * 128, (i + 1) * 128);

-- every function has a comment, and PUBLIC may call none and read nothing
SELECT p.oid::regprocedure AS without_comment
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'outbox')
	AND d.classid = 'pg_proc'::regclass AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT c.oid::regclass AS relation_without_comment
FROM pg_class c WHERE c.relnamespace = 'outbox'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
	AND obj_description(c.oid, 'pg_class') IS NULL;
CREATE ROLE outbox_test_nobody;
SELECT p.oid::regprocedure AS open_to_all
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'outbox')
	AND d.classid = 'pg_proc'::regclass
	AND has_function_privilege('outbox_test_nobody', p.oid, 'EXECUTE')
	AND p.pronamespace <> 'outbox'::regnamespace;
SELECT has_schema_privilege('outbox_test_nobody', 'outbox', 'USAGE') AS usage,
	bool_or(has_table_privilege('outbox_test_nobody', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')) AS tables
FROM pg_class WHERE relnamespace = 'outbox'::regnamespace AND relkind IN ('r', 'p', 'v');
DROP ROLE outbox_test_nobody;

-- SECURITY DEFINER functions fix their search_path
SELECT p.oid::regprocedure AS loose
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'outbox')
	AND d.classid = 'pg_proc'::regclass AND p.prosecdef
	AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false);

-- what a statement ends with, in one line
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END
$$;
