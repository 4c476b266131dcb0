# test/lib/OutboxTest/Relay.pm
#
# outbox-relay as an object: a configuration file of its own, its log in a
# file, its metrics.
#
# SPDX-License-Identifier: PostgreSQL
package OutboxTest::Relay;

use strict;
use warnings;

use parent -norequire, 'OutboxTest::Process';

use HTTP::Tiny;
use PostgreSQL::Test::Utils;

my $count = 0;

# new(node, name =>, dbname =>, config => {}, env => {}, program =>)
sub new
{
	my ($class, $node, %params) = @_;
	my $name = $params{name} // 'relay' . ++$count;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name.ini";
	my $port = OutboxTest::free_port();
	my %config = (
		relay => {
			name => $name,
			listen => "127.0.0.1:$port",
			log_level => 'debug',
		},
		database => {
			conninfo => $node->connstr($params{dbname} // 'postgres'),
			slot => 'outbox',
		},
		http => { allow_targets => '127.0.0.0/8' });

	foreach my $section (keys %{ $params{config} // {} })
	{
		my $settings = $params{config}{$section};
		$config{$section} = { %{ $config{$section} // {} }, %$settings };
	}
	write_config($file, \%config);

	my $self = $class->SUPER::start(
		$name,
		command => [
			$params{program}
			  // $ENV{OUTBOX_RELAY}
			  // "$OutboxTest::ROOT/relay/outbox-relay",
			'--config',
			$file
		],
		env => $params{env});
	$self->{node} = $node;
	$self->{port} = $port;
	$self->{config_file} = $file;
	$self->{config} = \%config;
	return $self;
}

# write_config(file, { section => { name => value } }); undef leaves out.
sub write_config
{
	my ($file, $config) = @_;
	my $text = '';

	foreach my $section (sort keys %$config)
	{
		my $settings = $config->{$section};
		$text .= "[$section]\n";
		$text .= "$_ = $settings->{$_}\n"
		  foreach grep { defined $settings->{$_} } sort keys %$settings;
	}
	open(my $out, '>', $file) or die "could not write $file: $!";
	print $out $text;
	close $out or die "could not write $file: $!";
	return;
}

# wait_until_paused(route): it knows; until then it may send what comes later.
sub wait_until_paused
{
	my ($self, $route) = @_;

	OutboxTest::wait_for(
		"relay $self->{name} knows that route $route is paused",
		sub {
			($self->metric('outbox_route_paused', route => $route) // 0) == 1;
		});
	return;
}

# wait_until_streaming: its walsender holds the slot.
sub wait_until_streaming
{
	my ($self) = @_;
	my $slot = OutboxTest::quote_sql($self->{config}{database}{slot});

	OutboxTest::wait_for(
		"relay $self->{name} streams from slot $slot",
		sub {
			die "relay $self->{name} ended:\n" . $self->output
			  unless $self->running;
			return $self->{node}->safe_psql('postgres',
				    'SELECT count(*) FROM pg_replication_slots s'
				  . ' JOIN pg_stat_replication r ON r.pid = s.active_pid'
				  . " WHERE slot_name = $slot AND r.state = 'streaming'") > 0;
		});
	return;
}

# get(path): status and body from its listener; (0, '') when there is none.
sub get
{
	my ($self, $path) = @_;
	my $answer =
	  HTTP::Tiny->new(timeout => 5)->get("http://127.0.0.1:$self->{port}$path");

	return (0, '') if $answer->{status} == 599;
	return ($answer->{status}, $answer->{content});
}

# metric(name, label => value ...): the sum of the samples that have these
# labels, undef when there is none.
sub metric
{
	my ($self, $name, %labels) = @_;
	my (undef, $text) = $self->get('/metrics');
	my $sum;

	foreach my $line (split /\n/, $text)
	{
		next unless $line =~ /^\Q$name\E(?:\{(.*)\})? (\S+)$/;
		my ($found, $value) = ($1 // '', $2);
		next if grep { $found !~ /\b$_="\Q$labels{$_}\E"/ } keys %labels;
		$sum = ($sum // 0) + $value;
	}
	return $sum;
}

# rss_kb: its resident memory.
sub rss_kb
{
	my ($self) = @_;
	my $status =
	  PostgreSQL::Test::Utils::slurp_file("/proc/$self->{pid}/status");
	return $status =~ /^VmRSS:\s+(\d+)/m ? $1 : undef;
}

1;
