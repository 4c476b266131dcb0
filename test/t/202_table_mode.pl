# test/t/202_table_mode.pl
#
# While the slot is lost and cannot be made, delivery goes on from the table:
# behind a prepared transaction in another database, and where no replication
# slot is free.  Then the stream takes over, with neither gap nor overtaking,
# while messages keep coming.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Reconcile;
use Test::More;

my $node = new_node('main', conf => ['max_replication_slots = 1']);
my $receiver = start_receiver();
route_create($node, 'hook', 'http', $receiver->url('/hook'));
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE TABLE t (i int)');

my $relay = start_relay($node);
is($relay->metric('outbox_table_mode'), 0, 'it begins with a slot');

my $driver = start_driver($node, '--sessions', 2, '--rate', 60,
	'--seconds', 20, '--keys', 6);

sub wait_until_table
{
	wait_for('the relay delivers from the table',
		sub { ($relay->get('/readyz'))[1] =~ /from the table/ });
	is(($relay->get('/readyz'))[0], 200, 'it is ready in table mode');
	is($relay->metric('outbox_table_mode'), 1, 'the metric says so');
	return;
}

# Messages enqueued from now on arrive, more than once over.
sub delivers
{
	my ($name) = @_;

	foreach my $turn (1 .. 2)
	{
		my $id = enqueue($node, 'order.created', { $name => $turn });
		wait_for("a message arrives: $name",
			sub { grep { $_ eq $id } ids_at($receiver, '/hook') });
	}
	return pass("delivery goes on: $name");
}

sub drop_slot
{
	$node->safe_psql('postgres', q{
		SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots});
	wait_for(
		'the slot is dropped',
		sub {
			my $stderr;
			$node->psql('postgres',
				"SELECT pg_drop_replication_slot('outbox')",
				stderr => \$stderr);
			return $stderr !~ /is active/;
		});
	return;
}

# Row 43: a slot waits for every transaction in the cluster to end.
$node->safe_psql('other',
	"BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'p'");
$relay->signal('STOP');
drop_slot();
$relay->signal('CONT');
wait_until_table();
delivers('prepared');
is($node->safe_psql('postgres',
		'SELECT count(*) FROM pg_replication_slots'
		  . ' WHERE confirmed_flush_lsn IS NOT NULL'),
	'0', 'the prepared transaction keeps the slot from being made');
is($relay->metric('outbox_table_mode'), 1, 'still in table mode');

# No stream, no bell: routes are read again and again, too.
sub paused
{
	my ($is) = @_;
	return wait_for("the relay knows whether the route is paused ($is)",
		sub { $relay->metric('outbox_route_paused', route => 'hook') == $is });
}

$node->safe_psql('postgres', "SELECT outbox_route_pause('hook')");
paused(1);
$node->safe_psql('postgres', "SELECT outbox_route_resume('hook')");
paused(0);
pass('a route is paused and resumed in table mode');

# What changes while the slot is made comes before what the stream brings.
$node->safe_psql('postgres', "SELECT outbox_route_pause('hook')");
paused(1);
$relay->signal('STOP');
$node->safe_psql('postgres', "SELECT outbox_route_resume('hook')");
$node->safe_psql('other', "COMMIT PREPARED 'p'");
wait_for(
	'the slot is made',
	sub {
		$node->safe_psql('postgres',
			'SELECT count(*) FROM pg_replication_slots'
			  . ' WHERE confirmed_flush_lsn IS NOT NULL') == 1;
	});
$relay->signal('CONT');
$relay->wait_until_streaming;
paused(0);
pass('a route that was resumed before the stream began is resumed');
wait_for('the relay runs',
	sub { $relay->metric('outbox_table_mode') == 0
		  && ($relay->get('/readyz'))[1] =~ /running/ });
delivers('stream');

# The only slot is taken by somebody else.
$relay->signal('STOP');
drop_slot();
$node->safe_psql('postgres',
	"SELECT pg_create_physical_replication_slot('rival')");
$relay->signal('CONT');
wait_until_table();
delivers('none free');
wait_for('the log says why',
	sub { log_lines($relay, qr/slot_not_made.*all replication slots are in use/) });
pass('the log says why there is no slot');
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('rival')");
$relay->wait_until_streaming;
wait_for('the relay runs',
	sub { $relay->metric('outbox_table_mode') == 0
		  && ($relay->get('/readyz'))[1] =~ /running/ });
is($driver->wait_end, 0, 'the driver ends');
delivers('at last');

# The oracle knows the driver's messages only.
wait_until_quiet($node);
ok( run_oracle(
		[ $driver->{log} ], [ of_driver($receiver, '/hook') ],
		'--status' => status_file($node)),
	'the oracle has no complaint');
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
