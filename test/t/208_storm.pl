# test/t/208_storm.pl
#
# Everything at once, in an order that is drawn from a seed: two relays are
# killed, frozen and woken, their sessions ended, the slot dropped, advanced
# or made by hand, the endpoint refuses, under load.  In the end nothing is
# lost, nothing is made up, no key is out of order.
#
# OUTBOX_STORM: number of blows; OUTBOX_SEED: which ones.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Reconcile;
use Test::More;

my $blows = $ENV{OUTBOX_STORM} || 25;
my $seed = $ENV{OUTBOX_SEED} || time();
srand($seed);
diag("OUTBOX_SEED=$seed");

my $node = new_node('main');
my $receiver = start_receiver();
route_create($node, 'hook', 'http', $receiver->url('/hook'),
	options => { retry_initial_ms => 50, retry_max_ms => 200 });
my @relays = map {
	start_relay(
		$node,
		name => $_,
		config => { database =>
				{ lease_timeout => '1s', reconcile_wait => '20s' } },
		wait => 0)
} 'first', 'second';

sub delivering
{
	foreach my $relay (@relays)
	{
		return $relay if ($relay->get('/readyz'))[0] == 200;
	}
	return undef;
}

# One more request answered 2xx than now.
sub wait_until_it_moves
{
	my $id = enqueue($node, 'storm.probe', {});
	return wait_for('a message is sent',
		sub { status_of($node, $id) eq 'hook=SENT' }, 120);
}

sub slot
{
	my ($sql) = @_;
	my $stderr;

	# neither may be back before it is done
	$_->signal('STOP') foreach @relays;
	$node->psql('postgres',
		'SELECT pg_terminate_backend(active_pid, 5000)'
		  . " FROM pg_replication_slots WHERE active; $sql",
		on_error_stop => 0,
		stderr => \$stderr);
	$_->signal('CONT') foreach @relays;
	note($stderr) if $stderr;
	return;
}

my %blow = (
	kill => sub {
		my $relay = $relays[ int rand 2 ];
		$relay->kill9;
		$relay->run;
	},
	freeze => sub {
		my $relay = delivering() // $relays[0];
		$relay->signal('STOP');
		wait_for('the other relay delivers',
			sub { grep { $_ != $relay && ($_->get('/readyz'))[0] == 200 } @relays },
			120);
		$relay->signal('CONT');
	},
	sessions => sub {
		$node->safe_psql('postgres',
			'SELECT pg_terminate_backend(pid) FROM pg_stat_activity'
			  . " WHERE query ~ 'outbox_(settle|lease|takeover|fetch|start)'"
			  . ' AND pid <> pg_backend_pid()');
	},
	walsender => sub { slot('SELECT 1') },
	drop => sub { slot("SELECT pg_drop_replication_slot('outbox')") },
	remake => sub {
		slot("SELECT pg_drop_replication_slot('outbox');"
			  . " SELECT pg_create_logical_replication_slot('outbox',"
			  . " 'outbox_decoder')");
	},
	advance => sub {
		slot("SELECT pg_replication_slot_advance('outbox',"
			  . ' pg_current_wal_flush_lsn())');
	},
	# few enough that the probes of an open circuit use them up in seconds
	refuse => sub { $receiver->script('/hook', ('503') x 6) },
	reset => sub { $receiver->script('/hook', ('reset', 'close') x 3) },
	crash => sub {
		$node->stop('immediate');
		$node->start;
	});

my $driver = start_driver($node, '--sessions', 3, '--seconds', 600 + 60 * $blows,
	'--rate', 150, '--keys', 12);
wait_until_it_moves();
foreach my $n (1 .. $blows)
{
	my @names = sort keys %blow;
	my $name = $names[ int rand @names ];

	note("blow $n: $name");
	$blow{$name}->();
	wait_until_it_moves() if rand() < 0.4;
}
$receiver->script('/hook');
wait_until_it_moves();
is($driver->stop(30), 0, 'the driver ends');
wait_until_quiet($node, 120);
ok( run_oracle(
		[ $driver->{log} ],
		[ of_driver($receiver, '/hook') ],
		'--status' => status_file($node)),
	'the oracle has no complaint');
is($node->safe_psql('postgres',
		'SELECT (SELECT count(*) FROM outbox.backlog)'
		  . ' + (SELECT count(*) FROM outbox.parked)'),
	'0', 'nothing is left behind');
foreach my $relay (@relays)
{
	is($relay->stop, 0, "relay $relay->{name} ends when asked");
	unlike($relay->output, qr/Sanitizer|runtime error/,
		"relay $relay->{name} has made no mistake in memory");
}
$receiver->stop;
$node->stop;
done_testing();
