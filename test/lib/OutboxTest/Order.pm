# test/lib/OutboxTest/Order.pm
#
# For loads of one session, in which ids rise as the commits do: what arrived
# against the table, too long for a JSON parser in Perl.
#
# SPDX-License-Identifier: PostgreSQL
package OutboxTest::Order;

use strict;
use warnings;

use Exporter 'import';
use OutboxTest;
use Test::More;

our @EXPORT = qw(arrived are_delivered wait_until_sent dead_rows retained_mb);

# arrived(receiver, path, type): [id, key] of what was answered 2xx, in order.
sub arrived
{
	my ($receiver, $path, $type) = @_;
	my @found;

	open(my $in, '<', $receiver->{log}) or die "could not open the log: $!";
	while (my $line = <$in>)
	{
		next unless $line =~ /"status":2\d\d\b/;
		next unless $line =~ /"path":"\Q$path\E"/;
		next unless $line =~ /"outbox-message-type":"\Q$type\E"/;
		my ($id) = $line =~ /"outbox-message-id":"(\d+)"/;
		my ($key) = $line =~ /"outbox-message-key":"([^"]*)"/;
		push @found, [ $id, $key ];
	}
	close $in;
	return @found;
}

# are_delivered(sentence, node, receiver, path, type, most that come twice):
# all of the type that are in the table, and nothing else, in order by key;
# how many there are.
sub are_delivered
{
	my ($sentence, $node, $receiver, $path, $type, $most) = @_;
	my @expected = split /\n/,
	  $node->safe_psql('postgres',
		"SELECT id FROM outbox.message WHERE type = '$type'");
	my %expected = map { $_ => 1 } @expected;
	my (%seen, %last, @overtaken, @unknown);
	my @arrived = arrived($receiver, $path, $type);

	foreach my $request (@arrived)
	{
		my ($id, $key) = @$request;

		push @unknown, $id unless $expected{$id};
		next if $seen{$id}++;
		next unless defined $key;
		push @overtaken, "$id after $last{$key}"
		  if $id < ($last{$key} // 0);
		$last{$key} = $id;
	}
	is(scalar(grep { !$seen{$_} } @expected), 0, "$sentence: all arrive");
	is(join(' ', splice(@unknown, 0, 5)), '', "$sentence: and nothing else");
	is(join(' ', splice(@overtaken, 0, 5)),
		'', "$sentence: in the order of their keys");
	cmp_ok(@arrived - keys %seen, '<=', $most, "$sentence: few come twice");
	is($node->safe_psql('postgres',
			'SELECT count(*) FROM outbox.messages'
			  . " WHERE type = '$type' AND status <> 'SENT'"),
		'0', "$sentence: all are SENT");
	return scalar @expected;
}

# wait_until_sent(node, seconds): nothing waits on any route.
sub wait_until_sent
{
	my ($node, $seconds) = @_;
	return wait_for(
		'nothing waits any more',
		sub {
			return $node->safe_psql('postgres', q{
				SELECT NOT EXISTS (SELECT FROM outbox.backlog)
				AND NOT EXISTS (SELECT FROM outbox.parked
					WHERE status NOT IN ('DEAD', 'CANCELLED'))
				AND NOT EXISTS (SELECT FROM outbox.message
					WHERE NOT id <@ (SELECT coalesce(range_agg(u), '{}')
						FROM outbox.resolved, unnest(ids) AS u))}) eq 't';
		},
		$seconds);
}

# dead_rows(node, pattern): dead tuples in the tables of schema outbox whose
# names match, counted by a vacuum that removes what it may.
sub dead_rows
{
	my ($node, $pattern) = @_;
	my $dead = 0;

	foreach my $table (split /\n/,
		$node->safe_psql('postgres',
			"SELECT oid::regclass FROM pg_class WHERE relkind = 'r'"
			  . " AND relnamespace = 'outbox'::regnamespace"
			  . " AND relname ~ '$pattern'"))
	{
		my $err;
		$node->psql('postgres', "VACUUM (VERBOSE) $table", stderr => \$err);
		$dead += $1 while $err =~ /(\d+) are dead but not yet removable/g;
		$dead += $1 while $err =~ /(\d+) removed, \d+ remain/g;
	}
	return $dead;
}

# retained_mb(node): of WAL, for the slot.
sub retained_mb
{
	my ($node) = @_;
	return $node->safe_psql('postgres',
		'SELECT round((pg_current_wal_lsn() - restart_lsn) / 1048576)'
		  . " FROM pg_replication_slots WHERE slot_name = 'outbox'");
}

1;
