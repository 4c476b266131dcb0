# test/t/206_invisible_commit.pl
#
# A commit that waits for a synchronous standby is in the WAL and not yet
# visible.  A slot that begins behind it will not bring it, a snapshot taken
# now does not have it: the relay has to wait until all that was open is seen,
# and to read the table once more when its patience ended before that.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Reconcile;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver();
route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay($node,
	config => { database => { reconcile_wait => '1s' } });
enqueue($node, 'order.created', { n => 1 }, message_key => 'k');
wait_for('the first message arrives',
	sub { $receiver->delivered('/hook') == 1 });
is($relay->stop, 0, 'the relay ends when asked');

standby_names($node, 'nobody');
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_until(
	qr/sent/,
	"\\echo sent\n"
	  . 'SELECT '
	  . enqueue_sql('order.created', { n => 2 }, message_key => 'k') . ";\n");
wait_for(
	'the commit waits for the standby',
	sub {
		$node->safe_psql('postgres',
			"SELECT count(*) FROM pg_stat_activity"
			  . " WHERE wait_event = 'SyncRep'") == 1;
	});

# By hand, to where the commit is past.
$node->safe_psql('postgres', 'SET synchronous_commit = local;'
	  . " SELECT pg_replication_slot_advance('outbox',"
	  . ' pg_current_wal_flush_lsn())');
$relay->run;
wait_for('the relay has read the table',
	sub {
		log_lines($relay, qr/reconcile_wait/)
		  || log_lines($relay, qr/ reconciled:/) > 1;
	});
ok(log_lines($relay, qr/reconcile_wait/), 'after it has waited long enough');
is(scalar $receiver->delivered('/hook'), 1, 'it is not visible to the relay');
ok( wait_for('the relay is ready', sub { ($relay->get('/readyz'))[0] == 200 }),
	'it is ready, though that commit keeps it from ending its reconcile');
like($relay->output, qr/reconcile_hold:(?:(?! running:).)*reconcile_wait:.* running:/s,
	'and said so when the hold was over');

standby_names($node, '');
wait_for('the message arrives', sub { $receiver->delivered('/hook') == 2 });
pass('a commit that was not visible yet arrives');
wait_until_quiet($node);
is(join(' ', map { $_->{body} } $receiver->delivered('/hook')),
	'{"n": 1} {"n": 2}', 'each once');
wait_for('the relay is ready', sub { ($relay->get('/readyz'))[0] == 200 });
is($relay->stop, 0, 'the relay ends when asked');
$session->quit;
$receiver->stop;
$node->stop;
done_testing();
