# test/t_kafka/007_kafka_refused.pl
#
# A broker refuses a batch for one message in it: a compacted topic takes none
# without a key.  2,000 messages wait, three of them such: these are DEAD, all
# others arrive in the order of their keys without an attempt that counts, and
# the route is not taken for one that is down.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use Test::More;

my $COUNT = 2000;
my %REFUSED = map { $_ => 1 } 3, 1000, 1001;

my $node = new_node('main');
my $kafka = start_kafka('auto.create.topics.enable=false');
ok( $kafka->topic(
		'compact', 'partitions=1',
		'cleanup.policy=compact', 'min.compaction.lag.ms=86400000'),
	'the topic is made');
route_create($node, 'compact', 'kafka', 'main/compact');

my $refused = join(',', sort { $a <=> $b } keys %REFUSED);
$node->safe_psql('postgres', qq{
	SELECT outbox_enqueue('t', to_jsonb(i), message_key =>
		CASE WHEN i NOT IN ($refused) THEN 'k' || i % 7 END)
	FROM generate_series(1, $COUNT) AS i});
# Several batches, so that some are on their way or wait behind a refused one.
my %cluster = (
	'bootstrap.servers' => $kafka->{bootstrap},
	'batch.num.messages' => 100);
my $relay = start_relay($node, config => { 'kafka main' => \%cluster });
my $expected = sprintf 'DEAD%d SENT%d', scalar keys %REFUSED,
  $COUNT - keys %REFUSED;
wait_for(
	'those are DEAD, and the others SENT',
	sub {
		$node->safe_psql('postgres',
			q{SELECT string_agg(status || n, ' ' ORDER BY status) FROM (
			SELECT status, count(*) AS n FROM outbox.messages
			GROUP BY 1) AS x}) eq $expected;
	});
is( $node->safe_psql('postgres',
		'SELECT max(retry_count), min(retry_count) FROM outbox.messages'
		  . q{ WHERE status = 'DEAD'}),
	'1|1',
	'one attempt counts');
is($relay->metric('outbox_attempts_total', outcome => 'transient'),
	0, 'none of the others had one that failed');
is($relay->metric('outbox_circuit_opened_total', route => 'compact'),
	0, 'the circuit has not opened');

my (%last, %seen, $unordered);
foreach my $record ($kafka->records('compact'))
{
	my ($n, $key) = @$record{qw(body key)};

	next if $seen{$n}++;
	$unordered++ if ($last{$key} // 0) > $n;
	$last{$key} = $n;
}
is(scalar(keys %seen), $COUNT - keys %REFUSED, 'all the others are there');
ok(!$unordered, 'in the order of their keys');

is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
