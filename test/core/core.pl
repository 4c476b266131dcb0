# test/core/core.pl
#
# The server's own regression tests, isolation and parallel schedule, with our
# libraries preloaded, while messages are enqueued in the same database, its
# changes are decoded and a relay delivers them.  A test that fails counts,
# unless it fails on a server without us as well, which is then asked.  Needs
# a server with its tests in it, see test/matrix/get.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Process;
use PostgreSQL::Test::Utils;
use Test::More;

# Of both servers, with and without us.
my @settings = (
	'shared_buffers = 128MB',
	'autovacuum_naptime = 1min',
	'wal_sender_timeout = 60s');
my $node = new_node(
	'core',
	extension => 0,
	conf =>
	  [ "shared_preload_libraries = 'outbox, outbox_decoder'", @settings ]);
my $tests = $node->config_data('--pkglibdir');
my $pgxs = "$tests/pgxs/src/test";
my $output = PostgreSQL::Test::Utils::tempdir();
my $runs = 0;

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

# run_tests(server, schedule, tests): how it ended, what each test did, and
# what differs.
sub run_tests
{
	my ($server, $schedule, @tests) = @_;
	my $dir = "$output/" . ++$runs;

	mkdir $dir or die "could not make $dir: $!";
	my $run = OutboxTest::Process->start(
		$schedule->{database},
		command => [
			@{ $schedule->{program} },
			'--use-existing',
			"--dbname=$schedule->{database}",
			'--host=' . $server->host,
			'--port=' . $server->port,
			'--bindir=' . $server->config_data('--bindir'),
			"--outputdir=$dir",
			'--max-concurrent-tests=20',
			@tests
		]);
	my $end = $run->wait_end(3 * 3600);

	return {
		end => $end,
		results => results($run->output),
		diffs => diffs($dir)
	};
}

# A database as pg_regress makes it.  The tables that most tests look at are
# made, and vacuumed, while no other session keeps their rows from being
# visible to all: plans depend on that.
sub set_up
{
	my ($server, $schedule) = @_;
	my $database = $schedule->{database};
	my @first = @{ $schedule->{first} // [] };

	$server->safe_psql('postgres',
		"CREATE DATABASE $database TEMPLATE template0");
	$server->safe_psql('postgres', "ALTER DATABASE $database SET $_")
	  foreach (map { "lc_$_ TO 'C'" } qw(messages monetary numeric time)),
	  "bytea_output TO 'hex'", "timezone_abbreviations TO 'Default'";
	return unless @first;

	my $run = run_tests($server, $schedule, @first);
	die "@first failed:\n$run->{diffs}" unless ($run->{end} // '') eq '0';
	return;
}

# The names of the tests that fail without us, too.
sub failed_without_us
{
	my ($schedule) = @_;
	my $server = new_node(
		"without_$schedule->{database}",
		extension => 0,
		conf => \@settings);

	set_up($server, $schedule);
	my $results =
	  run_tests($server, $schedule, @{ $schedule->{tests} })->{results};
	$server->stop;
	return grep { !$results->{$_} } keys %$results;
}

sub is_passed
{
	my ($schedule, $run) = @_;
	my $name = $schedule->{database};
	my $results = $run->{results};
	my @failed = grep { !$results->{$_} } keys %$results;
	my %known = map { $_ => 1 } @failed ? failed_without_us($schedule) : ();

	foreach my $test (sort keys %$results)
	{
		local $TODO = $known{$test} ? 'fails without us, too' : undef;
		ok($results->{$test}, "$name: $test");
	}
	diag($run->{diffs}) if @failed;
	is($run->{end}, @failed ? 1 : 0, "$name: it is run to its end");
	return;
}

# Nothing is lost of what is enqueued meanwhile, and nobody is cut off or has
# to begin again.
sub run_beside_relay
{
	my ($schedule) = @_;
	my $name = $schedule->{database};
	my $receiver = start_receiver();

	set_up($node, $schedule);
	# What is ours is out of the tests' way.
	$node->safe_psql($name,
		    'CREATE SCHEMA app; CREATE EXTENSION outbox SCHEMA app;'
		  . " SELECT app.outbox_route_create('hook', 'http', '"
		  . $receiver->url('/hook') . "')");
	my $relay = start_relay(
		$node,
		dbname => $name,
		config => { database => { slot => $name } });
	my $driver = start_driver(
		$node,
		'--conninfo',
		$node->connstr($name) . " options='-c search_path=app'",
		'--sessions' => 2,
		'--rate' => 10,
		'--seconds' => 36_000,
		'--rollback' => 0.2,
		'--savepoint' => 0.2);

	my $run = run_tests($node, $schedule, @{ $schedule->{tests} });

	is($driver->stop, 0, "$name: the driver ends");
	ok( $node->poll_query_until(
			$name,
			'SELECT NOT EXISTS (SELECT FROM outbox.messages'
			  . " WHERE status <> 'SENT')"),
		"$name: all is delivered");
	ok( run_oracle(
			[ $driver->{log} ], [ $receiver->{log} ], '--path', '/hook'),
		"$name: the oracle agrees");
	is(scalar(() = $relay->output =~ / started: /g),
		1, "$name: in one run of the relay");
	is($relay->stop, 0, "$name: the relay ends when asked");
	is_passed($schedule, $run);
	return;
}

# These list all that is in the catalog, or all advisory locks: they run where
# nothing of ours is, the others without them.
my @alone = qw(type_sanity opr_sanity advisory_lock);
my %regress = (
	program => [
		"$pgxs/regress/pg_regress", "--inputdir=$tests/regress",
		"--dlpath=$tests"
	],
	first => ['test_setup']);
my $parallel = slurp_file("$tests/regress/parallel_schedule");

foreach my $test (@alone, @{ $regress{first} })
{
	$parallel =~ s/^(test:.*) $test\b/$1/m or die "no test $test in the schedule";
}
$parallel =~ s/^test:$//mg;
append_to_file("$output/schedule", $parallel);

my $catalog = { %regress, database => 'catalog', tests => \@alone };
set_up($node, $catalog);
is_passed($catalog, run_tests($node, $catalog, @alone));

# The tests name these databases.
run_beside_relay(
	{
		%regress,
		database => 'regression',
		tests => ["--schedule=$output/schedule"]
	});
run_beside_relay(
	{
		program => [
			"$pgxs/isolation/pg_isolation_regress",
			"--inputdir=$tests/isolation"
		],
		database => 'isolation_regression',
		tests => ["--schedule=$tests/isolation/isolation_schedule"]
	});

unlike(slurp_file($node->logfile), qr/TRAP: |terminated by signal/,
	'no process of the server died');
$node->stop;
done_testing();
