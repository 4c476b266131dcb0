# test/t/300_start_errors.pl
#
# What keeps the relay from starting is said in one line that tells what to
# do.  It ends with 2 where only a person can help, tries again where time
# can, and no password is ever in its log.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $CANARY = 'canary-3f9a1c';
my $node = new_node('main', conf => ['max_wal_senders = 4']);
my $program = $ENV{OUTBOX_RELAY} // "$OutboxTest::ROOT/relay/outbox-relay";
my @outputs;

# The lines of a log that somebody has to read.
sub complaints
{
	my ($relay) = @_;
	return grep { /^\S+ (?:warning|error) / } split /\n/, $relay->output;
}

# refuses(case, what the line has, arguments of start_relay): exit code 2.
sub refuses
{
	my ($case, $pattern, %params) = @_;
	my $relay =
	  start_relay($params{node} // $node, name => 'r', wait => 0, %params);

	is($relay->wait_end(30), 2, "$case: exit code 2");
	my @lines = complaints($relay);
	is(scalar @lines, 1, "$case: one line");
	like($lines[0] // '', $pattern, "$case: it says what to do");
	push @outputs, $relay->output;
	return;
}

# retries(case, pattern, node, config): the running relay, which has said so
# twice.
sub retries
{
	my ($case, $pattern, $where, %config) = @_;
	my $relay = start_relay(
		$where,
		name => 'r',
		wait => 0,
		config => \%config);

	wait_for(
		"$case: the relay has tried twice",
		sub {
			$relay->running or die "$case: the relay ended\n";
			return 2 <= grep { $_ =~ $pattern } complaints($relay);
		});
	pass("$case: it tries again, and says $pattern");
	return $relay;
}

sub stop
{
	my ($relay, $case) = @_;

	is($relay->stop, 0, "$case: it ends when asked");
	push @outputs, $relay->output;
	return;
}

# with_setting(setting, value, sub): under another setting of the server.
sub with_setting
{
	my ($setting, $value, $call) = @_;
	my $was = $node->safe_psql('postgres', "SHOW $setting");

	$node->adjust_conf('postgresql.conf', $setting, "'$value'");
	$node->restart;
	$call->();
	$node->adjust_conf('postgresql.conf', $setting, "'$was'");
	$node->restart;
	return;
}

# ---------- only a person can help ----------

with_setting('wal_level', 'replica',
	sub { refuses('wal_level', qr/set wal_level = logical/) });

my $has_list = $node->safe_psql('postgres',
	"SELECT 1 FROM pg_settings WHERE name = 'output_plugin_libraries'");

SKIP:
{
	skip 'this server has no output_plugin_libraries', 3 unless $has_list;
	with_setting('output_plugin_libraries', 'pgoutput',
		sub {
			refuses('plugin not allowed',
				qr/set output_plugin_libraries = .*outbox_decoder/);
		});
}

$node->safe_psql('postgres', 'CREATE DATABASE bare');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', q{
	CREATE EXTENSION outbox;
	UPDATE pg_extension SET extversion = '9.9' WHERE extname = 'outbox';
});
refuses(
	'extension missing',
	qr/database "bare" does not .*CREATE EXTENSION outbox/,
	dbname => 'bare');
refuses(
	'extension of another version',
	qr/version 9\.9, .* ALTER EXTENSION outbox UPDATE/,
	dbname => 'other');

$node->safe_psql('postgres', qq{
	CREATE ROLE carrier LOGIN REPLICATION PASSWORD '$CANARY-right';
	SELECT outbox_grant('carrier', 'relay');
	CREATE ROLE still LOGIN;
	SELECT outbox_grant('still', 'relay');
	ALTER ROLE still NOREPLICATION;
	CREATE ROLE stranger LOGIN REPLICATION;
	SELECT pg_create_logical_replication_slot('foreign', 'test_decoding');
});

sub as_role
{
	my ($role, $password) = @_;
	return $node->connstr('postgres') . " user=$role"
	  . (defined $password ? " password=$password" : '');
}

refuses(
	'role without REPLICATION',
	qr/ALTER ROLE "still" REPLICATION/,
	config => { database => { conninfo => as_role('still') } });
refuses(
	'role without grants',
	qr/permission denied .*outbox_grant/,
	config => { database => { conninfo => as_role('stranger') } });
refuses(
	'slot of another plugin',
	qr/slot "foreign" belongs to another plugin.* set another slot/,
	config => { database => { slot => 'foreign' } });
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('foreign')");

# ---------- time can help ----------

# hba_rule(line): the first one in pg_hba.conf, which then allows all.
my $hba = $node->data_dir . '/pg_hba.conf';
my $trust = slurp_file($hba);

