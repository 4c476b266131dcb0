# test/t/215_reconnects.pl
#
# The relay loses its connections five times while one big transaction is
# open that also enqueues.  Each time the walsender decodes it from its start
# again; its memory stays small, what it spills to disk is in proportion to the
# transaction, and in the end exactly those messages arrive, once.
#
# OUTBOX_RECONNECTS: thousands of messages in that transaction; five times as
# many other rows.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Order;
use Test::More;

my $THOUSANDS = $ENV{OUTBOX_RECONNECTS} // 10;
my $ROUNDS = 5;

# a walsender's own, and what it may keep of a transaction in progress
my $SENDER_MB = 100;

my $node = new_node('main',
	conf => [ 'logical_decoding_work_mem = 1MB', 'autovacuum = off' ]);
my $receiver = start_receiver(body => 'none');
my ($memory, $spilled) = (0, 0);

$node->safe_psql('postgres', q{
	CREATE ROLE carrier LOGIN REPLICATION;
	SELECT outbox_grant('carrier', 'relay');
	CREATE TABLE business (i integer, filler text)});
route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay($node,
	config =>
	  { database => { conninfo => $node->connstr('postgres') . ' user=carrier' } });

sub walsender
{
	return $node->safe_psql('postgres',
		'SELECT active_pid FROM pg_replication_slots');
}

# spilled: bytes there are on disk.
sub spilled
{
	my $bytes = 0;

	$bytes += -s $_ // 0
	  foreach glob($node->data_dir . '/pg_replslot/outbox/*.spill');
	return $bytes;
}

# look: at what the walsender takes.
sub look
{
	my $pid = walsender();
	my $bytes = spilled();

	$spilled = $bytes if $bytes > $spilled;
	return unless $pid ne '' && open(my $in, '<', "/proc/$pid/status");
	my ($kb) = join('', <$in>) =~ /^RssAnon:\s+(\d+)/m;
	$memory = $kb >> 10 if defined $kb && $kb >> 10 > $memory;
	return;
}

# wait_until_decoded: all that has been written so far.
sub wait_until_decoded
{
	my $end = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
	return wait_for(
		'the walsender has read the WAL',
		sub {
			look();
			return $node->safe_psql('postgres',
				    "SELECT count(*) FROM pg_stat_replication"
				  . " WHERE state = 'streaming' AND sent_lsn >= '$end'") == 1;
		},
		60 + $THOUSANDS);
}

my $begin = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
my $session =
  $node->background_psql('postgres', timeout => 60 + 10 * $THOUSANDS);
$session->query_safe('BEGIN');
foreach my $round (1 .. $ROUNDS)
{
	my $messages = $THOUSANDS * 1000 / $ROUNDS;
	my $enqueue = 'SELECT count(outbox_enqueue(%s, to_jsonb(i),'
	  . " message_key => 'k' || i %% 10)) FROM generate_series(1, %d) AS i";

	$session->query_safe(
		join(
			';',
			"INSERT INTO business SELECT i, repeat('x', 100)"
			  . " FROM generate_series(1, 5 * $messages) AS i",
			sprintf($enqueue, "'kept'", $messages),
			'SAVEPOINT s',
			sprintf($enqueue, "'undone'", $messages / 10),
			'ROLLBACK TO s'));
	wait_until_decoded();
	my $old = walsender();
	$node->safe_psql('postgres', q{
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE usename = 'carrier'});
	wait_for('there is another walsender',
		sub { walsender() !~ /^(?:$old)?$/ });
	pass("reconnect $round");
}
wait_until_decoded();
my $written = $node->safe_psql('postgres',
	"SELECT pg_current_wal_insert_lsn() - '$begin'");
is(scalar arrived($receiver, '/hook', 'kept'), 0, 'nothing before the commit');
my $before = enqueue($node, 'other', {});
ok( wait_for('the message is SENT',
		sub { status_of($node, $before) eq 'hook=SENT' }),
	'another transaction does not wait for it');

$session->query_safe('COMMIT');
$session->quit;
wait_until_decoded();
wait_until_sent($node, 60 + $THOUSANDS);
is( are_delivered('big transaction', $node, $receiver, '/hook', 'kept', 0),
	$THOUSANDS * 1000, 'as many as were enqueued');
is(scalar arrived($receiver, '/hook', 'undone'), 0, 'none that was undone');
cmp_ok($memory, '<', $SENDER_MB, "the walsender takes little ($memory MB)");
cmp_ok($spilled, '<', 2 * $written,
	"and spills in proportion ($spilled bytes of $written)");
is(spilled(), 0, 'nothing of that is left');
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
