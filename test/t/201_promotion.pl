# test/t/201_promotion.pl
#
# An asynchronous standby is promoted after the primary was killed under load.
# The relay follows: the slot is missing there and is made anew, the table is
# read, and every commit that survived arrives.  No id is ever given twice,
# also not one of a commit that the failover lost.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Reconcile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use JSON::PP;
use Test::More;

my $node = new_node('primary', conf => ['wal_keep_size = 256MB']);
my $receiver = start_receiver();
route_create($node, 'hook', 'http', $receiver->url('/hook'));

sub new_standby
{
	my ($name, $primary) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->backup("for_$name");
	$standby->init_from_backup($primary, "for_$name", has_streaming => 1);
	$standby->start;
	return $standby;
}

my $standby = new_standby('standby', $node);
my $hosts = join(',', $node->host, $standby->host);
my $ports = join(',', $node->port, $standby->port);
my $conninfo = "host=$hosts port=$ports dbname=postgres"
  . ' target_session_attrs=read-write';
my $relay = start_relay($node,
	config => { database => { conninfo => $conninfo } });

my $driver = start_driver($node, '--sessions', 2, '--rate', 40,
	'--seconds', 3, '--keys', 8);
is($driver->wait_end, 0, 'the driver ends');
wait_until_quiet($node);
$node->wait_for_catchup($standby);

# What is enqueued after the standby was cut off never reaches it: more than the
# 32 numbers that a sequence writes to the WAL ahead.
$receiver->script('/hook', 'hang*');
my $kept = enqueue($node, 'order.created', { kept => 1 }, message_key => 'k');
$node->wait_for_catchup($standby);
$standby->safe_psql('postgres', "ALTER SYSTEM SET primary_conninfo = ''");
$standby->reload;
$standby->poll_query_until('postgres',
	'SELECT count(*) = 0 FROM pg_stat_wal_receiver')
  or die 'the standby was not cut off';
my @lost = split /\n/,
  $node->safe_psql('postgres',
	    'SELECT '
	  . enqueue_sql('order.created', { lost => 1 })
	  . ' FROM generate_series(1, 40)');
my $old = $node->safe_psql('postgres',
	"SELECT run || ' ' || system_identifier || ' ' || timeline FROM outbox.relay");
$node->stop('immediate');
$receiver->script('/hook');
$standby->promote;

# 15 has no failover slots: there is none on the promoted server.
$relay->{node} = $standby;
$relay->wait_until_streaming;
wait_for('the relay follows', sub { ($relay->get('/readyz'))[0] == 200 });
like($relay->output, qr/slot_made.*slot_made/s, 'the slot is made anew there');
wait_until_quiet($standby);
ok((grep { $_ eq $kept } ids_at($receiver, '/hook')),
	'a commit that survived arrives');
is($standby->safe_psql('postgres',
		'SELECT count(*) FROM outbox.messages WHERE id = ANY (ARRAY['
		  . join(',', @lost) . '])'),
	'0', 'those that the failover lost are not there');

# Row 42: ids of the new timeline are above all that were given before.
my @fresh = map { enqueue($standby, 'order.created', { fresh => $_ }) } 1 .. 40;
my %given = map { $_ => 1 } @lost, $kept,
  map { decode_json($_)->{id} } split /\n/, slurp_file($driver->{log});
is(scalar(grep { $given{$_} } @fresh), 0, 'no id is given twice');
cmp_ok($fresh[0], '>', $lost[-1], 'and ids go on above the old ones');

# What a relay of the old timeline has to say is refused.
my $stderr;
my ($run, $identifier, $timeline) = split / /, $old;
my $now = $standby->safe_psql('postgres', 'SELECT run FROM outbox.relay');
foreach my $claim (
	[ $run, $identifier, $timeline ],
	[ $now, $identifier, $timeline ],
	[ $now, $identifier + 1, $timeline + 1 ])
{
	$standby->psql(
		'postgres',
		'SELECT outbox_settle(' . join(', ', @$claim)
		  . ", NULL, '{0}', ARRAY['{[1,9223372036854775806]}'::int8multirange],"
		  . ' NULL)',
		stderr => \$stderr);
	like($stderr, qr/is not the current one/,
		'a settle of ' . join('/', @$claim) . ' is refused');
}

# Row 41: a slot that is ahead of the settle rows, as a failover slot can be.
# A new standby, promoted with messages whose settle it never saw, gets its
# slot made by hand after they were committed.
my $driver2 = start_driver($standby, '--sessions', 2, '--rate', 40,
	'--seconds', 3, '--keys', 8, '--type', 'second.message');
is($driver2->wait_end, 0, 'the second driver ends');
wait_until_quiet($standby);
is($relay->stop, 0, 'the relay ends when asked');
$standby->safe_psql('postgres', 'ALTER SYSTEM RESET primary_conninfo');
my $third = new_standby('third', $standby);
my $driver3 = start_driver($standby, '--sessions', 2, '--rate', 40,
	'--seconds', 2, '--keys', 8, '--type', 'third.message');
is($driver3->wait_end, 0, 'the third driver ends');
$standby->wait_for_catchup($third);
$standby->stop('immediate');
$third->promote;
$third->safe_psql('postgres',
	"SELECT pg_create_logical_replication_slot('outbox', 'outbox_decoder')");

my $relay3 = start_relay($third, config => { http => {} });
like($relay3->output, qr/reconcile_hold/, 'the relay sees that it is ahead');
wait_for('the relay is ready', sub { ($relay3->get('/readyz'))[0] == 200 });
my $last =
  enqueue($third, 'order.created', { last => 1 }, message_key => 'key-0');
wait_until_quiet($third);
my @of_key = grep { $_->{headers}{'outbox-message-key'} eq 'key-0' }
  $receiver->delivered('/hook');
is($of_key[-1]{headers}{'outbox-message-id'},
	$last, 'a new message comes after those of its key');

ok( run_oracle(
		[ map { $_->{log} } $driver, $driver2, $driver3 ],
		[ of_driver($receiver, '/hook') ],
		'--status' => status_file($third)),
	'the oracle has no complaint');
is($third->safe_psql('postgres',
		'SELECT count(*) FROM pg_replication_slots'), '1', 'one slot');

is($relay3->stop, 0, 'the last relay ends when asked');
$receiver->stop;
$third->stop;
done_testing();