sub hba_rule
{
	my $loaded = $node->safe_psql('postgres', 'SELECT pg_conf_load_time()');

	unlink $hba;
	append_to_file($hba, "$_[0]\n$trust");
	$node->reload;
	return wait_for('the rule holds',
		sub { $node->safe_psql('postgres', 'SELECT pg_conf_load_time()') ne
			  $loaded });
}

# Rejected, until the rule is gone.
hba_rule('local all carrier reject');
my $relay = retries(
	'rejected by pg_hba.conf',
	qr/pg_hba\.conf rejects connection for .*user "carrier"/,
	$node,
	database => { conninfo => as_role('carrier') });
hba_rule('');
$relay->wait_until_streaming;
pass('rejected by pg_hba.conf: it goes on when the rule is gone');
stop($relay, 'rejected by pg_hba.conf');

# Wrong password, until it is the right one; by its role, not as superuser.
hba_rule('local all carrier scram-sha-256');
$relay = retries('wrong password', qr/password authentication failed/,
	$node, database => { conninfo => as_role('carrier', "$CANARY-new") });
unlike(slurp_file("/proc/$relay->{pid}/cmdline"),
	qr/$CANARY/, 'the password is not in the command line');
$node->safe_psql('postgres',
	"ALTER ROLE carrier PASSWORD '$CANARY-new'");
$relay->wait_until_streaming;
pass('wrong password: it goes on when the password is right');

# The server goes, and comes again.
$node->stop;
wait_for('the relay has tried four times without a server',
	sub { 4 <= grep { /is the server running|No such file/i } complaints($relay) });
my @waits = $relay->output =~ /trying again in (\d+) ms/g;
is(scalar(grep { $_ < 1000 } @waits[ -3 .. -1 ]),
	0, "no server: at most about one try a second (@waits)");
is(scalar(grep { $_ > 10000 } @waits),
	0, 'no server: it does not wait for long');
$node->start;
$relay->wait_until_streaming;
pass('no server: it goes on when the server is back');

# What this role was granted is all that a relay needs.
my $receiver = start_receiver();
route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $id = enqueue($node, 'a', {});
ok(wait_for('the message is SENT',
		sub { status_of($node, $id) eq 'hook=SENT' }),
	'a role with REPLICATION and outbox_grant delivers');
like($relay->output, qr/relay "r" begins run \d+ \(era 0, epoch 2\)$/m,
	'a run is told with its era and epoch');
stop($relay, 'as role carrier');

# A list that is one name, as a quote too many makes it: it has the plugin for
# who reads it, not for the server.
SKIP:
{
	skip 'this server has no output_plugin_libraries', 6 unless $has_list;
	with_setting('output_plugin_libraries', '"pgoutput, outbox_decoder"',
		sub {
			foreach my $slot ('outbox', 'fresh')
			{
				refuses("plugin refused for slot $slot",
					qr/refuses replication slot "$slot"; see output_plugin_libraries in doc\S+: .*outbox_decoder(?!.*must have)/,
					config => { database => { slot => $slot } });
			}
		});
}

# No database of that name.
$relay = retries('no such database', qr/database "nowhere" does not exist/,
	$node, database => { conninfo => $node->connstr('nowhere') });
stop($relay, 'no such database');

# The last walsender is somebody else's.
with_setting(
	'max_wal_senders',
	1,
	sub {
		my $other = OutboxTest::Process->start(
			'receivewal',
			command => [
				'pg_receivewal', '-d', $node->connstr('postgres'), '-D',
				PostgreSQL::Test::Utils::tempdir()
			]);
		wait_for('pg_receivewal has the walsender',
			sub { $node->safe_psql('postgres',
					'SELECT count(*) FROM pg_stat_replication') == 1 });
		my $last = retries('no free walsender', qr/max_wal_senders/, $node);
		$other->stop;
		$last->wait_until_streaming;
		pass('no free walsender: it goes on when one is free');
		stop($last, 'no free walsender');
	});

# A standby, until it is promoted.
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$relay = retries('standby', qr/is a standby; the relay works on the primary/,
	$standby);
$standby->promote;
wait_for('the relay is ready on what was a standby',
	sub { ($relay->get('/readyz'))[0] == 200 });
pass('standby: it goes on when that is the primary');
stop($relay, 'standby');
$standby->stop;

# ---------- the configuration ----------

# run_relay(arguments): exit code, output, errors.
sub run_relay
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, @_ ], '<', \undef, '>', \$out, '2>', \$err);
	push @outputs, $out . $err;
	return ($? >> 8, $out, $err);
}

my $file = PostgreSQL::Test::Utils::tempdir() . '/c.ini';

sub config_refused
{
	my ($case, $text, $line, $pattern) = @_;

	unlink $file;
	append_to_file($file, $text);
	foreach my $check ([], ['--check-config'])
	{
		my ($code, $out, $err) = run_relay('--config', $file, @$check);
		is($code, 2, "$case: exit code 2 (@$check)");
		like($err, qr/^\Q$file\E:$line: .*$pattern.*\n\z/,
			"$case: file, line and what is wrong (@$check)");
	}
	return;
}

