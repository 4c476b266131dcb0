# test/t/010_decoder.pl
#
# The output plugin alone: what it sends for which transaction, by a parser of
# its own in Perl that shares no code with wire.c.  OUTBOX_LIBDIR names a
# directory with outbox_decoder.so that is not installed.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/../lib';
use OutboxFrames qw(parse_frame parse_file kinds ids streamed_ids);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = abs_path(dirname(__FILE__) . '/../..');
my $node = PostgreSQL::Test::Cluster->new('decoder');
my $libdir = $ENV{OUTBOX_LIBDIR} ? "$ENV{OUTBOX_LIBDIR}:\$libdir" : '$libdir';

# What makes the server stream transactions in progress, when it is to.
my $small_memory = '';

sub start_server
{
	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf', <<"EOC");
dynamic_library_path = '$libdir'
shared_buffers = '4MB'
max_prepared_transactions = 4
autovacuum = off
EOC
	my $setting = `postgres -D @{[$node->data_dir]} -C output_plugin_libraries 2>&1`;
	$node->append_conf('postgresql.conf',
		"output_plugin_libraries = 'pgoutput, test_decoding, outbox_decoder'")
	  if $? == 0;
	$node->start;
	return;
}

# The tables as the extension makes them, without the extension.
sub make_schema
{
	my $sql = slurp_file("$root/sql/tables.sql");
	$sql =~ s/^\\echo.*$//mg;
	$sql =~ s/\b(SELECT|PERFORM) pg_catalog\.pg_extension_config_dump[^;]*;/$1 NULL;/g;
	$node->safe_psql('postgres', $sql);
	$node->safe_psql('postgres', <<'EOC');
CREATE TABLE other (a int, b text);
CREATE FUNCTION msg(i bigint, key text DEFAULT NULL, payload bytea DEFAULT 'hello',
	headers jsonb DEFAULT NULL, routes smallint[] DEFAULT '{1,2}') RETURNS void LANGUAGE sql AS $$
INSERT INTO outbox.message (id, create_time, generation, shard_id, routes, type, message_key,
	content_type, headers, payload)
VALUES (i, '2026-01-02 03:04:05.000006+00', 0, coalesce(i, 0) % 1024, routes, 'order.created', key,
	'application/json', headers, payload) $$;
EOC
	return;
}

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

sub make_slot
{
	sql("SELECT FROM pg_create_logical_replication_slot('s', 'outbox_decoder')");
	return;
}

# Everything since the last call, as lines.
sub text_changes
{
	return sql(q{SELECT data FROM pg_logical_slot_get_changes('s', NULL, NULL, 'format', 'text')});
}

# Everything since the last call, as frames; each with its lsn.
sub frames
{
	my ($options) = @_;
	$options //= '';
	my $rows = sql("$small_memory SELECT lsn - '0/0', encode(data, 'hex') FROM"
		  . " pg_logical_slot_get_binary_changes('s', NULL, NULL, 'proto_version', '1'$options)");
	my @frames;
	for my $row (split /\n/, $rows)
	{
		my ($lsn, $hex) = split /\|/, $row;
		push @frames, { lsn => $lsn, %{ parse_frame(pack('H*', $hex)) } };
	}
	return @frames;
}

sub test_options
{
	my @cases = (
		[ q{NULL}, undef, 'protocol version, this server speaks version 1', '0A000' ],
		[ q{'proto_version', '2'}, undef, 'version "2", this server speaks version 1', '0A000' ],
		[ q{'proto_version', ' 1'}, undef, 'version " 1", this server', '0A000' ],
		[ q{'proto_version', ''}, undef, 'version "", this server', '0A000' ],
		[ q{'proto_version', '1', 'proto_version', '1'}, undef, '"proto_version" is given more than once', '42601' ],
		[ q{'proto_version', '1', 'schema_oid', '0'}, undef, 'value for option "schema_oid": "0"', '22023' ],
		[ q{'proto_version', '1', 'schema_oid', '4294967296'}, undef, 'value for option "schema_oid"', '22023' ],
		[ q{'proto_version', '1', 'schema_oid', '-1'}, undef, 'value for option "schema_oid"', '22023' ],
		[ q{'proto_version', '1', 'format', 'Text'}, undef, 'value for option "format": "Text"', '22023' ],
		[ q{'proto_version', '1', 'x', '1'}, undef, 'unrecognized option "x"', '22023' ],
		[ q{'proto_version', '1', repeat('y', 10000), '1'}, undef, 'unrecognized option "y{64}"', '22023' ]);

	for my $case (@cases)
	{
		my ($options, undef, $message, $code) = @$case;
		$options = $options eq 'NULL' ? '' : ", $options";
		my ($rc, $out, $err) = $node->psql('postgres',
			"\\set VERBOSITY verbose\nSELECT FROM pg_logical_slot_peek_binary_changes('s', NULL, NULL$options)");
		like($err, qr/ERROR:  $code: .*$message/, "options ($options)");
	}
	my ($rc, $out, $err) = $node->psql('postgres',
		q{SELECT FROM pg_logical_slot_peek_changes('s', NULL, NULL, 'proto_version', '1')});
	like($err, qr/produces binary output/, 'binary is the default');
	($rc, $out, $err) = $node->psql('postgres',
		q{SELECT FROM pg_logical_slot_peek_changes('s', NULL, NULL)});
	like($err, qr/HINT: .* give option format 'text'/, 'a person is told of text');
	return;
}

