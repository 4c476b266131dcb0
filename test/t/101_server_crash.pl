# test/t/101_server_crash.pl
#
# The server is killed under load, several times; the relay finds back by
# itself.  A fast stop does not wait for the relay.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use Test::More;
use Time::HiRes qw(time);

my $FAST_STOP_SECONDS = 5;

my $node = new_node('main', conf => ['fsync = on']);
my $receiver = start_receiver(body => 'none');

load_route($node, $receiver, 'hook');
my $relay = start_relay($node);
my $driver = load_for($node, '--seconds' => 600);

sub deliveries_go_on
{
	my $before = () = $receiver->delivered('/hook');

	wait_for('deliveries go on',
		sub { (() = $receiver->delivered('/hook')) > $before + 20 });
	return;
}

foreach my $round (1 .. 4)
{
	deliveries_go_on();
	$node->stop('immediate');
	$node->start;
	ok($relay->running, "crash $round: the relay lives");
}

deliveries_go_on();
my $began = time();
$node->stop('fast');
my $took = time() - $began;
cmp_ok($took, '<', $FAST_STOP_SECONDS,
	'a fast stop does not wait for the relay');
ok($relay->running, 'fast stop: the relay lives');
$node->start;

# Stopped when nothing happens, too.
is($driver->stop, 0, 'the driver ends');
is_reconciled('server crashes', $node, $receiver, [$driver], ['hook']);
$began = time();
$node->stop('fast');
cmp_ok(time() - $began, '<', $FAST_STOP_SECONDS,
	'a fast stop of a quiet server neither');
$node->start;
my $more = load_once($node, '--transactions' => 5, '--seed' => 2);
is_reconciled('quiet stop', $node, $receiver, [ $driver, $more ], ['hook']);
is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
