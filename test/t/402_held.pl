# test/t/402_held.pl
#
# Row 3: one message is held by its endpoint while a thousand others commit
# and are delivered, and the relay is killed at each point where it could
# forget it: it arrives.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Order;
use OutboxTest::Recovery qw(wait_until_gone);
use Test::More;

my $OTHERS = 1000;
my $PARTS = 5;    # of the others; each takes a settle at least
# Of the last: how often it is passed before it kills.
my @POINTS = qw(submitted:200 answered:400 settle_sent:3 settled:3
  confirmed:3);

my $node = new_node('main');
my $receiver = start_receiver();

route_create($node, 'held', 'http', $receiver->url('/held'),
	types => ['held'], options => { timeout_ms => 600000 });
route_create($node, 'hook', 'http', $receiver->url('/hook'),
	types => ['other']);

sub lsn
{
	return $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
}

# One transaction each, by one session.
sub enqueue_others
{
	my ($count) = @_;

	$node->safe_psql('postgres', qq{
		DO \$\$
		BEGIN
			FOR i IN 1 .. $count LOOP
				PERFORM outbox_enqueue('other', to_jsonb(i),
					message_key => 'k' || i % 10);
				COMMIT;
			END LOOP;
		END
		\$\$});
	return;
}

sub others_sent
{
	return $node->safe_psql('postgres',
		q{SELECT NOT EXISTS (SELECT FROM outbox.messages
		WHERE type = 'other' AND status <> 'SENT')}) eq 't';
}

foreach my $point (@POINTS)
{
	my $relay = start_relay(
		$node,
		name => 'relay',
		env => { OUTBOX_KILL_AT => $point });
	$receiver->script('/held', 'hold');
	my $id = enqueue($node, 'held', { point => $point });
	my $end = lsn();
	wait_for("the message is held ($point)",
		sub { $receiver->state('/held')->{held} > 0 });

	foreach my $part (1 .. $PARTS)
	{
		enqueue_others($OTHERS / $PARTS);
		wait_for("part $part is SENT, or the relay gone ($point)",
			sub { !$relay->running || others_sent() });
	}
	is($relay->wait_end, 'signal 9', "$point: killed there");
	is($node->safe_psql('postgres',
			"SELECT confirmed_flush_lsn < '$end'"
			  . ' FROM pg_replication_slots'),
		't', "$point: nothing is confirmed past the message that is held");
	is(status_of($node, $id), 'held=NEW', "$point: it is not SENT");

	$receiver->script('/held');
	wait_until_gone($node);
	$relay = start_relay($node, name => 'relay');
	wait_for("the message is SENT ($point)",
		sub { status_of($node, $id) eq 'held=SENT' });
	pass("$point: it arrives");
	wait_until_sent($node);
	is($relay->stop, 0, "$point: the relay ends when asked");
	wait_until_gone($node);
	$receiver->release('/held');
}
is(are_delivered('others', $node, $receiver, '/hook', 'other',
		2500 * @POINTS),
	$OTHERS * @POINTS, 'others: all of them');
is(scalar(keys %{ { map { ($_->{headers}{'outbox-message-id'} => 1) }
			  $receiver->delivered('/held') } }),
	scalar @POINTS, 'each of those that were held arrives');
$receiver->stop;
$node->stop;
done_testing();