sub test_message
{
	sql(q{BEGIN; INSERT INTO other VALUES (1);
		INSERT INTO outbox.message VALUES (4294967297, '2026-01-02 03:04:05.000006+00', now(), 2, 1023,
			'{3,-1,32767}', 'sms', 'biz', 'topic', 'tag', 'key', 'shard', 'text/plain',
			'{"a": "b", "n": 1.50, "t": true, "e": ""}', '\x00ff0a');
		SELECT msg(2); COMMIT});
	my $now = sql('SELECT extract(epoch FROM now()) * 1000000');
	my @frames = frames();
	is(kinds(@frames), 'T', 'a transaction is one frame');
	my $frame = $frames[0];
	is($frame->{flags}, 1, 'it is the last');
	is($frame->{commit_end}, $frame->{lsn}, 'commit end is where it was written');
	ok(abs($frame->{commit_time} - $now) < 60e6, 'commit time is in Unix microseconds');
	is_deeply($frame->{items}[0], {
			id => 4294967297, generation => 2, shard_id => 1023, create_time => 1767323045000006,
			routes => [ 3, -1, 32767 ], type => 'sms', biz_key => 'biz', topic => 'topic', tag => 'tag',
			message_key => 'key', sharding_key => 'shard', content_type => 'text/plain',
			headers => [ 'a', 'b', 'e', '', 'n', '1.50', 't', 'true' ], omitted => 0, payload => "\0\xff\n"
		}, 'all columns of a message');
	is($frame->{items}[1]{topic}, undef, 'NULL stays NULL');
	is_deeply($frame->{items}[1]{headers}, [], 'no headers');
	return;
}

sub test_what_is_sent
{
	sql('BEGIN; SELECT msg(10); SAVEPOINT a; SELECT msg(11); ROLLBACK TO a; SELECT msg(12); COMMIT');
	is_deeply(ids(frames()), [ 10, 12 ], 'a savepoint rolled back is not sent');
	sql('BEGIN; SELECT msg(13); ROLLBACK; INSERT INTO other VALUES (1)');
	sql('UPDATE outbox.message SET tag = 1 WHERE id = 10; DELETE FROM outbox.message WHERE id = 12');
	sql(q{CREATE SCHEMA copy; CREATE TABLE copy.message_0 (LIKE outbox.message);
		INSERT INTO copy.message_0 SELECT * FROM outbox.message;
		CREATE TABLE outbox.message_x (LIKE outbox.message);
		INSERT INTO outbox.message_x SELECT * FROM outbox.message});
	is(kinds(frames()), '', 'rollbacks, other tables, updates and deletes are not sent');
	sql(q{BEGIN; SELECT msg(14); PREPARE TRANSACTION 'p'});
	is(kinds(frames()), '', 'nothing is sent at PREPARE');
	sql(q{COMMIT PREPARED 'p'});
	is_deeply(ids(frames()), [14], 'it is at COMMIT PREPARED');
	sql(q{SELECT pg_replication_origin_create('o');
		SELECT pg_replication_origin_session_setup('o'); SELECT msg(15)});
	is_deeply(ids(frames()), [15], 'rows of another replication origin are sent');
	return;
}

