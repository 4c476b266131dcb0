# test/lib/OutboxTest/Recovery.pm
#
# What the crash tests share: a small load, a death that is certain, and the
# reconciliation by the oracle when all is quiet again.
#
# SPDX-License-Identifier: PostgreSQL
package OutboxTest::Recovery;

use strict;
use warnings;

use Exporter 'import';
use OutboxTest;
use Test::More;

our @EXPORT = qw(
  load_for load_once load_route gone_sql wait_until_gone settled_ids delivered_count
  wait_until_quiet is_reconciled
);

# load_for(node, arguments of the driver): a driver of a few sessions.
sub load_for
{
	my ($node, @arguments) = @_;
	return start_driver($node, '--sessions' => 3, '--keys' => 6,
		'--rate' => 60, '--rollback' => 0.2, '--savepoint' => 0.2, @arguments);
}

# load_once(node, arguments): the same, to its end.
sub load_once
{
	my $driver = load_for(@_);
	my $end = $driver->wait_end;

	die "the driver did not end well\n" unless defined $end && $end eq '0';
	return $driver;
}

# load_route(node, receiver, name, options): to /name, for the load alone.
sub load_route
{
	my ($node, $receiver, $name, %options) = @_;
	return route_create(
		$node, $name, 'http', $receiver->url("/$name"),
		types => ['driver.message'],
		options => { concurrency => 4, %options });
}

# gone_sql: true when no session of a dead relay can commit any more.
sub gone_sql
{
	return q{(NOT EXISTS (SELECT FROM pg_locks WHERE objsubid = 3
			AND locktype = 'advisory' AND classid = 1869968482)
		AND NOT EXISTS (SELECT FROM pg_replication_slots WHERE active))};
}

sub wait_until_gone
{
	my ($node) = @_;
	return wait_for('the sessions of the dead relay have ended',
		sub { $node->safe_psql('postgres', 'SELECT ' . gone_sql()) eq 't' });
}

# settled_ids(node): those that must not be sent again.
sub settled_ids
{
	my ($node) = @_;
	return split /\n/,
	  $node->safe_psql('postgres',
		"SELECT id FROM outbox.messages WHERE status = 'SENT'");
}

# delivered_count(receiver, path): { id => how often it was answered 2xx }.
sub delivered_count
{
	my ($receiver, $path) = @_;
	my %count;

	$count{ $_->{headers}{'outbox-message-id'} }++
	  foreach $receiver->delivered($path);
	return \%count;
}

# wait_until_quiet(node, seconds): every message of every route is SENT, DEAD
# or CANCELLED, nothing waits.
sub wait_until_quiet
{
	my ($node, $seconds) = @_;
	my $left = '';

	eval {
		wait_for(
			'all is delivered',
			sub {
				$left = $node->safe_psql(
					'postgres', q{
					SELECT string_agg(what || ' ' || n, ', ') FROM (
						SELECT 'backlog' AS what, count(*) AS n FROM outbox.backlog
						UNION ALL SELECT 'parked', count(*) FROM outbox.parked
						WHERE status NOT IN ('DEAD', 'CANCELLED')
						UNION ALL SELECT 'open messages', count(*)
						FROM outbox.messages
						WHERE status NOT IN ('SENT', 'DEAD', 'CANCELLED')) AS x
					WHERE n > 0});
				return $left eq '';
			},
			$seconds);
		1;
	} or die "timed out while there are $left\n";
	return;
}

# The slot follows: a message more, and it is past all that was before it.
sub slot_follows
{
	my ($node, $receiver) = @_;
	my $before = $node->safe_psql('postgres',
		'SELECT pg_current_wal_insert_lsn()');

	route_create($node, 'last', 'http', $receiver->url('/last'),
		types => ['recovery.last'])
	  if $node->safe_psql('postgres',
		"SELECT count(*) FROM outbox.route WHERE name = 'last'") eq '0';
	enqueue($node, 'recovery.last', { last => 1 });
	return eval {
		wait_for(
			'the slot has passed the load',
			sub {
				return $node->safe_psql('postgres',
					    "SELECT confirmed_flush_lsn >= '$before'"
					  . ' FROM pg_replication_slots'
					  . " WHERE slot_name = 'outbox'") eq 't';
			});
	};
}

sub status_file
{
	my ($node, $route) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/status';

	open(my $out, '>', $file) or die "could not write $file: $!";
	print $out $node->safe_psql('postgres',
		    "SELECT id || ' ' || status FROM outbox.messages"
		  . " WHERE type <> 'recovery.last' AND route = "
		  . quote_sql($route))
	  . "\n";
	close $out or die "could not write $file: $!";
	return $file;
}

# is_reconciled(sentence, node, receiver, [drivers], [load routes], oracle =>
# [its arguments], seconds =>): when all is quiet nothing is left over, the
# oracle agrees on each route, and the slot has moved up.
sub is_reconciled
{
	my ($sentence, $node, $receiver, $drivers, $routes, %params) = @_;
	my $quiet = eval { wait_until_quiet($node, $params{seconds}); 1 };

	ok($quiet, "$sentence: all is delivered, nothing is left over")
	  or diag($@);
	foreach my $route (@$routes)
	{
		my @arguments = ('--path', "/$route",
			'--status', status_file($node, $route),
			@{ $params{oracle} // [] });

		ok( run_oracle(
				[ map { $_->{log} } @$drivers ],
				[ $receiver->{log} ], @arguments),
			"$sentence: the oracle agrees on $route");
	}
	ok(slot_follows($node, $receiver), "$sentence: the slot moved up")
	  or diag('slot at ' . slot_lsn($node));
	return;
}

1;
