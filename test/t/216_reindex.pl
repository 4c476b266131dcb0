# test/t/216_reindex.pl
#
# The indexes of the messages are built anew, over and over, while others
# enqueue.  Every message is found by its id through an index, and delivered
# once.
#
# OUTBOX_REINDEX: for how many seconds.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use Test::More;
use Time::HiRes qw(time);

my $SECONDS = $ENV{OUTBOX_REINDEX} // 8;

# each leaf in use three times
my $LEAST = 24;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');

load_route($node, $receiver, 'hook');
my $relay = start_relay($node);
my $driver = load_for(
	$node,
	'--seconds' => $SECONDS + 600,
	'--sessions' => 4,
	'--rate' => 400);

wait_for('deliveries go on', sub { $receiver->delivered('/hook') > 20 });
my $began = time();
my $rounds = 0;
while ($rounds < $LEAST || time() < $began + $SECONDS)
{
	$node->safe_psql('postgres', 'REINDEX TABLE CONCURRENTLY outbox.message_0_'
		  . $rounds++ % 8);
	$node->safe_psql('postgres', 'REINDEX TABLE CONCURRENTLY outbox.resolved')
	  if $rounds % 8 == 0;
}
note("$rounds indexes in " . int(time() - $began) . ' s');
is($driver->stop, 0, 'the driver ends');
is_reconciled('REINDEX under load', $node, $receiver, [$driver], ['hook'],
	oracle => [ '--max-duplicates' => 0 ]);

# What the heap has against what the indexes have.
is($node->safe_psql('postgres',
		'SELECT count(*) FROM pg_index WHERE NOT indisvalid'),
	'0', 'no index is left half built');
my $by_heap = $node->safe_psql('postgres', q{
	SET enable_indexscan = off; SET enable_bitmapscan = off;
	SET enable_indexonlyscan = off;
	SELECT count(*), sum(id) FROM outbox.message});
is( $node->safe_psql('postgres', q{
		SET enable_seqscan = off; SET enable_bitmapscan = off;
		SELECT count(*), sum(id) FROM outbox.message WHERE id > 0}),
	$by_heap, "every message is in an index ($by_heap)");
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
