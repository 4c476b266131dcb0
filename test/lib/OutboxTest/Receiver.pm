# test/lib/OutboxTest/Receiver.pm
#
# test/receiver/receiver.py as an object.
#
# SPDX-License-Identifier: PostgreSQL
package OutboxTest::Receiver;

use strict;
use warnings;

use parent -norequire, 'OutboxTest::Process';

use HTTP::Tiny;
use JSON::PP;
use PostgreSQL::Test::Utils;

# new(body => 'none'): bodies are kept in the log unless told otherwise.
sub new
{
	my ($class, %params) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $self = $class->SUPER::start(
		'receiver',
		command => [
			"$OutboxTest::ROOT/test/receiver/receiver.py",
			'--port-file' => "$dir/port",
			'--log' => "$dir/receiver.jsonl",
			'--body' => $params{body} // 'full'
		]);

	$self->{port_file} = "$dir/port";
	$self->{log} = "$dir/receiver.jsonl";
	$self->wait_until_listening;
	$self->{port} = PostgreSQL::Test::Utils::slurp_file($self->{port_file});
	chomp $self->{port};
	return $self;
}

sub wait_until_listening
{
	my ($self) = @_;
	return OutboxTest::wait_for('the receiver listens',
		sub { -s $self->{port_file} });
}

# restart: after a stop or kill9, on the port it had, with the log it had.
sub restart
{
	my ($self) = @_;

	unlink $self->{port_file};
	push @{ $self->{command} }, '--port' => $self->{port}
	  unless grep { $_ eq '--port' } @{ $self->{command} };
	$self->run;
	$self->wait_until_listening;
	return;
}

sub url
{
	my ($self, $path) = @_;
	return "http://127.0.0.1:$self->{port}$path";
}

sub control
{
	my ($self, $method, $path, $content) = @_;
	my $answer = HTTP::Tiny->new(timeout => 10)->request(
		$method,
		$self->url($path),
		{ content => encode_json($content // {}) });

	die "receiver refused $path: $answer->{status}" unless $answer->{success};
	return decode_json($answer->{content});
}

# script(path, behaviour ...): see receiver.py for the words.
sub script
{
	my ($self, $path, @behaviour) = @_;
	return $self->control('PUT', '/_script',
		{ path => $path, behaviour => \@behaviour });
}

# release(path): answers what is held there.
sub release
{
	my ($self, $path) = @_;
	return $self->control('PUT', '/_release', { path => $path });
}

# state(path): { seen, held, script }.
sub state
{
	my ($self, $path) = @_;
	return $self->control('GET', '/_state')->{$path}
	  // { seen => 0, held => 0, script => [] };
}

# requests(path): what came, in order, answered or not.  Each line of the log
# is read once, however often this is asked; the last one may be half written.
sub requests
{
	my ($self, $path) = @_;

	if (open(my $log, '<', $self->{log}))
	{
		local $/;
		seek($log, $self->{read} // 0, 0);
		my ($lines) = <$log> =~ /^(.*\n)/s;
		close($log);
		$self->{read} += length($lines // '');
		push @{ $self->{requests} },
		  map { decode_json($_) } split /\n/, $lines // '';
	}
	return grep { $_->{path} eq $path } @{ $self->{requests} };
}

# delivered(path): those that were answered 2xx.
sub delivered
{
	my ($self, $path) = @_;
	return grep { $_->{status} >= 200 && $_->{status} < 300 }
	  $self->requests($path);
}

1;
