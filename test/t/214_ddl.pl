# test/t/214_ddl.pl
#
# What an administrator may do to the tables while messages stream.  What was
# committed is delivered, an enqueue that cannot be is refused, and what was
# thrown away with its table is the only loss.  The server never crashes.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use OutboxTest::Reconcile qw(ids_at);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');
my @drivers;

load_route($node, $receiver, 'hook');
route_create($node, 'plain', 'http', $receiver->url('/plain'),
	types => ['plain']);
my $relay = start_relay($node);

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

# arrives(id, case): a message of type plain.
sub arrives
{
	my ($id, $case) = @_;
	return ok(
		wait_for("message $id arrives: $case",
			sub { grep { $_ eq $id } ids_at($receiver, '/plain') }),
		"$case: it is delivered");
}

# What doc/operating.md says to run when rows were thrown away.
sub give_up_statements
{
	my ($row) = grep { /truncated or deleted by hand/ } split /\n/,
	  slurp_file("$OutboxTest::ROOT/doc/operating.md");
	my @statements = $row =~ /`((?:UPDATE|DELETE) [^`]+)`/g;

	is(scalar @statements, 2, 'the manual says what to do');
	return @statements;
}

# ---------- under load ----------

my $driver = load_for($node, '--seconds' => 600);
foreach my $ddl (
	'VACUUM FULL outbox.message',
	'VACUUM FULL outbox.resolved',
	'REINDEX TABLE outbox.message',
	'REINDEX SCHEMA outbox',
	'ALTER TABLE outbox.message ADD COLUMN bytes integer'
	. ' GENERATED ALWAYS AS (octet_length(payload)) STORED',
	'ALTER TABLE outbox.message DROP COLUMN bytes',
	'CLUSTER outbox.parked USING parked_pkey')
{
	my $before = () = $receiver->delivered('/hook');

	sql($ddl);
	ok( wait_for("deliveries go on after $ddl",
			sub { $receiver->delivered('/hook') > $before + 20 }),
		"deliveries go on after $ddl");
}
is($driver->stop, 0, 'the driver ends');
is_reconciled('DDL under load', $node, $receiver, [$driver], ['hook'],
	oracle => [ '--max-duplicates' => 0 ]);

# ---------- a column that is not ours ----------

sql('ALTER TABLE outbox.message ADD COLUMN note text');
my $error;
$node->psql('postgres', 'SELECT ' . enqueue_sql('plain', {}),
	stderr => \$error);
like(
	$error, qr/column "note" that is not of the extension.*HINT:  Drop the column/s,
	'a foreign column: enqueue says what to do');
sql('ALTER TABLE outbox.message DROP COLUMN note');
arrives(enqueue($node, 'plain', {}), 'a foreign column that is gone');

# ---------- TRUNCATE ----------

my $id = sql('BEGIN; SELECT '
	  . enqueue_sql('plain', {}, message_key => 'k')
	  . '; TRUNCATE outbox.message; COMMIT');
arrives($id, 'truncated in the transaction that enqueued');
is(sql('SELECT count(*) FROM outbox.message'), 0, 'truncated: no row is left');
arrives(enqueue($node, 'plain', {}, message_key => 'k'), 'after TRUNCATE');

# What waits in the backlog has its body in the table only.
$receiver->script('/plain', '503*');
enqueue($node, 'plain', {}, message_key => "gone-$_") foreach 1 .. 20;
wait_for(
	'all of them wait',
	sub {
		sql('SELECT (SELECT count(*) FROM outbox.parked)'
			  . ' + (SELECT sum(cardinality(ids)) FROM outbox.backlog)') == 20;
	});
sql('TRUNCATE outbox.message');
$receiver->script('/plain');
$id = enqueue($node, 'plain', {}, message_key => 'after');
ok( wait_for('messages are missing',
		sub { $relay->metric('outbox_missing_seconds') > 1 }),
	'truncated under a backlog: the metric says that messages are missing');
is($relay->stop, 0, 'truncated under a backlog: the relay ends when asked');
sql($_) foreach give_up_statements();
$relay->run;
arrives($id, 'truncated and given up');

# ---------- DROP EXTENSION ----------

$receiver->script('/plain', '503*');
enqueue($node, 'plain', {}, message_key => 'dropped');
wait_for('an attempt fails', sub { sql('SELECT count(*) FROM outbox.parked') });
sql('SET client_min_messages = error; DROP EXTENSION outbox CASCADE');
is($relay->wait_end, 2, 'dropped: the relay ends');
like($relay->output, qr/cannot_run: .*(?:run CREATE EXTENSION outbox|does not exist)/,
	'dropped: it says what is missing');
$receiver->script('/plain');
sql('CREATE EXTENSION outbox');
route_create($node, 'plain', 'http', $receiver->url('/plain'),
	types => ['plain']);
enqueue($node, 'plain', {}, message_key => 'new');
$relay->run;

sub keys_at
{
	return map { $_->{headers}{'outbox-message-key'} // '' }
	  $receiver->delivered('/plain');
}

ok(wait_for('the new message arrives', sub { grep { $_ eq 'new' } keys_at() }),
	'made anew: it delivers');
is(scalar(grep { $_ eq 'dropped' } keys_at()),
	0, 'made anew: nothing of the one before');

is($relay->stop, 0, 'the relay ends when asked');
unlike(slurp_file($node->logfile),
	qr/PANIC|was terminated by|TRAP/, 'no process of the server has crashed');
$receiver->stop;
$node->stop;
done_testing();
