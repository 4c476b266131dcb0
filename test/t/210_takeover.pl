# test/t/210_takeover.pl
#
# What outbox_takeover() decides: a lease holder that shows no sign of life is
# ended, others are not.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use Test::More;

my $node = new_node('main');
my ($holder, $bystander, $new) =
  map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 3;

# What the holder was last heard of, with or without its walsender.
sub silent
{
	my ($walsender, $seconds) = @_;
	return $new->query_safe(
		"SELECT outbox.last_heard(r.pid, $walsender)"
		  . " < clock_timestamp() - interval '$seconds s'"
		  . " FROM outbox.relay AS r LEFT JOIN pg_replication_slots AS s"
		  . " ON s.slot_name = 's'") eq 't';
}

sub takeover
{
	my ($silence_ms) = @_;
	return $new->query_safe("SELECT outbox_takeover('s', $silence_ms)");
}

sub slot_is
{
	my ($condition) = @_;
	return $node->safe_psql('postgres',
		"SELECT $condition FROM pg_replication_slots WHERE slot_name = 's'") eq
	  't';
}

# ---- whose lease it is

is($holder->query_safe("SELECT outbox_lease('old')"),
	't', 'another session has the lease');
is( $bystander->query_safe('SELECT pg_try_advisory_lock(1869968482, 1)'),
	't',
	'a bystander holds a lock of nearly the same name');
is($new->query_safe("SELECT outbox_lease('new')"),
	'f', 'we cannot have the lease');
is($new->query_safe("SELECT outbox_lease('new')"),
	'f', 'nor when asked again');
is(takeover(600_000), 'f',
	'a young lease is left alone before the relay has started');
is($holder->query_safe("SELECT run FROM outbox_start('old', 's')"),
	'1', 'the holder starts');
is(takeover(600_000), 'f', 'and is left alone');
my $holder_pid = $holder->query_safe('SELECT pg_backend_pid()');
is($new->query_safe('SELECT pid FROM outbox.relay'),
	$holder_pid, 'its backend is known');

# ---- signs of life count anew: without its own session it was long ago

ok(wait_for('it falls silent', sub { silent('NULL', 3.1) }),
	'it falls silent');
$holder->query_safe('SELECT outbox_maintain(run) FROM outbox.relay');
is(takeover(3000), 'f', 'a holder that has done something is left alone');

# ---- so they do while its walsender makes the slot, which waits for a
# transaction that is open; such a walsender has not replied yet

$bystander->query_safe('BEGIN; CREATE TABLE still_open ()');
my $maker = $node->background_psql('postgres', replication => 'database');
$maker->query_until(qr/making/,
	"\\echo making\n"
	  . "CREATE_REPLICATION_SLOT s LOGICAL outbox_decoder (SNAPSHOT 'nothing');\n"
);
ok(wait_for('a slot is being made', sub { slot_is('active_pid IS NOT NULL') }),
	'a slot is being made');
ok(wait_for('nothing else happens', sub { silent('s.active_pid', 3.1) }),
	'and nothing else happens');
$holder->query_safe('SELECT outbox_maintain(run) FROM outbox.relay');
is(takeover(3000), 'f', 'a holder that waits for its slot is left alone');
$bystander->query_safe('ROLLBACK');
ok(wait_for('the slot is made', sub { slot_is('active_pid IS NULL') }),
	'the slot is made');
$maker->quit;

# ---- a backend that reads the slot by SQL is no walsender at all

is( $new->query_safe(
		'SELECT outbox.last_heard(pid, pg_backend_pid())'
		  . ' = outbox.last_heard(pid, NULL) FROM outbox.relay'),
	't',
	'a person who has the slot takes nothing from the holder');
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('s')");

# ---- silent for long enough

ok(wait_for('the holder is ended', sub { takeover(1000) eq 't' }),
	'when it is silent for long enough it is ended');
ok( wait_for(
		'the lease is free',
		sub { $new->query_safe("SELECT outbox_lease('new')") eq 't' }),
	'then the lease is free');
is($new->query_safe("SELECT run FROM outbox_start('new', 's')"),
	'2', 'and a new run begins');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE pid = $holder_pid"),
	'0', 'the old session is gone');
is($bystander->query_safe('SELECT 1'), '1', 'the bystander is not');
is(takeover(1000), 'f', 'nobody takes over from himself');

$_->quit foreach $bystander, $new;
done_testing();
