# test/lib/OutboxTest/Process.pm
#
# A child process of a test, its output in a file.  Ended with the test.
#
# SPDX-License-Identifier: PostgreSQL
package OutboxTest::Process;

use strict;
use warnings;

use POSIX ();
use PostgreSQL::Test::Utils;
use Scalar::Util 'weaken';
use Test::More ();
use Time::HiRes qw(time usleep);

my %running;
my $count = 0;

# start(name, command => [], env => {}): output and errors go to ->{output}.
sub start
{
	my ($class, $name, %params) = @_;
	my $self = bless {
		name => $name,
		command => $params{command},
		env => $params{env} // {},
		output => PostgreSQL::Test::Utils::tempdir() . "/$name."
		  . ++$count . '.log'
	}, $class;

	$self->run;
	return $self;
}

# run: starts it, again after it has ended; the output is appended to.
sub run
{
	my ($self) = @_;
	my $pid = fork();

	die "could not fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		@ENV{ keys %{ $self->{env} } } = values %{ $self->{env} };
		open(STDIN, '<', '/dev/null') or POSIX::_exit(127);
		open(STDOUT, '>>', $self->{output}) or POSIX::_exit(127);
		open(STDERR, '>&', \*STDOUT) or POSIX::_exit(127);
		{ no warnings 'exec'; exec { $self->{command}[0] } @{ $self->{command} }; }
		print STDERR "cannot run $self->{command}[0]: $!\n";
		POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	delete $self->{status};
	$running{$pid} = $self;
	weaken($running{$pid});
	return;
}

# running: also collects the exit status of one that has ended.
sub running
{
	my ($self) = @_;

	return 0 unless $self->{pid};
	return 1 if waitpid($self->{pid}, POSIX::WNOHANG()) == 0;
	$self->{status} = $?;
	delete $running{ $self->{pid} };
	$self->{pid} = undef;
	return 0;
}

sub signal
{
	my ($self, $signal) = @_;
	return $self->{pid} ? kill($signal, $self->{pid}) : 0;
}

# wait_end(seconds): the exit code, "signal N", or undef when time is up.
sub wait_end
{
	my ($self, $seconds) = @_;
	my $deadline = time() + ($seconds // $OutboxTest::TIMEOUT);

	while ($self->running)
	{
		return undef if time() > $deadline;
		usleep(10_000);
	}
	return undef unless defined $self->{status};
	return $self->{status} & 127
	  ? 'signal ' . ($self->{status} & 127)
	  : $self->{status} >> 8;
}

# stop: asks it to end and returns how it did; killed when it does not.
sub stop
{
	my ($self, $seconds) = @_;

	$self->signal('CONT');
	$self->signal('TERM');
	my $end = $self->wait_end($seconds);
	$self->kill9 if $self->running;
	return $end;
}

sub kill9
{
	my ($self) = @_;

	$self->signal('KILL');
	return $self->wait_end;
}

sub output
{
	my ($self) = @_;
	return -e $self->{output}
	  ? PostgreSQL::Test::Utils::slurp_file($self->{output})
	  : '';
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@, $!);

	$self->kill9 if $self->{pid} && $running{ $self->{pid} };
	return;
}

# What a failed test needs to be understood, then the end of all children.
END
{
	my $status = $?;
	my $failed = $status || !Test::More->builder->is_passing;

	foreach my $process (grep { defined } values %running)
	{
		if ($failed && $process->{name} ne 'receiver')
		{
			my @lines = split(/\n/, $process->output);
			@lines = @lines[-40 .. -1] if @lines > 40;
			Test::More::diag("end of the output of $process->{name}:");
			Test::More::diag("  $_") foreach @lines;
		}
		$process->kill9;
	}
	$? = $status;
}

1;
