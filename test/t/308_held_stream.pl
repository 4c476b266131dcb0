# test/t/308_held_stream.pl
#
# The stream waits for a route that is busy and keeps up, instead of sending
# its messages through the backlog: that must keep no other route waiting,
# hide no pause from the relay, and hold back no more WAL than was allowed.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use HTTP::Tiny;
use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $BURST = 50_000;
my $KEYS = 64;
my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = new_node('main', conf => ["track_functions = 'all'"]);
my $receiver = start_receiver(body => 'none');

# An endpoint that is as fast as the relay; the Python one would be waited for.
system_or_bail('cc', '-O2', '-D_GNU_SOURCE', '-o', "$dir/responder",
	"$OutboxTest::ROOT/bench/responder.c");
my $responder = OutboxTest::Process->start('responder',
	command => [ "$dir/responder", "$dir/port", "$dir/arrivals" ]);
wait_for('the responder listens', sub { -s "$dir/port" });
my $url = 'http://127.0.0.1:' . slurp_file("$dir/port") =~ s/\s//gr;

# asked(what): how many requests the responder has had; "log" begins anew.
sub asked
{
	my ($what) = @_;
	my $answer = HTTP::Tiny->new->get("$url/$what");
	return (split ' ', $answer->{content})[0];
}

# burst(type, count): transactions of 1,000 messages, the keys in turn.
sub burst
{
	my ($type, $count) = @_;
	$node->safe_psql('postgres', qq{
		DO \$\$ BEGIN FOR i IN 1 .. $count / 1000 LOOP
			PERFORM outbox_enqueue('$type', '{}', message_key => 'k' || k % $KEYS)
			FROM generate_series(0, 999) AS k;
			COMMIT;
		END LOOP; END \$\$});
	return;
}

# in_order(count, sentence): what arrived since the last time.  Of one session
# the order of ids is that of commits; each thousand has the keys in turn.
sub in_order
{
	my ($count, $sentence) = @_;
	my (%last, @wrong, $first);

	asked('log');
	my @ids = map { (split ' ')[0] } split /\n/, slurp_file("$dir/arrivals");
	foreach my $id (@ids)
	{
		$first = $id if !defined $first || $id < $first;
	}
	foreach my $id (@ids)
	{
		my $key = ($id - $first) % 1000 % $KEYS;
		push @wrong, "$id after $last{$key}"
		  if defined $last{$key} && $id <= $last{$key};
		$last{$key} = $id;
	}
	is(scalar @ids, $count, "$sentence: all arrived, once");
	is_deeply(\@wrong, [], "$sentence: in order by key");
	return;
}

# sent(route, count): so many more were delivered, and nothing is left to do.
my %sent;

sub sent
{
	my ($route, $count) = @_;

	$sent{$route} += $count;
	return wait_for(
		"$sent{$route} are sent to $route",
		sub {
			my $state = $node->safe_psql('postgres',
				'SELECT sent, backlog + new + failed FROM outbox_status()'
				  . " WHERE route = '$route'");
			# not asked too often: it counts them all
			return $state eq "$sent{$route}|0" || !sleep 1;
		},
		600);
}

sub held
{
	my ($relay) = @_;
	return $relay->metric('outbox_stream_held_seconds_total');
}

# confirmed: up to nearly where the WAL ended when this was called; a burst is
# far more, and what the relay itself wrote since far less.
sub confirmed
{
	my $end = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
	return wait_for(
		'the slot is confirmed past all that was enqueued',
		sub {
			$node->safe_psql('postgres',
				    "SELECT pg_wal_lsn_diff('$end', '"
				  . slot_lsn($node)
				  . "') < 1000000") eq 't';
		});
}

# ---------- two routes: neither waits for the other ----------

$receiver->script('/slow', 'hold*');
route_create($node, 'slow', 'http', $receiver->url('/slow'),
	types => ['slow'], options => { timeout_ms => 3600000 });
