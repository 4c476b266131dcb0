# test/t/211_commit_order.pl
#
# What a lost slot leaves is read from the table: with commit timestamps in
# the order of commits, though not one id is in that order.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use OutboxTest::Recovery;
use Test::More;

my $node = new_node('main', conf => ['track_commit_timestamp = on']);
my $receiver = start_receiver();

route_create($node, 'hook', 'http', $receiver->url('/hook'));
route_create($node, 'also', 'http', $receiver->url('/also'),
	types => ['both']);

# Ids 1 to 6, and the transactions end in another order.
sub transaction
{
	my ($name, @types) = @_;
	$node->safe_psql('postgres',
		'BEGIN; SELECT '
		  . join(', ',
			map { enqueue_sql($_, { of => $name }, message_key => 'k') } @types)
		  . "; PREPARE TRANSACTION '$name'");
	return;
}
transaction('a', 'one', 'one');
transaction('b', 'one', 'one');
transaction('c', 'both', 'one');
$node->safe_psql('postgres', "COMMIT PREPARED '$_'") foreach qw(b c a);

is( $node->safe_psql('postgres',
		q{SELECT string_agg(first || '-' || last || routes::text, ' ')
		  FROM outbox_unresolved()}),
	'3-4{1} 5-5{1,2} 6-6{1} 1-2{1}',
	'runs in the order of commits');
transaction('d', 'one');
$node->safe_psql('postgres', "COMMIT PREPARED 'd'");
transaction('e', 'one', 'one');
$node->safe_psql('postgres', "COMMIT PREPARED 'e'");
is( $node->safe_psql('postgres',
		q{SELECT string_agg(first || '-' || last || routes::text, ' ')
		  FROM outbox_unresolved()}),
	'3-4{1} 5-5{1,2} 6-6{1} 1-2{1} 7-9{1}',
	'what comes together by that is one run');

my $relay = start_relay($node);
wait_until_quiet($node);
is( join(' ',
		map { $_->{headers}{'outbox-message-id'} } $receiver->delivered('/hook')),
	'3 4 5 6 1 2 7 8 9',
	'and so they are delivered');

is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
