# test/t/307_silent_server.pl
#
# A server that stands still keeps its connections.  The relay is not ready
# then, and says why; it goes on when the server does.  A server that has
# nothing to say is not such a one.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use Test::More;

my $SILENT_SECONDS = 10;

my $node = new_node('main', conf => ['wal_sender_timeout = 60s']);
my $receiver = start_receiver();
my @stopped;

route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay($node);

# Whatever happens, the server can be ended.
END { kill 'CONT', @stopped }

sub readiness
{
	my ($status, $text) = $relay->get('/readyz');
	return "$status $text";
}

sub becomes
{
	my ($pattern) = @_;
	return wait_for("readiness is $pattern", sub { readiness() =~ $pattern });
}

my %said;

# said(event): once more than before; the log has each change once.
sub said
{
	my ($event) = @_;

	$said{$event}++;
	return wait_for(
		"the log has $event $said{$event} times",
		sub {
			$said{$event} == scalar(() = $relay->output =~ /^\S+ $event: /mg);
		});
}

sub stop_and_go
{
	my ($what, $pid) = @_;

	@stopped = ($pid);
	kill 'STOP', $pid;
	my $id = enqueue($node, 'a', {});
	ok(becomes(qr/^503 not ready: the server has not answered for \d+ s$/),
		"$what stands still: not ready");
	is($relay->metric('outbox_up'), 0, "$what stands still: outbox_up is 0");
	is(($relay->get('/healthz'))[0], 200, "$what stands still: alive");
	ok(said("warning server_silent"), "$what stands still: it is logged");
	kill 'CONT', $pid;
	@stopped = ();
	ok(becomes(qr/^200 /), "$what goes on: ready");
	ok( wait_for("$id is SENT", sub { status_of($node, $id) eq 'hook=SENT' }),
		"$what goes on: what waited is delivered");
	ok(said("info server_answers"), "$what goes on: it is logged");
	return;
}

ok(becomes(qr/^200 ready: running$/), 'ready');

# Quiet for longer than the limit, by the relay's own feedback.
my $since = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
my $unready = '';
wait_for(
	'the relay has been quiet for long',
	sub {
		my $now = readiness();
		$unready = $now if $now !~ /^200 /;
		return $node->safe_psql('postgres',
			    "SELECT reply_time > timestamptz '$since'"
			  . " + interval '1 second' * ($SILENT_SECONDS + 3)"
			  . ' FROM pg_stat_replication') eq 't';
	});
is($unready, '', 'a quiet server leaves it ready');

stop_and_go('the walsender',
	$node->safe_psql('postgres',
		'SELECT active_pid FROM pg_replication_slots'));
stop_and_go('the session that settles',
	$node->safe_psql('postgres',
		'SELECT lease_pid FROM outbox_relay_status()'));
unlike($relay->output, qr/session_lost/, 'the session lives on');

is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
