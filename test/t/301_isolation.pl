# test/t/301_isolation.pl
#
# Routes side by side on one relay: what hangs, resets, drips or refuses
# costs the others nothing, neither messages nor memory nor WAL; and a route
# that is paused, changed, made or dropped while messages are under way.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use Test::More;

my $MESSAGES = 600;
my $KEYS = 20;
my $node = new_node('main');
my $receiver = start_receiver(body => 'none');

sub enqueue_series
{
	my ($type, $count, $bytes) = @_;
	return $node->safe_psql('postgres',
		    "SELECT count(outbox_enqueue('$type',"
		  . " jsonb_build_object('pad', repeat('x', $bytes)),"
		  . " message_key => 'k' || i % $KEYS))"
		  . " FROM generate_series(1, $count) AS i");
}

# ids(path): of what was delivered there, repeats left out.
sub ids
{
	my ($path) = @_;
	my %seen;
	return grep { !$seen{$_}++ }
	  map { $_->{headers}{'outbox-message-id'} } $receiver->delivered($path);
}

# Enqueued by one session after another, so the order of commits is that of
# the ids.
sub in_order
{
	my ($path, $what) = @_;
	my (%last, @wrong);

	foreach my $request ($receiver->delivered($path))
	{
		my $headers = $request->{headers};
		my ($key, $id) = @$headers{qw(outbox-message-key outbox-message-id)};
		push @wrong, "$key: $id after $last{$key}"
		  if exists $last{$key} && $id < $last{$key};
		$last{$key} = $id;
	}
	is_deeply(\@wrong, [], "$what: in order by key");
	return;
}

sub arrive
{
	my ($path, $count) = @_;
	return wait_for("$count messages arrive at $path",
		sub { ids($path) >= $count });
}

# ---------- four that misbehave, two that do not ----------

my %slow = (timeout_ms => 3600000, max_attempts => 1000);
my %fast = (retry_initial_ms => 100, retry_max_ms => 500, max_attempts => 1000);

$receiver->script('/hold', 'hold*');
$receiver->script('/reset', 'reset*');
# 40 bytes: none is answered before the test is over, however slow that is
$receiver->script('/drip', 'drip:60*');
route_create($node, 'good', 'http', $receiver->url('/good'));
route_create($node, $_, 'http', $receiver->url("/$_"),
	types => ['all'], options => $_ eq 'reset' ? \%fast : \%slow)
  foreach qw(hold reset drip);
route_create($node, 'refuse', 'http',
	'http://127.0.0.1:' . free_port() . '/refuse',
	types => ['all'], options => \%fast);
route_create($node, 'fine', 'http', $receiver->url('/fine'));

my $relay = start_relay($node,
	config => { relay => { memory_budget => '2MB', log_level => 'info' } });
my $rss = $relay->rss_kb;

enqueue_series('all', $MESSAGES, 20000);
my $end = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
arrive('/good', $MESSAGES);
arrive('/fine', $MESSAGES);
is(scalar(ids($_)), $MESSAGES, "$_ has all") foreach qw(/good /fine);
cmp_ok($receiver->state('/hold')->{held},
	'>', 0, 'while /hold still holds the first');
is(scalar(ids("/$_")), 0, "and /$_ has taken none") foreach qw(hold reset drip);
in_order("/$_", $_) foreach qw(good fine);

# In memory: the budget, what libcurl holds for the deliveries that hang, and
# what the allocator keeps; the bodies of all would be six times 12 MB.
rss_below($relay->rss_kb - $rss, 24 * 1024, 'memory is flat');
ok( wait_for(
		'the position is confirmed past the messages',
		sub {
			$node->safe_psql('postgres',
				"SELECT '" . slot_lsn($node) . "'::pg_lsn >= '$end'") eq 't';
		}),
	'WAL is let go of while they are down');
cmp_ok(
	$node->safe_psql('postgres',
		'SELECT count(*) FROM outbox.backlog b JOIN outbox.route r'
		  . " ON r.id = b.route_id WHERE r.name = 'refuse'"),
	'<=',
	40,
	'the backlog has rows by batches, not by messages');

# Mended: all of it, in order.
$receiver->script("/$_") foreach qw(hold reset drip);
$receiver->release('/hold');
foreach my $name (qw(hold reset))
{
	arrive("/$name", $MESSAGES);
	in_order("/$name", "$name after it was mended");
}

# ---------- dropped ----------

$node->safe_psql('postgres', "SELECT outbox_route_drop('refuse')");
wait_for(
	'the messages of the dropped route are DEAD',
	sub {
		$node->safe_psql('postgres',
			"SELECT dead FROM outbox_status() WHERE route = 'refuse'") eq
		  $MESSAGES;
	});
