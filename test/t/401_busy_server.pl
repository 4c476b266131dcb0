# test/t/401_busy_server.pl
#
# Row 2: an outbox with nothing to do, in a server that writes much: WAL of
# others, in this and in another database, is not kept for the slot.
#
# OUTBOX_BUSY_MB: how much of it, in each of the two.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Order;
use Test::More;

my $BUSY_MB = $ENV{OUTBOX_BUSY_MB} || 200;
my $LAG_MB = 64;
my $CHUNK_MB = 20;

my $node = new_node(
	'main',
	conf => [
		'wal_keep_size = 0', 'min_wal_size = 32MB',
		'max_wal_size = 128MB', 'full_page_writes = off'
	]);
my $receiver = start_receiver(body => 'none');

route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay($node);
my $id = enqueue($node, 'a', {}, message_key => 'k');
wait_for('the message is SENT',
	sub { status_of($node, $id) eq 'hook=SENT' });
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');

foreach my $database ('postgres', 'elsewhere')
{
	my $most = 0;
	my $begin = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');

	$node->safe_psql($database, 'CREATE TABLE business (id integer, t text)');
	foreach my $round (1 .. $BUSY_MB / $CHUNK_MB)
	{
		$node->safe_psql(
			$database, qq{
			INSERT INTO business SELECT i, repeat(md5(i::text), 30)
			FROM generate_series(1, $CHUNK_MB * 1000) AS i;
			TRUNCATE business});
		my $retained = retained_mb($node);
		$most = $retained if $retained > $most;
	}
	cmp_ok(
		$node->safe_psql('postgres',
			"SELECT round((pg_current_wal_lsn() - '$begin') / 1048576)"),
		'>=', $BUSY_MB * 0.9, "$database: $BUSY_MB MB of WAL were written");
	note("$database: at most $most MB kept on the way");
	ok( wait_for(
			"less than $LAG_MB MB are kept for the slot ($database)",
			sub { retained_mb($node) < $LAG_MB }, 60),
		"$database: less than $LAG_MB MB are kept after at most 60 s");
	$node->safe_psql($database, 'DROP TABLE business');
}
is($node->safe_psql('postgres',
		q{SELECT wal_status FROM pg_replication_slots}),
	'reserved', 'the slot was never in danger');

$id = enqueue($node, 'a', {}, message_key => 'k');
wait_for('the message is SENT',
	sub { status_of($node, $id) eq 'hook=SENT' });
is(scalar $receiver->delivered('/hook'), 2, 'it delivers as before');
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
