# test/t/212_terminated.pl
#
# The relay's connections are terminated twenty times a second under load.
# Nothing is lost or made up, and it goes on when that ends: a session that
# the server ended is begun again within a second.
#
# OUTBOX_TERMINATED: for how many seconds.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use OutboxTest::Reconcile qw(log_lines);
use Test::More;
use Time::HiRes qw(time);

my $SECONDS = $ENV{OUTBOX_TERMINATED} // 8;
my $A_SECOND = 20;

my $WAIT_MS = 1000;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');

$node->safe_psql('postgres', q{
	CREATE ROLE carrier LOGIN REPLICATION;
	SELECT outbox_grant('carrier', 'relay')});
load_route($node, $receiver, 'hook');
route_create($node, 'after', 'http', $receiver->url('/after'),
	types => ['after']);
my $relay = start_relay($node,
	config =>
	  { database => { conninfo => $node->connstr('postgres') . ' user=carrier' } });
my $driver = load_for($node, '--seconds' => $SECONDS + 600);

wait_for('deliveries go on', sub { $receiver->delivered('/hook') > 20 });
$node->safe_psql(
	'postgres', qq{
	DO \$\$
	BEGIN
		FOR i IN 1 .. $SECONDS * $A_SECOND LOOP
			PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE usename = 'carrier';
			COMMIT;
			PERFORM pg_sleep_for(interval '1 second' / $A_SECOND);
		END LOOP;
	END \$\$},
	timeout => $SECONDS + 120);
my $began = time();
my $meanwhile = $receiver->delivered('/hook');
my $id = enqueue($node, 'after', {});
ok(wait_for('the next message is SENT',
		sub { status_of($node, $id) eq 'after=SENT' }),
	'it goes on');
note(sprintf("%d delivered meanwhile, a new message SENT %.1f s after",
		$meanwhile, time() - $began));

my @waits = sort { $a <=> $b }
  map { /trying again in (\d+) ms/ } log_lines($relay, 'session_lost');
cmp_ok(@waits, '>', 3, 'its sessions were ended (' . @waits . ')');
cmp_ok($waits[ @waits / 2 ],
	'<=', $WAIT_MS, "a session is begun again within a second (@waits)");
is($driver->stop, 0, 'the driver ends');
is_reconciled('terminated', $node, $receiver, [$driver], ['hook']);
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