route_create($node, 'other', 'http', "$url/other", types => ['other']);
my $relay = start_relay($node, config => { relay => { log_level => 'info' } });
wait_for('it delivers', sub { ($relay->get('/readyz'))[0] == 200 });

burst('slow', 8_000);
my $id = enqueue($node, 'other', {});
wait_for('the other route delivers what came after a burst',
	sub { status_of($node, $id) eq 'other=SENT' });
is($node->safe_psql('postgres',
		"SELECT count(*) FROM outbox.messages WHERE type = 'slow'"
		  . " AND status <> 'NEW'"),
	0, 'while nothing of the burst is delivered');
is(held($relay), 0, 'the stream did not wait');
ok(confirmed(), 'and WAL is let go of');

# ---------- one route that answers nothing ----------

$node->safe_psql('postgres', "SELECT outbox_route_pause('other')");
$relay->wait_until_paused('other');
$receiver->script('/slow');
$receiver->release('/slow');
sent('slow', 8_000);
wait_for('the slow route streams again',
	sub { $relay->metric('outbox_route_streaming', route => 'slow') == 1 });
$receiver->script('/slow', 'hold*');
burst('slow', 8_000);
ok(confirmed(), 'alone too, a route that answers nothing keeps no WAL');
$receiver->script('/slow');
$receiver->release('/slow');
sent('slow', 8_000);
$node->safe_psql('postgres', "SELECT outbox_route_drop('$_')")
  foreach qw(slow other);

# ---------- one route that keeps up ----------

route_create($node, 'fast', 'http', "$url/fast");
wait_for('the new route streams',
	sub { ($relay->metric('outbox_route_streaming', route => 'fast') // 0) == 1 });
asked('log');
burst('load', $BURST);
sent('fast', $BURST);
cmp_ok(held($relay), '>', 0, 'the stream waits for a route that keeps up');
in_order($BURST, 'a burst');
ok(confirmed(), 'and is let go of afterwards');

# Enqueued while no relay runs: then the stream has a long way to L.
is($relay->stop, 0, 'the relay ends when asked');
burst('load', $BURST);
$relay->run;
wait_for('it is ready', sub { ($relay->get('/readyz'))[0] == 200 });
cmp_ok(asked('count'), '<', $BURST, 'it is ready before it is through');
sent('fast', $BURST);
in_order($BURST, 'after a pause of the relay');
cmp_ok(held($relay), '>', 0, 'the stream waited there too');

# The bell for this is behind all that is not read.
burst('load', 2 * $BURST);
$node->safe_psql('postgres', "SELECT outbox_route_pause('fast')");
$relay->wait_until_paused('fast');
cmp_ok(asked('count'), '<', 2 * $BURST, 'a pause is seen while the stream waits');
$node->safe_psql('postgres', "SELECT outbox_route_resume('fast')");
sent('fast', 2 * $BURST);
in_order(2 * $BURST, 'after the pause of the route');

# ---------- no more WAL than allowed ----------

# backlog_reads: how often messages were read from the table instead.
sub backlog_reads
{
	return $node->safe_psql('postgres',
		'SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions'
		  . " WHERE funcname = 'outbox_backlog'");
}

# A backend says what it called a while later, or when it ends.
is($relay->stop, 0, 'the relay ends when asked');
wait_for('its session has ended',
	sub { $node->safe_psql('postgres',
			"SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'outbox%'") == 0 });
my $reads = backlog_reads();
burst('load', $BURST);
$relay = start_relay($node,
	config => {
		relay => { log_level => 'info' },
		database => { held_wal => '1MB' }
	});
ok(confirmed(), 'the slot is confirmed past a burst');
ok(wait_for('the backlog is read', sub { backlog_reads() > $reads }),
	'of which the stream did not bring all');
sent('fast', $BURST);
in_order($BURST, 'with little WAL allowed');

is($relay->stop, 0, 'the relay ends when asked');
$responder->stop;
$receiver->stop;
$node->stop;
done_testing();
