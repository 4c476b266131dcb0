# test/lib/OutboxTest/Reconcile.pm
#
# The end of a long test: all has come to rest, then the logs of driver and
# receiver and the table are compared.
#
#	use OutboxTest::Reconcile;
#	reconcile($node, $driver, $receiver, 'after the takeover');
#
# SPDX-License-Identifier: PostgreSQL
package OutboxTest::Reconcile;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP;
use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(wait_until_quiet status_file reconcile ids_at of_driver log_lines);

my $files = 0;

# wait_until_quiet(node, seconds): every message has a terminal status.
sub wait_until_quiet
{
	my ($node, $seconds) = @_;
	return wait_for(
		'every message has a terminal status',
		sub {
			return $node->safe_psql('postgres',
				    'SELECT NOT EXISTS (SELECT FROM outbox.messages'
				  . " WHERE status NOT IN ('SENT', 'DEAD', 'CANCELLED'))") eq 't';
		},
		$seconds);
}

# status_file(node): the driver's messages in the table, as the oracle reads
# it.  Another message may have an id that a transaction of the driver lost.
sub status_file
{
	my ($node) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/status.' . ++$files;

	append_to_file($file,
		$node->safe_psql('postgres',
			"SELECT id || ' ' || status FROM outbox.messages"
			  . " WHERE type = 'driver.message' ORDER BY id")
		  . "\n");
	return $file;
}

# reconcile(node, driver, receiver, name, arguments of the oracle)
sub reconcile
{
	my ($node, $driver, $receiver, $name, @arguments) = @_;

	wait_until_quiet($node);
	return ok(
		run_oracle(
			[ $driver->{log} ], [ $receiver->{log} ],
			'--status' => status_file($node), @arguments),
		"the oracle has no complaint: $name");
}

# ids_at(receiver, path): the ids answered there, in order.
sub ids_at
{
	my ($receiver, $path) = @_;
	return map { $_->{headers}{'outbox-message-id'} }
	  $receiver->delivered($path);
}

# of_driver(receiver, path): a log without what the test itself enqueued, which
# the oracle does not know.
sub of_driver
{
	my ($receiver, $path) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/driver.' . ++$files;

	append_to_file($file, encode_json($_) . "\n")
	  foreach grep { $_->{headers}{'outbox-message-type'} =~ /\.message$/ }
	  $receiver->requests($path);
	return $file;
}

# log_lines(relay, event): what the relay logged of that kind.
sub log_lines
{
	my ($relay, $pattern) = @_;
	return grep { /$pattern/ } split /\n/, $relay->output;
}

1;
