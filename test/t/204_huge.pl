# test/t/204_huge.pl
#
# Huge transactions: three messages among many other rows and savepoints, and
# more messages in one transaction than memory should hold.  They are streamed
# while they are in progress, go to the backlog at commit, and arrive in the
# order of their key, also when the relay is killed in the middle.
#
# OUTBOX_HUGE is the number of messages of the biggest one.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Reconcile;
use Test::More;

my $HUGE = $ENV{OUTBOX_HUGE} // 200_000;
my $SEGMENT = 1000;
my $BUDGET_MB = 8;
my $DRAIN_SECONDS = 300 + $HUGE / 200;

# what a relay has in memory beside its budget
my $BASE_MB = 32;

my $node = new_node('main',
	conf => [ 'logical_decoding_work_mem = 64kB', 'autovacuum = off' ]);
my $receiver = start_receiver(body => 'none');
route_create($node, 'hook', 'http', $receiver->url('/hook'));
$node->safe_psql('postgres', 'CREATE TABLE business (i int, filler text)');
my $relay = start_relay($node,
	config => { relay => { memory_budget => "${BUDGET_MB}MB",
			log_level => 'info' } });

# The log read by eye: [id, key] of what was answered, in order.  It is too
# long for a JSON parser in Perl.
sub arrived
{
	my ($type) = @_;
	my @found;

	open(my $in, '<', $receiver->{log}) or die "could not open the log: $!";
	while (my $line = <$in>)
	{
		next unless $line =~ /"status":200\b/;
		next unless $line =~ /"outbox-message-type":"\Q$type\E"/;
		my ($id) = $line =~ /"outbox-message-id":"(\d+)"/;
		my ($key) = $line =~ /"outbox-message-key":"([^"]*)"/;
		push @found, [ $id, $key ];
	}
	close $in;
	return @found;
}

# check(type, duplicates, name): the log against the table.
sub check
{
	my ($type, $most, $name) = @_;
	my @expected = split /\n/,
	  $node->safe_psql('postgres',
		"SELECT id FROM outbox.message WHERE type = '$type' ORDER BY id");
	my (%seen, %last, $overtaken, @unknown);
	my %expected = map { $_ => 1 } @expected;
	my @arrived = arrived($type);

	foreach my $request (@arrived)
	{
		my ($id, $key) = @$request;
		push @unknown, $id unless $expected{$id};
		next if $seen{$id}++;
		$overtaken //= $id if defined $key && $id < ($last{$key} // 0);
		$last{$key} = $id if defined $key;
	}
	is(scalar(grep { !$seen{$_} } @expected), 0, "$name: all arrive");
	is("@unknown", '', "$name: and nothing else");
	is($overtaken, undef, "$name: in the order of their keys");
	cmp_ok(@arrived - keys %seen, '<=', $most, "$name: few come twice");
	is($node->safe_psql('postgres',
			'SELECT count(*) FROM outbox.messages'
			  . " WHERE type = '$type' AND status <> 'SENT'"),
		'0', "$name: all are SENT");
	return scalar @expected;
}

sub wait_until_drained
{
	my ($id) = @_;
	wait_for('the last message is sent',
		sub { status_of($node, $id) eq 'hook=SENT' }, $DRAIN_SECONDS);
	wait_for('nothing is left',
		sub { !$relay->metric('outbox_backlog_messages') });
	return;
}

sub streamed
{
	return $node->safe_psql('postgres',
		'SELECT stream_txns FROM pg_stat_replication_slots');
}

# ---------- three messages in a huge business transaction ----------

$node->safe_psql('postgres', q{
	DO $$
	BEGIN
		FOR i IN 1 .. 2000 LOOP
			BEGIN
				INSERT INTO business
				SELECT n, repeat('x', 40) FROM generate_series(1, 150) n;
				IF i IN (1, 1001, 1999) OR i % 50 = 0 THEN
					PERFORM outbox_enqueue('three.message', to_jsonb(i),
						message_key => 'k');
				END IF;
				IF i % 2 = 0 THEN
					RAISE division_by_zero;
				END IF;
			EXCEPTION WHEN division_by_zero THEN
			END;
		END LOOP;
	END
	$$});
