# test/t/200_two_relays.pl
#
# Two relays on one database: one delivers, one stands by without holding
# anything back.  When the first is killed or frozen the other takes over; a
# frozen one that wakes up is a standby.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Reconcile;
use Test::More;
use Time::HiRes 'time';

# Of the first relay, which takes over from a frozen one.  That of the second
# cannot end here: from a killed relay it takes over before.
my $LEASE_TIMEOUT = 2;
my $LONG_TIMEOUT = 600;

my $node = new_node('main');
my $receiver = start_receiver();
route_create($node, 'hook', 'http', $receiver->url('/hook'));

# Whatever a role can lock by SQL must not keep a relay away.
my $rival = $node->background_psql('postgres');
$rival->query_safe(
	"SELECT pg_advisory_lock(1869968482, $_),"
	  . " pg_advisory_lock((1869968482::bigint << 32) | $_)") for 1 .. 3;

sub relay
{
	my ($name, $lease_timeout, %params) = @_;
	return start_relay(
		$node,
		name => $name,
		config => { database => { lease_timeout => "${lease_timeout}s" } },
		%params);
}

sub wait_until_standby
{
	my ($relay) = @_;
	return wait_for(
		"relay $relay->{name} stands by",
		sub {
			my ($status, $body) = $relay->get('/readyz');
			return $status == 503 && $body =~ /standby/;
		});
}

sub wait_until_ready
{
	my ($relay) = @_;
	return wait_for("relay $relay->{name} delivers",
		sub { ($relay->get('/readyz'))[0] == 200 });
}

my $first = relay('first', $LEASE_TIMEOUT);
wait_until_ready($first);
pass('SQL advisory locks on the same keys do not keep a relay away');
$rival->quit;

my $second = relay('second', $LONG_TIMEOUT, wait => 0);
wait_until_standby($second);
is(($second->get('/healthz'))[0], 200, 'a standby is alive');
is($node->safe_psql('postgres', 'SELECT instance FROM outbox.relay'),
	'first', 'the first one has the run');

# Between two tries the standby has no snapshot and waits for no lock.
my $watched = q{
	FROM pg_stat_activity
	WHERE query ~ '^SELECT outbox_(lease|takeover)'};
my %changes;
my $held = 0;
wait_for(
	'the standby has tried three times',
	sub {
		my ($change, $bad) = split /\|/,
		  $node->safe_psql('postgres',
			'SELECT state_change, state <> \'active\''
			  . ' AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)'
			  . ' OR coalesce(wait_event_type = \'Lock\', false)'
			  . $watched);
		$changes{$change} = 1 if defined $change;
		$held++ if ($bad // '') eq 't';
		return keys %changes >= 4;
	});
is($held, 0, 'the standby holds back no xmin and waits for no lock');

# The first one is killed under load.
my $driver = start_driver($node, '--sessions', 2, '--rate', 40,
	'--seconds', 14, '--keys', 8);
wait_for('messages arrive', sub { $receiver->delivered('/hook') > 20 });
$first->kill9;
wait_until_ready($second);
pass('the standby takes over from a killed relay');

# The second one is frozen with a delivery out and work to settle.
$first->run;
wait_until_standby($first);
my $run = $node->safe_psql('postgres', 'SELECT run FROM outbox.relay');
$receiver->script('/hook', 'hold');
wait_for('a delivery is out', sub { $receiver->state('/hook')->{held} });
my $frozen = time();
$second->signal('STOP');
wait_until_ready($first);
cmp_ok(time() - $frozen, '>=', $LEASE_TIMEOUT - 1.5,
	'a frozen relay is given its time, then its lease is taken');
ok(log_lines($first, qr/takeover/), 'and the new relay says so');
cmp_ok($node->safe_psql('postgres', 'SELECT run FROM outbox.relay'),
	'>', $run, 'the run is a newer one');

$receiver->release('/hook');
$second->signal('CONT');
wait_until_standby($second);
pass('the relay that wakes up is a standby');
like($second->output, qr/session_lost/, 'and says what it lost');
is($node->safe_psql('postgres', 'SELECT instance FROM outbox.relay'),
	'first', 'it did not take the run back');

# What it would have written with its old run is refused.
my ($stdout, $stderr);
$node->psql(
	'postgres',
	"SELECT outbox_settle($run, system_identifier, timeline, NULL,"
	  . " '{0}', ARRAY['{[1,1000)}'::int8multirange], NULL) FROM outbox.relay",
	stdout => \$stdout,
	stderr => \$stderr);
like($stderr, qr/is not the current one/, 'a settle of the old run is refused');

is($driver->wait_end, 0, 'the driver ends');
reconcile($node, $driver, $receiver, 'kill and freeze');
is($node->safe_psql('postgres',
		'SELECT count(*) FROM pg_replication_slots'), '1', 'one slot');

# A clean end gives the lease away at once.
is($first->stop, 0, 'the first one ends when asked');
wait_until_ready($second);
my $id = enqueue($node, 'order.created', { n => 1 });
wait_for('the second one delivers',
	sub { status_of($node, $id) eq 'hook=SENT' });
is($second->stop, 0, 'the second one ends when asked');
$receiver->stop;
$node->stop;
done_testing();
