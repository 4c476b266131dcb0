# test/t/102_target_down.pl
#
# An endpoint is down while messages keep coming, then it is back.  What is
# behind it goes to the backlog in rows of many, uses up no attempts and holds
# up neither the WAL nor another route; then it drains in order and hands over
# to live messages.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use PostgreSQL::Test::Utils;
use Test::More;

my $CIRCUIT_TRIP = 5;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');
my $other = start_receiver(body => 'none');
my @drivers;

load_route($node, $receiver, 'hook', retry_initial_ms => 200);
route_create($node, 'other', 'http', $other->url('/other'),
	types => ['driver.message']);
my $relay = start_relay($node);

sub count
{
	my ($query) = @_;
	return $node->safe_psql('postgres', "SELECT count(*) FROM $query");
}

sub load
{
	push @drivers,
	  load_once($node, '--seed' => scalar @drivers, '--rollback' => 0, @_);
	return;
}

# Many messages in few transactions, with a log like the driver's.
sub bulk
{
	my $log = PostgreSQL::Test::Utils::tempdir() . '/bulk.jsonl';
	my $query = q{
		SELECT json_build_object('txid', txid_current(), 'key', key,
			'seq', %d * 50 + n, 'state', 'committed', 'type', 'driver.message',
			'sha256', encode(sha256(body), 'hex'),
			'id', outbox_enqueue_bytes('driver.message', body, 'text/plain',
				message_key => key))
		FROM generate_series(1, 50) AS n,
			LATERAL (SELECT 'bulk-' || n %% 7,
				convert_to(%d || ' and ' || n, 'UTF8')) AS made (key, body);
	};

	append_to_file(
		$log,
		$node->safe_psql('postgres',
			join('', map { sprintf($query, $_, $_) } 1 .. 50))
		  . "\n");
	return { log => $log };
}

sub streams
{
	return ($relay->metric('outbox_route_streaming', route => 'hook') // 0)
	  == 1;
}

load('--transactions' => 10);
wait_until_quiet($node);
ok(streams(), 'the route streams at first');

# Down.
$receiver->stop;
load('--transactions' => 20);
wait_for('the circuit opens',
	sub { $relay->metric('outbox_circuit_open', route => 'hook') });
ok(!streams(), 'the route is in BACKLOG mode');

# A steady inflow of many: 2,500 messages in transactions of 50.
my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
push @drivers, bulk();
load('--transactions' => 20);

my $in_table = count(
	"outbox.messages WHERE route = 'hook' AND status <> 'SENT'");
wait_for('the other route has got all',
	sub { count("outbox.messages WHERE route = 'other' AND status <> 'SENT'")
		  eq '0' });
pass('the other route is not held up');
wait_for(
	'the slot moves on while the route is down',
	sub {
		$node->safe_psql('postgres',
			"SELECT confirmed_flush_lsn > '$lsn' FROM pg_replication_slots")
		  eq 't';
	});
pass('the slot moves on');
cmp_ok($in_table, '>', 2500, "all of it waits ($in_table)");

# Rows for batches: one of a thousand, and one of each settle.
my $settles = $relay->metric('outbox_settles_total');
my $segments = count('outbox.backlog');
cmp_ok($segments, '<=', $in_table / 500 + $settles,
	"backlog rows are one a batch at most ($segments, $settles settles)");
cmp_ok($segments, '<', $in_table / 10, 'far fewer rows than messages');

my $parked = count('outbox.parked');
cmp_ok(count("outbox.parked WHERE retry_count > 0"),
	'<', $CIRCUIT_TRIP, 'only what came before the trip used up an attempt');
is(count("outbox.parked WHERE status = 'DEAD'"), 0, 'nothing is DEAD');
cmp_ok($parked, '<', $in_table / 20, "few messages are parked ($parked)");

# Back, with live messages while it drains.
$receiver->restart;
my $live = load_for($node, '--seed' => scalar @drivers,
	'--transactions' => 60, '--rollback' => 0);
push @drivers, $live;
wait_for('the route streams again', \&streams);
pass('the route streams again');
is($live->wait_end, 0, 'the driver ends');
is_reconciled('the route that was down', $node, $receiver, \@drivers,
	['hook']);
is_reconciled('the other route', $node, $other, \@drivers, ['other'],
	oracle => [ '--max-duplicates' => 0 ]);
is(count('outbox.attempt WHERE outcome = \'PERMANENT\''), 0,
	'an endpoint that is down is no permanent failure');
is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
