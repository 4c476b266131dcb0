/*
 * sql/route.sql
 *
 * Routes: made, changed, paused and dropped.  What a route may be is decided
 * here and nowhere else; outbox.route.options holds every option, defaults
 * included.
 *
 * SPDX-License-Identifier: PostgreSQL
 */

/* One row an option: what is allowed, in words too. */
CREATE FUNCTION outbox.route_option(kind text)
RETURNS TABLE (name text, preset jsonb, low numeric, high numeric, whole boolean, words text[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES
		('ordering', '"key"'::jsonb, NULL::numeric, NULL::numeric, false, '{key,none}'::text[]),
		('retry_initial_ms', '1000', 1, 86400000, true, NULL),
		('retry_max_ms', '600000', 1, 604800000, true, NULL),
		('retry_multiplier', '2', 1, 100, false, NULL),
		('max_attempts', '16', 1, 10000, true, NULL),
		('timeout_ms', '10000', 1, 3600000, true, NULL),
		('connect_timeout_ms', '3000', 1, 3600000, true, NULL),
		('concurrency', CASE WHEN kind = 'kafka' THEN '4000' ELSE '16' END::jsonb, 1, 100000, true, NULL),
		('trace', '"failures"', NULL, NULL, false, '{failures,all}')
$$;
COMMENT ON FUNCTION outbox.route_option IS 'options of a route with defaults and what is allowed';

CREATE FUNCTION outbox.route_check_option(kind text, name text, value jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	rule record;
	allowed text;
	good boolean;
BEGIN
	SELECT * INTO rule FROM outbox.route_option($1) o WHERE o.name = $2;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown route option "%s"', $2),
			HINT = format('Options are %s.',
				(SELECT string_agg(o.name, ', ') FROM outbox.route_option($1) o));
	END IF;
	IF rule.words IS NOT NULL THEN
		allowed := array_to_string(rule.words, ' or ');
		good := jsonb_typeof(value) = 'string' AND value #>> '{}' = ANY (rule.words);
	ELSE
		allowed := format('a %s from %s to %s',
			CASE WHEN rule.whole THEN 'whole number' ELSE 'number' END, rule.low, rule.high);
		good := jsonb_typeof(value) = 'number';
		IF good THEN
			good := value::numeric BETWEEN rule.low AND rule.high
				AND (NOT rule.whole OR value::numeric = trunc(value::numeric));
		END IF;
	END IF;
	IF NOT good THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('invalid value %s for route option "%s"', left(value::text, 100), $2),
			HINT = format('Allowed is %s.', allowed);
	END IF;
END
$$;
COMMENT ON FUNCTION outbox.route_check_option IS 'raise unless the value of a route option is allowed';

/* The options given, over those that were, over the defaults. */
CREATE FUNCTION outbox.route_options(kind text, was jsonb, given jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	result jsonb;
BEGIN
	IF given IS NULL OR jsonb_typeof(given) <> 'object' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'options of a route must be a JSON object',
			HINT = 'Write them like {"max_attempts": 5}.';
	END IF;
	PERFORM outbox.route_check_option($1, o.key, o.value) FROM jsonb_each(given) o;
	/* 16.0 is a whole number too, but no integer for who reads it as text */
	SELECT jsonb_object_agg(o.name,
		CASE WHEN o.whole THEN to_jsonb(trunc(v.value::numeric)) ELSE v.value END)
	INTO result
	FROM outbox.route_option($1) o,
		LATERAL (SELECT coalesce(given -> o.name, was -> o.name, o.preset)) v (value);
	IF (result ->> 'retry_max_ms')::numeric < (result ->> 'retry_initial_ms')::numeric THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('route option "retry_max_ms" (%s) is less than "retry_initial_ms" (%s)',
				result ->> 'retry_max_ms', result ->> 'retry_initial_ms');
	END IF;
	RETURN result;
END
$$;
COMMENT ON FUNCTION outbox.route_options IS 'all options of a route: given over earlier over default';

CREATE FUNCTION outbox.is_ipv6(address text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN family(address::inet) = 6;
EXCEPTION WHEN invalid_text_representation THEN
	RETURN false;
END
$$;
COMMENT ON FUNCTION outbox.is_ipv6 IS 'whether a text is an IPv6 address';

CREATE FUNCTION outbox.route_check_url(target text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	fault text;
	authority text := (regexp_match(target, '^[A-Za-z]+://([^/?#]*)'))[1];
	port text := (regexp_match(authority, ':([0-9]*)$'))[1];
BEGIN
	fault := CASE
		WHEN octet_length(target) > 2048 THEN 'It has more than 2048 bytes.'
		WHEN target ~ '[^\x21-\x7e]' THEN 'It has a space, a control character or one outside ASCII; such are written as %XX.'
		WHEN target !~* '^https?://' THEN 'It does not begin with "http://" or "https://".'
		WHEN strpos(target, '#') > 0 THEN 'It has a fragment ("#").'
		WHEN strpos(authority, '@') > 0 THEN 'It has a user or a password.'
		WHEN authority !~ '^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$'
			OR NOT outbox.is_ipv6((regexp_match(authority, '^\[(.*)\]'))[1])
			THEN 'Its host or port is missing or not valid.'
		WHEN authority !~ '\]$' AND port::integer NOT BETWEEN 1 AND 65535 THEN 'Its port is not from 1 to 65535.'
	END;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'target of an http route is not a valid URL',
			DETAIL = fault,
			HINT = 'Write it like "https://host.example/path".';
	END IF;
END
$$;
COMMENT ON FUNCTION outbox.route_check_url IS 'raise unless the target is a URL that an http route may have';

CREATE FUNCTION outbox.route_check_target(kind text, target text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF kind IS NULL OR kind NOT IN ('http', 'kafka') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('invalid kind of route: %s', coalesce(quote_literal(left(kind, 63)), 'null')),
			HINT = 'Use ''http'' or ''kafka''.';
	END IF;
	IF target IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'target of a route must not be null';
	END IF;
	IF kind = 'http' THEN
		PERFORM outbox.route_check_url(target);
	ELSIF target !~ '^[A-Za-z0-9_-]{1,63}/[A-Za-z0-9._-]{0,249}$' OR target ~ '/\.{1,2}$' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'target of a kafka route is not cluster/topic',
			HINT = 'Write it like "main/orders", or "main/" when each message names its topic. '
				'A cluster has letters, digits, "_" and "-", a topic also ".", up to 249 characters.';
	END IF;
END
$$;
COMMENT ON FUNCTION outbox.route_check_target IS 'raise unless kind and target of a route are allowed';

/* Of types or tags; what is the word for the error. */
CREATE FUNCTION outbox.route_check_list(list text[], what text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item text;
BEGIN
	IF coalesce(cardinality(list), 0) NOT BETWEEN 1 AND 256 OR array_ndims(list) <> 1 THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('%s of a route must be a list of 1 to 256', what);
	END IF;
	FOREACH item IN ARRAY list LOOP
		IF item IS NULL OR item = '' OR octet_length(item) > 255 OR item ~ '[\x01-\x1f\x7f]'
			OR what = 'types' AND item <> '*' AND strpos(rtrim(item, '*'), '*') > 0
			OR what = 'types' AND item <> '*' AND strpos(item, '*') > 0 AND item !~ '^[^*]+\.\*$' THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = format('%s of a route has an element that is not allowed: %s',
					what, coalesce(quote_literal(left(item, 63)), 'null')),
				HINT = CASE what WHEN 'types'
					THEN 'Use ''*'', a type, or a prefix like ''order.*''; up to 255 bytes without control characters.'
					ELSE 'Use texts of 1 to 255 bytes without control characters.' END;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION outbox.route_check_list IS 'raise unless the types or tags of a route are allowed';

CREATE FUNCTION @extschema@.outbox_route_create(
	name text,
	kind text,
	target text,
	types text[] DEFAULT '{*}',
	tags text[] DEFAULT NULL,
	options jsonb DEFAULT '{}'
) RETURNS smallint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	all_options jsonb;
	result smallint;
BEGIN
	IF $1 IS NULL OR $1 !~ '^[a-z0-9][a-z0-9_-]{0,62}$' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_name',
			MESSAGE = format('invalid name of a route: %s', coalesce(quote_literal(left($1, 80)), 'null')),
			HINT = 'Use 1 to 63 of a-z, 0-9, "_" and "-", beginning with a letter or a digit.';
	END IF;
	PERFORM outbox.route_check_target($2, $3);
	PERFORM outbox.route_check_list($4, 'types');
	IF $5 IS NOT NULL THEN
		PERFORM outbox.route_check_list($5, 'tags');
	END IF;
	all_options := outbox.route_options($2, '{}', $6);
	/* else the first enqueue would, and hold up others until it commits */
	PERFORM outbox.register();
	/* An INSERT takes an id even when it fails, and there are only 32,767. */
	IF NOT EXISTS (SELECT FROM outbox.route AS r WHERE r.name = $1 AND r.state <> 'dropped') THEN
		INSERT INTO outbox.route (name, kind, target, types, tags, options)
		VALUES ($1, $2, $3, $4, $5, all_options)
		ON CONFLICT (name) WHERE state <> 'dropped' DO NOTHING
		RETURNING id INTO result;
	END IF;
	IF result IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_object',
			MESSAGE = format('route "%s" already exists', $1),
			HINT = 'Change it by outbox_route_alter(), or drop it first.';
	END IF;
	RETURN result;
END
$$;
COMMENT ON FUNCTION @extschema@.outbox_route_create IS 'make a route for messages of the given types and tags; returns its id';

/* Locks the route, so that changes by two sessions follow one another. */
CREATE FUNCTION outbox.route_find(name text) RETURNS outbox.route
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_route outbox.route;
BEGIN
	SELECT * INTO found_route FROM outbox.route r WHERE r.name = $1 AND r.state <> 'dropped' FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('route %s does not exist', coalesce(quote_ident(left($1, 80)), 'null'));
	END IF;
	RETURN found_route;
END
$$;
COMMENT ON FUNCTION outbox.route_find IS 'the route of that name, locked; an error if there is none';

CREATE FUNCTION @extschema@.outbox_route_alter(
	name text,
	target text DEFAULT NULL,
	types text[] DEFAULT NULL,
	tags text[] DEFAULT NULL,
	options jsonb DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	was outbox.route := outbox.route_find($1);
BEGIN
	PERFORM outbox.route_check_target(was.kind, coalesce($2, was.target));
	IF $3 IS NOT NULL THEN
		PERFORM outbox.route_check_list($3, 'types');
	END IF;
	IF cardinality($4) > 0 THEN
		PERFORM outbox.route_check_list($4, 'tags');
	END IF;
	UPDATE outbox.route r
	SET target = coalesce($2, was.target),
		types = coalesce($3, was.types),
		tags = CASE WHEN $4 IS NULL THEN was.tags WHEN cardinality($4) > 0 THEN $4 END,
		options = outbox.route_options(was.kind, was.options, coalesce($5, '{}')),
		update_time = now()
	WHERE r.id = was.id;
END
$$;
COMMENT ON FUNCTION @extschema@.outbox_route_alter IS 'change a route for messages enqueued from now on; NULL keeps, tags ''{}'' takes the choice by tag away';

CREATE FUNCTION outbox.route_state(name text, state text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	was outbox.route := outbox.route_find($1);
BEGIN
	UPDATE outbox.route r SET state = $2, update_time = now()
	WHERE r.id = was.id AND r.state <> $2;
END
$$;
COMMENT ON FUNCTION outbox.route_state IS 'set the state of a route';

CREATE FUNCTION @extschema@.outbox_route_drop(name text) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT outbox.route_state($1, 'dropped') $$;
COMMENT ON FUNCTION @extschema@.outbox_route_drop IS 'drop a route; its name is free again, its id is not';

CREATE FUNCTION @extschema@.outbox_route_pause(name text) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT outbox.route_state($1, 'paused') $$;
COMMENT ON FUNCTION @extschema@.outbox_route_pause IS 'stop deliveries of a route; its messages are kept until it is resumed';

CREATE FUNCTION @extschema@.outbox_route_resume(name text) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT outbox.route_state($1, 'active') $$;
COMMENT ON FUNCTION @extschema@.outbox_route_resume IS 'take up deliveries of a paused route';

REVOKE ALL ON FUNCTION
	outbox.route_option(text),
	outbox.route_check_option(text, text, jsonb),
	outbox.route_options(text, jsonb, jsonb),
	outbox.is_ipv6(text),
	outbox.route_check_url(text),
	outbox.route_check_target(text, text),
	outbox.route_check_list(text[], text),
	@extschema@.outbox_route_create(text, text, text, text[], text[], jsonb),
	outbox.route_find(text),
	@extschema@.outbox_route_alter(text, text, text[], text[], jsonb),
	outbox.route_state(text, text),
	@extschema@.outbox_route_drop(text),
	@extschema@.outbox_route_pause(text),
	@extschema@.outbox_route_resume(text)
FROM PUBLIC;
