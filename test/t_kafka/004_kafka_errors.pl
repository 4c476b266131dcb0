# test/t_kafka/004_kafka_errors.pl
#
# What cannot be delivered: too large for the topic or the producer, a topic
# that is not there, a cluster that is not there or not configured, a producer
# that cannot be made.  Each time the reason is told, and all others go on.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $kafka = start_kafka('auto.create.topics.enable=false');
my $nobody = '127.0.0.1:' . free_port();
my $ca = PostgreSQL::Test::Utils::tempdir() . '/ca.pem';
my %quick = (retry_initial_ms => 100, timeout_ms => 3000);

ok($kafka->topic('good'), 'topic good is made');
ok($kafka->topic('small', 'max.message.bytes=10000'), 'topic small is made');

route_create($node, $_->[0], 'kafka', $_->[1],
	types => [ $_->[0] ],
	options => \%quick)
  foreach (
	[ good => 'main/good' ],
	[ small => 'main/small' ],
	[ narrow => 'narrow/good' ],
	[ late => 'main/late' ],
	[ named => 'main/' ],
	[ unknown => 'unknown/good' ],
	[ sealed => 'sealed/good' ],
	[ nobody => 'nobody/good' ]);

my $relay = start_relay(
	$node,
	config => {
		'kafka main' => {
			'bootstrap.servers' => $kafka->{bootstrap},
			'topic.metadata.propagation.max.ms' => 500
		},
		'kafka narrow' => {
			'bootstrap.servers' => $kafka->{bootstrap},
			'message.max.bytes' => 5000
		},
		'kafka sealed' => {
			'bootstrap.servers' => $kafka->{bootstrap},
			'security.protocol' => 'ssl',
			'ssl.ca.location' => $ca
		},
		'kafka nobody' => { 'bootstrap.servers' => $nobody }
	});

sub wait_for_status
{
	my ($id, $status) = @_;
	return wait_for("message $id is $status",
		sub { status_of($node, $id) =~ /=$status$/ });
}

sub last_error
{
	my ($id) = @_;
	return $node->safe_psql('postgres',
		"SELECT last_error FROM outbox.messages WHERE id = $id");
}

sub backlog_of
{
	my ($route) = @_;
	return $node->safe_psql('postgres',
		"SELECT backlog FROM outbox_status() WHERE route = '$route'");
}

sub good_ones_go_on
{
	my ($when) = @_;
	my $id = enqueue($node, 'good', { when => $when }, message_key => 'k');

	ok(wait_for_status($id, 'SENT'), "another route goes on $when");
	return;
}

# ---- too large for the topic

my $large = 'x' x 50_000;
my @ids = map { enqueue($node, 'small', { n => $_ }, message_key => 'k') } 1, 2;
my $dead = enqueue($node, 'small', { large => $large }, message_key => 'k');
push @ids, enqueue($node, 'small', { n => 3 }, message_key => 'k');
ok(wait_for_status($dead, 'DEAD'), 'too large for the topic: DEAD');
like(last_error($dead), qr/message size too large/i, 'with the reason');
is( $node->safe_psql('postgres',
		"SELECT outcome || ' ' || status FROM outbox.attempt"
		  . " WHERE message_id = $dead ORDER BY started DESC LIMIT 1"),
	'PERMANENT 10',
	'the last attempt tells what the broker said');
wait_for_status($_, 'SENT') foreach @ids;

# In the middle of a stream of others of its key and of other keys.
$node->safe_psql('postgres', qq{
	SELECT outbox_enqueue('small',
		CASE i WHEN 150 THEN jsonb_build_object('n', i, 'x', repeat('x', 50000))
		ELSE jsonb_build_object('n', i) END,
		message_key => 'many' || i % 5)
	FROM generate_series(1, 300) AS i});
wait_for(
	'all but two are SENT',
	sub {
		$node->safe_psql('postgres',
			q{SELECT string_agg(status || n, ' ' ORDER BY status) FROM (
			SELECT status, count(*) AS n FROM outbox.messages
			WHERE type = 'small' GROUP BY 1) AS x}) eq 'DEAD2 SENT302';
	});
