# test/t_kafka/001_kafka.pl
#
# What arrives in a real Apache Kafka: key, bytes, headers, partition, topic;
# what was rolled back never does.  One message to HTTP and Kafka at once.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use Encode 'encode_utf8';
use JSON::PP ();
use MIME::Base64;
use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $PARTITIONS = 5;

# The hash of Kafka's Java client, after A. Appleby's MurmurHash2, seed
# 0x9747b28c; written for this test, it shares nothing with the product.
sub murmur2
{
	my @bytes = unpack('C*', $_[0]);
	my $multiply = sub { ($_[0] * 0x5bd1e995) & 0xffffffff };
	my $hash = 0x9747b28c ^ scalar @bytes;

	while (@bytes >= 4)
	{
		my $word = $multiply->(unpack('V', pack('C4', splice(@bytes, 0, 4))));
		$word ^= $word >> 24;
		$hash = $multiply->($hash) ^ $multiply->($word);
	}
	if (@bytes)
	{
		$hash ^= $bytes[$_] << 8 * $_ foreach 0 .. $#bytes;
		$hash = $multiply->($hash);
	}
	$hash = $multiply->($hash ^ $hash >> 13);
	return $hash ^ $hash >> 15;
}

sub partition_of
{
	return (murmur2($_[0]) & 0x7fffffff) % $PARTITIONS;
}

# Two of the vectors in Kafka's own test of it, as unsigned numbers.
is(murmur2('21'), -973932308 & 0xffffffff, 'murmur2 of "21"');
is(murmur2('foobar'), -790332482 & 0xffffffff, 'murmur2 of "foobar"');

my $node = new_node('main');
my $kafka = start_kafka();
my $receiver = start_receiver();

ok($kafka->topic($_, "partitions=$PARTITIONS"), "topic $_ is made")
  foreach qw(orders bytes keys own.topic both);
route_create($node, 'orders', 'kafka', 'main/orders',
	types => ['order.created']);
route_create($node, 'bytes', 'kafka', 'main/bytes', types => ['bytes']);
route_create($node, 'keys', 'kafka', 'main/keys', types => ['key']);
route_create($node, 'named', 'kafka', 'main/', types => ['named']);
route_create($node, 'to_kafka', 'kafka', 'main/both', types => ['both']);
route_create($node, 'to_http', 'http', $receiver->url('/both'),
	types => ['both']);
my $relay = start_relay($node,
	config =>
	  { 'kafka main' => { 'bootstrap.servers' => $kafka->{bootstrap} } });

sub wait_until_sent
{
	my ($id) = @_;
	return wait_for(
		"message $id is SENT",
		sub {
			my $status = status_of($node, $id);
			return $status =~ /=/ && $status !~ /=(?!SENT\b)/;
		});
}

# All that a record carries.
my $id = enqueue(
	$node, 'order.created', { n => 1 },
	message_key => 'k1',
	biz_key => 'B-7',
	tag => 'blue',
	headers => '{"x-own": "a, b", "x-other": "\u00e4"}');
wait_until_sent($id);
my ($record) = $kafka->records('orders');
my $headers = $record->{headers};

is($record->{body}, '{"n": 1}', 'the body is the payload');
is($record->{key}, 'k1', 'the key is the message key');
is($record->{partition}, partition_of('k1'), 'it is in its partition');
is($headers->{'outbox-message-id'}, $id, 'header: the id');
is($headers->{'outbox-message-type'}, 'order.created', 'header: the type');
is($headers->{'outbox-attempt'}, '1', 'header: the attempt');
like($headers->{'outbox-timestamp'}, qr/^20\d\d-\d\d-\d\dT[\d:.]+Z$/,
	'header: the time');
is($headers->{'content-type'}, 'application/json',
	'header: the content type is that of jsonb');
is($headers->{'outbox-biz-key'}, 'B-7', 'header: the business key');
is($headers->{'outbox-tag'}, 'blue', 'header: the tag');
is($headers->{'x-own'}, 'a, b', 'its own header came along');
is($headers->{'x-other'}, "\x{e4}", 'its own header beyond ASCII too');