# Maintenance takes a message out of a generation that is to be emptied.
sub test_held
{
	sql('SELECT msg(16)');
	is_deeply(ids(frames()), [16], 'a message is sent');
	sql('UPDATE outbox.message SET generation = -1 WHERE id = 16');
	is(kinds(frames()), '', 'but not again when it is moved to message_held by UPDATE');
	sql('WITH moved AS (DELETE FROM outbox.message WHERE id = 16 RETURNING *) INSERT INTO outbox.message_held SELECT * FROM moved');
	sql('SELECT msg(17)');
	is_deeply(ids(frames()), [17], 'nor by INSERT');
	return;
}

sub test_schema_oid
{
	my $oid = sql(q{SELECT oid FROM pg_namespace WHERE nspname = 'outbox'});
	sql('SELECT msg(20)');
	is_deeply(ids(frames(", 'schema_oid', '$oid'")), [20], 'the schema by OID');
	sql('SELECT msg(21)');
	is(kinds(frames(", 'schema_oid', '1'")), '', 'not another one');
	sql('ALTER SCHEMA outbox RENAME TO aside; ALTER SCHEMA aside RENAME TO outbox; SELECT msg(22)');
	is_deeply(ids(frames()), [22], 'by its name when there is no option');
	return;
}

sub test_packing
{
	sql(q{BEGIN; SELECT count(msg(i, 'k', convert_to(repeat('x', 200), 'UTF8')))
		FROM generate_series(1000, 1399) i; COMMIT});
	my @frames = frames();
	is_deeply(ids(@frames), [ 1000 .. 1399 ], 'every message once, in order');
	is(scalar(grep { $_->{size} > 65536 } @frames), 0, 'no frame is over 64 kB');
	is(scalar(@frames), 2, 'and they are well filled');
	is(join(' ', map { $_->{flags} } @frames), '0 1', 'only the last says so');
	my $ordinal = 0;
	for my $frame (@frames)
	{
		is($frame->{ordinal}, $ordinal, "ordinal $ordinal");
		is($frame->{commit_end}, $frames[-1]{lsn}, 'commit end is known from the first on');
		$ordinal += $frame->{count};
	}
	return;
}

sub test_payloads
{
	my $noise = q{(SELECT string_agg(sha256(convert_to(i::text, 'UTF8')), '') FROM generate_series(1, %d) i)};
	my @cases = (
		[ 'short', q{'\x'}, 0 ],
		[ 'compressed in the row', q{convert_to(repeat('x', 32768), 'UTF8')}, 0 ],
		[ 'in the TOAST table', sprintf($noise, 1024), 0 ],
		[ 'a byte too long', q{convert_to(repeat('x', 32769), 'UTF8')}, 1 ],
		[ 'long, in the TOAST table', sprintf($noise, 1025), 1 ],
		[ 'a megabyte', sprintf($noise, 32768), 1 ]);
	for my $case (@cases)
	{
		my ($name, $expression, $omitted) = @$case;
		sql("TRUNCATE outbox.message; SELECT msg(30, 'k', $expression)");
		my ($frame) = grep { $_->{kind} eq 'T' } frames();
		my $hex = sql(q{SELECT encode(payload, 'hex') FROM outbox.message});
		my $payload = $frame->{items}[0]{payload};
		is($frame->{items}[0]{omitted}, $omitted, "$name: omitted or not");
		is(defined $payload ? unpack('H*', $payload) : undef, $omitted ? undef : $hex, "$name: bytes");
	}
	sql(q{SELECT msg(31, repeat('k', 40000), convert_to(repeat('x', 30000), 'UTF8'))});
	is((frames())[0]{items}[0]{omitted}, 1, 'omitted when head and payload do not fit together');
	return;
}

sub test_bells
{
	sql(q{INSERT INTO outbox.route (name, kind, target, types, options) VALUES ('r', 'http', 'http://x', '{*}', '{}')});
	sql(q{BEGIN; SELECT msg(40); INSERT INTO outbox.parked (message_id, route_id, generation, shard_id, status)
		VALUES (40, 1, 0, 0, 'DEAD'); UPDATE outbox.route SET state = 'paused'; COMMIT});
	sql('DELETE FROM outbox.parked');
	sql('TRUNCATE outbox.message_0_0');
	sql('TRUNCATE outbox.message');
	sql('TRUNCATE outbox.parked, other');
	my @frames = frames();
	is(kinds(@frames), 'DTDDDDD', 'the doorbell rings after the messages of its transaction');
	is(join(' ', map { $_->{bells} } grep { $_->{kind} eq 'D' } @frames), '1 3 2 4 4 2', 'the right bells');
	is($frames[2]{commit_end}, $frames[1]{commit_end}, 'with the commit end');
	return;
}

