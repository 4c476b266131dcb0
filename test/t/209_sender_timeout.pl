# test/t/209_sender_timeout.pl
#
# A long transaction of which nothing is sent: the walsender, busy decoding,
# still asks its client for a reply in time, and hears it.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Process;
use Test::More;
use Time::HiRes 'time';

# Decoding so many rows in one go takes seconds, three times as long as
# wal_sender_timeout, on any machine: it is measured first.  With less memory
# the server would send the transaction piecewise.
my $ROWS = 3_000_000;

my $node = new_node('main',
	conf => [ 'logical_decoding_work_mem = 2GB', 'max_wal_size = 2GB' ]);
my $output = PostgreSQL::Test::Utils::tempdir() . '/frames';

$node->safe_psql('postgres', q{
	SELECT outbox_set('allow_unrouted', 'true');
	CREATE TABLE business (id int);
	SELECT pg_create_logical_replication_slot('s', 'outbox_decoder');
});
$node->safe_psql('postgres',
	"INSERT INTO business SELECT generate_series(1, $ROWS)");
enqueue($node, 'after', {});

my $began = time();
$node->safe_psql('postgres',
	'SELECT count(*) FROM pg_logical_slot_peek_binary_changes('
	  . "'s', NULL, NULL, 'proto_version', '1')");
my $timeout_ms = int((time() - $began) * 1000 / 3);

# It replies when it is asked, and never else.
my $client = OutboxTest::Process->start(
	'pg_recvlogical',
	command => [
		'pg_recvlogical', '--start', '--no-loop', '-S', 's', '-d',
		$node->connstr('postgres')
		  . " options='-c wal_sender_timeout=$timeout_ms'",
		'-o', 'proto_version=1', '-s', '0', '-F', '0', '-f', $output
	]);
wait_for('the message after it is sent', sub { -s $output || !$client->running });
ok($client->running, 'the client was not cut off');
unlike(
	PostgreSQL::Test::Utils::slurp_file($node->logfile),
	qr/due to replication timeout/,
	'and the walsender did not think so');
ok(-s $output, 'the message after the transaction is sent');

$client->stop;
$node->stop;
done_testing();
