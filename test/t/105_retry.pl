# test/t/105_retry.pl
#
# What becomes of single messages that fail: tried again with the same id and
# the same bytes, in the order of their key, or DEAD with the reason; other
# keys go on.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver();
my $relay;

# A route of its own for each question: types and paths are its name.
sub route
{
	my ($name, %options) = @_;
	route_create($node, $name, 'http', $receiver->url("/$name"),
		types => [$name],
		options =>
		  { retry_initial_ms => 50, retry_max_ms => 200, %options });
	return;
}

sub send_one
{
	my ($name, $word, $key) = @_;
	return enqueue($node, $name, { w => $word }, message_key => $key);
}

sub words
{
	return join ' ', map { $_->{body} =~ /"w": "(.*)"/ } @_;
}

sub parked
{
	my ($id, $column) = @_;
	return $node->safe_psql('postgres',
		"SELECT $column FROM outbox.parked WHERE message_id = $id");
}

sub attempts
{
	my ($id) = @_;
	return $node->safe_psql('postgres',
		"SELECT string_agg(attempt || ' ' || outcome || ' ' || status, ', '"
		  . " ORDER BY attempt) FROM outbox.attempt WHERE message_id = $id");
}

sub wait_for_status
{
	my ($name, $id, $status) = @_;
	return wait_for("$id is $status",
		sub { status_of($node, $id) eq "$name=$status" });
}

route('again', concurrency => 8);
route('gone');
route('tired', max_attempts => 3);
route('patient');
route('crash', retry_initial_ms => 3_600_000, retry_max_ms => 3_600_000);
$relay = start_relay($node, name => 'relay');

# ---- 500, then 200: the key waits, others do not

$receiver->script('/again', '500:body=not now', '200');
my $first = send_one('again', 'a1', 'a');
wait_for('the first attempt is made',
	sub { $receiver->state('/again')->{seen} > 0 });
my @later = map { send_one('again', $_, substr($_, 0, 1)) } qw(a2 b1 a3 b2);
wait_for_status('again', $_, 'SENT') foreach $first, @later;

my @requests = $receiver->requests('/again');
my @tries = grep { $_->{headers}{'outbox-message-id'} eq $first } @requests;
is(join(' ', map { $_->{status} } @tries), '500 200', 'tried twice');
is(join(' ', map { $_->{headers}{'outbox-attempt'} } @tries),
	'1 2', 'the header counts the attempts');
is($tries[1]{sha256}, $tries[0]{sha256}, 'with the same bytes');
is(words(grep { $_->{body} =~ /a/ } $receiver->delivered('/again')),
	'a1 a2 a3', 'the key keeps its order');
is(words(grep { $_->{body} =~ /b/ } $receiver->delivered('/again')),
	'b1 b2', 'the other key too');
is(attempts($first), '1 TRANSIENT 500', 'the failure is recorded');
like(
	$node->safe_psql('postgres',
		"SELECT string_agg(event || ' ' || detail, E'\n')"
		  . " FROM outbox_trace($first)"),
	qr/attempt 1: TRANSIENT, status 500/,
	'and told by outbox_trace()');

# ---- 404: DEAD with its reason, followers go on

$receiver->script('/gone', '404:body=no such thing', '200');
my $dead = send_one('gone', 'e1', 'e');
my @alive = map { send_one('gone', $_, 'e') } qw(e2 e3);
wait_for_status('gone', $dead, 'DEAD');
wait_for_status('gone', $_, 'SENT') foreach @alive;
like(parked($dead, 'last_error'), qr/404/, 'the reason is kept');
is(parked($dead, 'retry_count'), 1, 'after one attempt');
is(attempts($dead), '1 PERMANENT 404', 'the attempt is recorded');
is(words($receiver->delivered('/gone')), 'e2 e3', 'its followers arrive');

# ---- out of attempts

$receiver->script('/tired', map { '500' } 1 .. 3);
my $tired = send_one('tired', 'f1', 'f');
wait_for_status('tired', $tired, 'DEAD');
my $next = send_one('tired', 'f2', 'f');
wait_for_status('tired', $next, 'SENT');
is( attempts($tired),
	'1 TRANSIENT 500, 2 TRANSIENT 500, 3 TRANSIENT 500',
	'as many attempts as allowed');
is(parked($tired, 'retry_count'), 3, 'the row counts them');
like(parked($tired, 'last_error'), qr/500/, 'and has the last reason');

# ---- Retry-After

$receiver->script('/patient', '429:retry-after=2', '200');
my $patient = send_one('patient', 'g1', 'g');
wait_for_status('patient', $patient, 'SENT');
my ($refused, $taken) = $receiver->requests('/patient');
my $waited = $taken->{time} - $refused->{answered};
cmp_ok($waited, '>=', 1.95, "Retry-After is honoured ($waited s)");

# ---- one key that fails holds back that key only, also across a kill

$receiver->script('/crash', '500', '200');
my $survivor = send_one('crash', 'h1', 'h');
wait_for_status('crash', $survivor, 'FAILED');
my $behind = send_one('crash', 'h2', 'h');
my $free = send_one('crash', 'i1', 'i');
wait_for_status('crash', $free, 'SENT');
is(status_of($node, $survivor), 'crash=FAILED', 'the head still waits');
is(status_of($node, $behind), 'crash=NEW', 'and its follower behind it');
is($relay->kill9, 'signal 9', 'the relay is killed');
wait_until_gone($node);
my $third = send_one('crash', 'h3', 'h');
is(status_of($node, $survivor), 'crash=FAILED', 'the row is there');
$node->safe_psql('postgres',
	"UPDATE outbox.parked SET next_retry_time = now() WHERE message_id = $survivor"
);
$relay = start_relay($node, name => 'relay');
wait_for_status('crash', $_, 'SENT') foreach $survivor, $behind, $third;
is(words(grep { $_->{body} =~ /h/ } $receiver->delivered('/crash')),
	'h1 h2 h3', 'the key comes in its order after the kill');
@tries = grep { $_->{headers}{'outbox-message-id'} eq $survivor }
  $receiver->requests('/crash');
is(join(' ', map { $_->{headers}{'outbox-attempt'} } @tries),
	'1 2', 'the attempts are counted across the kill');
is($tries[1]{sha256}, $tries[0]{sha256}, 'the bytes are the same');

is( $node->safe_psql('postgres',
		'SELECT count(*) FROM outbox.parked WHERE status <> $$DEAD$$'),
	0, 'only the dead have rows');

# ---- a load with failures strewn in

load_route($node, $receiver, 'hook', retry_initial_ms => 20,
	retry_max_ms => 100);
$receiver->script('/hook', map { ('200', '200', '503') } 1 .. 60);
my $driver = load_for($node, '--transactions' => 40);
wait_for('failures were met',
	sub { $receiver->state('/hook')->{seen} > 30 });
$relay->kill9;
wait_until_gone($node);
$relay = start_relay($node, name => 'relay');
is($driver->wait_end, 0, 'the driver ends');
is_reconciled('a load with failures', $node, $receiver, [$driver], ['hook']);
is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
