# test/t_kafka/002_kafka_order.pl
#
# 2,000 messages over 20 keys, half of them of one key, by four sessions at a
# time, while the relay is killed five times at different places: nothing is
# lost, and the first of each come in the order of their commits.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use JSON::PP;
use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $SESSIONS = 4;
my $TRANSACTIONS = 25;    # of each session in a round, four messages each
my @KILLS =
  ('answered:150', 'submitted:200', 'settled:1', 'settle_sent:1', undef);

my $node = new_node('main');
my $kafka = start_kafka();
my %config = ('kafka main' => { 'bootstrap.servers' => $kafka->{bootstrap} });

ok($kafka->topic('ordered', 'partitions=3'), 'the topic is made');
route_create($node, 'ordered', 'kafka', 'main/ordered');
# The first message ever holds up all others until it is committed.
enqueue($node, 'first', 1);

# The number of a key is taken under a row lock that is held until the
# commit: the order of the numbers is the order of the commits.
$node->safe_psql('postgres', q{
	CREATE TABLE counter (key text PRIMARY KEY, n integer NOT NULL DEFAULT 0);
	INSERT INTO counter SELECT 'k' || i FROM generate_series(10, 28) AS i
	UNION ALL SELECT 'zhot';
	CREATE FUNCTION say(VARIADIC keys text[]) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		k text;
		number integer;
	BEGIN
		FOREACH k IN ARRAY keys LOOP
			UPDATE counter SET n = n + 1 WHERE key = k RETURNING n INTO number;
			PERFORM outbox_enqueue('seq', jsonb_build_object('n', number),
				message_key => k);
		END LOOP;
	END
	$$;
});

# Two other keys, always in the same order, then the hot one twice.
sub transactions
{
	my ($round, $session) = @_;
	my $sql = '';

	foreach my $i (0 .. $TRANSACTIONS - 1)
	{
		my $first = ($i * 7 + $session * 3 + $round) % 18;
		my $second = $first + 1 + ($i + $session) % (18 - $first);
		$sql .= sprintf("BEGIN;SELECT say('k%d');SELECT say('k%d', 'zhot',"
			  . " 'zhot');COMMIT;\n", 10 + $first, 10 + $second);
	}
	return $sql;
}

sub start_session
{
	my ($round, $session) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/load.$round.$session";

	append_to_file($file, transactions($round, $session));
	return OutboxTest::Process->start(
		"load.$round.$session",
		command => [
			'psql', '-Xqtv', 'ON_ERROR_STOP=1',
			'-d' => $node->connstr('postgres'),
			'-f' => $file
		]);
}

my $relay = start_relay($node, config => \%config);
is($relay->stop, 0, 'the relay ends when asked');
my $killed = 0;

foreach my $round (1 .. @KILLS)
{
	my $place = $KILLS[ $round - 1 ];
	my $before = $kafka->count('ordered');

	# It dies while the sessions go on, or has to catch up with them.
	$relay->{env}{OUTBOX_KILL_AT} = $place // '';
	my @load = map { start_session($round, $_) } 1 .. $SESSIONS;
	$relay->run;
	if (!defined $place)
	{
		wait_for('deliveries go on',
			sub { $kafka->count('ordered') > $before });
		$relay->signal('KILL');
	}
	$killed++
	  if is($relay->wait_end, 'signal 9', 'killed at ' . ($place // 'any time'));
	is($_->wait_end, 0, "$_->{name} has committed all") foreach @load;
}
is($killed, 5, 'killed five times');

$relay->{env}{OUTBOX_KILL_AT} = '';
$relay->run;
wait_for(
	'all are SENT',
	sub {
		$node->safe_psql('postgres',
			"SELECT count(*) FROM outbox.messages WHERE status <> 'SENT'") == 0;
	});

# As consumed: by partition, in the order of offsets.
my %expected = split /[|\n]/,
  $node->safe_psql('postgres', 'SELECT key, n FROM counter WHERE n > 0');
my (%seen, %first, %partitions);
my ($total, $unordered) = (0, 0);

foreach my $record (
	sort { $a->{partition} <=> $b->{partition} or $a->{offset} <=> $b->{offset} }
	grep { defined $_->{key} } $kafka->records('ordered'))
{
	my ($key, $n) = ($record->{key}, decode_json($record->{body})->{n});

	$total++;
	$partitions{$key}{ $record->{partition} } = 1;
	next if $seen{$key}{$n}++;
	next if $n == ($first{$key} // 0) + 1 && ($first{$key} = $n);
	diag("key $key: $n came after $first{$key} at $record->{offset}")
	  unless $unordered++;
}
is(scalar keys %expected, 20, 'there are 20 keys');
is($expected{zhot}, 1000, 'one has half of the messages');
is($unordered, 0, 'first occurrences are in the order of commits, no gaps');
is_deeply(\%first, \%expected, 'all messages of all keys are there');
is((grep { keys %$_ != 1 } values %partitions),
	0, 'each key is in one partition');
note("$total records of 2000 messages");
cmp_ok($total, '<=', 2000 + 5 * 1000,
	'what is repeated was under way at a kill');

is($relay->stop, 0, 'the relay ends when asked again');
$node->stop;
done_testing();
