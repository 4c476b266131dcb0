# test/t/217_disk_full.pl
#
# The disk of the WAL is full, then that of the replication slots and of what
# is spilled.  Nothing is lost, and all goes on when there is room again; a
# server that ended over it is started as an administrator would.
#
# The disks are file systems of this test's own, in a namespace where a user
# may mount them; it is left out where that is not allowed.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use File::Temp 'tempdir';
use Test::More;

# As root of a namespace for the mounts, then as ourselves: no server runs as
# root.  Before anything else, while the output is still that of the test.
BEGIN
{
	my $mount_and_run = q{
		mkdir "$0/wal" "$0/slots" &&
		mount -t tmpfs -o size=192m,mode=0700 none "$0/wal" &&
		mount -t tmpfs -o size=24m,mode=0700 none "$0/slots" &&
		exec unshare --map-user="$1" --map-group="$2" perl "$3"};

	if (!$ENV{OUTBOX_DISKS})
	{
		plan skip_all => 'file systems cannot be mounted here'
		  if system('unshare -rm mount -t tmpfs none /mnt 2>/dev/null') != 0;
		$ENV{OUTBOX_DISKS} = tempdir();
		exec 'unshare', '-rm', 'sh', '-c', $mount_and_run,
		  $ENV{OUTBOX_DISKS}, $>, $) + 0, $0;
	}
}

use OutboxTest;
use OutboxTest::Recovery;
use PostgreSQL::Test::Utils qw(slurp_file system_or_bail);

my $disks = $ENV{OUTBOX_DISKS};
my $node = new_node(
	'main',
	conf => [
		'min_wal_size = 32MB', 'max_wal_size = 48MB',
		'wal_keep_size = 0', 'wal_recycle = off',
		'logical_decoding_work_mem = 64kB'
	]);
my $receiver = start_receiver(body => 'none');

# Of the folders of the server on disks of their own.
$node->stop;
foreach my $move ([ 'pg_wal', 'wal' ], [ 'pg_replslot', 'slots' ])
{
	my $from = $node->data_dir . "/$move->[0]";

	system_or_bail('cp', '-a', "$from/.", "$disks/$move->[1]");
	system_or_bail('rm', '-r', $from);
	symlink("$disks/$move->[1]", $from) or die "could not link $from: $!";
}
$node->start;
load_route($node, $receiver, 'hook');
$node->safe_psql('postgres', 'CREATE TABLE filler (t text)');
my $relay = start_relay($node);
my $driver = load_for($node, '--seconds' => 600);

sub deliveries_go_on
{
	my ($when) = @_;
	my $before = () = $receiver->delivered('/hook');

	return ok(
		wait_for("deliveries go on $when",
			sub { $receiver->delivered('/hook') > $before + 20 }),
		"deliveries go on $when");
}

sub fill
{
	open(my $out, '>', "$disks/$_[0]/ballast") or die "could not open: $!";
	1 while syswrite($out, "\0" x 65536);
	close $out;
	return;
}

sub make_room
{
	unlink "$disks/$_[0]/ballast" or die "could not remove the ballast: $!";
	return;
}

# write_rows: in one transaction, as far as that goes.
sub write_rows
{
	my ($rows) = @_;

	$node->psql('postgres',
		"INSERT INTO filler SELECT repeat('x', 500)"
		  . " FROM generate_series(1, $rows); CHECKPOINT",
		on_error_die => 0);
	return;
}

sub server_runs
{
	return system('pg_ctl status -D "' . $node->data_dir . '" >/dev/null') == 0;
}

# ---------- the WAL ----------

deliveries_go_on('at first');
fill('wal');
wait_for('the server has ended', sub { write_rows(20_000); !server_runs() });
like(
	slurp_file($node->logfile),
	qr/PANIC.*pg_wal.*No space left/, 'no room for WAL: the server ends');
ok($relay->running, 'no room for WAL: the relay lives');
make_room('wal');
system_or_bail('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile,
	'start');
deliveries_go_on('when there is room for WAL again');

# ---------- the slots ----------

# What is decoded of a transaction that is not small is spilled; for as many
# as the disk of the WAL has room for.
my $said = length slurp_file($node->logfile);
my $written = 0;
fill('slots');
wait_for(
	'the server cannot write what is of the slot',
	sub {
		write_rows(1000) if $written++ < 50;
		return substr(slurp_file($node->logfile), $said) =~
		  /(?:pg_replslot|data file for XID).*No space left/;
	});
ok(server_runs(), 'no room for the slot: the server lives');
ok($relay->running, 'no room for the slot: the relay lives');
make_room('slots');
deliveries_go_on('when there is room for the slot again');

is($driver->stop, 0, 'the driver ends');
is_reconciled('full disks', $node, $receiver, [$driver], ['hook']);
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