# Rows that enqueue never writes: dropped with a warning, the rest is sent.
sub test_bad_rows
{
	my @bad = (
		q{'k', 'p', NULL, '{{1,2},{3,4}}'},
		q{'k', 'p', NULL, '{1,NULL}'},
		q{'k', 'p', NULL, (SELECT array_agg(i::smallint) FROM generate_series(1, 257) i)},
		q{'k', 'p', '[1]'},
		q{'k', 'p', '"a"'},
		q{'k', 'p', '{"a": [1]}'},
		q{'k', 'p', '{"a": null}'},
		q{'k', 'p', (SELECT jsonb_object_agg(i, i) FROM generate_series(1, 65) i)},
		q{repeat('k', 100000)},
		q{'k', 'p', jsonb_build_object('a', repeat('v', 300000))});
	my $offset = -s $node->logfile;
	my $id = 100;
	for my $bad (@bad)
	{
		$id++;
		sql("BEGIN; SELECT msg(1); SELECT msg($id, $bad); SELECT msg(2); COMMIT");
		is_deeply(ids(frames()), [ 1, 2 ], "a bad row does not stop the stream: $bad");
		ok($node->log_contains("WARNING:  message $id in table .* cannot be sent: ", $offset), 'it is named in the log');
	}
	sql(q{ALTER TABLE outbox.message ALTER COLUMN type DROP NOT NULL;
		ALTER TABLE outbox.message ALTER COLUMN payload DROP NOT NULL;
		ALTER TABLE outbox.message ALTER COLUMN id DROP NOT NULL;
		BEGIN; SELECT msg(NULL); SELECT msg(1, 'k', NULL); SELECT msg(2); COMMIT});
	is_deeply(ids(frames()), [2], 'NULL where none may be');
	sql(q{BEGIN; SELECT count(msg(i, 'k', NULL)) FROM generate_series(1, 100) i; SELECT msg(3); COMMIT});
	$offset = -s $node->logfile;
	is_deeply(ids(frames()), [3], 'a hundred bad rows');
	my $log = slurp_file($node->logfile, $offset);
	my $warnings = () = $log =~ /WARNING:  message/g;
	is($warnings, 1, 'are one warning');
	sql(q{DELETE FROM outbox.message WHERE id IS NULL OR payload IS NULL;
		ALTER TABLE outbox.message ALTER COLUMN type SET NOT NULL;
		ALTER TABLE outbox.message ALTER COLUMN payload SET NOT NULL;
		ALTER TABLE outbox.message ALTER COLUMN id SET NOT NULL});
	return;
}

sub test_ddl
{
	sql(q{BEGIN; SELECT msg(50); ALTER TABLE outbox.message ADD COLUMN extra int DEFAULT 7; SELECT msg(51);
		ALTER TABLE outbox.message DROP COLUMN deliver_at; SELECT msg(52);
		ALTER TABLE outbox.message DROP COLUMN extra, ADD COLUMN deliver_at timestamptz; SELECT msg(53); COMMIT});
	is_deeply(ids(frames()), [ 50 .. 53 ], 'columns added and dropped in between');
	sql(q{SELECT msg(54); ALTER TABLE outbox.message RENAME COLUMN tag TO label; SELECT msg(55);});
	my $ids = ids(frames());
	is_deeply($ids, [54], 'a table that is not as it should be is left out');
	sql(q{ALTER TABLE outbox.message RENAME COLUMN label TO tag});
	sql('SELECT msg(56)');
	is_deeply(ids(frames()), [56], 'until it is again');
	sql('SELECT msg(57); VACUUM FULL outbox.message; REINDEX TABLE outbox.message; CLUSTER outbox.message_0_0 USING message_0_0_id');
	is_deeply(ids(frames()), [57], 'VACUUM FULL, REINDEX and CLUSTER send nothing');
	return;
}

sub test_text
{
	sql(q{BEGIN; SELECT msg(60, 'k"1', 'a"' || '\x0aff'::bytea, '{"h": "v"}'); TRUNCATE outbox.message_1_0; COMMIT});
	my @lines = split /\n/, text_changes();
	like($lines[0], qr/^message 60 xid \d+ ordinal 0 generation 0 shard 60 routes \{1,2\} type "order.created" message_key "k\\"1" content_type "application\/json" headers \{"h": "v"\} payload 4 "a\\"\\x0a\\xff"$/, 'a line per message');
	is($lines[1], 'doorbell truncate', 'a line per doorbell');
	return;
}

