# test/t/303_endpoints.pl
#
# From an endpoint anything at all is an outcome: what is success, what is
# tried again, what is DEAD, and that neither answers nor certificates nor
# addresses get the relay to do what it must not.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');
my $dir = PostgreSQL::Test::Utils::tempdir();
my %options = (
	retry_initial_ms => 20,
	retry_max_ms => 20,
	max_attempts => 3,
	timeout_ms => 10000);

sub start_hostile
{
	my ($name, @arguments) = @_;
	my $file = "$dir/$name.port";
	my $server = OutboxTest::Process->start(
		$name,
		command => [
			"$OutboxTest::ROOT/test/receiver/hostile.py", '--port-file',
			$file, @arguments
		]);

	wait_for("$name listens", sub { -s $file });
	$server->{port} = slurp_file($file) + 0;
	return $server;
}

# attempt(name, target, options): one message by a route of its own: id.
sub attempt
{
	my ($name, $target, %more) = @_;

	route_create($node, $name, 'http', $target,
		types => [$name], options => { %options, %more });
	return enqueue($node, $name, {});
}

sub ends
{
	my ($name, $id, $status) = @_;

	wait_for("$name: it is over",
		sub { status_of($node, $id) =~ /=(?:SENT|DEAD)$/ });
	is(status_of($node, $id), "$name=$status", "$name: $status");
	return;
}

# attempts(id): "OUTCOME status" of those that were recorded, in order.
sub attempts
{
	my ($id) = @_;
	return $node->safe_psql('postgres',
		"SELECT string_agg(outcome || ' ' || coalesce(status, 0), ', '"
		  . " ORDER BY attempt) FROM outbox.attempt WHERE message_id = $id");
}

sub last_error
{
	my ($id) = @_;
	return $node->safe_psql('postgres',
		"SELECT last_error FROM outbox.parked WHERE message_id = $id");
}

# Certificates: one that nobody vouches for, for the name it is asked by, and
# one for another name.
sub certificate
{
	my ($name, $subject) = @_;
	my ($out, $err);

	IPC::Run::run(
		[
			qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj),
			"/CN=$subject", '-addext', "subjectAltName=$subject",
			'-keyout', "$dir/$name.key", '-out', "$dir/$name.crt"
		],
		'>', \$out, '2>', \$err)
	  or die "openssl: $err";
	return ('--cert', "$dir/$name.crt", '--key', "$dir/$name.key");
}

my $hostile = start_hostile('hostile');
my $tls = start_hostile('tls', certificate('tls', 'IP:127.0.0.1'));
my $wrong = start_hostile('wrong', certificate('wrong', 'DNS:other.example'));
my $relay = start_relay($node);
my $rss = $relay->rss_kb;

# ---------- statuses ----------

foreach my $status (200, 201, 202, 204, 299)
{
	$receiver->script("/s$status", "$status");
	ends("s$status", attempt("s$status", $receiver->url("/s$status")),
		'SENT');
}
foreach my $status (301, 302, 303, 307, 308)
{
	my $path = "/s$status";

	$receiver->script($path,
		"$status:location=http%3a//127.0.0.1%3a$receiver->{port}/elsewhere*");
	my $id = attempt("s$status", $receiver->url($path));
	ends("s$status", $id, 'DEAD');
	is(attempts($id), "PERMANENT $status", "$status: once");
}
is(scalar($receiver->requests('/elsewhere')), 0, 'no redirect is followed');
foreach my $status (400, 401, 403, 404, 405, 410, 413, 422)
{
	$receiver->script("/s$status", "$status*");
	my $id = attempt("s$status", $receiver->url("/s$status"));
	ends("s$status", $id, 'DEAD');
	is(attempts($id), "PERMANENT $status", "$status: once");
	is(last_error($id), "HTTP status $status", "$status: the reason");
}
foreach my $status (408, 425, 429, 500, 502, 503, 504, 599)
{
	$receiver->script("/s$status", "$status", "$status", "200");
	my $id = attempt("s$status", $receiver->url("/s$status"));
	ends("s$status", $id, 'SENT');
	is(scalar($receiver->requests("/s$status")), 3, "$status: tried again");
}
$receiver->script('/always', '500*');
my $id = attempt('always', $receiver->url('/always'));
ends('always', $id, 'DEAD');
is(attempts($id), 'TRANSIENT 500, TRANSIENT 500, TRANSIENT 500',
	'max_attempts is kept');

# The same id and the same body each time, another number of the attempt.
my @tries = $receiver->requests('/always');
is(join(' ', map { $_->{headers}{'outbox-attempt'} } @tries),
	'1 2 3', 'attempts are numbered');
is(scalar(keys %{ { map { ("$_->{headers}{'outbox-message-id'} $_->{sha256}"
						=> 1) } @tries } }),
	1, 'with the same id and body');

