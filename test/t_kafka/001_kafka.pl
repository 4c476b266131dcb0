# test/t_kafka/001_kafka.pl
#
# The shortest way to a real Apache Kafka: key, body and headers arrive, what
# was rolled back does not, a killed relay loses nothing.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use Test::More;

my $node = new_node('main');
my $kafka = start_kafka();
my %config = ('kafka main' => { 'bootstrap.servers' => $kafka->{bootstrap} });

ok($kafka->topic('orders'), 'the topic is made');
route_create($node, 'events', 'kafka', 'main/orders');
my $relay = start_relay($node, config => \%config);

my $id = enqueue(
	$node, 'order.created', { n => 1 },
	message_key => 'k1',
	headers => '{"x-own": "a, b"}');
wait_for('the status is SENT',
	sub { status_of($node, $id) eq 'events=SENT' });
my ($record) = $kafka->records('orders');
is($record->{body}, '{"n": 1}', 'the body is the payload');
is($record->{key}, 'k1', 'the key is the message key');
is($record->{headers}{'outbox-message-id'}, $id, 'a header has the id');
is($record->{headers}{'x-own'}, 'a, b', 'and its own header came along');

my $driver = start_driver($node, '--sessions', 3, '--transactions', 150,
	'--type', 'driver');
wait_for('some are sent',
	sub { (() = $kafka->records('orders')) > 100 });
is($relay->kill9, 'signal 9', 'the relay is killed');
$relay->run;
is($driver->wait_end, 0, 'the driver ends');
wait_for(
	'all is settled',
	sub {
		$node->safe_psql('postgres',
			"SELECT count(*) FROM outbox.messages WHERE status <> 'SENT'") == 0;
	});

# The oracle knows the driver's messages only.
my $log = $kafka->log_file('orders');
my $lines = PostgreSQL::Test::Utils::slurp_file($log);
$lines =~ s/^.*"outbox-message-id":"$id".*\n//mg;
open(my $out, '>', $log) or die "could not write $log: $!";
print $out $lines;
close $out;
ok(run_oracle([ $driver->{log} ], [$log]), 'the oracle finds nothing wrong');
is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