sub test_streaming
{
	my $xid = sql(<<'EOC');
BEGIN;
INSERT INTO other SELECT i, repeat('x', 100) FROM generate_series(1, 3000) i;
SELECT FROM (SELECT count(msg(i)) FROM generate_series(2000, 3999) i) a;
SAVEPOINT a;
SELECT FROM (SELECT count(msg(i)) FROM generate_series(4000, 5999) i) a;
ROLLBACK TO a;
SELECT FROM (SELECT count(msg(i, 'k', 'p', NULL, '{9}')) FROM generate_series(6000, 7999) i) a;
SAVEPOINT b;
SELECT FROM (SELECT count(msg(i)) FROM generate_series(8000, 8999) i) a;
RELEASE b;
INSERT INTO outbox.route (name, kind, target, types, options) VALUES ('s', 'http', 'http://x', '{*}', '{}');
SELECT pg_current_xact_id();
COMMIT;
EOC
	$xid =~ s/\s//g;
	my @frames = frames();
	like(kinds(@frames), qr/^[CA]+SD$/, 'chunks, then the commit, then the doorbell');
	my ($commit, $bell) = @frames[ -2, -1 ];
	is($commit->{xid}, $xid, 'of this transaction');
	is($commit->{commit_end}, $commit->{lsn}, 'with its commit end');
	is($bell->{bells}, 1, 'a route was changed');
	my $ids = streamed_ids($xid, @frames);
	is_deeply([ sort { $a <=> $b } @$ids ], [ 2000 .. 3999, 6000 .. 8999 ], 'exactly the committed ids, each once');
	my ($aborted) = grep { $_->{kind} eq 'A' } @frames;
	ok($aborted && $aborted->{subxid} != $aborted->{xid}, 'the savepoint is said to be aborted');
	ok(scalar(grep { $_->{kind} eq 'C' && "@{$_->{items}[0]{routes}}" eq '9' } @frames), 'runs carry their routes');

	sql(q{INSERT INTO other SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i});
	sql(q{BEGIN; INSERT INTO other SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i; ROLLBACK; SELECT msg(71)});
	is(kinds(frames()), 'T', 'large transactions without messages: no frame at all');
	return;
}

# A look-up of a table in a transaction that turns out to be rolled back.
sub test_aborted_lookup
{
	# all in one leaf: it is open already, but its schema must be read again
	sql('SELECT msg(1024)');
	sql('GRANT USAGE ON SCHEMA outbox TO public');
	sql('BEGIN; SELECT count(msg(1024 * i::bigint)) FROM generate_series(1000, 2999) i; ROLLBACK');
	sql('SELECT msg(2048)');
	is_deeply(ids(grep { $_->{kind} eq 'T' } frames()), [ 1024, 2048 ], 'a look-up that was broken off is made again');
	return;
}

# High water mark of the backend that decodes; shared_buffers are small.
sub test_memory
{
	# a new slot: an old one reads earlier transactions again, and may spill those
	sql(q{SELECT pg_drop_replication_slot('s')});
	make_slot();
	sql('SELECT msg(80)');
	sql(q{BEGIN; SELECT count(msg(i)) FROM generate_series(100001, 300000) i; COMMIT});
	my $hwm = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)')};
	my $peek = q{SELECT count(*), sum(length(data)) FROM pg_logical_slot_peek_binary_changes('s', NULL, %s, 'proto_version', '1')};
	my $out = sql($small_memory . join(";\n", sprintf($peek, 1), $hwm, sprintf($peek, 'NULL'), $hwm));
	my ($small, $before, $large, $after) = split /\n/, $out;
	my $growth = $after - $before;
	ok($growth < 20000, "200,000 messages in a transaction: $growth kB more");
	my @frames = frames();
	my ($commit) = grep { $_->{kind} eq 'S' } @frames;
	is_deeply(streamed_ids($commit->{xid}, @frames), [ 100001 .. 300000 ], 'all its ids in order');
	sql('SELECT pg_stat_force_next_flush()');
	my $spilled = sql(q{SELECT spill_bytes FROM pg_stat_replication_slots WHERE slot_name = 's'});
	is($spilled, 0, 'nothing was spilled to disk');
	return;
}

