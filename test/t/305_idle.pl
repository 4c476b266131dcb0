# test/t/305_idle.pl
#
# Nothing to do costs the database nothing: an idle relay sends no query, and
# WAL that is no business of ours does not pile up behind its slot.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $HEARTBEAT_SECONDS = 60;

my $node = new_node('main',
	conf => [ 'log_statement = all', "log_line_prefix = '%a|%d|'",
		'checkpoint_timeout = 1h', 'wal_keep_size = 0' ]);
my $receiver = start_receiver(body => 'none');

route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay(
	$node,
	config => {
		database => {
			conninfo => $node->connstr('postgres')
			  . ' application_name=outbox-relay'
		}
	});
my $id = enqueue($node, 'a', {});
wait_for('the message is SENT',
	sub { status_of($node, $id) eq 'hook=SENT' });

# How many beats of a second the relay has had is seen in the server's own
# time: a condition with a deadline, not a sleep.
sub statements
{
	my $log = slurp_file($node->logfile);
	return scalar(() = $log =~ /^outbox-relay\|[^|]*\|LOG:  (?:execute|statement)/mg);
}

sub server_ms
{
	return $node->safe_psql('postgres',
		'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint');
}

cmp_ok(statements(), '>', 5, 'the statements of the relay are in the log');
my $quiet = server_ms();
my $was = statements();
wait_for('nothing has been asked for five seconds',
	sub {
		my $now = statements();
		($quiet, $was) = (server_ms(), $now) if $now != $was;
		return server_ms() - $quiet > 5000;
	});
pass('an idle relay issues no SQL for five seconds');

# ---------- 40 MB of WAL of somebody else's ----------

my $settled = $relay->metric('outbox_settles_total');
my $begin = slot_lsn($node);
$node->safe_psql('postgres', q{
	CREATE TABLE business (id integer, t text);
	INSERT INTO business SELECT i, repeat(md5(i::text), 30)
	FROM generate_series(1, 42000) AS i;
});
my $end = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
cmp_ok(
	$node->safe_psql('postgres', "SELECT '$end'::pg_lsn - '$begin'"),
	'>', 40e6, 'more than 40 MB of WAL were written');
ok( wait_for(
		'the slot moves forward',
		sub {
			$node->safe_psql('postgres',
				    "SELECT '$end'::pg_lsn - confirmed_flush_lsn < 20000000"
				  . ' FROM pg_replication_slots') eq 't';
		}),
	'the slot follows WAL that is not ours');
cmp_ok($relay->metric('outbox_settles_total') - $settled,
	'<=', 5, 'by a few settles only');
$node->safe_psql('postgres', 'CHECKPOINT');
# What is left of the last 16 MB waits for the heartbeat.
ok( wait_for(
		'the WAL is recycled',
		sub {
			$node->safe_psql('postgres', 'CHECKPOINT');
			$node->safe_psql('postgres',
				'SELECT pg_current_wal_lsn() - restart_lsn < 40000000'
				  . ' FROM pg_replication_slots') eq 't';
		},
		2 * $HEARTBEAT_SECONDS),
	'and lets go of it');

$id = enqueue($node, 'a', {});
ok( wait_for('the next message is SENT',
		sub { status_of($node, $id) eq 'hook=SENT' }),
	'it delivers as before');
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
