# test/lib/OutboxTest/Kafka.pm
#
# A real Apache Kafka of the test's own, by test/kafka/start.
#
# SPDX-License-Identifier: PostgreSQL
package OutboxTest::Kafka;

use strict;
use warnings;

use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;

my @brokers;

# new(settings ...): NAME=VALUE, added to server.properties.
sub new
{
	my ($class, @settings) = @_;
	my $self = bless { dir => PostgreSQL::Test::Utils::tempdir() . '/kafka' },
	  $class;

	push @brokers, $self->{dir};
	$self->start(@settings);
	return $self;
}

# join(node, settings ...): one more broker of the cluster; the first stays
# its only controller.
sub join
{
	my ($self, $node, @settings) = @_;
	my $other = bless { dir => "$self->{dir}.$node" }, ref $self;
	my $file = PostgreSQL::Test::Utils::slurp_file(
		"$self->{dir}/server.properties");
	my ($voters) = $file =~ /^(controller\.quorum\.voters=.*)$/m;
	my ($cluster) = PostgreSQL::Test::Utils::slurp_file(
		"$self->{dir}/data/meta.properties") =~ /^cluster\.id=(.*)$/m;
	my $address = 'PLAINTEXT://127.0.0.1:' . OutboxTest::free_port();

	push @brokers, $other->{dir};
	local $ENV{OUTBOX_KAFKA_CLUSTER} = $cluster;
	$other->start('process.roles=broker', "node.id=$node", $voters,
		"listeners=$address", "advertised.listeners=$address", @settings);
	return $other;
}

# leaders(topic): the numbers of the brokers that lead its partitions.
sub leaders
{
	my ($self, $topic) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(
		[ 'kcat', '-L', '-m', 5, '-b', $self->{bootstrap}, '-t', $topic ],
		'>', \$out, '2>', \$err);
	return $out =~ /partition \d+, leader (-?\d+)/g;
}

# start: also again after a stop or kill9, with the port and data it had.
sub start
{
	my ($self, @settings) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(
		[ "$OutboxTest::ROOT/test/kafka/start", $self->{dir}, @settings ],
		'<', \undef, '>', \$out, '2>', \$err)
	  or die "kafka did not start: $err";
	$self->{bootstrap} = (split /\n/, $out)[-1];
	return;
}

sub pid
{
	my ($self) = @_;
	my $pid = PostgreSQL::Test::Utils::slurp_file("$self->{dir}/pid");
	chomp $pid;
	return $pid;
}

# signal: STOP and CONT freeze and wake the broker.
sub signal
{
	my ($self, $signal) = @_;
	return kill($signal, $self->pid);
}

sub stop
{
	my ($self) = @_;
	return stop_dir($self->{dir});
}

sub kill9
{
	my ($self) = @_;
	return stop_dir($self->{dir}, 'KILL');
}

sub stop_dir
{
	my ($dir, @signal) = @_;
	return system("$OutboxTest::ROOT/test/kafka/stop", $dir, @signal) == 0;
}

# topic(name, settings ...): made, if it is not there.
sub topic
{
	my ($self, $name, @settings) = @_;
	return system("$OutboxTest::ROOT/test/kafka/topic",
		$self->{bootstrap}, $name, @settings) == 0;
}

# log_file(topic): all that is in the topic now, as lines of JSON in a file.
sub log_file
{
	my ($self, $topic) = @_;
	my $file = "$self->{dir}/$topic.jsonl";

	unlink $file;
	IPC::Run::run(
		[
			"$OutboxTest::ROOT/test/receiver/kafka_log.py",
			'--bootstrap' => $self->{bootstrap},
			'--topic' => $topic,
			'--log' => $file,
			'--body' => 'full'
		],
		'>', '/dev/null', '2>', '/dev/null');
	return $file;
}

# records(topic): the same as a list.
sub records
{
	my ($self, $topic) = @_;
	my $file = $self->log_file($topic);
	my $log = -e $file ? PostgreSQL::Test::Utils::slurp_file($file) : '';

	return map { decode_json($_) } $log =~ /^(.*)\n/mg;
}

# count(topic): how many records there are.
sub count
{
	my ($self, $topic) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(
		[
			'kcat', '-C', '-e', '-q', '-X', 'fetch.wait.max.ms=10',
			'-o' => 'beginning',
			'-b' => $self->{bootstrap},
			'-t' => $topic,
			'-f' => '%o\\n'
		],
		'>', \$out, '2>', \$err);
	return $out =~ tr/\n//;
}

END
{
	my $status = $?;
	# the controller last: others ask it whether they may stop
	stop_dir($_) foreach reverse @brokers;
	$? = $status;
}

1;