my (%numbers, $unordered);
foreach my $record ($kafka->records('small'))
{
	my ($n) = $record->{body} =~ /"n": (\d+)/;
	my $seen = $numbers{ $record->{key} } //= {};
	next if $seen->{$n}++;
	$unordered++ if grep { $_ > $n } keys %$seen;
}
ok(!$unordered, 'the others of its key follow in order');
good_ones_go_on('after one that was too large');

# ---- too large for the producer

$dead = enqueue($node, 'narrow', { large => $large }, message_key => 'k');
my $next = enqueue($node, 'narrow', { n => 1 }, message_key => 'k');
ok(wait_for_status($dead, 'DEAD'), 'too large for the producer: DEAD');
like(last_error($dead), qr/message size too large/i, 'with the reason');
ok(wait_for_status($next, 'SENT'), 'the next of its key is SENT');

# ---- no such topic

my $late = enqueue($node, 'late', { n => 1 }, message_key => 'k');
my $later = enqueue($node, 'late', { n => 2 }, message_key => 'k');
ok(wait_for_status($late, 'FAILED'), 'no such topic: FAILED');
like(last_error($late), qr/unknown topic/i, 'with the reason');
good_ones_go_on('while a topic is missing');
ok($kafka->topic('late'), 'the topic is made');
wait_for_status($_, 'SENT') foreach $late, $later;
is( join(' ', map { $_->{body} } $kafka->records('late')),
	'{"n": 1} {"n": 2}',
	'both arrive, in order');

# ---- no topic at all

$dead = enqueue($node, 'named', 1);
ok(wait_for_status($dead, 'DEAD'), 'without any topic: DEAD');
like(last_error($dead), qr/no topic/, 'with the reason');
ok(wait_for_status(enqueue($node, 'named', 1, topic => 'good'), 'SENT'),
	'with a topic of its own: SENT');

# ---- not configured at all

my $line =
  qr/route "unknown" cannot deliver: the configuration has no section \[kafka unknown\]/;
my @waiting = map { enqueue($node, 'unknown', $_, message_key => 'k') } 1, 2;

like($relay->output, $line, 'the log says what is wrong');
is(() = $relay->output =~ /$line/g, 1, 'once');
wait_for('the messages are in the backlog', sub { backlog_of('unknown') == 2 });
is(status_of($node, $waiting[0]), 'unknown=NEW', 'shown as NEW');
good_ones_go_on('while a route is wrong');
$node->safe_psql('postgres',
	q{SELECT outbox_route_alter('unknown', target => 'main/good')});
wait_for_status($_, 'SENT') foreach @waiting;
pass('delivered once it is corrected');

# ---- no producer can be made, and then it can

sub is_closed
{
	return $relay->metric('outbox_route_paused', route => 'sealed') // -1;
}

like($relay->output, qr/route "sealed" cannot deliver: ssl\.ca\.location failed/,
	'the log says that the certificate is missing');
is(is_closed(), 1, 'the route rests');
run_log([
	qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca),
	-keyout => "$ca.key",
	-out => $ca ]);
wait_for('it is opened once the certificate is there', sub { is_closed() == 0 });
like($relay->output, qr/route "sealed" can deliver/, 'and the log says so');

# ---- a cluster that is not there

@waiting = map { enqueue($node, 'nobody', $_, message_key => "k$_") } 1 .. 6;
wait_for('the circuit is open',
	sub { ($relay->metric('outbox_circuit_open', route => 'nobody') // 0) == 1 });
wait_for(
	'its messages wait in the backlog, the first as FAILED',
	sub {
		$node->safe_psql('postgres',
			'SELECT backlog + new + failed FROM outbox_status()'
			  . " WHERE route = 'nobody'") == 6;
	});
like(
	$node->safe_psql('postgres',
		q{SELECT a.error FROM outbox.attempt AS a JOIN outbox.route AS r
		ON r.id = a.route_id WHERE r.name = 'nobody' LIMIT 1}),
	qr/no delivery report within 3000 ms: .*\Q$nobody\E.*refused/i,
	'the attempt says that nobody listens there');
good_ones_go_on('while a cluster is away');
$node->safe_psql('postgres',
	"SELECT outbox_route_alter('nobody', target => 'main/good')");
wait_for_status($_, 'SENT') foreach @waiting;
pass('delivered once the route is corrected');

is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
