# test/t_kafka/005_kafka_first_batch.pl
#
# A broker that knows nothing of a producer takes whatever sequence number
# comes first (KAFKA-15591).  Requests of two messages: the first is refused,
# since one in it is too large, and the second is on its way by then.  Nothing
# of the second may arrive before the other message of the first.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use Test::More;

my $ROUNDS = 5;

my $node = new_node('main');
my $kafka = start_kafka('auto.create.topics.enable=false');
my %cluster = (
	'bootstrap.servers' => $kafka->{bootstrap},
	'batch.num.messages' => 2,
	'linger.ms' => 20);

foreach my $round (1 .. $ROUNDS)
{
	ok($kafka->topic("small$round", 'max.message.bytes=10000'),
		"topic small$round is made");
	route_create($node, "small$round", 'kafka', "main/small$round",
		types => ["small$round"],
		options => { retry_initial_ms => 100 });
}

my $relay = start_relay($node, config => { 'kafka main' => \%cluster });

foreach my $round (1 .. $ROUNDS)
{
	my $topic = "small$round";

	$node->safe_psql('postgres', qq{
		SELECT outbox_enqueue('$topic', jsonb_build_object('n', i, 'x',
			CASE i WHEN 2 THEN repeat('x', 50000) END), message_key => 'k')
		FROM generate_series(1, 20) AS i});
	wait_for(
		"round $round: one is DEAD, the others are SENT",
		sub {
			$node->safe_psql('postgres',
				q{SELECT string_agg(status || n, ' ' ORDER BY status) FROM (
				SELECT status, count(*) AS n FROM outbox.messages
				WHERE type = '} . $topic . q{' GROUP BY 1) AS x}) eq 'DEAD1 SENT19';
		});
	my %seen;
	my @order = grep { !$seen{$_}++ }
	  map { $_->{body} =~ /"n": (\d+)/ } $kafka->records($topic);
	is("@order", join(' ', 1, 3 .. 20),
		"round $round: they have arrived in order");
}

is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
