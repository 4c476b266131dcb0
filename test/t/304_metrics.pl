# test/t/304_metrics.pl
#
# What the relay tells about itself: /metrics that Prometheus can read,
# /healthz, /readyz that tells the truth, logs as JSON, settings read again
# at SIGHUP, and a SIGTERM that finishes what is under way.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use JSON::PP;
use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');
my $LABELS = qr/\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)+\}/;
my $NUMBER = qr/[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf|NaN)/i;

# check_page(text, case): as the text format 0.0.4 demands; the types.
sub check_page
{
	my ($text, $case) = @_;
	my (%type, %help, %seen, @wrong);

	foreach my $line (split /\n/, $text)
	{
		if ($line =~ /^# TYPE (\w+) (counter|gauge|histogram)$/)
		{
			my ($name, $type) = ($1, $2);
			push @wrong, "twice: $line" if $type{$name};
			push @wrong, "no _total: $line"
			  if $type eq 'counter' && $name !~ /_total$/;
			$type{$name} = $type;
		}
		elsif ($line =~ /^# HELP (\w+) \S.*\.$/) { $help{$1} = 1; }
		elsif ($line =~ /^((\w+?)(?:_bucket|_sum|_count)?)($LABELS)? $NUMBER$/)
		{
			my ($name, $base) = ($1, $2);
			my $of = $type{$name} ? $name : $base;
			push @wrong, "no type: $line" unless $type{$of} && $help{$of};
			push @wrong, "twice: $line" if $seen{ $name . ($3 // '') }++;
		}
		else { push @wrong, $line; }
	}
	is_deeply(\@wrong, [], "$case: /metrics is in the text format");
	like($text, qr/\n\z/, "$case: it ends with a line break");
	return \%type;
}

sub ready
{
	my ($relay) = @_;
	my ($status, $text) = $relay->get('/readyz');
	return $status == 200 && $text =~ /^ready/;
}

# ---------- before, with and without the server ----------

$node->stop;
my $relay = start_relay($node, wait => 0,
	config => { relay => { log_format => 'json' } });
wait_for('the relay listens', sub { ($relay->get('/healthz'))[0] == 200 });
my ($status, $text) = $relay->get('/readyz');
is($status, 503, 'not ready before the server is there');
like($text, qr/^not ready: \S/, 'and it says why');
(undef, $text) = $relay->get('/metrics');
check_page($text, 'without a server');
is($relay->metric('outbox_up'), 0, 'outbox_up is 0');
is(($relay->get('/nothing'))[0], 404, 'another path is 404');

$node->start;
route_create($node, 'hook', 'http', $receiver->url('/hook'));
route_create($node, 'other', 'http', $receiver->url('/other'),
	types => ['other']);
$relay->wait_until_streaming;
ok(wait_for('it is ready', sub { ready($relay) }), 'ready with the server');
is($relay->metric('outbox_up'), 1, 'outbox_up is 1');

# ---------- counters ----------

my $count = 0;

sub deliver
{
	my ($number) = @_;
	$node->safe_psql('postgres',
		"SELECT outbox_enqueue('a', '{}', message_key => i::text)"
		  . " FROM generate_series(1, $number) AS i");
	$count += $number;
	wait_for("$count are counted",
		sub { ($relay->metric('outbox_attempts_total',
				route => 'hook', outcome => 'ok') // 0) == $count });
	return;
}

deliver(25);
(undef, $text) = $relay->get('/metrics');
my $types = check_page($text, 'running');
foreach my $name (
	qw(outbox_commit_to_delivered_seconds outbox_attempt_duration_seconds))
{
	is($types->{$name}, 'histogram', "$name is a histogram");
	is($relay->metric("${name}_count", route => 'hook'),
		25, "$name has counted");
	is($relay->metric("${name}_bucket", route => 'hook', le => '+Inf'),
		25, "$name: the last bucket has all");
	my @buckets =
	  $text =~ /^${name}_bucket\{route="hook",.*\} (\d+)$/mg;
	is_deeply([ sort { $a <=> $b } @buckets ],
		\@buckets, "$name: the buckets add up");
}
deliver(5);
is($relay->metric('outbox_attempts_total', route => 'other'),
	0, 'a route that sent nothing is shown with 0');
wait_for('all is settled',
	sub { $relay->metric('outbox_in_flight', route => 'hook') == 0 });
ok( wait_for('a settle is answered',
		sub { $relay->metric('outbox_settles_total') > 0 }),
	'settles are counted');

$receiver->script('/hook', ('400') x 3);
my @dead = map { enqueue($node, 'a', {}) } 1 .. 3;
ok( wait_for('they are DEAD',
		sub { $relay->metric('outbox_dead_total', route => 'hook') == 3 }),
	'DEAD ones are counted');

# said(event): the messages of its lines in the log.
sub said
{
	my ($event) = @_;
	return map { $_->{message} } grep { $_->{event} eq $event }
	  map { eval { decode_json($_) } // () } split /\n/, $relay->output;
}

my @failed = said('attempt_failed');
is(scalar @failed, 1, 'three failures for the same reason are one line');
like($failed[0], qr/route "hook" could not deliver message (\d+): HTTP status 400;/,
	'with the route and the reason');
my ($first) = $failed[0] =~ /message (\d+)/;
ok(scalar(grep { $_ == $first } @dead), 'and the id of a message');
is_deeply([ said('delivers_again') ], [], 'it does not deliver again yet');
$receiver->script('/hook', 'hold');
my $held = enqueue($node, 'a', {});
ok( wait_for('it is under way',
		sub { $relay->metric('outbox_in_flight', route => 'hook') == 1 }),
	'what is under way is shown');
$receiver->release('/hook');
wait_for('it is SENT', sub { status_of($node, $held) =~ /hook=SENT/ });
$count++;
is_deeply([ said('delivers_again') ],
	['route "hook" delivers again'], 'that it delivers again is one line');
is(scalar(said('attempt_failed')), 1, 'and no other was written');
ok( wait_for('the retained WAL is known',
		sub { ($relay->metric('outbox_retained_wal_bytes') // -1) >= 0 }),
	'the retained WAL is shown');
is( $relay->metric('outbox_epoch'),
	$node->safe_psql('postgres', 'SELECT epoch FROM outbox_relay_status()'),
	'the epoch is that of the table');

# What waits in a table grows old all the same.
$node->safe_psql('postgres', q{SELECT outbox_route_pause('other')});
$relay->wait_until_paused('other');
my $waits = enqueue($node, 'other', {});
$count++; # for hook, which takes all
ok( wait_for(
		'the age of what waits in the backlog is known',
		sub { $relay->metric('outbox_oldest_age_seconds', route => 'other') > 0.5 }),
	'the oldest in the backlog has an age');
$node->safe_psql('postgres', q{SELECT outbox_route_resume('other')});
wait_for('it is delivered', sub { status_of($node, $waits) =~ /other=SENT/ });
is($relay->metric('outbox_oldest_age_seconds', route => 'other'),
	0, 'and none when nothing waits');

# Counters go on when the session with the database is another one.
my $before = $relay->metric('outbox_attempts_total', route => 'hook');
$node->stop('immediate');
ok( wait_for('it is not ready', sub { ($relay->get('/readyz'))[0] == 503 }),
	'not ready without the server');
is(($relay->get('/healthz'))[0], 200, 'but alive');
$node->start;
ok(wait_for('it is ready again', sub { ready($relay) }), 'ready again');
cmp_ok($relay->metric('outbox_attempts_total', route => 'hook'),
	'>=', $before, 'counters do not go back');
is($relay->metric('outbox_up'), 1, 'outbox_up is 1 again');

ok(defined $relay->metric('outbox_circuit_open', route => 'other'),
	'a route is shown');
$node->safe_psql('postgres', q{SELECT outbox_route_drop('other')});
ok( wait_for('it is not shown any more',
		sub { !defined $relay->metric('outbox_circuit_open', route => 'other') }),
	'until it is dropped');

# ---------- hostile requests ----------

foreach my $request ("GET /metrics HTTP/1.1\r\nX: " . 'x' x 100000,
	"\x00\x01\x02\r\n\r\n", "GET\r\n\r\n", "POST /metrics HTTP/1.1\r\n\r\n")
{
	my $socket = IO::Socket::INET->new(
		PeerAddr => '127.0.0.1',
		PeerPort => $relay->{port}) or die "could not connect: $!";
	local $SIG{PIPE} = 'IGNORE';
	print $socket $request;
	close $socket;
}
is(($relay->get('/healthz'))[0], 200, 'odd requests do not end it');

# ---------- the log ----------

my @lines = split /\n/, $relay->output;
my @parsed = grep { defined } map { eval { decode_json($_) } } @lines;
is(scalar(@parsed), scalar(@lines), 'each line of the log is JSON');
is( scalar(
		grep { join(' ', sort keys %$_) ne 'event level message time' } @parsed),
	0,
	'with time, level, event and message');

# ---------- SIGHUP ----------

sub reload
{
	my ($config, $pattern) = @_;
	my $seen = () = $relay->output =~ /$pattern/g;

	OutboxTest::Relay::write_config($relay->{config_file}, $config);
	$relay->signal('HUP');
	ok( wait_for("the reload says $pattern",
			sub { my $now = () = $relay->output =~ /$pattern/g; $now > $seen }),
		"SIGHUP: $pattern");
	return;
}

my %config = %{ $relay->{config} };
$config{relay}{log_format} = 'text';
reload(\%config,
	qr/^\S+ info reload: the configuration was read again/m);
reload({ %config, database => { %{ $config{database} }, slot => 'another' } },
	qr/these settings need a restart: slot/);
reload({ %config, relay => { nonsense => 1 } },
	qr/the configuration stays as it was: \S+:\d+: unknown setting .*nonsense/);
OutboxTest::Relay::write_config($relay->{config_file}, \%config);
deliver(3);

# ---------- SIGTERM ----------

$receiver->script('/hook', ('hold') x 3);
my @ids = map { enqueue($node, 'a', { n => $_ }) } 1 .. 3;
wait_for('three are under way',
	sub { $receiver->state('/hook')->{held} == 3 });
$relay->signal('TERM');
wait_for('it drains', sub { $relay->output =~ /draining/ });
ok($relay->running, 'SIGTERM: what is under way is waited for');
isnt(($relay->get('/readyz'))[0], 200, 'SIGTERM: it is not ready any more');
my @later = map { enqueue($node, 'a', { n => $_ }) } 4 .. 6;
$receiver->release('/hook');
is($relay->wait_end(30), 0, 'SIGTERM: it ends with 0');
is(status_of($node, $_), 'hook=SENT', 'SIGTERM: what was answered is SENT')
  foreach @ids;

$relay = start_relay($node);
wait_for('the later ones arrive',
	sub { status_of($node, $later[2]) eq 'hook=SENT' });
my %times;
$times{ $_->{headers}{'outbox-message-id'} }++
  foreach $receiver->delivered('/hook');
is(join(' ', map { $times{$_} // 0 } @ids, @later),
	'1 1 1 1 1 1', 'each arrived once, before or after the restart');

is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
