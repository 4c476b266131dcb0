# test/t/406_large_backlog.pl
#
# A backlog that is many times as big as the memory: large messages, then
# very many small ones, wait for a route that is down.  The relay stays within
# its budget while they come, while they wait and while they drain.
#
# OUTBOX_LARGE: messages of 1 MB; OUTBOX_SMALL: thousands of 100 bytes.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Order;
use Test::More;
use Time::HiRes qw(time);

my $LARGE = $ENV{OUTBOX_LARGE} // 150;
my $SMALL = 1000 * ($ENV{OUTBOX_SMALL} // 20);
my $BUDGET_MB = 16;

# what a relay has in memory beside its budget
my $BASE_MB = 32;

my $node = new_node('main', conf => ['max_wal_size = 2GB']);
my $receiver = start_receiver(body => 'none');
my $most = 0;

route_create($node, $_, 'http', $receiver->url("/$_"), types => [$_])
  foreach 'large', 'small';
my $relay = start_relay($node,
	config => { relay => { memory_budget => "${BUDGET_MB}MB",
			log_level => 'info' } });

# look: at its memory; true, so that it can be part of a condition.
sub look
{
	my $kb = $relay->rss_kb;

	$most = $kb if $kb > $most;
	return 1;
}

# backlog_drains(type, how many, how many a transaction, payload of the n-th)
sub backlog_drains
{
	my ($type, $count, $part, $payload) = @_;
	my $began = time();
	my $seconds = 120 + $count / 200;

	$node->safe_psql('postgres', "SELECT outbox_route_pause('$type')");
	for (my $done = 0; $done < $count; $done += $part)
	{
		$node->safe_psql(
			'postgres', qq{
			SELECT count(outbox_enqueue_bytes('$type', $payload, 'text/plain',
				message_key => 'k' || n % 100))
			FROM generate_series($done + 1, least($done + $part, $count)) AS n});
		look();
	}
	wait_for(
		"all of them wait ($type)",
		sub {
			look() && ($relay->metric('outbox_backlog_messages',
					route => $type) // 0) >= $count;
		},
		$seconds);
	note(sprintf('%s: all wait after %.0f s', $type, time() - $began));
	$node->safe_psql('postgres', "SELECT outbox_route_resume('$type')");
	wait_for(
		"all of them have left ($type)",
		sub {
			look() && !$relay->metric('outbox_backlog_messages', route => $type);
		},
		$seconds);
	wait_until_sent($node);
	note(sprintf('%s: all are SENT after %.0f s, at most %d MB',
			$type, time() - $began, $most / 1024));
	is(are_delivered($type, $node, $receiver, "/$type", $type, 0),
		$count, "$type: as many as were enqueued");
	rss_below($most, ($BUDGET_MB + $BASE_MB) * 1024,
		"$type: the relay's memory is bounded");
	return;
}

backlog_drains('large', $LARGE, 20,
	q{convert_to(repeat(md5(n::text), 32768), 'UTF8')});
is(scalar(grep { $_->{length} != 1048576 } $receiver->requests('/large')),
	0, 'large: each came whole');
backlog_drains('small', $SMALL, 10_000,
	q{convert_to(rpad(n::text, 100), 'UTF8')});
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
