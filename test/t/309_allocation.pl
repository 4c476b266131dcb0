# test/t/309_allocation.pl
#
# The relay finds no memory for one allocation, or from one on for none: it
# goes on or ends in order to be started again, it does not hang, and nothing
# is lost or overtaken.  From start to stop it makes some thousand allocations;
# ALLOCATIONS of them (24) are tried, spread evenly; "all": each one; "A-B":
# each one from A to B.
#
# What is counted are the calls of malloc and its like from the relay's main
# on, those of all libraries too (test/preload/fail_alloc.c).
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'AddressSanitizer has a malloc of its own'
  if ($ENV{SANITIZE} // '') eq 'yes';

my $dir = PostgreSQL::Test::Utils::tempdir();
my $library = "$dir/fail_alloc.so";
my $cc = $ENV{CC} // 'cc';

is(system($cc, qw(-std=c11 -D_GNU_SOURCE -O2 -shared -fPIC -o), $library,
		"$OutboxTest::ROOT/test/preload/fail_alloc.c", '-ldl'),
	0, 'the library to preload is built');

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');
my (@ids, %arrived, %last_of, @overtaken);
my $read = 0;

route_create($node, 'hook', 'http', $receiver->url('/hook'),
	options => { retry_initial_ms => 1, retry_max_ms => 10 });

# When the relay before is gone: two of a key, one whose body is read from the
# table, one without a key.
sub enqueue_round
{
	my $values = join(', ',
		enqueue_sql('order', '{"n": 1}', message_key => 'a'),
		enqueue_sql('order', '{"n": 2}', message_key => 'a'),
		enqueue_sql('order', { text => 'x' x 40_000 }, message_key => 'b'),
		enqueue_sql('order', '{"n": 4}'));

	wait_for(
		'the sessions of the relay before have ended',
		sub {
			my @new = split /\|/,
			  $node->safe_psql('postgres',
				"SELECT $values WHERE " . gone_sql());
			push @ids, @new;
			return @new;
		});
	return;
}

# Reads on in the receiver's log; @ids keeps those that have not arrived.
sub all_arrived
{
	open(my $log, '<', $receiver->{log}) or return !@ids;
	seek($log, $read, 0);
	while (my $line = <$log>)
	{
		last unless $line =~ /\n$/;
		$read = tell($log);
		my ($status) = $line =~ /"status": ?(\d+)/;
		my ($id) = $line =~ /"outbox-message-id": ?"(\d+)"/;
		my ($key) = $line =~ /"outbox-message-key": ?"(\w+)"/;
		next if $status !~ /^2/ || $arrived{$id}++ || !defined $key;
		push @overtaken, $id if $id < ($last_of{$key} // 0);
		$last_of{$key} = $id;
	}
	close $log;
	@ids = grep { !$arrived{$_} } @ids;
	return !@ids;
}

# crashed_in(output): what the relay crashed in: "nss", the C library's look-up
# of names, or the program or library that called the C library.
sub crashed_in
{
	my ($stack) = $_[0] =~ /^fail_alloc: crashed in\n(.*)/ms;

	foreach my $line (split /\n/, $stack // '')
	{
		my ($file, $name) = $line =~ m{([^/]+)\((.*)\)\[0x[0-9a-f]+\]$}
		  or last;
		return 'nss' if $file =~ /^libc\.so/ && $name =~ /^__nss_/;
		return $file unless $file =~ /^(fail_alloc|libc)\.so/;
	}
	return 'nowhere';
}

# The look-up of names asserts that it finds memory (glibc 2.36).
sub is_good
{
	return $_[0] =~ /^([01]|signal \d+ in nss)$/;
}

# One run of the relay; how it ended, or "hangs".
sub run_once
{
	my (%env) = @_;

	$receiver->script('/hook', '500');
	enqueue_round();
	my $relay = start_relay(
		$node,
		name => 'relay',
		env => { LD_PRELOAD => $library, %env },
		wait => 0);
	my $arrived = eval {
		wait_for('all arrives', sub { !$relay->running || all_arrived() }, 30);
	};
	my $asked = $relay->running;
	if ($asked)
	{
		$relay->get('/metrics');
		$relay->signal('HUP');
	}
	my $end = $relay->stop(30) // 'does not stop';
	$end .= ', asked by nobody' if $end eq '0' && !$asked;
	$end .= ' in ' . crashed_in($relay->output) if $end =~ /^signal/;
	$end .= ', nothing arrives' unless $arrived;
	note($relay->output) unless is_good($end);
	return $end;
}

# The slot is made, and the allocations counted.
is(run_once(OUTBOX_ALLOC_COUNT => "$dir/count"), '0', 'a run with memory');
is(run_once(OUTBOX_ALLOC_COUNT => "$dir/count"), '0', 'and another');
my $total = 0 + PostgreSQL::Test::Utils::slurp_file("$dir/count");
cmp_ok($total, '>', 1000, "it makes $total allocations");

my $wanted = $ENV{ALLOCATIONS} // 24;
my ($at, $last) = $wanted =~ /(\d+)-(\d+)/ ? ($1, $2) : (1, $total);
my $step = $wanted =~ /^\d+$/ ? $total / $wanted : 1;
my $runs = 0;
my (%ends, @bad);

sub try_it
{
	my ($number, $ever) = @_;
	my $end = run_once(OUTBOX_FAIL_ALLOC => $number, OUTBOX_FAIL_EVER => $ever);

	$ends{$end}++;
	push @bad, "$number, $ever: $end" unless is_good($end);
	return;
}

# Each fourth once more, with no memory from then on, and with no slot.
for (; $at <= $last; $at += $step)
{
	try_it(int($at), 0);
	next if $runs++ % 4;
	try_it(int($at), 1);
	wait_until_gone($node);
	$node->safe_psql('postgres', 'SELECT pg_drop_replication_slot(slot_name)'
		  . ' FROM pg_replication_slots');
	try_it(int($at), 0);
}
note("ends of runs: " . join(', ', map { "$ends{$_} x $_" } sort keys %ends));
is("@bad", '', 'it goes on, or ends to be started again');

is(run_once(), '0', 'a run with memory at the end');
ok(all_arrived(), 'everything that was enqueued has arrived');
is("@overtaken", '', 'in the order of each key');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM outbox.messages WHERE status <> 'SENT'"),
	'0', 'and is SENT');
$node->stop;
done_testing();