sub test_walsender
{
	sql('BEGIN; SELECT count(msg(i)) FROM generate_series(1, 500) i; COMMIT; SELECT msg(501)');
	my $expected = join("\n", map { pack('H*', $_) } split /\n/,
		sql(q{SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('s', NULL, NULL, 'proto_version', '1')})) . "\n";
	my $file = PostgreSQL::Test::Utils::tempdir() . '/frames';
	my $end = sql('SELECT pg_current_wal_insert_lsn()');
	sql('INSERT INTO other VALUES (1)');
	my @start = ('pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 's', '--start', '--no-loop');
	$node->command_ok([ @start, '-o', 'proto_version=1', '-E', $end, '-f', $file ], 'pg_recvlogical');
	is(unpack('H*', slurp_file($file)), unpack('H*', $expected), 'the same bytes by a walsender');
	$node->command_fails_like([ @start, '-o', 'proto_version', '-f', '-' ],
		qr/option "proto_version" needs a value/, 'an option without a value');
	$node->command_fails_like([ @start, '-f', '-' ], qr/did not say its outbox protocol version/, 'no version');
	return;
}

# Waits until the frames in the file are as wanted; gives them back.
sub wait_for_frames
{
	my ($file, $wanted, $what) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my @frames;
	until ($wanted->(@frames = parse_file(-e $file ? slurp_file($file) : '')))
	{
		die "no $what in time, but " . kinds(@frames) if time > $deadline;
		select(undef, undef, undef, 0.05);
	}
	return @frames;
}

sub has_kind
{
	my ($kind) = @_;
	return sub { return scalar(grep { $_->{kind} eq $kind } @_) };
}

# One stream over transactions that are open while it reads.
sub test_rollback_in_progress
{
	$node->append_conf('postgresql.conf', "logical_decoding_work_mem = '64kB'");
	$node->reload;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/live';
	my $stream = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 's', '--start',
			'--no-loop', '-F', '0', '-o', 'proto_version=1', '-f', $file ], '<', \undef, '2>', '/dev/null');
	my $session = $node->background_psql('postgres', on_error_stop => 1);
	my $many = 'SELECT FROM (SELECT count(msg(i)) FROM generate_series(%d, %d) i) a';

	$session->query_safe('BEGIN; ' . sprintf($many, 9000, 11999));
	sql('SELECT msg(71)');
	wait_for_frames($file, has_kind('C'), 'chunk');
	$session->query_safe('SAVEPOINT a; ' . sprintf($many, 12000, 13999));
	$session->query_safe('ROLLBACK TO a');
	$session->query_safe('ROLLBACK');
	sql('SELECT msg(72)');
	my @frames = wait_for_frames($file,
		sub { return grep { $_->{kind} eq 'T' && $_->{items}[0]{id} == 72 } @_ }, 'message 72');
	my @aborts = grep { $_->{kind} eq 'A' } @frames;
	is($aborts[-1]{subxid}, $aborts[-1]{xid}, 'a rollback is said when chunks were sent');
	is(scalar(@aborts), 2, 'and so is that of a savepoint');
	is_deeply(ids(grep { $_->{kind} eq 'T' } @frames), [ 71, 72 ], 'others go on');
	ok(!(grep { $_->{kind} eq 'S' } @frames), 'no commit is told');

	$session->query_safe('BEGIN; INSERT INTO other SELECT i, repeat($$x$$, 100) FROM generate_series(1, 20000) i');
	$session->query_safe('ROLLBACK');
	sql('SELECT msg(73)');
	my @more = wait_for_frames($file,
		sub { return grep { $_->{kind} eq 'T' && $_->{items}[0]{id} == 73 } @_ }, 'message 73');
	is(kinds(@more[ scalar(@frames) .. $#more ]), 'T', 'a rollback of other tables is not told');
	$session->quit;
	$stream->signal('INT');
	$stream->finish;
	$node->poll_query_until('postgres', q{SELECT NOT active FROM pg_replication_slots WHERE slot_name = 's'});
	return;
}

start_server();
make_schema();
make_slot();
test_options();
test_message();
test_what_is_sent();
test_held();
test_schema_oid();
test_packing();
test_payloads();
test_bells();
test_bad_rows();
test_ddl();
test_text();
$small_memory = q{SET logical_decoding_work_mem = '64kB';};
test_streaming();
test_aborted_lookup();
test_memory();
$small_memory = '';
test_walsender();
test_rollback_in_progress();
$node->stop;
done_testing();