# Bytes are what was enqueued, whatever they are.
my $all = join('', map { chr } 0 .. 255) x 16;
my @payloads = ($all, '', "\0", '{"n":  1}', "\xff\xfe");

wait_until_sent(
	$node->safe_psql('postgres',
		"SELECT outbox_enqueue_bytes('bytes', decode('"
		  . unpack('H*', $_)
		  . "', 'hex'), message_key => 'b', content_type => 'x/y')"))
  foreach @payloads;
my @records = $kafka->records('bytes');
is( join(' ',
		map { defined $_->{base64} ? unpack('H*', decode_base64($_->{base64}))
			: unpack('H*', encode_utf8($_->{body})) } @records),
	join(' ', map { unpack('H*', $_) } @payloads),
	'binary and empty payloads arrive byte for byte');
is($records[0]{headers}{'content-type'},
	'x/y', 'the content type is the message\'s');
my ($lengths, $errors) = run_command(
	[
		'kcat', '-C', '-e', '-q',
		'-b' => $kafka->{bootstrap},
		'-t' => 'bytes',
		'-o' => 'beginning',
		'-f' => '%S '
	]);
is($lengths, '4096 0 1 9 2 ', 'an empty payload is no tombstone');

# The partition is the one that the Java client would choose.
my @keys = map { 'k' x ($_ % 9) . $_ . chr(0xe0 + $_ % 20) } 1 .. 60;
my $array = quote_sql(JSON::PP->new->ascii->encode(\@keys));
$node->safe_psql('postgres',
	"SELECT outbox_enqueue('key', '1', message_key => k)"
	  . " FROM jsonb_array_elements_text($array) AS v (k)");
wait_for('all keys have arrived',
	sub { $kafka->count('keys') == @keys });
my @wrong = grep { $_->{partition} != partition_of(encode_utf8($_->{key})) }
  $kafka->records('keys');
is_deeply(\@wrong, [], 'partitions are those of the Java client');

# A route without a topic takes the message's.
wait_until_sent(enqueue($node, 'named', 1, topic => 'own.topic'));
is($kafka->count('own.topic'), 1, 'the topic is the message\'s');
($record) = $kafka->records('own.topic');
is($record->{key}, undef, 'without a message key the record has none');

# One message, two routes.
$id = enqueue($node, 'both', { n => 2 }, message_key => 'k2');
wait_until_sent($id);
($record) = $kafka->records('both');
my ($request) = $receiver->delivered('/both');
is($record->{body} . $request->{body},
	'{"n": 2}{"n": 2}', 'fan-out: the same body over HTTP and Kafka');
is($record->{headers}{'outbox-message-id'},
	$request->{headers}{'outbox-message-id'}, 'fan-out: the same id');
is(status_of($node, $id), 'to_http=SENT to_kafka=SENT', 'both are SENT');

# Rolled back in three ways, then one that commits after all of them.
$node->safe_psql('postgres', q{
	BEGIN;
	SELECT outbox_enqueue('order.created', '{"n": 2}', message_key => 'k1');
	ROLLBACK;
	BEGIN;
	SAVEPOINT s;
	SELECT outbox_enqueue('order.created', '{"n": 3}', message_key => 'k1');
	ROLLBACK TO s;
	SELECT outbox_enqueue('order.created', '{"n": 4}', message_key => 'k1');
	COMMIT;
	DO $$
	BEGIN
		PERFORM outbox_enqueue('order.created', '{"n": 5}', message_key => 'k1');
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
	END
	$$;
});
wait_until_sent(enqueue($node, 'order.created', { n => 6 },
		message_key => 'k1'));
is( join(' ', map { $_->{body} } $kafka->records('orders')),
	'{"n": 1} {"n": 4} {"n": 6}',
	'committed messages arrive in order, rolled back ones never');

is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
