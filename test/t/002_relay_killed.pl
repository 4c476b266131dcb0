# test/t/002_relay_killed.pl
#
# The relay is killed again and again under load: what the driver says it
# committed arrives, in order, and nothing else, by the oracle's word.
#
# OUTBOX_KILLS: how often.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $KILLS = $ENV{OUTBOX_KILLS} // 3;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');

route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay($node);
my $driver = start_driver($node, '--sessions', 4, '--rate', 400,
	'--seconds', 600 + 60 * $KILLS);

foreach my $round (1 .. $KILLS)
{
	my $before = () = $receiver->delivered('/hook');
	wait_for('deliveries go on',
		sub { (() = $receiver->delivered('/hook')) > $before + 50 });
	is($relay->kill9, 'signal 9', "killed, round $round");
	$relay->run;
	$relay->wait_until_streaming;
}

is($driver->stop, 0, 'the load ends when asked');
wait_for(
	'all is settled',
	sub {
		$node->safe_psql('postgres',
			"SELECT count(*) FROM outbox.messages WHERE status <> 'SENT'") == 0;
	});

my $status = PostgreSQL::Test::Utils::tempdir() . '/status';
append_to_file(
	$status,
	$node->safe_psql('postgres',
		"SELECT id || ' ' || status FROM outbox.messages")
	  . "\n");
ok( run_oracle(
		[ $driver->{log} ], [ $receiver->{log} ],
		'--path' => '/hook',
		'--status' => $status,
		'--max-duplicates' => $KILLS * 1000),
	'the oracle finds nothing wrong');
is( $node->safe_psql('postgres', "SELECT sent FROM outbox_status()"),
	$node->safe_psql('postgres', 'SELECT count(*) FROM outbox.message'),
	'each delivery that was settled is counted once');
is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