is( $node->safe_psql('postgres',
		'SELECT DISTINCT p.status, p.last_error FROM outbox.parked p'
		  . " JOIN outbox.route r ON r.id = p.route_id WHERE r.name = 'refuse'"),
	'DEAD|the route was dropped',
	'the messages of a dropped route are DEAD with the reason');

# What it had under way is given up, and nothing waits for that.
$node->safe_psql('postgres', "SELECT outbox_route_drop('drip')");
ok( wait_for(
		'the messages of the dripping route are DEAD',
		sub {
			$node->safe_psql('postgres',
				"SELECT dead FROM outbox_status() WHERE route = 'drip'") eq
			  $MESSAGES;
		}),
	'a route is dropped with deliveries under way');

route_create($node, 'refuse', 'http', $receiver->url('/reborn'),
	types => ['reborn']);
pass('the name of a dropped route is free again');

# ---------- made, and used at once ----------

my $id = enqueue($node, 'reborn', {}, message_key => 'k');
wait_for('the new route delivers', sub { ids('/reborn') == 1 });
is((ids('/reborn'))[0], $id, 'a new route is used by the next transaction');
$node->safe_psql('postgres', q{
	BEGIN;
	SELECT outbox_route_create('fresh', 'http', '}
	  . $receiver->url('/fresh') . q{', types => '{fresh}');
	SELECT outbox_enqueue('fresh', '{}', message_key => 'k');
	COMMIT;
});
arrive('/fresh', 1);
is(scalar(ids('/fresh')), 1, 'and by the transaction that makes it');

# The relay is sent a commit before others see it; here for as long as a
# standby that is not there has not confirmed it.
standby_names($node, 'nobody');
my $committing = OutboxTest::Process->start(
	'psql',
	command => [
		'psql', '-X', '-d', $node->connstr('postgres'), '-c',
		"BEGIN; SELECT outbox_route_create('late', 'http', '"
		  . $receiver->url('/late')
		  . "', types => '{late}');"
		  . " SELECT outbox_enqueue('late', '{}'); COMMIT"
	]);
{
	local $ENV{PGOPTIONS} = '-c synchronous_commit=local';
	wait_for('the commit waits for a standby',
		sub { $node->safe_psql('postgres',
				'SELECT count(*) FROM pg_stat_activity'
				  . " WHERE wait_event = 'SyncRep'") == 1 });
	my $after = enqueue($node, 'after', {});
	wait_for('the relay has delivered what was committed after it',
		sub { status_of($node, $after) eq 'fine=SENT good=SENT' });
}
is(scalar(ids('/late')), 0, 'the route cannot be seen yet');
standby_names($node, '');
arrive('/late', 1);
pass('a route that the relay could not see yet is waited for');
is($committing->wait_end, 0, 'its transaction commits');

# ---------- paused, with a restart in between ----------

my $was = scalar ids('/fine');
$node->safe_psql('postgres', "SELECT outbox_route_pause('fine')");
$relay->wait_until_paused('fine');
my $good = scalar ids('/good');
enqueue_series('pause', 100, 10);
arrive('/good', $good + 100);
is(scalar(ids('/fine')), $was, 'a paused route delivers nothing');
is($relay->stop, 0, 'the relay ends when asked');
$relay = start_relay($node);
enqueue_series('pause', 100, 10);
arrive('/good', $good + 200);
is(scalar(ids('/fine')), $was, 'nor after the relay was started anew');
wait_for('its messages wait in the backlog',
	sub { $node->safe_psql('postgres',
			"SELECT backlog FROM outbox_status() WHERE route = 'fine'") == 200 });
pass('its messages wait in the backlog');
$node->safe_psql('postgres', "SELECT outbox_route_resume('fine')");
arrive('/fine', $was + 200);
in_order('/fine', 'after the pause');

# ---------- another target, for what has not been sent ----------

$node->safe_psql('postgres', "SELECT outbox_route_pause('fine')");
$relay->wait_until_paused('fine');
my $fine = scalar ids('/fine');
enqueue_series('move', 50, 10);
$node->safe_psql('postgres', q{SELECT outbox_route_alter('fine', '}
	  . $receiver->url('/moved') . q{')});
$node->safe_psql('postgres', "SELECT outbox_route_resume('fine')");
arrive('/moved', 50);
enqueue_series('move', 50, 10);
arrive('/moved', 100);
is(scalar(ids('/fine')), $fine, 'the old target gets nothing any more');
in_order('/moved', 'at the new target');

is( $node->safe_psql('postgres',
		    'SELECT string_agg(route, \' \') FROM outbox_status()'
		  . ' WHERE backlog + new + failed > 0'),
	'',
	'nothing is left behind');

is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