my $database = "[database]\nconninfo = host=/nowhere password=$CANARY\n";

config_refused('unknown setting', "[relay]\nnane = x\n", 2,
	'unknown setting "nane" in section \[relay\]');
config_refused('unknown section', "$database\n[kafak]\n", 4,
	'unknown section \[kafak\]');
config_refused('bad choice', "$database\[relay]\nlog_level = loud\n", 4,
	'log_level cannot be "loud", .*debug');
config_refused('bad size', "$database\[relay]\nmemory_budget = 3 cows\n", 4,
	'memory_budget cannot be');
config_refused('bad network', "$database\[http]\nallow_targets = 10.0.0.0/99\n",
	4, 'allow_targets cannot be');
config_refused('comment after a value',
	"$database\[relay]\nlog_level = debug # for now\n", 4,
	'log_level cannot be .*; a comment needs a line of its own');
config_refused('given twice', "${database}slot = a\nslot = b\n", 4,
	'slot was set in line 3 already');
config_refused('no section', "slot = a\n", 1, 'expected a \[section\]');
config_refused('no such form', "$database\nhello\n", 4, '');
config_refused('nothing required', "[relay]\nname = a\n", '\d+',
	'conninfo is missing in section \[database\]');
config_refused('conninfo of a wrong length',
	"[database]\nconninfo = password=$CANARY" . 'x' x 9000 . "\n", 2, '');

# What only the libraries know.
config_refused('no such file', "$database\n[http]\nca_file = /no/such/file\n",
	5, 'could not read ca_file "/no/such/file": No such file');
foreach my $case (
	[ 'bootstrap.server = a:1', 5, 'property "bootstrap\.server" of \[kafka main\]: No such' ],
	[ "bootstrap.servers = a:1\nacks = 1", 6, 'property "acks" .*: it is always all here' ],
	[ "bootstrap.servers = a:1\ndelivery.timeout.ms = 1", 6,
		'property "delivery.timeout.ms" .*: it is always 0 here' ],
	[ 'client.id = me', 4, 'bootstrap\.servers is missing in section \[kafka main\]' ])
{
	my ($properties, $line, $pattern) = @$case;
	config_refused("Kafka, $properties",
		"$database\n[kafka main]\n$properties\n", $line, $pattern);
}

unlink $file;
append_to_file($file, $database);
is_deeply([ run_relay('--config', $file, '--check-config') ],
	[ 0, "$file: ok\n", '' ], 'a right configuration passes the check');
like((run_relay('--config', "$file.none"))[2],
	qr/^\Q$file\E\.none: could not open/, 'no file: it says so');
is((run_relay('--config', "$file.none"))[0], 2, 'no file: exit code 2');
like((run_relay('--version'))[1], qr/^outbox-relay \d+\.\d+\.\d+\n\z/,
	'--version');
like((run_relay('--help'))[1], qr/Usage: .*--check-config.*Exit status/s,
	'--help');
is((run_relay('--nonsense'))[0], 2, 'unknown option: exit code 2');
is((run_relay())[0], 2, 'no option: exit code 2');

# A conninfo that libpq cannot read, and a URI.
config_refused('unknown keyword',
	"[database]\nconninfo = password=$CANARY host=/nowhere dbnam=x\n",
	2, 'conninfo has an unknown keyword "dbnam"');
config_refused('unknown keyword, perhaps of a password',
	"[database]\nslot = a\nconninfo = password=a $CANARY=b\n",
	3, 'conninfo has an unknown keyword after password');
config_refused('comment after the conninfo',
	"[database]\nconninfo = host=/nowhere # $CANARY\n",
	2, 'unknown keyword "#"; a comment needs a line of its own');
config_refused('open quote', "[database]\nconninfo = password='$CANARY\n",
	2, 'conninfo cannot be read, expected .*URI');
config_refused('wrong URI',
	"[database]\nconninfo = postgresql://u:$CANARY\@[::1/x\n",
	2, 'conninfo cannot be read, expected .*URI');
$relay = retries('URI of no server', qr/session_lost/, $node,
	database => { conninfo =>
		  "postgresql://u:$CANARY\@127.0.0.1:1/postgres?connect_timeout=2" });
stop($relay, 'URI of no server');

is(scalar(grep { /canary/i } @outputs),
	0, 'no password is in any output of the relay');

# ---------- the port ----------

$relay = start_relay($node, name => 'first');
refuses(
	'listen: port in use',
	qr/listen: .*$relay->{port}: .*; set \[relay\] listen to another port/,
	config => { relay => { listen => "127.0.0.1:$relay->{port}" } });
stop($relay, 'first');

$node->stop;
done_testing();
