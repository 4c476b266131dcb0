# test/t/205_roles.pl
#
# The relay as a role that is no superuser, set up by outbox_grant() and
# nothing else, does all of its work, takeover included; a producer can only
# enqueue.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Reconcile;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver();

# refused(role, sql, name, pattern)
sub refused
{
	my ($role, $sql, $name, $pattern) = @_;
	my $stderr;

	$node->psql(
		'postgres', $sql,
		extra_params => [ '-U', $role ],
		stderr => \$stderr);
	return like($stderr, $pattern // qr/permission denied/, $name);
}

sub as
{
	my ($role, $sql) = @_;
	return $node->safe_psql('postgres', $sql,
		extra_params => [ '-U', $role ]);
}

# Each role by itself, in a database that gives PUBLIC nothing.
$node->safe_psql('postgres', q{
	REVOKE CREATE, USAGE ON SCHEMA public FROM PUBLIC;
	CREATE ROLE shop LOGIN;
	CREATE ROLE carrier LOGIN;
	CREATE ROLE chief LOGIN;
	CREATE ROLE watcher LOGIN;
	CREATE ROLE nobody_at_all LOGIN;
	CREATE ROLE granter LOGIN CREATEROLE;
	GRANT USAGE ON SCHEMA public TO nobody_at_all, granter;
	SELECT outbox_grant('shop', 'producer');
	SELECT outbox_grant('chief', 'operator');
	SELECT outbox_grant('watcher', 'observer')});

refused('granter', "SELECT outbox_grant('carrier', 'relay')",
	'who may not grant cannot grant');
unlike($node->safe_psql('postgres',
		"SELECT rolreplication FROM pg_roles WHERE rolname = 'carrier'"),
	qr/t/, 'nothing was given');

my $conninfo = $node->connstr('postgres') . ' user=carrier';
my $relay = start_relay(
	$node,
	name => 'first',
	config => { database =>
			{ conninfo => $conninfo, lease_timeout => '1s' } },
	wait => 0);
is($relay->wait_end, 2, 'a relay without rights ends');
like($relay->output, qr/may not replicate|permission denied/,
	'and says what is missing');
$node->safe_psql('postgres', "SELECT outbox_grant('carrier', 'relay')");
is($node->safe_psql('postgres',
		'SELECT rolsuper, rolreplication, pg_has_role(oid,'
		  . " 'pg_signal_backend', 'member') FROM pg_roles"
		  . " WHERE rolname = 'carrier'"),
	'f|t|f', 'a relay has REPLICATION and no other power');

# An operator makes the route, a producer enqueues, the relay delivers.
as('chief',
	"SELECT outbox_route_create('hook', 'http', '"
	  . $receiver->url('/hook')
	  . "', types => '{*}', options => '{\"retry_initial_ms\": 100}')");
$relay->run;
$relay->wait_until_streaming;
my $id = as('shop',
	'SELECT ' . enqueue_sql('order.created', { n => 1 }, message_key => 'k'));
wait_for('it is sent', sub { status_of($node, $id) eq 'hook=SENT' });
pass('what a producer enqueued is delivered');

# Every kind of work of the relay's: retry, backlog, routes, a lost slot.
$receiver->script('/hook', '503', '200');
$id = as('shop', 'SELECT ' . enqueue_sql('order.created', { n => 2 }));
wait_for('it is sent', sub { status_of($node, $id) eq 'hook=SENT' });
is(as('watcher',
		"SELECT count(*) FROM outbox_trace($id) WHERE detail ~ '503'"),
	'1', 'a retry works, and an observer can see it');
as('chief', "SELECT outbox_route_pause('hook')");
$relay->wait_until_paused('hook');
as('shop', 'SELECT ' . enqueue_sql('order.created', { n => 3 }));
wait_for('it is in the backlog',
	sub { $node->safe_psql('postgres', 'SELECT count(*) FROM outbox.backlog')
		  == 1 });
as('chief', "SELECT outbox_route_resume('hook')");
wait_until_quiet($node);
pass('pause and resume by an operator work');

# Takeover of a frozen one ends sessions of its own role only by our function.
my $second = start_relay(
	$node,
	name => 'second',
	config => { database =>
			{ conninfo => $conninfo, lease_timeout => '1s' } },
	wait => 0);
wait_for('the second stands by',
	sub { ($second->get('/readyz'))[1] =~ /standby/ });
$relay->signal('STOP');
wait_for('the second delivers', sub { ($second->get('/readyz'))[0] == 200 });
pass('takeover works without superuser');
$relay->kill9;
is($second->stop, 0, 'the second relay ends when asked');
wait_for(
	'the walsender has let go of the slot',
	sub {
		$node->safe_psql('postgres',
			'SELECT count(*) FROM pg_replication_slots WHERE active') eq '0';
	});
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('outbox')");
$id = as('shop', 'SELECT ' . enqueue_sql('order.created', { n => 4 }));
$second->run;
$second->wait_until_streaming;
wait_for('it is sent', sub { status_of($node, $id) eq 'hook=SENT' });
pass('a lost slot is made anew without superuser');

my $driver = start_driver($node, '--sessions', 2, '--seconds', 2,
	'--rate', 40);
is($driver->wait_end, 0, 'the driver ends');
wait_until_quiet($node);
ok( run_oracle(
		[ $driver->{log} ],
		[ of_driver($receiver, '/hook') ],
		'--status' => status_file($node), '--max-duplicates' => 0),
	'the oracle has no complaint');

# What each must not do.
my $settle = 'SELECT outbox_settle(r, 1, 1, NULL, NULL, NULL, NULL)'
  . ' FROM (VALUES (1::bigint)) AS v (r)';
foreach my $role ('shop', 'watcher', 'chief', 'nobody_at_all')
{
	refused($role, $settle, "$role cannot settle");
	refused($role, "SELECT outbox_takeover('outbox', 1000)",
		"$role cannot take over");
	refused($role, "SELECT outbox_lease('x')", "$role cannot take the lease");
	refused($role, 'SELECT * FROM outbox_fetch(ARRAY[1::bigint])',
		"$role cannot read payloads");
	refused($role, 'SELECT payload FROM outbox.message',
		"$role cannot read the table");
	refused($role, 'DELETE FROM outbox.resolved', "$role cannot write tables");
}
foreach my $role ('shop', 'carrier', 'watcher', 'nobody_at_all')
{
	refused($role, 'SELECT outbox_arm()', "$role cannot arm");
	refused($role, "SELECT outbox_route_drop('hook')",
		"$role cannot drop a route");
	refused($role, "SELECT outbox_set('max_payload', '10MB')",
		"$role cannot change settings");
}
refused($_, "SELECT outbox_enqueue('t', '{}')", "$_ cannot enqueue")
  foreach 'carrier', 'watcher', 'nobody_at_all';
refused('shop', 'SELECT * FROM outbox.messages',
	'a producer cannot see the messages');
refused('carrier', 'INSERT INTO outbox.parked SELECT * FROM outbox.parked',
	'the relay writes through its function only');

is($second->stop, 0, 'the second relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
