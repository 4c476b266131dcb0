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
my $pgxs = "$tests/pgxs/src/test";
my $output = PostgreSQL::Test::Utils::tempdir();

# As pg_regress makes its databases; what is ours is out of the tests' way.
sub create_database
{
	my ($database, $extension) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0");
	$node->safe_psql('postgres', "ALTER DATABASE $database SET $_")
	  foreach (map { "lc_$_ TO 'C'" } qw(messages monetary numeric time)),
	  "bytea_output TO 'hex'", "timezone_abbreviations TO 'Default'";
	$node->safe_psql($database,
		'CREATE SCHEMA app; CREATE EXTENSION outbox SCHEMA app')
	  if $extension;
	return;
}

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
	my ($name, $database, @command) = @_;
	my $dir = "$output/$name";

	mkdir $dir or die "could not make $dir: $!";
	my $run = OutboxTest::Process->start(
		$name,
		command => [
			@command, '--use-existing', "--dbname=$database",
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

# Nothing is lost of what is enqueued meanwhile, and nobody is cut off or has
# to begin again.
sub run_beside_relay
{
	my ($name, $database, @command) = @_;
	my $receiver = start_receiver();

	create_database($database, 1);
	$node->safe_psql($database,
		    "SELECT app.outbox_route_create('hook', 'http', '"
		  . $receiver->url('/hook') . "')");
	my $relay = start_relay(
		$node,
		dbname => $database,
		config => { database => { slot => $name } });
	my $driver = start_driver(
		$node,
		'--conninfo',
		$node->connstr($database) . " options='-c search_path=app'",
		'--sessions' => 2,
		'--rate' => 10,
		'--seconds' => 36_000,
		'--rollback' => 0.2,
		'--savepoint' => 0.2);

	run_schedule($name, $database, @command);

	is($driver->stop, 0, "$name: the driver ends");
	is_delivered($name, $database);
	ok( run_oracle(
			[ $driver->{log} ], [ $receiver->{log} ], '--path', '/hook'),
		"$name: the oracle agrees");
	is(scalar(() = $relay->output =~ / started: /g),
		1, "$name: in one run of the relay");
	is($relay->stop, 0, "$name: the relay ends when asked");
	return;
}

sub is_delivered
{
	my ($name, $database) = @_;
	my $left = q{SELECT count(*) FROM outbox.messages WHERE status <> 'SENT'};

	return ok(
		eval {
			wait_for('all is delivered',
				sub { $node->safe_psql($database, $left) eq '0' });
		},
		"$name: all is delivered");
}

# Two tests list what is in the catalog beside PostgreSQL's own: they run
# where nothing is, the others without them.
my @regress = (
	"$pgxs/regress/pg_regress",
	"--inputdir=$tests/regress", "--dlpath=$tests");
my @catalog = qw(type_sanity opr_sanity);
my $schedule = slurp_file("$tests/regress/parallel_schedule");
my $catalog = join('|', @catalog);

$schedule =~ s/ (?:$catalog)\b//g;
append_to_file("$output/schedule", $schedule);
create_database('plain', 0);
run_schedule('catalog', 'plain', @regress, 'test_setup', @catalog);

# The tests name these databases.
run_beside_relay('parallel', 'regression', @regress,
	"--schedule=$output/schedule");
run_beside_relay(
	'isolation', 'isolation_regression',
	"$pgxs/isolation/pg_isolation_regress",
	"--inputdir=$tests/isolation",
	"--schedule=$tests/isolation/isolation_schedule");

unlike(slurp_file($node->logfile), qr/TRAP: |terminated by signal/,
	'no process of the server died');
$node->stop;
done_testing();
