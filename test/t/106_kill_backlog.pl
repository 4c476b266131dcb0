# test/t/106_kill_backlog.pl
#
# The crash matrix again, where memory and tables share the work: the relay is
# killed while an endpoint fails, while its circuit is open, while messages
# are tried again and while its backlog drains, with live messages coming; and
# now and then its slot is lost with it, or the server is killed.
#
# OUTBOX_SEED chooses another course.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use Test::More;

my @POINTS = qw(submitted answered settle_sent settled confirmed frame_read);
my $ROUNDS = 24;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');
my @drivers;
my $relay;
my $seed = $ENV{OUTBOX_SEED} // 1;

srand($seed);
note("seed $seed");
load_route(
	$node, $receiver, 'hook',
	retry_initial_ms => 30,
	retry_max_ms => 300,
	max_attempts => 1000);

# One answer: most are good, some take longer than a settle.
sub answer
{
	my $dice = rand();

	return $dice < 0.1 ? '503' : $dice < 0.3 ? 'slow:0.15' : '200';
}

# Answers with a share of failures, and stretches that open the circuit.
sub misbehave
{
	my @answers;

	foreach my $stretch (1 .. 3)
	{
		push @answers, map { answer() } 1 .. 15 + rand 20;
		push @answers, ('503') x (6 + rand 6), ('reset') x rand 2;
	}
	$receiver->script('/hook', @answers);
	return;
}

sub start_load
{
	my ($transactions) = @_;
	my $driver = load_for(
		$node,
		'--seed' => $seed * 1000 + @drivers,
		'--transactions' => $transactions);

	push @drivers, $driver;
	return $driver;
}

# Now and then the slot goes too, or the server.
sub worse
{
	my ($round) = @_;
	my $dice = rand();

	if ($dice < 0.2)
	{
		$node->safe_psql('postgres', q{
			SELECT pg_drop_replication_slot(slot_name)
			FROM pg_replication_slots});
		note("round $round: the slot is dropped");
	}
	elsif ($dice < 0.4)
	{
		$node->stop('immediate');
		$node->start;
		note("round $round: the server is killed");
	}
	return;
}

foreach my $round (1 .. $ROUNDS)
{
	my $point = $POINTS[ rand @POINTS ] . ':' . (1 + int(rand 12));
	my $env = { OUTBOX_KILL_AT => $point };

	misbehave();
	my $driver = start_load(10);
	$relay = start_relay($node, name => 'relay', env => $env, wait => 0);

	# A few passings more are made by what comes when the load has ended.
	eval {
		wait_for(
			'the relay dies',
			sub {
				start_load(3)->wait_end
				  if !$driver->running && $relay->running;
				return !$relay->running;
			},
			15);
	};
	is($relay->wait_end(0), 'signal 9', "round $round: killed at $point");
	$relay->kill9;
	$driver->wait_end;
	wait_until_gone($node);
	worse($round);
	next if $round % 4;

	# Up to here it was never in peace.
	$receiver->script('/hook');
	$relay = start_relay($node, name => 'relay');
	is_reconciled("round $round", $node, $receiver, \@drivers, ['hook']);
	is($relay->stop, 0, "round $round: the relay ends when asked");
	wait_until_gone($node);
}
$node->stop;
done_testing();
