# test/t/218_confirmed.pl
#
# The slot is never confirmed past a message that is open, nor past the
# position that a settle has recorded, while WAL moves on, keepalives come and
# the relay reports.  A settle that is refused has recorded nothing.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');

# reported: the server has dealt with a report that the relay made after this
# was called.  It notes the time of one before it takes its position.
sub reported
{
	foreach (1 .. 2)
	{
		my $now = $node->safe_psql('postgres', 'SELECT clock_timestamp()');

		wait_for(
			'the relay reports',
			sub {
				$node->safe_psql('postgres',
					"SELECT reply_time > '$now' FROM pg_stat_replication") eq 't';
			});
	}
	return;
}

# ahead: how far the slot is past the position recorded.  The slot is read
# first: what is recorded only rises.
sub ahead
{
	my $slot = slot_lsn($node);

	return $node->safe_psql('postgres',
		qq{SELECT '$slot' - "position" FROM outbox.relay});
}

# WAL that has nothing to do with the outbox, and a report after it.
sub move_on
{
	$node->safe_psql('postgres',
		'CREATE TABLE other AS SELECT generate_series(1, 10000); DROP TABLE other');
	reported();
	return;
}

route_create($node, 'hook', 'http', $receiver->url('/hook'),
	options => { timeout_ms => 3600000 });
my $relay = start_relay($node);
enqueue($node, 'order.created', {});
wait_for('a settle has recorded a position', sub { ahead() ne '' });

$receiver->script('/hook', 'hold');
enqueue($node, 'order.created', {});
wait_for('a delivery is out', sub { $receiver->state('/hook')->{held} });
move_on();
cmp_ok(ahead(), '<=', 0, 'not past a message that is open');

my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; SELECT FROM outbox.relay FOR UPDATE');
enqueue($node, 'order.created', {});
wait_for(
	'a settle waits',
	sub {
		$node->safe_psql('postgres',
			'SELECT count(*) FROM pg_stat_activity'
			  . " WHERE query LIKE 'SELECT outbox_settle%' AND wait_event_type = 'Lock'");
	});
move_on();
cmp_ok(ahead(), '<=', 0, 'nor past one whose settle is not committed');

my $before = slot_lsn($node);
$session->query_safe('COMMIT');
$session->quit;
$receiver->release('/hook');
wait_for('the slot follows', sub { slot_lsn($node) ne $before && ahead() eq '0' });
pass('once it is committed, up to what it recorded');

# As if another relay had begun, with the connections of this one left alone.
$node->safe_psql('postgres', 'UPDATE outbox.relay SET run = run + 1');
my $id = enqueue($node, 'order.created', {});
wait_for('the message arrives',
	sub { grep { $_->{headers}{'outbox-message-id'} == $id }
		  $receiver->delivered('/hook') });
move_on();
cmp_ok(ahead(), '<=', 0, 'nor past one whose settle is refused');
wait_for('the message is sent by a run of its own',
	sub { status_of($node, $id) eq 'hook=SENT' });

is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
