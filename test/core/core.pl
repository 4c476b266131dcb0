# test/core/core.pl
#
# The server's own regression tests, isolation and parallel schedule, with our
# libraries preloaded, while messages are enqueued in the same database, its
# changes are decoded and a relay delivers them.  Needs a server with its
# tests in it, see test/matrix/get.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Process;
use PostgreSQL::Test::Utils;
use Test::More;

my $DATABASE = 'regression';    # the tests name it

my $node = new_node(
	'core',
	extension => 0,
	conf => [
		"shared_preload_libraries = 'outbox, outbox_decoder'",
		'shared_buffers = 128MB',
		'autovacuum_naptime = 1min',
		'wal_sender_timeout = 60s'
	]);
my $tests = $node->config_data('--pkglibdir');
my $receiver = start_receiver(body => 'full');
my $output = tempdir();

# As pg_regress makes its databases; what is ours is out of the tests' way.
$node->safe_psql('postgres', "CREATE DATABASE $DATABASE TEMPLATE template0");
$node->safe_psql('postgres', "ALTER DATABASE $DATABASE SET $_")
  foreach (map { "lc_$_ TO 'C'" } qw(messages monetary numeric time)),
  "bytea_output TO 'hex'", "timezone_abbreviations TO 'Default'";
$node->safe_psql($DATABASE, q{
	CREATE SCHEMA app;
	CREATE EXTENSION outbox SCHEMA app;
	SELECT app.outbox_route_create('hook', 'http', '}
	  . $receiver->url('/hook') . q{')});

my $relay = start_relay($node, dbname => $DATABASE);
my $driver = start_driver(
	$node,
	'--conninfo',
	$node->connstr($DATABASE) . " options='-c search_path=app'",
	'--sessions' => 2,
	'--rate' => 10,
	'--seconds' => 36_000,
	'--rollback' => 0.2,
	'--savepoint' => 0.2);

# What a schedule prints: "name ... ok", since 16 "ok 1 - name".
sub results
{
	my ($text) = @_;
	my %results;

	foreach my $line (split /\n/, $text)
	{
		$results{$1} = $2 eq 'ok'
		  if $line =~ /^\s*(?:test )?(\S+)\s+\.\.\. (ok|FAILED|failed)/;
		$results{$2} = $1 eq 'ok' if $line =~ /^(ok|not ok) \d+\s+[-+] (\S+)/;
	}
	return \%results;
}

sub diffs
{
	my ($dir) = @_;
	return -e "$dir/regression.diffs" ? slurp_file("$dir/regression.diffs") : '';
}

sub run_schedule
{
	my ($name, @command) = @_;
	my $dir = "$output/$name";

	mkdir $dir or die "could not make $dir: $!";
	my $run = OutboxTest::Process->start(
		$name,
		command => [
			@command, '--use-existing', "--dbname=$DATABASE",
			'--host=' . $node->host, '--port=' . $node->port,
			'--bindir=' . $node->config_data('--bindir'),
			"--outputdir=$dir", '--max-concurrent-tests=20'
		]);
	my $end = $run->wait_end(3600);
	my $results = results($run->output);

	ok($results->{$_}, "$name: $_") foreach sort keys %$results;
	is($end, 0, "$name passes") or diag(diffs($dir));
	return;
}

my $pgxs = "$tests/pgxs/src/test";
run_schedule('isolation', "$pgxs/isolation/pg_isolation_regress",
	"--inputdir=$tests/isolation",
	"--schedule=$tests/isolation/isolation_schedule");
run_schedule('parallel', "$pgxs/regress/pg_regress",
	"--inputdir=$tests/regress", "--dlpath=$tests/regress",
	"--schedule=$tests/regress/parallel_schedule");

# Nothing was lost, and nobody was cut off or had to begin again.
is($driver->stop, 0, 'the driver ends');
ok( eval {
		wait_for(
			'all is delivered',
			sub {
				$node->safe_psql($DATABASE,
					q{SELECT NOT EXISTS (SELECT FROM outbox.messages
						WHERE status <> 'SENT')}) eq 't';
			});
	},
	'all is delivered');
ok(run_oracle([ $driver->{log} ], [ $receiver->{log} ], '--path', '/hook'),
	'the oracle agrees');
is(scalar(() = $relay->output =~ / started: /g), 1, 'in one run of the relay');
unlike(slurp_file($node->logfile), qr/TRAP: |terminated by signal/,
	'no process of the server died');
is($relay->stop, 0, 'the relay ends when asked');
$node->stop;
done_testing();
