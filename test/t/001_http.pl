# test/t/001_http.pl
#
# The shortest way through all parts: what a transaction enqueued arrives at
# an HTTP endpoint when it commits, and is shown as SENT; what was rolled back
# never does.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use OutboxTest;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver();

route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay($node);

my $id = enqueue($node, 'order.created', { n => 1 }, message_key => 'k1');
wait_for('the message arrives', sub { scalar $receiver->delivered('/hook') });

my ($request) = $receiver->delivered('/hook');
is($request->{method}, 'POST', 'sent by POST');
is($request->{body}, '{"n": 1}', 'the body is the payload');
is($request->{headers}{'content-type'},
	'application/json', 'the content type is that of jsonb');
ok((grep { $_ eq $id } values %{ $request->{headers} }),
	'a header has the id');

ok(wait_for('the status is SENT',
		sub { status_of($node, $id) eq 'hook=SENT' }),
	'the message is shown as SENT');

# Rolled back in three ways, then one that commits after all of them.
$node->safe_psql('postgres', q{
	BEGIN;
	SELECT outbox_enqueue('order.created', '{"n": 2}', message_key => 'k1');
	ROLLBACK;
	BEGIN;
	SAVEPOINT s;
	SELECT outbox_enqueue('order.created', '{"n": 3}', message_key => 'k1');
	ROLLBACK TO s;
	SELECT outbox_enqueue('order.created', '{"n": 4}', message_key => 'k1');
	COMMIT;
	DO $$
	BEGIN
		PERFORM outbox_enqueue('order.created', '{"n": 5}', message_key => 'k1');
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
	END
	$$;
	SELECT outbox_enqueue('order.created', '{"n": 6}', message_key => 'k1');
});
wait_for('the last message arrives',
	sub { grep { $_->{body} eq '{"n": 6}' } $receiver->delivered('/hook') });
is( join(' ', map { $_->{body} } $receiver->requests('/hook')),
	'{"n": 1} {"n": 4} {"n": 6}',
	'committed messages arrive in order, rolled back ones never');

is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
