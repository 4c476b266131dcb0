# test/t/403_promoted_thrice.pl
#
# Row 5: the primary is killed under load and its standby promoted, three
# times in a row, each time with a standby made of the new primary; on
# servers that have them, also with a failover slot.  What survived arrives,
# and no slot is left over.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use JSON::PP;
use OutboxTest;
use OutboxTest::Reconcile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ROUNDS = 3;
my $receiver = start_receiver();
my @nodes = (new_node('node0', conf => ['wal_keep_size = 256MB']));
my @drivers;

route_create($nodes[0], 'hook', 'http', $receiver->url('/hook'));

sub add_standby
{
	my $primary = $nodes[-1];
	my $number = @nodes;
	my $standby = PostgreSQL::Test::Cluster->new("node$number");

	$primary->backup("backup$number");
	$standby->init_from_backup($primary, "backup$number", has_streaming => 1);
	$standby->start;
	$primary->wait_for_catchup($standby);
	push @nodes, $standby;
	return $standby;
}

# All that will ever be there; the relay finds the one that can be written to.
sub conninfo
{
	return
	    'host=' . join(',', map { $_->host } @nodes)
	  . ' port='
	  . join(',', map { $_->port } @nodes)
	  . ' dbname=postgres target_session_attrs=read-write';
}

foreach my $round (1 .. $ROUNDS)
{
	my $old = $nodes[-1];
	my $new = add_standby();
	my $relay = start_relay(
		$old,
		name => "relay$round",
		config => { database => { conninfo => conninfo() } });
	my $driver = start_driver($old, '--sessions', 3, '--rate', 60,
		'--seconds', 600, '--keys', 8, '--type', "round$round.message");
	push @drivers, $driver;

	# Deliveries are under way and the driver writes when it dies.
	my $before = () = $receiver->delivered('/hook');
	wait_for("deliveries go on (round $round)",
		sub { (() = $receiver->delivered('/hook')) > $before + 30 });
	$old->stop('immediate');
	is($driver->stop, 0, "round $round: the driver ends");
	$new->promote;
	$relay->{node} = $new;
	$relay->wait_until_streaming;
	my $id = enqueue($new, "after.message", { round => $round });
	wait_for("it delivers (round $round)",
		sub { status_of($new, $id) eq 'hook=SENT' });
	wait_until_quiet($new);
	is($new->safe_psql('postgres',
			'SELECT string_agg(slot_name, \' \') FROM pg_replication_slots'),
		'outbox', "round $round: one slot, none left over");
	is($relay->stop, 0, "round $round: the relay ends when asked");
}

# What the last one has is what survived; it arrived, once at least.
my $last = $nodes[-1];
my %survived = map { $_ => 1 } split /\n/,
  $last->safe_psql('postgres',
	"SELECT id FROM outbox.message WHERE type ~ '^round'");
my %got = map { $_ => 1 } ids_at($receiver, '/hook');
is(scalar(grep { !$got{$_} } keys %survived), 0, 'all that survived arrived');

# The driver saw a commit; it survived, or the failover lost it: then it is of
# the last moment before the kill.
my (%driven, $lost, %ids);
foreach my $driver (@drivers)
{
	foreach my $line (split /\n/, slurp_file($driver->{log}))
	{
		my $message = decode_json($line);

		next if $message->{state} eq 'rolled back';
		$ids{ $message->{id} }++;
		$driven{ $message->{id} } = $message;
		$lost++ if !$survived{ $message->{id} };
	}
}
is(scalar(grep { $ids{$_} > 1 } keys %ids), 0, 'no id was given twice');
is(scalar(grep { !$driven{$_} } keys %survived),
	0, 'the driver knows all of it');
note(($lost // 0) . ' of ' . keys(%driven) . ' did not survive');

# In order by key, what was lost left out.
my (%at, @wrong);
foreach my $id (ids_at($receiver, '/hook'))
{
	my $message = $driven{$id};

	next if !$message || !$survived{$id} || $message->{seen}++;
	my $key = "$message->{type} $message->{key}";
	push @wrong, "$key: $message->{seq} after $at{$key}"
	  if $message->{seq} < ($at{$key} // 0);
	$at{$key} = $message->{seq};
}
is("@wrong", '', 'in order by key');
$receiver->stop;
$last->stop;
done_testing();
