# test/t/107_blocked_key.pl
#
# One key that always fails, with tens of thousands of messages behind it:
# the other keys of the route are not delayed, and what waits costs rows by
# batches, not by messages.  It survives kills, and when the endpoint takes the
# key again, or its first message goes DEAD, all of it arrives in order.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use Test::More;
use Time::HiRes 'time';

my $FOLLOWERS = 30000;
my $BATCH = 500;
my $KEY_ROWS = 1000;
my $DRAIN_SECONDS = 300;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');

sub query
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

sub count
{
	return query("SELECT count(*) FROM $_[0]");
}

# Enqueues a transaction of so many messages of one key.
sub send_many
{
	my ($type, $key, $count) = @_;

	query(  "SELECT count(outbox_enqueue('$type', '{}', message_key => '$key'))"
		  . " FROM generate_series(1, $count)");
	return;
}

sub ids
{
	my ($path, $key) = @_;
	return map { $_->{headers}{'outbox-message-id'} }
	  grep { $_->{headers}{'outbox-message-key'} eq $key }
	  $receiver->delivered($path);
}

# The first time that each came, in order: enqueued by one session after the
# other, so that of the ids.
sub is_complete
{
	my ($path, $type, $key, $most_repeats) = @_;
	my @all = ids($path, $key);
	my %seen;
	my @first = grep { !$seen{$_}++ } @all;
	my @expected = split /\n/,
	  query("SELECT id FROM outbox.message WHERE type = '$type'"
		  . " AND message_key = '$key' AND id NOT IN"
		  . " (SELECT message_id FROM outbox.parked) ORDER BY id");

	ok("@first" eq "@expected",
		"$key: all " . @expected . ' arrived, in order');
	cmp_ok(@all - @first, '<=', $most_repeats, "$key: few came twice");
	note('came twice: ' . (@all - @first));
	return;
}

my $relay;

sub metric
{
	my ($name) = @_;
	return $relay->metric($name, route => 'hook') // -1;
}

sub kill_relay
{
	$relay->kill9;
	wait_until_gone($node);
	$relay = start_relay($node, name => 'relay');
	return;
}

# Sends one of another key and waits for it: seconds.
sub round_trip
{
	my ($number) = @_;
	my $key = 'good-' . $number % 7;
	my $began = time();
	my $id = enqueue($node, 'hook', {}, message_key => $key);

	wait_for("message $id of key $key is SENT",
		sub { status_of($node, $id) eq 'hook=SENT' });
	return time() - $began;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return $sorted[ @sorted / 2 ];
}

# ---------- blocked ----------

route_create($node, 'hook', 'http', $receiver->url('/hook'),
	types => ['hook'],
	options => {
		retry_initial_ms => 100,
		retry_max_ms => 1000,
		max_attempts => 10000
	});
$receiver->script('/hook#bad', '503*');
$relay = start_relay($node, name => 'relay');

my $before = median(map { round_trip($_) } 1 .. 20);
my $first = enqueue($node, 'hook', {}, message_key => 'bad');
wait_for('the first message fails',
	sub { status_of($node, $first) eq 'hook=FAILED' });

my $streamed = 1;
my @round_trips;
foreach my $i (1 .. $FOLLOWERS / $BATCH)
{
	send_many('hook', 'bad', $BATCH);
	push @round_trips, round_trip($i);
	$streamed &&= metric('outbox_route_streaming') == 1;
}
my $during = median(@round_trips);
note(sprintf 'median of a round trip: %.3f s before, %.3f s during', $before,
	$during);
cmp_ok($during, '<', 10 * $before + 0.5, 'other keys are not delayed');
ok($streamed, 'the route streams all the time');
is(status_of($node, $first), 'hook=FAILED', 'while the first one still fails');

my $rows = count('outbox.parked');
cmp_ok($rows, '>=', $KEY_ROWS, 'the first followers are rows');
cmp_ok($rows, '<=', $KEY_ROWS + 20, "and no more than that: $rows");
my $segments = count('outbox.backlog WHERE key_hash IS NOT NULL');
cmp_ok($segments, '<=', 3 * $FOLLOWERS / $BATCH,
	"the others are rows by batches: $segments");