my $after = enqueue($node, 'after.message', {}, message_key => 'k');
wait_until_drained($after);
is(check('three.message', 0, 'business'), 3, 'business: three messages');
is($node->safe_psql('postgres',
		'SELECT spill_bytes < 1048576 FROM pg_stat_replication_slots'),
	't', 'business: the other rows are not spilled');

# ---------- half of it rolled back ----------

my $before = streamed();
$node->safe_psql('postgres', q{
	DO $$
	BEGIN
		FOR i IN 1 .. 20 LOOP
			BEGIN
				PERFORM outbox_enqueue('half.message', to_jsonb(n),
					message_key => 'k' || n % 50)
				FROM generate_series(1, 1000) n;
				BEGIN
					PERFORM outbox_enqueue('half.message', to_jsonb(n),
						message_key => 'k' || n % 50)
					FROM generate_series(1, 1000) n;
					IF i % 3 = 0 THEN
						RAISE division_by_zero;
					END IF;
				EXCEPTION WHEN division_by_zero THEN
				END;
				IF i % 2 = 0 THEN
					RAISE unique_violation;
				END IF;
			EXCEPTION WHEN unique_violation THEN
			END;
		END LOOP;
	END
	$$});
$after = enqueue($node, 'after.message', {}, message_key => 'k1');
wait_until_drained($after);
# ten outer ones, seven of their inner ones
is(check('half.message', 0, 'half'), 17_000, 'half: what was kept');
cmp_ok(streamed(), '>', $before, 'half: the transaction was streamed');

# ---------- one that does not fit ----------

$before = streamed();
$node->safe_psql('postgres', "SELECT outbox_route_pause('hook')");
$relay->wait_until_paused('hook');
my $quiet_kb = $relay->rss_kb;
$node->safe_psql('postgres', qq{
	SELECT count(outbox_enqueue('huge.message', to_jsonb(repeat('x', 100)),
		message_key => 'k' || n % 50))
	FROM generate_series(1, $HUGE) n});
wait_for('all are in the backlog',
	sub { ($relay->metric('outbox_backlog_messages') // 0) >= $HUGE });
wait_for(
	'the backlog is written',
	sub {
		$node->safe_psql('postgres',
			'SELECT coalesce(sum(array_length(ids, 1)), 0)'
			  . ' FROM outbox.backlog') >= $HUGE;
	});
cmp_ok(streamed(), '>', $before, 'huge: the transaction was streamed');
cmp_ok(
	$node->safe_psql('postgres', 'SELECT count(*) FROM outbox.backlog'),
	'<=', $HUGE / $SEGMENT * 1.1 + 2,
	'huge: a row of the backlog for each thousand');
rss_below($relay->rss_kb, $quiet_kb + 16 * 1024,
	'huge: a backlog takes little memory');
my $bytes = $node->safe_psql('postgres',
	'SELECT spill_bytes FROM pg_stat_replication_slots');
note("spilled $bytes bytes; resident $quiet_kb kB before, "
	  . $relay->rss_kb . ' kB with the backlog');

my $first_kb = 0;
my $seen = $receiver->state('/hook')->{seen};
$node->safe_psql('postgres', "SELECT outbox_route_resume('hook')");
wait_for(
	'a third has arrived',
	sub {
		$first_kb = $relay->rss_kb if $relay->rss_kb > $first_kb;
		return $receiver->state('/hook')->{seen} > $seen + $HUGE / 3;
	},
	$DRAIN_SECONDS);
rss_below($first_kb, ($BASE_MB + $BUDGET_MB) * 1024,
	'huge: memory stays bounded while it drains');
note("at most $first_kb kB resident");
is($relay->kill9, 'signal 9', 'huge: the relay is killed in the middle');
$after = enqueue($node, 'after.message', {}, message_key => 'k1');
$relay->run;
wait_until_drained($after);
is(check('huge.message', 3 * $SEGMENT, 'huge'), $HUGE, 'huge: all of them');
rss_below($relay->rss_kb, ($BASE_MB + $BUDGET_MB) * 1024,
	'huge: memory stays bounded after the restart');

is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
