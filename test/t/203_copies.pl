# test/t/203_copies.pl
#
# A copy of a database, by CREATE DATABASE ... TEMPLATE or by pg_dump and
# pg_restore, into another cluster or over the original, has the messages of
# the original.  A relay there delivers nothing until a person says that it is
# to.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Reconcile;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver();
route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay($node);
my @sent = map { enqueue($node, 'order.created', { sent => $_ }) } 1 .. 5;
wait_until_quiet($node);
is($relay->stop, 0, 'the relay ends when asked');
my @open = map { enqueue($node, 'order.created', { open => $_ }) } 1 .. 5;
my $greatest = $open[-1];

# before the copy is made: a session would keep it from being made
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/outbox.dump';
$node->command_ok(
	[ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ],
	'the database can be dumped');
my $elsewhere = new_node('elsewhere', extension => 0);
$elsewhere->safe_psql('postgres', 'CREATE DATABASE restored');
$elsewhere->command_ok(
	[ 'pg_restore', '-e', '-d', $elsewhere->connstr('restored'), $dump ],
	'the dump can be restored');

# The slot of the original is not for a copy.
my $wrong = start_relay($node, dbname => 'copy', wait => 0);
is($wrong->wait_end, 2, 'a relay with the slot of the original ends');
like(
	$wrong->output,
	qr/slot "outbox" belongs to another plugin or database/,
	'and says why');

sub rows
{
	my ($where, $dbname, $condition) = @_;
	return $where->safe_psql($dbname,
		"SELECT count(*) FROM outbox.messages WHERE $condition");
}

sub check_copy
{
	my ($where, $dbname) = @_;
	my $before = $receiver->requests('/hook');

	# to an address of its own, as whoever makes a copy should
	$where->safe_psql($dbname,
		"SELECT outbox_route_alter('hook', target => '"
		  . $receiver->url("/$dbname") . "')");
	is(rows($where, $dbname, "status = 'SENT'"),
		5, "$dbname: what was sent is sent");
	is(rows($where, $dbname, "status = 'NEW'"),
		5, "$dbname: what was not is not");

	my $copied = start_relay(
		$where,
		dbname => $dbname,
		config => { database => { slot => "slot_$dbname" } },
		wait => 0);
	wait_for(
		"the relay of $dbname is disarmed",
		sub {
			my ($status, $body) = $copied->get('/readyz');
			return $status == 503 && $body =~ /disarmed/;
		});
	like($copied->output, qr/outbox_arm\(\)/,
		"$dbname: the log says what to do");

	my $new = $where->safe_psql($dbname,
		'SELECT ' . enqueue_sql('order.created', { new => 1 }));
	cmp_ok($new >> 47, '>', $greatest >> 47,
		"$dbname: ids go on in a range of their own");
	# it looks again after a while
	my $run = $where->safe_psql($dbname, 'SELECT run FROM outbox.relay');
	wait_for(
		"the relay of $dbname has looked again",
		sub {
			$where->safe_psql($dbname, 'SELECT run FROM outbox.relay') > $run;
		});
	is(scalar $receiver->requests("/$dbname"), 0,
		"$dbname: nothing is delivered before it is armed");
	is(rows($where, $dbname, "status = 'NEW'"), 6, "$dbname: all are open");

	$where->safe_psql($dbname, 'SELECT outbox_arm()');
	wait_for("the open messages of $dbname arrive",
		sub { rows($where, $dbname, "status <> 'SENT'") == 0 });
	is_deeply([ ids_at($receiver, "/$dbname") ],
		[ @open, $new ], "$dbname: once armed, what was open is delivered");
	is(scalar $receiver->requests('/hook'), $before,
		"$dbname: the original's endpoint got nothing");
	wait_for("the relay of $dbname is ready",
		sub { ($copied->get('/readyz'))[0] == 200 });
	is($copied->stop, 0, "$dbname: the relay ends when asked");
	return;
}

check_copy($node, 'copy');
check_copy($elsewhere, 'restored');

# The original goes on as if nothing had been.
$relay->run;
$relay->wait_until_streaming;
my $next = enqueue($node, 'order.created', { next => 1 });
wait_until_quiet($node);
is_deeply([ ids_at($receiver, '/hook') ],
	[ @sent, @open, $next ], 'the original delivers its own, once each');
is($relay->stop, 0, 'the relay ends when asked');

# Restored over itself it has the ids that were given before the dump, not
# those since.
$next = enqueue($node, 'order.created', { lost => 1 });
$node->command_ok(
	[
		'pg_restore', '-e', '--clean', '--if-exists', '-d',
		$node->connstr('postgres'), $dump
	],
	'the dump can be restored over the original');
is($node->safe_psql('postgres', 'SELECT armed FROM outbox_relay_status()'),
	'f', 'it is a copy now');
my $again = enqueue($node, 'order.created', { again => 1 });
cmp_ok($again >> 47, '>', $next >> 47, 'and ids are not given twice');
$receiver->stop;
$node->stop;
$elsewhere->stop;
done_testing();