# ---------- no answer ----------

$receiver->script('/hang', 'hang', "200");
ends('hang', attempt('hang', $receiver->url('/hang'), timeout_ms => 300),
	'SENT');
$receiver->script('/drip', 'drip:1', "200");
ends('drip', attempt('drip', $receiver->url('/drip'), timeout_ms => 300),
	'SENT');
foreach my $what (qw(reset close garbage))
{
	$receiver->script("/$what", $what, $what, "200");
	ends($what, attempt($what, $receiver->url("/$what")), 'SENT');
}
$id = attempt('refused', 'http://127.0.0.1:' . free_port() . '/');
ends('refused', $id, 'DEAD');
like(last_error($id), qr/connect/i, 'nobody listens: the reason');
$id = attempt('nowhere', 'http://nowhere.invalid/');
ends('nowhere', $id, 'DEAD');
like(last_error($id), qr/resolve/i, 'no such host: the reason');

# ---------- answers that are none ----------

foreach my $path (
	qw(status-line not-http status-zero status-big endless-headers
	endless-line endless-100 half-body two-lengths bad-length bad-chunk
	control-bytes))
{
	$id = attempt($path, "http://127.0.0.1:$hostile->{port}/$path",
		timeout_ms => 5000);
	wait_for("$path: it is over",
		sub { status_of($node, $id) =~ /=(?:SENT|DEAD)$/ });
	# Lenient readings of a 200 are libcurl's; the rest says why.
	if (status_of($node, $id) eq "$path=DEAD")
	{
		like(last_error($id), qr/\w\w/, "$path: DEAD with a reason");
		unlike(last_error($id), qr/[\x00-\x1f\x7f]/,
			"$path: no control characters in it");
	}
	else
	{
		like($path, qr/^(?:two-lengths|bad-length)$/, "$path: taken as 200");
	}
}
unlike($relay->output, qr/[\x00-\x08\x0b-\x1f\x7f]/,
	'nothing of it gets into the log');

$receiver->script('/big', 'big:10000000');
ends('big', attempt('big', $receiver->url('/big')), 'SENT');
$receiver->script('/bigerror', '400:body=' . 'x' x 100000);
$id = attempt('bigerror', $receiver->url('/bigerror'));
ends('bigerror', $id, 'DEAD');
cmp_ok(
	$node->safe_psql('postgres',
		'SELECT coalesce(max(octet_length(answer)), 0) FROM outbox.attempt'),
	'<=', 65536, 'of an answer only the first bytes are kept');
rss_below($relay->rss_kb - $rss, 24 * 1024, 'memory is flat');

# ---------- certificates ----------

$id = attempt('self-signed', "https://127.0.0.1:$tls->{port}/");
ends('self-signed', $id, 'DEAD');
like(last_error($id), qr/certificate/i, 'self-signed: the reason');
$id = attempt('no-tls', "https://127.0.0.1:$hostile->{port}/");
ends('no-tls', $id, 'DEAD');
like(last_error($id), qr/SSL|TLS/i, 'no TLS there: the reason');

is($relay->stop, 0, 'the relay ends when asked');
unlink "$dir/ca.crt";
append_to_file("$dir/ca.crt", slurp_file("$dir/$_.crt")) foreach qw(tls wrong);
$relay = start_relay($node, config => { http => { ca_file => "$dir/ca.crt" } });
ends('vouched', attempt('vouched', "https://127.0.0.1:$tls->{port}/"), 'SENT');
$id = attempt('wrong-name', "https://127.0.0.1:$wrong->{port}/");
ends('wrong-name', $id, 'DEAD');
like(last_error($id), qr/subject name|certificate/i, 'another name: the reason');
is($relay->stop, 0, 'the relay ends when asked again');

# ---------- addresses ----------

$relay = start_relay($node,
	config => { http => { allow_targets => '127.0.0.9/32' } });
foreach my $target (
	[ 'loopback', "127.0.0.1:$receiver->{port}" ],
	[ 'by-name', "localhost:$receiver->{port}" ],
	[ 'decimal', "2130706433:$receiver->{port}" ],
	[ 'private', '10.0.0.1' ],
	[ 'link-local', '169.254.169.254' ],
	[ 'mapped', "[::ffff:127.0.0.1]:$receiver->{port}" ])
{
	my ($name, $host) = @$target;

	$id = attempt($name, "http://$host/address");
	ends($name, $id, 'DEAD');
	like(last_error($id), qr/^target address \S+ is not in allow_targets; add it to allow_targets in \[http\] and restart the relay$/,
		"$name: the reason");
}
is(scalar($receiver->requests('/address')), 0, 'none of them was reached');
is($relay->stop, 0, 'the relay ends when asked at last');

$receiver->stop;
$node->stop;
done_testing();
