# test/lib/OutboxTest.pm
#
# What the end-to-end tests share: a server with the extension, a receiver,
# a relay, a Kafka, and waiting for a condition with a deadline.
#
#	my $node = new_node('main');
#	my $receiver = start_receiver();
#	route_create($node, 'hook', 'http', $receiver->url('/hook'));
#	my $relay = start_relay($node);
#	my $id = enqueue($node, 'order.created', { n => 1 }, message_key => 'k');
#	wait_for('the message arrives', sub { $receiver->delivered('/hook') });
#
# All that was started is ended with the test, and nothing else.
#
# SPDX-License-Identifier: PostgreSQL
package OutboxTest;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use OutboxTest::Kafka;
use OutboxTest::Process;
use OutboxTest::Receiver;
use OutboxTest::Relay;

our @EXPORT = qw(
  new_node start_receiver start_relay start_kafka wait_for free_port
  route_create enqueue enqueue_sql status_of slot_lsn quote_sql start_driver run_oracle
  rss_below standby_names
);

our $ROOT = $ENV{OUTBOX_ROOT} or die "OUTBOX_ROOT is not set: use test/run";
our $TIMEOUT = $ENV{OUTBOX_TEST_TIMEOUT} // 60;

# Settings of every test server; those of the caller come after them.
my @SETTINGS = (
	'max_connections = 100',
	'shared_buffers = 32MB',
	'max_prepared_transactions = 20',
	'log_statement = none',
	'autovacuum_naptime = 1s',
	'wal_sender_timeout = 10s');

