# test/t/100_kill_points.pl
#
# The crash matrix: the relay is killed at each named point between "frame
# read" and "position confirmed", the first, third and twentieth time it
# passes there, under load, and started again.  What was recorded as SENT
# before is not sent again, so duplicates are at most what was in flight.
# A restart when asked makes none.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use Test::More;

# name, the passings at which it is killed
my @matrix = (
	[ started => 1 ],
	[ stream_started => 1 ],
	[ snapshot_read => 1 ],
	[ frame_read => 1, 3, 20 ],
	[ submitted => 1, 3, 20 ],
	[ answered => 1, 3, 20 ],
	[ settle_sent => 1, 3, 20 ],
	[ settled => 1, 3, 20 ],
	[ confirmed => 1, 3, 20 ]);

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');
my @drivers;
my $relay;

load_route($node, $receiver, 'hook');

# Ids that were SENT before, and are sent once more.
sub sent_again
{
	my ($before, @settled) = @_;
	my $now = delivered_count($receiver, '/hook');

	return grep { ($now->{$_} // 0) > ($before->{$_} // 0) } @settled;
}

# A relay that kills itself there, and load until it has.
sub die_at
{
	my ($point) = @_;

	# Some answers take longer than a settle: they are open when it is sent.
	$receiver->script('/hook',
		map { ('200', '200', '200', 'slow:0.15') } 1 .. 25);
	$relay = start_relay(
		$node,
		name => 'relay',
		env => { OUTBOX_KILL_AT => $point },
		wait => 0);
	for (1 .. 5)
	{
		push @drivers,
		  load_once($node, '--transactions' => 12, '--seed' => scalar @drivers);
		last unless $relay->running;
	}
	return $relay->wait_end;
}

sub crash_at
{
	my ($point) = @_;
	my $end = die_at($point);

	unless (is($end, 'signal 9', "$point: killed there"))
	{
		$relay->stop;
		return;
	}
	wait_until_gone($node);
	my @settled = settled_ids($node);
	my $before = delivered_count($receiver, '/hook');

	$relay = start_relay($node, name => 'relay');
	push @drivers,
	  load_once($node, '--transactions' => 5, '--seed' => scalar @drivers);
	is_reconciled($point, $node, $receiver, \@drivers, ['hook']);
	is(join(' ', sent_again($before, @settled)),
		'', "$point: nothing that was recorded is sent again");
	is($relay->stop, 0, "$point: the relay ends when asked");
	wait_until_gone($node);
	return;
}

# The slot is made by the first.
crash_at('slot_made');
foreach my $row (@matrix)
{
	my ($name, @times) = @$row;
	crash_at("$name:$_") foreach @times;
}

# Asked to end in the middle of a load, three times.
my $before = delivered_count($receiver, '/hook');
$receiver->script('/hook');
my $driver = load_for($node, '--transactions' => 120, '--seed' => 99);
push @drivers, $driver;
foreach my $round (1 .. 3)
{
	my $seen = $receiver->state('/hook')->{seen};

	$relay = start_relay($node, name => 'relay');
	wait_for('deliveries go on',
		sub { $receiver->state('/hook')->{seen} > $seen + 5 });
	is($relay->stop, 0, "the relay ends when asked, round $round");
}
is($driver->wait_end, 0, 'the driver ends');
$relay = start_relay($node, name => 'relay');
is_reconciled('clean restarts', $node, $receiver, \@drivers, ['hook']);
my $count = delivered_count($receiver, '/hook');
is( join(' ', grep { !$before->{$_} && $count->{$_} > 1 } sort keys %$count),
	'', 'clean restarts make no duplicate');
$relay->stop;
$node->stop;
done_testing();
