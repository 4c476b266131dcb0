# test/t/405_many_routes.pl
#
# Fifty routes, each with messages of its own between those of the others, a
# tenth of the transactions rolled back, some of the routes down for a while.
# After the maintenance what is resolved is a few ranges and no more, however
# long it went on, and a relay starts as quickly.
#
# OUTBOX_MANY_ROUTES: thousands of transactions.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use List::Util qw(max);
use OutboxTest;
use OutboxTest::Order;
use Test::More;
use Time::HiRes qw(time);

my $THOUSANDS = $ENV{OUTBOX_MANY_ROUTES} // 3;
my $ROUTES = 50;
my $SESSIONS = 3;

# rows and ranges, of what is one row and one range when all is quiet
my $FEW = 10;

my $node = new_node('main', conf => ['autovacuum = off']);
my $receiver = start_receiver(body => 'none');

route_create($node, "route-$_", 'http', $receiver->url("/$_"),
	types => ["type-$_"],
	options => { retry_initial_ms => 100, concurrency => 4 })
  foreach 1 .. $ROUTES;
my $relay = start_relay($node, config => { relay => { log_level => 'info' } });

# One to four messages each, for routes and keys that are drawn.
my $load = qq{
	DO \$\$
	BEGIN
		FOR i IN 1 .. $THOUSANDS * 1000 / $SESSIONS LOOP
			PERFORM outbox_enqueue('type-' || ceil(random() * $ROUTES),
				to_jsonb(i), message_key => 'k' || ceil(random() * 20))
			FROM generate_series(0, i % 4);
			IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
		END LOOP;
	END \$\$};

$receiver->script("/$_", '503*') foreach 1 .. 5;
my @sessions = map {
	OutboxTest::Process->start('load',
		command => [
			'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', $load, '-d',
			$node->connstr('postgres')
		])
} 1 .. $SESSIONS;
wait_for(
	'a circuit opens',
	sub { $relay->metric('outbox_circuit_open') > 0 });
$receiver->script("/$_") foreach 1 .. 5;
is($_->wait_end(60 + 60 * $THOUSANDS), 0, 'a session of the load ends')
  foreach @sessions;
my ($under_load) = resolved();
wait_until_sent($node, 60 + 10 * $THOUSANDS);
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM outbox.messages WHERE status <> 'SENT'}),
	'0', 'all are SENT');
is($relay->stop, 0, 'the relay ends when asked');

sub resolved
{
	return split /\|/,
	  $node->safe_psql('postgres', q{
		SELECT count(*), coalesce(sum((SELECT count(*) FROM unnest(ids))), 0)
		FROM outbox.resolved});
}

# By hand, a minute after each other, unless the relay has been there before
# while a long load was delivered: one notes where gaps may be, the next
# closes them, the one after that merges what is ten seconds old.
my ($rows, $ranges) = resolved();
my $session = $node->background_psql('postgres');
$session->query_safe("SELECT outbox_lease('maintenance')");
my $run =
  $session->query_safe("SELECT run FROM outbox_start('maintenance', 'outbox')");
foreach (1 .. 3)
{
	$session->query_safe('UPDATE outbox.resolved'
		  . " SET resolved_at = resolved_at - interval '1 minute'");
	$session->query_safe("SELECT outbox_maintain($run)");
}
$session->quit;
my ($rows_left, $ranges_left) = resolved();
cmp_ok(max($under_load, $rows), '>', $FEW,
	"there were many rows ($under_load, then $rows of $ranges ranges)");
cmp_ok($rows_left, '<=', $FEW, "few rows are left ($rows_left)");
cmp_ok($ranges_left, '<=', $FEW,
	"of few ranges, gaps are closed ($ranges_left)");

my $began = time();
$relay->run;
ok(wait_for('the relay is ready', sub { ($relay->get('/readyz'))[0] == 200 }),
	'a relay starts');
note(sprintf('ready after %.2f s', time() - $began));
my $id = enqueue($node, 'type-1', {});
ok( wait_for('the message is SENT',
		sub { status_of($node, $id) eq 'route-1=SENT' }),
	'and delivers');
is(scalar arrived($receiver, "/1", 'type-1'),
	$node->safe_psql('postgres',
		"SELECT count(*) FROM outbox.message WHERE type = 'type-1'"),
	'nothing is sent again');
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