# new_node(name, conf => [lines], extension => 0): a running server with
# wal_level = logical and, unless told otherwise, the extension in "postgres".
sub new_node
{
	my ($name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf',
		join("\n", @SETTINGS, allowed_plugins($node),
			@{ $params{conf} // [] }) . "\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION outbox')
	  unless defined $params{extension} && !$params{extension};
	return $node;
}

# The list of output plugins a server may load exists since 15.19.
sub allowed_plugins
{
	my ($node) = @_;
	my ($out, $err) = ('', '');

	return () unless IPC::Run::run(
		[ 'postgres', '-C', 'output_plugin_libraries', '-D', $node->data_dir ],
		'>', \$out, '2>', \$err);
	return
	  "output_plugin_libraries = 'pgoutput, test_decoding, outbox_decoder'";
}

sub start_receiver
{
	return OutboxTest::Receiver->new(@_);
}

# start_relay(node, name =>, config => { section => { key => value } },
# env => {}, wait => 0): waits until it streams, unless told otherwise.
sub start_relay
{
	my ($node, %params) = @_;
	my $relay = OutboxTest::Relay->new($node, %params);

	$relay->wait_until_streaming
	  unless defined $params{wait} && !$params{wait};
	return $relay;
}

sub start_kafka
{
	return OutboxTest::Kafka->new(@_);
}

# rss_below(kB, limit, sentence): a sanitizer takes more memory than the relay.
sub rss_below
{
	my ($kb, $limit_kb, $sentence) = @_;

  SKIP:
	{
		skip('a sanitizer takes memory', 1) if ($ENV{SANITIZE} // '') eq 'yes';
		cmp_ok($kb, '<', $limit_kb, "$sentence, in kB");
	}
	return;
}

sub free_port
{
	return PostgreSQL::Test::Cluster::get_free_port();
}

# wait_for(sentence, sub, seconds): the true value the sub returns in the end;
# dies with the sentence when the time is up.
sub wait_for
{
	my ($sentence, $condition, $seconds) = @_;
	my $deadline = time() + ($seconds // $TIMEOUT);

	while (1)
	{
		my $value = $condition->();
		return $value if $value;
		last if time() > $deadline;
		usleep(20_000);
	}
	die "timed out waiting until $sentence\n";
}

# standby_names(node, names): commits wait for these from now on, '' for none.
sub standby_names
{
	my ($node, $names) = @_;
	my $now = "SELECT current_setting('synchronous_standby_names') = '$names'";

	$node->safe_psql('postgres', 'SET synchronous_commit = local;'
		  . " ALTER SYSTEM SET synchronous_standby_names = '$names'");
	$node->reload;
	wait_for('a new session has the names of the standbys',
		sub { $node->safe_psql('postgres', $now) eq 't' });
	# It is the checkpointer that makes commits wait; this is behind its reload.
	$node->safe_psql('postgres', 'CHECKPOINT');
	return;
}

sub quote_sql
{
	my ($text) = @_;
	return 'NULL' unless defined $text;
	$text =~ s/'/''/g;
	return $text =~ s/\\/\\\\/g ? " E'$text'" : "'$text'";
}

# A JSON value as an SQL literal; a string is taken to be JSON already.
sub json_sql
{
	my ($value) = @_;
	return quote_sql(
		ref $value ? JSON::PP->new->canonical->encode($value) : $value);
}

# route_create(node, name, kind, target, types => [], tags => [],
# options => {}): the route's id.
sub route_create
{
	my ($node, $name, $kind, $target, %params) = @_;
	my $types = $params{types} ? sql_array($params{types}) : "'{*}'";
	my $tags = $params{tags} ? sql_array($params{tags}) : 'NULL';

	return $node->safe_psql('postgres',
		sprintf(
			'SELECT outbox_route_create(%s, %s, %s, types => %s::text[],'
			  . ' tags => %s::text[], options => %s::jsonb)',
			quote_sql($name), quote_sql($kind), quote_sql($target),
			$types, $tags, json_sql($params{options} // {})));
}

sub sql_array
{
	return 'ARRAY[' . join(',', map { quote_sql($_) } @{ $_[0] }) . ']';
}

# enqueue(node, type, payload, message_key => ...): the message's id.
sub enqueue
{
	my ($node, $type, $payload, %params) = @_;
	return $node->safe_psql('postgres',
		'SELECT ' . enqueue_sql($type, $payload, %params));
}

# enqueue_sql: the call alone, to be put into a bigger transaction.
sub enqueue_sql
{
	my ($type, $payload, %params) = @_;
	return sprintf(
		'outbox_enqueue(%s, %s::jsonb%s)',
		quote_sql($type),
		json_sql($payload),
		join('',
			map { ", $_ => " . quote_sql($params{$_}) } sort keys %params));
}

# status_of(node, id): "route=STATUS" of each route, by name.
sub status_of
{
	my ($node, $id) = @_;
	return $node->safe_psql('postgres',
		"SELECT string_agg(r.name || '=' || m.status, ' ' ORDER BY r.name)"
		  . " FROM outbox.messages m JOIN outbox.route r ON r.id = m.route_id"
		  . " WHERE m.id = $id");
}

sub slot_lsn
{
	my ($node, $slot) = @_;
	return $node->safe_psql('postgres',
		'SELECT confirmed_flush_lsn FROM pg_replication_slots'
		  . ' WHERE slot_name = '
		  . quote_sql($slot // 'outbox'));
}

# start_driver(node, arguments of test/oracle/driver.py): a process; its log
# is in ->{log}.
sub start_driver
{
	my ($node, @arguments) = @_;
	my $log = PostgreSQL::Test::Utils::tempdir() . '/driver.jsonl';
	my $driver = OutboxTest::Process->start(
		'driver',
		command => [
			"$ROOT/test/oracle/driver.py",
			'--conninfo', $node->connstr('postgres'), '--log', $log,
			@arguments
		]);

	$driver->{log} = $log;
	return $driver;
}

# run_oracle(driver logs, receiver logs, arguments): true when I1 to I4 and
# what else the logs tell hold; what does not is shown as a diagnostic.
sub run_oracle
{
	my ($driven, $received, @arguments) = @_;
	my ($out, $err) = ('', '');
	my @command = (
		"$ROOT/test/oracle/check.py",
		(map { ('--driver', $_) } @$driven),
		(map { ('--received', $_) } @$received), @arguments);
	my $good = IPC::Run::run(\@command, '>', \$out, '2>', \$err);

	diag($out . $err) unless $good;
	note($out) if $good;
	return $good;
}

1;
