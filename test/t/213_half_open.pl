# test/t/213_half_open.pl
#
# The way to the server dies without a word: what is sent goes nowhere, and
# neither end sees the other go.  A second relay, with a way of its own,
# takes over; the first one stands by when its way is there again.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('main', conf => ['wal_sender_timeout = 5s']);
my $receiver = start_receiver(body => 'none');
my $port_file = PostgreSQL::Test::Utils::tempdir() . '/port';
my $way = OutboxTest::Process->start(
	'forward',
	command => [
		"$OutboxTest::ROOT/test/receiver/forward.py",
		'--port-file', $port_file,
		'--to', $node->host . '/.s.PGSQL.' . $node->port
	]);

wait_for('there is a way', sub { -s $port_file });
chomp(my $port = slurp_file($port_file));
load_route($node, $receiver, 'hook');

sub relay
{
	my ($name, %params) = @_;
	return start_relay(
		$node,
		name => $name,
		wait => 0,
		config => { database => { lease_timeout => '2s', %params } });
}

# becomes(relay, what it does, its readiness)
sub becomes
{
	my ($relay, $what, $pattern) = @_;
	return ok(
		wait_for("relay $relay->{name} $what",
			sub { join(' ', $relay->get('/readyz')) =~ $pattern }),
		"relay $relay->{name} $what");
}

my $user = getpwuid($>);
my $first = relay('first',
	conninfo => "host=127.0.0.1 port=$port dbname=postgres user=$user");
becomes($first, 'delivers', qr/^200 /);
my $second = relay('second');
becomes($second, 'stands by', qr/standby/);
my $driver = load_for($node, '--seconds' => 600);
wait_for('deliveries go on', sub { $receiver->delivered('/hook') > 20 });

my $holder = $node->safe_psql('postgres',
	'SELECT lease_pid FROM outbox_relay_status()');
$way->signal('STOP');
my $began = time();
becomes($second, 'delivers', qr/^200 /);
note(sprintf('taken over after %.1f s', time() - $began));
my $before = () = $receiver->delivered('/hook');
wait_for('deliveries go on',
	sub { $receiver->delivered('/hook') > $before + 20 });
is( $node->safe_psql(
		'postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $holder"),
	'0', "the first one's session has been ended by the server");
unlike($first->output, qr/session_lost/, 'which the first one cannot know');

$way->signal('CONT');
becomes($first, 'stands by', qr/standby/);
is($driver->stop, 0, 'the driver ends');
is_reconciled('half open', $node, $receiver, [$driver], ['hook']);
is($_->stop, 0, "relay $_->{name} ends when asked") foreach $first, $second;
$way->stop;
$receiver->stop;
$node->stop;
done_testing();
