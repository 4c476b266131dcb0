# test/t/104_late_commit.pl
#
# What commits late, in part, or by somebody else: a low id long after a high
# one, savepoints, exceptions, prepared transactions across a server crash;
# with the relay up, down in between, and killed.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver();
my @drivers;
my (%expected, %forbidden);

load_route($node, $receiver, 'hook');
route_create($node, 'late', 'http', $receiver->url('/late'),
	types => ['late']);
my $relay = start_relay($node, name => 'relay');

sub load
{
	push @drivers,
	  load_once($node, '--seed' => scalar @drivers, '--transactions' => 8);
	return;
}

# A message that is to arrive, or never.
sub late
{
	my ($word, $arrives) = @_;
	($arrives ? \%expected : \%forbidden)->{$word} = 1;
	return 'SELECT '
	  . enqueue_sql('late', { w => $word }, message_key => 'late') . ';';
}

sub arrived
{
	return map { $_->{body} =~ /"w": ?"(.*)"/ } $receiver->delivered('/late');
}

# All that was expected up to now, nothing else, and the load as ever.
sub check
{
	my ($sentence) = @_;
	my %count;

	is_reconciled($sentence, $node, $receiver, \@drivers, ['hook']);
	$count{$_}++ foreach arrived();
	is(join(' ', grep { !$count{$_} } sort keys %expected),
		'', "$sentence: what was committed arrives");
	is(join(' ', grep { $forbidden{$_} } sort keys %count),
		'', "$sentence: what was undone never arrives");
	return;
}

# ---- a low id commits long after a high one

# The first enqueue of a new cluster registers it, and others wait for that.
load();
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe(late('low-up', 1));
load();
wait_until_quiet($node);
$session->query_safe('COMMIT');
check('relay up');

$session->query_safe('BEGIN');
$session->query_safe(late('low-down', 1));
load();
is($relay->stop, 0, 'the relay is stopped');
load();
$session->query_safe('COMMIT');
$relay = start_relay($node, name => 'relay');
check('relay down when it commits');

$session->query_safe('BEGIN');
$session->query_safe(late('low-killed', 1));
load();
$relay->kill9;
wait_until_gone($node);
load();
$relay = start_relay($node, name => 'relay');
load();
$session->query_safe('COMMIT');
check('relay killed and back before it commits');

# Without its slot it finds the open one, too.
$session->query_safe('BEGIN');
$session->query_safe(late('low-slot', 1));
is($relay->stop, 0, 'the relay is stopped');
wait_until_gone($node);
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('outbox')});
load();
$relay = start_relay($node, name => 'relay', wait => 0);
load();
wait_until_quiet($node);
is($relay->metric('outbox_table_mode'),
	1, 'an open transaction keeps the slot from being made: table mode');
$session->query_safe('COMMIT');
$relay->wait_until_streaming;
check('slot lost while it is open');
$session->quit;

# ---- savepoints and exceptions

$node->safe_psql('postgres',
	    'BEGIN;'
	  . late('before', 1)
	  . 'SAVEPOINT a;'
	  . late('undone 1', 0)
	  . 'SAVEPOINT b;'
	  . late('undone 2', 0)
	  . 'RELEASE b; ROLLBACK TO a;'
	  . late('between', 1)
	  . 'SAVEPOINT c;'
	  . late('kept', 1)
	  . 'SAVEPOINT d;'
	  . late('undone 3', 0)
	  . 'ROLLBACK TO d; RELEASE c;'
	  . late('after', 1)
	  . 'COMMIT');
$node->safe_psql('postgres', q{
	DO $$
	BEGIN
		FOR i IN 1 .. 300 LOOP
			BEGIN
				PERFORM outbox_enqueue('late',
					jsonb_build_object('w', 'loop ' || i), message_key => 'loop');
				IF i % 2 = 0 THEN
					RAISE division_by_zero;
				END IF;
			EXCEPTION WHEN division_by_zero THEN
			END;
		END LOOP;
	END
	$$});
foreach my $i (1 .. 300)
{
	($i % 2 ? \%expected : \%forbidden)->{"loop $i"} = 1;
}
check('savepoints and exceptions');
is( join(' ', grep { /^(before|between|kept|after)$/ } arrived()),
	'before between kept after',
	'what is left of a transaction comes in its order');
is( join(' ', grep { /^loop/ } arrived()),
	join(' ', map { "loop $_" } grep { $_ % 2 } 1 .. 300),
	'so it does after exceptions');

# ---- prepared transactions

sub prepare
{
	my ($name, @sql) = @_;
	$node->safe_psql('postgres', "BEGIN; @sql PREPARE TRANSACTION '$name'");
	return;
}

prepare('commit', late('prepared', 1));
prepare('abort', late('prepared and undone', 0));
prepare(
	'half',
	late('prepared, half 1', 1),
	'SAVEPOINT s;',
	late('prepared, half 2', 0),
	'ROLLBACK TO s;');
load();
wait_until_quiet($node);
$node->stop('immediate');
$node->start;
load();
is( join(' ', grep { /^prepared/ } arrived()),
	'', 'nothing of a prepared transaction arrives before it commits');
$node->safe_psql('postgres', "COMMIT PREPARED 'commit'");
$node->safe_psql('postgres', "ROLLBACK PREPARED 'abort'");
is($relay->kill9, 'signal 9', 'the relay is killed');
wait_until_gone($node);
$node->safe_psql('postgres', "COMMIT PREPARED 'half'");
$relay = start_relay($node, name => 'relay');
check('prepared transactions');

# Without a slot none can be made until the prepared one ends.
prepare('blocks', late('prepared without a slot', 1));
$relay->stop;
wait_until_gone($node);
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('outbox')});
load();
$relay = start_relay($node, name => 'relay', wait => 0);
load();
wait_until_quiet($node);
is($relay->metric('outbox_table_mode'),
	1, 'a prepared transaction does so, too');
$node->safe_psql('postgres', "COMMIT PREPARED 'blocks'");
$relay->wait_until_streaming;
check('prepared while the slot was lost');

is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
