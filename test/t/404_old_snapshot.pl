# test/t/404_old_snapshot.pl
#
# Rows 6 and 50: a transaction that is open for long does not make messages
# bloat, and a relay that stands by does not hold back anybody's clean-up.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Order;
use Test::More;

my $MESSAGES = 20_000;
my $BODY = 200;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');

route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay($node, name => 'first');
my $standby = start_relay($node, name => 'second', wait => 0);
wait_for('the second stands by',
	sub { ($standby->get('/readyz'))[1] =~ /standby/ });

# ---------- a long open transaction ----------

my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$session->query_safe('SELECT count(*) FROM outbox.message');
foreach my $part (1 .. 20)
{
	my $count = $MESSAGES / 20;

	$node->safe_psql('postgres',
		    "SELECT count(outbox_enqueue('a', to_jsonb(repeat('x', $BODY)),"
		  . " message_key => 'k' || n % 100))"
		  . " FROM generate_series(1, $count) n");
}
wait_until_sent($node, 120);
is(dead_rows($node, '^message'), 0, 'no row of a message is dead');
my $bytes = $node->safe_psql('postgres', q{
	SELECT sum(pg_relation_size(oid)) FROM pg_class
	WHERE relnamespace = 'outbox'::regnamespace
		AND relname ~ '^message' AND relkind = 'r'});
my $row = $node->safe_psql('postgres',
	'SELECT avg(pg_column_size(m)) + 28 FROM outbox.message m');
cmp_ok($bytes, '<', $MESSAGES * $row * 1.5 + 27 * 8192,
	'the leaves are as big as their rows');
my $settles = $relay->metric('outbox_settles_total');
my $dead = dead_rows($node, '.');
cmp_ok($dead, '<', 3 * $settles + 100,
	"dead rows are as many as settles ($dead, $settles)");
$session->query_safe('COMMIT');
$session->quit;
wait_for('what was dead is removed',
	sub { dead_rows($node, '^relay$'); dead_rows($node, '^relay$') <= 1 });
pass('then what was dead can be removed');

# ---------- the one that stands by ----------

# The oldest snapshot of any session that is none of ours is ever newer.
my (%begun, $held);
wait_for(
	'the standby was seen for ten of its tries',
	sub {
		my ($change, $xmin, $xact) = split /\|/,
		  $node->safe_psql('postgres', q{
			SELECT state_change, coalesce(age(backend_xmin), 0),
				coalesce(clock_timestamp() - xact_start > '500 ms', false)
			FROM pg_stat_activity WHERE query ~ '^SELECT outbox_(lease|takeover)'
			ORDER BY backend_start DESC LIMIT 1});
		return 0 unless defined $change;
		enqueue($node, 'a', {});
		$begun{$change} = 1;
		$held = "$xmin $xact" if $xmin > 10 || $xact eq 't';
		return keys %begun >= 10;
	});
is($held, undef, 'a relay that stands by holds back no xmin');
is(($standby->get('/readyz'))[0], 503, 'it still stands by');
is($standby->stop, 0, 'the standby ends when asked');
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
