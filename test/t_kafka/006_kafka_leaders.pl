# test/t_kafka/006_kafka_leaders.pl
#
# Three brokers, all with a copy of each partition: one is killed, the next
# frozen, the next stopped, and leaders go back to those that return, all
# under a load.  All has arrived in the end, in order.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my @settings = (
	'broker.session.timeout.ms=2000', 'broker.heartbeat.interval.ms=300',
	'replica.lag.time.max.ms=2000', 'leader.imbalance.check.interval.seconds=1');

my $node = new_node('main');
my $kafka = start_kafka(@settings);
my %other = map { $_ => $kafka->join($_, @settings) } 2, 3;

ok( $kafka->topic('events', 'partitions=6', 'replicas=3',
		'min.insync.replicas=2'),
	'the topic is made');
route_create($node, 'events', 'kafka', 'main/events',
	types => ['driver.message'],
	options => { timeout_ms => 3000, retry_initial_ms => 200 });
my $relay = start_relay($node,
	config => {
		'kafka main' => {
			'bootstrap.servers' =>
			  join(',', map { $_->{bootstrap} } $kafka, values %other)
		}
	});
my $driver = start_driver($node, '--sessions' => 3, '--keys' => 24,
	'--rate' => 400, '--seconds' => 600);

sub led_by
{
	my ($number) = @_;
	return scalar grep { $_ == $number } $kafka->leaders('events');
}

# It leads some, then none, then some again.
sub lead_changes
{
	my ($number, $how, $away, $back) = @_;
	my $before;

	wait_for("broker $number leads ($how)", sub { led_by($number) > 0 });
	$before = $kafka->count('events');
	wait_for("messages arrive ($how)",
		sub { $kafka->count('events') > $before });
	$away->();
	wait_for("others lead ($how)",
		sub { led_by($number) == 0 && led_by(-1) == 0 });
	$before = $kafka->count('events');
	wait_for("messages arrive without it ($how)",
		sub { $kafka->count('events') > $before + 100 });
	$back->();
	wait_for("it leads again ($how)", sub { led_by($number) > 0 });
	pass("the leaders have changed: broker $number is $how");
	return;
}

lead_changes(2, 'killed', sub { $other{2}->kill9 }, sub { $other{2}->start });
lead_changes(3, 'frozen',
	sub { $other{3}->signal('STOP') },
	sub { $other{3}->signal('CONT') });
lead_changes(2, 'stopped', sub { $other{2}->stop }, sub { $other{2}->start });

is($driver->stop, 0, 'the load ends');
wait_for(
	'all is SENT',
	sub {
		$node->safe_psql('postgres',
			"SELECT count(*) FROM outbox.messages WHERE status <> 'SENT'") == 0;
	});
ok( run_oracle([ $driver->{log} ], [ $kafka->log_file('events') ]),
	'the oracle finds nothing wrong');
is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
