# test/t_kafka/003_kafka_down.pl
#
# The broker is killed, started again, frozen and woken under a load: the
# circuit opens, the backlog takes the messages, the position in the WAL and
# the HTTP route of the same relay go on, and in the end all has arrived, in
# order, and the route streams again.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'time';

my $node = new_node('main');
my $receiver = start_receiver();
# A broker that was killed may come back under its number this soon.
my $kafka =
  start_kafka('broker.session.timeout.ms=3000',
	'broker.heartbeat.interval.ms=500');

ok($kafka->topic('events'), 'the topic is made');
route_create($node, 'events', 'kafka', 'main/events',
	types => ['driver.message'],
	options => { timeout_ms => 3000, retry_initial_ms => 200 });
route_create($node, 'hook', 'http', $receiver->url('/hook'),
	types => ['other']);
my $relay = start_relay($node,
	config =>
	  { 'kafka main' => { 'bootstrap.servers' => $kafka->{bootstrap} } });
my @logs;

sub metric
{
	my ($name, $route) = @_;
	return $relay->metric($name, route => $route) // -1;
}

sub start_load
{
	my $driver = start_driver($node, '--sessions' => 3, '--keys' => 8,
		'--rate' => 60, '--seconds' => 600);
	my $before = $kafka->count('events');

	push @logs, $driver->{log};
	wait_for('messages arrive',
		sub { $kafka->count('events') > $before + 20 });
	return $driver;
}

# The route is away, and only that route.
sub away_ok
{
	my ($when) = @_;
	my $backlog;

	wait_for("the circuit is open ($when)",
		sub { metric('outbox_circuit_open', 'events') == 1 });
	is(metric('outbox_route_streaming', 'events'), 0, "$when: in BACKLOG mode");
	wait_for("the backlog holds messages ($when)",
		sub { ($backlog = metric('outbox_backlog_messages', 'events')) > 0 });
	wait_for("the backlog grows ($when)",
		sub { metric('outbox_backlog_messages', 'events') > $backlog + 20 });
	my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
	wait_for(
		"the slot's position moves on ($when)",
		sub {
			$node->safe_psql('postgres',
				"SELECT confirmed_flush_lsn > '$lsn' FROM pg_replication_slots"
				  . " WHERE slot_name = 'outbox'") eq 't';
		});
	pass("$when: the slot's position moves on");

	my $began = time();
	foreach my $n (1 .. 5)
	{
		my $id = enqueue($node, 'other', { n => $n }, message_key => 'k');
		wait_for("the HTTP route delivers ($when)",
			sub { status_of($node, $id) eq 'hook=SENT' });
	}
	cmp_ok(time() - $began, '<', 10, "$when: the HTTP route goes on");
	is(metric('outbox_route_streaming', 'hook'), 1, "$when: it streams");
	return;
}

# The load ends, and nothing is left.
sub drained_ok
{
	my ($driver, $when) = @_;

	is($driver->stop, 0, "$when: the load ends");
	wait_for(
		"all is SENT ($when)",
		sub {
			$node->safe_psql('postgres',
				"SELECT count(*) FROM outbox.messages WHERE status <> 'SENT'")
			  == 0;
		});
	wait_for("the route streams again ($when)",
		sub { metric('outbox_route_streaming', 'events') == 1 });
	is(metric('outbox_circuit_open', 'events'), 0, "$when: the circuit closed");
	is(metric('outbox_backlog_messages', 'events'), 0, "$when: no backlog");
	return;
}

my $driver = start_load();
ok($kafka->kill9, 'the broker is killed');
away_ok('killed');
$kafka->start;
drained_ok($driver, 'started again');

$driver = start_load();
my $frozen = time();
ok($kafka->signal('STOP'), 'the broker is frozen');
away_ok('frozen');
wait_for('it was frozen for 15 s', sub { time() > $frozen + 15 });
ok($kafka->signal('CONT'), 'the broker is woken');
drained_ok($driver, 'woken');

ok( run_oracle(\@logs, [ $kafka->log_file('events') ]),
	'the oracle finds nothing wrong');
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
