# test/t/011_decoder_origin.pl
#
# The output plugin and the extension together: what outbox_enqueue wrote is
# sent as it was given, what outbox_settle wrote is not sent at all, and a
# business transaction around it is.  Needs both installed.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/../lib';
use OutboxFrames qw(parse_frame kinds ids);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('origin');

sub start_server
{
	$node->init(allows_streaming => 'logical');
	my $setting = `postgres -D @{[$node->data_dir]} -C output_plugin_libraries 2>&1`;
	$node->append_conf('postgresql.conf',
		"output_plugin_libraries = 'pgoutput, test_decoding, outbox_decoder'")
	  if $? == 0;
	$node->start;
	return;
}

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

sub frames
{
	my $oid = sql(q{SELECT oid FROM pg_namespace WHERE nspname = 'outbox'});
	my $rows = sql("SELECT encode(data, 'hex') FROM"
		  . " pg_logical_slot_get_binary_changes('s', NULL, NULL, 'proto_version', '1', 'schema_oid', '$oid')");
	return map { parse_frame(pack('H*', $_)) } split /\n/, $rows;
}

# A settle by a relay of its own in one session; $after goes before COMMIT.
sub settle
{
	my ($facts, $after) = @_;
	return sql(<<"EOC");
SELECT outbox_lease('test');
SELECT run, system_identifier, timeline FROM outbox_start('test', 's') \\gset
BEGIN;
SELECT outbox_settle(:run, :system_identifier, :timeline, NULL, '{0}', '{"{[1,2)}"}', '$facts');
$after;
COMMIT;
EOC
}

start_server();
sql('CREATE EXTENSION outbox');
sql(q{SELECT FROM pg_create_logical_replication_slot('s', 'outbox_decoder')});
sql(q{SELECT outbox_route_create('r', 'http', 'http://127.0.0.1:9/')});
my @frames = frames();
is(kinds(@frames), 'D', 'a new route rings');
is($frames[0]{bells}, 1, 'for the routes');

my $id = sql(q{SELECT outbox_enqueue('order.created', '{"a": 1}', message_key => 'k',
	headers => '{"x-name": "value"}')});
@frames = frames();
is(kinds(@frames), 'T', 'an enqueued message is a frame');
my $message = $frames[0]{items}[0];
is($message->{id}, $id, 'its id');
is($message->{payload}, '{"a": 1}', 'its payload');
is($message->{message_key}, 'k', 'its key');
is($message->{shard_id}, sql(q{SELECT outbox_shard('k')}), 'its shard');
is_deeply($message->{headers}, [ 'x-name', 'value' ], 'its headers');
is(scalar(@{ $message->{routes} }), 1, 'its route');

my $many = sql(q{SELECT outbox_enqueue_bytes('big', convert_to(repeat('x', 100000), 'UTF8'), 'text/plain')});
@frames = frames();
is($frames[0]{items}[0]{omitted}, 1, 'a large payload is left to be read by id');

my $park = qq({"park": [{"id": $id, "route": 1, "generation": 0, "shard": $message->{shard_id},
	"key_hash": 1, "run": 1, "pos": 1, "status": "FAILED", "retry_count": 1, "retry_in_ms": 1, "error": "e"}]});
settle($park, 'SELECT');
is(sql('SELECT count(*) FROM outbox.parked'), 1, 'a settle parks a message');
is(kinds(frames()), '', 'and is not sent');
settle($park, q{SELECT outbox_enqueue('order.created', '{}')});
is(kinds(frames()), 'T', 'a message enqueued by the same transaction is sent');
sql(q{UPDATE outbox.parked SET status = 'DEAD'});
@frames = frames();
is(kinds(@frames), 'D', 'a change of parked by another than the relay rings');
is($frames[0]{bells}, 2, 'for the parked');

sql(q{SELECT outbox_enqueue('order.created', '{"last": 1}'); DROP EXTENSION outbox CASCADE});
my $rows = sql(q{SELECT data FROM pg_logical_slot_get_changes('s', NULL, NULL, 'format', 'text') WHERE data ~ '^message'});
like($rows, qr/last/, 'a message written before DROP EXTENSION can be decoded after it');
$node->stop;
done_testing();
