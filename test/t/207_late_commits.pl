# test/t/207_late_commits.pl
#
# Transactions that are open for long: a low id that commits after many higher
# ones, one that is prepared, and one that enqueues while the relay is killed
# and started again several times.  All arrive when they commit, what was
# rolled back never.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Reconcile;
use Test::More;

my $CHUNK = 500;

my $node = new_node('main', conf => ['logical_decoding_work_mem = 64kB']);
my $receiver = start_receiver();
route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay($node);

sub begin
{
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN');
	return $session;
}

sub put
{
	my ($session, $name, $n) = @_;
	return $session->query_safe('SELECT '
		  . enqueue_sql("late.$name", { n => $n }, message_key => $name));
}

sub bodies
{
	my ($name) = @_;
	return join(' ',
		map { $_->{body} =~ /(\d+)/ }
		grep { $_->{headers}{'outbox-message-type'} eq "late.$name" }
		$receiver->delivered('/hook'));
}

# ---------- low ids that commit last, the relay started again before ----------

# the first message of all holds up others until it is committed
enqueue($node, 'late.first', { n => 1 });
my $slow = begin();
put($slow, 'slow', 1);
my $undone = begin();
put($undone, 'undone', 1);
my $prepared = begin();
put($prepared, 'prepared', 1);
$prepared->query_safe("PREPARE TRANSACTION 'p'");
my $unprepared = begin();
put($unprepared, 'unprepared', 1);
$unprepared->query_safe("PREPARE TRANSACTION 'u'");

my $driver = start_driver($node, '--sessions', 2, '--seconds', 3,
	'--rate', 60);
is($driver->wait_end, 0, 'the driver ends');
wait_until_quiet($node);
is(bodies('slow') . bodies('prepared'), '', 'what is open has not arrived');
is($relay->stop, 0, 'the relay ends when asked');
$relay->run;
$relay->wait_until_streaming;
wait_for('the relay runs', sub { ($relay->get('/readyz'))[0] == 200 });
put($slow, 'slow', 2);
$slow->query_safe('COMMIT');
$undone->query_safe('ROLLBACK');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
$node->safe_psql('postgres', "ROLLBACK PREPARED 'u'");
wait_for('both arrive',
	sub { bodies('slow') eq '1 2' && bodies('prepared') eq '1' });
pass('low ids that commit late arrive');

# The same, committed while the relay is down; prepared over a server crash.
$slow->query_safe('BEGIN');
put($slow, 'down', 1);
$prepared->query_safe('BEGIN');
put($prepared, 'crash', 1);
$prepared->query_safe("PREPARE TRANSACTION 'c'");
enqueue($node, 'late.high', { n => 1 });
wait_until_quiet($node);
$relay->kill9;
put($slow, 'down', 2);
$slow->query_safe('COMMIT');
$_->quit foreach $slow, $undone, $prepared, $unprepared;
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', "COMMIT PREPARED 'c'");
$relay->run;
wait_for('both arrive',
	sub { bodies('down') eq '1 2' && bodies('crash') eq '1' });
pass('what was committed while the relay was down arrives');

# ---------- killed again and again during one transaction ----------

my $long = begin();
my $streams = 'SELECT stream_count FROM pg_stat_replication_slots';
foreach my $turn (1 .. 4)
{
	my $values = join(', ',
		"'late.long'", 'to_jsonb(n)', "message_key => 'k' || n % 10");
	my $last = $turn * $CHUNK;
	my $first = $last - $CHUNK + 1;

	$long->query_safe("SELECT count(outbox_enqueue($values))"
		  . " FROM generate_series($first, $last) n");
	$long->query_safe('SAVEPOINT s');
	$long->query_safe("SELECT count(outbox_enqueue($values))"
		  . " FROM generate_series(1000001, 1000000 + $CHUNK) n");
	$long->query_safe('ROLLBACK TO s');
	my $id = enqueue($node, 'late.beside', { n => $turn });
	wait_for('what is beside it arrives',
		sub { status_of($node, $id) eq 'hook=SENT' });
	$relay->kill9;
	$relay->run;
	$relay->wait_until_streaming;
}
is(bodies('long'), '', 'nothing of it has arrived');
$long->query_safe('COMMIT');
$long->quit;
my $id = enqueue($node, 'late.last', { n => 1 });
wait_until_quiet($node);
my @long = split / /, bodies('long');
is_deeply(
	[ sort { $a <=> $b } @long ],
	[ 1 .. 4 * $CHUNK ],
	'exactly what was not rolled back arrives, each once');
my (%last, $overtaken);
foreach my $n (@long)
{
	$overtaken //= $n if $n < ($last{ $n % 10 } // 0);
	$last{ $n % 10 } = $n;
}
is($overtaken, undef, 'in the order of their keys');

is( bodies('undone') . bodies('unprepared'),
	'', 'what was rolled back has not arrived');
is($relay->metric('outbox_backlog_messages'), 0, 'nothing is left');
ok( run_oracle(
		[ $driver->{log} ],
		[ of_driver($receiver, '/hook') ],
		'--max-duplicates' => 0),
	'the oracle has no complaint');
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
