# test/t/306_notify.pl
#
# What systemd is told: ready when the relay delivers, why it does not while
# it does not, and that it stops.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use OutboxTest;
use PostgreSQL::Test::Utils;
use Socket 'SOCK_DGRAM';
use Test::More;

my $node = new_node('main');

# A socket as systemd has one for each unit.
sub open_socket
{
	my ($name) = @_;
	my $path = PostgreSQL::Test::Utils::tempdir_short() . "/$name";
	my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path)
	  or die "could not make $path: $!";
	return { path => $path, socket => $socket, told => '' };
}

# told(socket, pattern): waits until the last that was said matches.
sub told
{
	my ($to, $pattern) = @_;

	return wait_for(
		"systemd is told $pattern",
		sub {
			while (IO::Select->new($to->{socket})->can_read(0))
			{
				$to->{socket}->recv($to->{told}, 4096);
				return 1 if $to->{told} =~ $pattern;
			}
			return 0;
		});
}

sub notifying
{
	my ($name, $to) = @_;
	return start_relay(
		$node,
		name => $name,
		wait => 0,
		env => { NOTIFY_SOCKET => $to->{path} });
}

my $first = open_socket('first');
my $relay = notifying('first', $first);
ok(told($first, qr/^READY=1\nSTATUS=running$/), 'ready when it delivers');

my $second = open_socket('second');
my $standby = notifying('second', $second);
ok(told($second, qr/^STATUS=standing by/), 'a second one stands by');

is($relay->stop, 0, 'the first ends');
ok(told($first, qr/^STOPPING=1/), 'and says that it stops');
ok(told($second, qr/^READY=1\nSTATUS=running$/), 'then the second is ready');

$node->stop;
ok(told($second, qr/^STATUS=not delivering: \S/), 'without the server it says why not');
$node->start;
ok(told($second, qr/^READY=1\nSTATUS=running$/), 'and that it delivers again');
is($standby->stop, 0, 'the second ends');

$node->stop;
done_testing();
