# test/t/103_slot_lost.pl
#
# The table is the truth, the stream a doorbell: the slot is dropped, made
# anew by hand at a later position, advanced by hand, each while the relay is
# down and messages wait; and the relay is killed between the making of the
# slot and the reading of what the slot lacks.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');
my @drivers;

load_route($node, $receiver, 'hook');
my $relay = start_relay($node, name => 'relay');

sub load
{
	push @drivers,
	  load_once($node, '--seed' => scalar @drivers, '--transactions' => 8);
	return;
}

# Killed with messages under way: some held by the endpoint, some unread.
sub killed_with_open_messages
{
	my ($sentence) = @_;

	load();
	$receiver->script('/hook', 'hang*');
	load();
	wait_for('some are under way',
		sub { $receiver->state('/hook')->{seen} > 0 });
	is($relay->kill9, 'signal 9', "$sentence: the relay is killed");
	wait_until_gone($node);
	load();
	cmp_ok(
		$node->safe_psql('postgres',
			"SELECT count(*) FROM outbox.messages WHERE status = 'NEW'"),
		'>', 10, "$sentence: messages wait");
	$receiver->script('/hook');
	return;
}

sub back_again
{
	my ($sentence) = @_;
	my $driver = load_for($node, '--seed' => scalar @drivers,
		'--transactions' => 20);

	push @drivers, $driver;
	$relay = start_relay($node, name => 'relay');
	is($driver->wait_end, 0, "$sentence: the driver ends");
	is_reconciled($sentence, $node, $receiver, \@drivers, ['hook']);
	return;
}

sub drop_slot
{
	return $node->safe_psql('postgres',
		"SELECT pg_drop_replication_slot('outbox')");
}

sub make_slot
{
	return $node->safe_psql('postgres',
		"SELECT pg_create_logical_replication_slot('outbox', 'outbox_decoder')"
	);
}

# Invalidated, which a checkpoint does.
sub slot_is_lost
{
	return wait_for(
		'the slot is lost',
		sub {
			$node->safe_psql('postgres', 'CHECKPOINT;'
				  . ' SELECT wal_status FROM pg_replication_slots') eq 'lost';
		});
}

killed_with_open_messages('slot dropped');
drop_slot();
back_again('slot dropped');

killed_with_open_messages('slot remade');
drop_slot();
make_slot();
back_again('slot remade');

killed_with_open_messages('slot remade too early');
drop_slot();
make_slot();
load();
# What the slot has is here at once, what it lacks only when all is passed.
$node->safe_psql('postgres', q{
	CREATE TABLE filler (n bigint);
	INSERT INTO filler SELECT generate_series(1, 400000)});
back_again('slot remade too early');

killed_with_open_messages('slot advanced');
$node->safe_psql('postgres', q{
	SELECT pg_replication_slot_advance('outbox', pg_current_wal_flush_lsn())});
back_again('slot advanced');

# Killed on the way back, at each step from the slot to the first settle.
foreach my $point (qw(slot_made stream_started snapshot_read snapshot_read:2
	settle_sent settled confirmed))
{
	killed_with_open_messages($point);
	drop_slot();
	$relay = start_relay(
		$node,
		name => 'relay',
		env => { OUTBOX_KILL_AT => $point },
		wait => 0);
	is($relay->wait_end, 'signal 9', "$point: killed there");
	wait_until_gone($node);
	back_again($point);
}

# Lost while the relay runs: only an invalidated slot can be.
$relay->stop;
wait_until_gone($node);
$node->safe_psql('postgres',
	q{ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'});
$node->reload;
load();
$node->safe_psql('postgres', q{
	INSERT INTO filler VALUES (0);
	SELECT pg_switch_wal();
	INSERT INTO filler VALUES (0);
	SELECT pg_switch_wal();
	INSERT INTO filler VALUES (0);
	CHECKPOINT});
slot_is_lost();
back_again('slot invalidated');

if ($node->pg_version >= 18)
{
	is($relay->stop, 0, 'slot idle: the relay ends when asked');
	wait_until_gone($node);
	load();
	$node->safe_psql('postgres',
		q{ALTER SYSTEM SET idle_replication_slot_timeout = '1s'});
	$node->reload;
	slot_is_lost();
	$node->safe_psql('postgres',
		q{ALTER SYSTEM RESET idle_replication_slot_timeout});
	$node->reload;
	back_again('slot idle');
}

is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