is(count('outbox.backlog WHERE key_hash IS NULL'),
	0, 'none of them is in the backlog of the route');
is(query('SELECT backlog FROM outbox_status()'),
	$FOLLOWERS + 1 - $rows, 'outbox_status() counts them');
is(metric('outbox_backlog_messages'),
	$FOLLOWERS + 1 - $rows, 'so does the relay');
is(metric('outbox_keys_behind'), 1, 'of one key');
my $last = query("SELECT max(id) FROM outbox.message WHERE message_key = 'bad'");
is(status_of($node, $last), 'hook=NEW', 'the last one is NEW');
my $end = query('SELECT pg_current_wal_insert_lsn()');
enqueue($node, 'hook', {}, message_key => 'good-1');
wait_for('the slot moves past all of it',
	sub { query("SELECT '" . slot_lsn($node) . "'::pg_lsn >= '$end'") eq 't' });
pass('the slot moves past all of it');

# ---------- killed while blocked ----------

kill_relay();
is(metric('outbox_keys_behind'), 1, 'killed: the key is known again');
is(metric('outbox_backlog_messages'), $FOLLOWERS + 1 - $rows, 'and how much');
send_many('hook', 'bad', 10);
wait_for('the first is tried again',
	sub { $receiver->state('/hook#bad')->{seen} > 0 });
round_trip($_) foreach 1 .. 5;
is(scalar(ids('/hook', 'bad')), 0, 'nothing of the key has arrived');
is(count('outbox.parked'), $rows, 'nor is there a row more');

# ---------- it recovers, and is killed on the way ----------

my $inserted = query(q{SELECT n_tup_ins FROM pg_stat_user_tables
	WHERE relid = 'outbox.parked'::regclass});
$receiver->script('/hook#bad');
foreach my $mark (0.3, 0.6)
{
	wait_for(
		"$mark of the followers have arrived",
		sub {
			metric('outbox_backlog_messages') < (1 - $mark) * $FOLLOWERS;
		},
		$DRAIN_SECONDS);
	send_many('hook', 'bad', 10);
	kill_relay();
	round_trip($mark * 10);
}
wait_for(
	'the key has caught up',
	sub { metric('outbox_keys_behind') == 0 },
	$DRAIN_SECONDS);
send_many('hook', 'bad', 10);
$last = query("SELECT max(id) FROM outbox.message WHERE message_key = 'bad'");
wait_for('the last one is SENT',
	sub { status_of($node, $last) eq 'hook=SENT' });
# an answer counts as settled after 50 ms or 1,000 of them, one settle is out
is_complete('/hook', 'hook', 'bad', 2 * 2000);
is(count('outbox.backlog'), 0, 'the backlog is empty');
is(count('outbox.parked'), 0, 'no row is left');
is( query(q{SELECT n_tup_ins FROM pg_stat_user_tables
		WHERE relid = 'outbox.parked'::regclass}),
	$inserted,
	'none was parked on the way');

# ---------- the first goes DEAD ----------

route_create($node, 'dead', 'http', $receiver->url('/dead'),
	types => ['dead'],
	options => { retry_initial_ms => 3000, retry_max_ms => 3000 });
$receiver->script('/dead#bad', '503', '404', '200*');
$first = enqueue($node, 'dead', {}, message_key => 'bad');
wait_for('the first message fails',
	sub { status_of($node, $first) eq 'dead=FAILED' });
send_many('dead', 'bad', $KEY_ROWS + $BATCH);
wait_for('the first goes DEAD',
	sub { status_of($node, $first) eq 'dead=DEAD' });
$last = query("SELECT max(id) FROM outbox.message WHERE type = 'dead'");
wait_for('the last one is SENT',
	sub { status_of($node, $last) eq 'dead=SENT' },
	$DRAIN_SECONDS);
is_complete('/dead', 'dead', 'bad', 0);
is(count('outbox.backlog'), 0, 'the backlog is empty');
is(count('outbox.parked'), 1, 'but for the DEAD one no row is left');
is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
