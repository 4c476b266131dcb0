# test/t/101_server_crash.pl
#
# The server is killed under load, several times; the relay finds back by
# itself.  A fast stop does not wait for the relay: one that did would not
# end, since the server never gives up a walsender here.
#
# OUTBOX_CRASHES: how often.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use Test::More;

my $CRASHES = $ENV{OUTBOX_CRASHES} // 4;

my $node =
  new_node('main', conf => [ 'fsync = on', 'wal_sender_timeout = 0' ]);
my $receiver = start_receiver(body => 'none');

load_route($node, $receiver, 'hook');
my $relay = start_relay($node);
my $driver = load_for($node, '--seconds' => 600 + 60 * $CRASHES);

sub deliveries_go_on
{
	my $before = () = $receiver->delivered('/hook');

	wait_for('deliveries go on',
		sub { (() = $receiver->delivered('/hook')) > $before + 20 });
	return;
}

foreach my $round (1 .. $CRASHES)
{
	deliveries_go_on();
	$node->stop('immediate');
	$node->start;
	ok($relay->running, "crash $round: the relay lives");
}

deliveries_go_on();
ok($node->stop('fast', fail_ok => 1),
	'a fast stop does not wait for the relay');
ok($relay->running, 'fast stop: the relay lives');
$node->start;

# Stopped when nothing happens, too.
is($driver->stop, 0, 'the driver ends');
is_reconciled('server crashes', $node, $receiver, [$driver], ['hook']);
ok($node->stop('fast', fail_ok => 1),
	'a fast stop of a quiet server neither');
$node->start;
my $more = load_once($node, '--transactions' => 5, '--seed' => 2);
is_reconciled('quiet stop', $node, $receiver, [ $driver, $more ], ['hook']);
is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
