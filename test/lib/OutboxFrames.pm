# test/lib/OutboxFrames.pm
#
# A reader of the frames of outbox_decoder by unpack(), as PROTOCOL.md says.
# It shares no code with wire.c, so that the two check each other.  A frame is
# a hash with the names of the document; items are its messages or runs.
#
# SPDX-License-Identifier: PostgreSQL
package OutboxFrames;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(parse_frame parse_file kinds ids streamed_ids);

sub take
{
	my ($bytes, $template, $size) = @_;
	die "frame ends early" if length($$bytes) < $size;
	my @values = unpack($template, substr($$bytes, 0, $size, ''));
	return wantarray ? @values : $values[0];
}

sub take_string
{
	my ($bytes) = @_;
	my $len = take($bytes, 'N', 4);
	return $len == 0xFFFFFFFF ? undef : take($bytes, "a$len", $len);
}

sub take_routes
{
	my ($bytes) = @_;
	my $n = take($bytes, 'n', 2);
	return [ map { take($bytes, 's>', 2) } 1 .. $n ];
}

sub take_message
{
	my ($bytes) = @_;
	my %m;
	@m{qw(id generation shard_id create_time)} = take($bytes, 'q>s>s>q>', 20);
	$m{routes} = take_routes($bytes);
	$m{$_} = take_string($bytes)
	  for qw(type biz_key topic tag message_key sharding_key content_type);
	my $n = take($bytes, 'n', 2);
	$m{headers} = [ map { take_string($bytes) } 1 .. 2 * $n ];
	$m{omitted} = take($bytes, 'C', 1);
	$m{payload} = take_string($bytes);
	return \%m;
}

sub take_run
{
	my ($bytes) = @_;
	my %r = (generation => take($bytes, 's>', 2), routes => take_routes($bytes));
	@r{qw(first last)} = take($bytes, 'q>q>', 16);
	return \%r;
}

my %heads = (
	T => [ 'CNQ>q>NN', 29, qw(flags xid commit_end commit_time ordinal count) ],
	C => [ 'NNN', 12, qw(xid subxid count) ],
	S => [ 'NQ>q>', 20, qw(xid commit_end commit_time) ],
	A => [ 'NN', 8, qw(xid subxid) ],
	D => [ 'CQ>', 9, qw(bells commit_end) ]);

sub take_frame
{
	my ($bytes) = @_;
	my $before = length($$bytes);
	my %f = (kind => take($bytes, 'a', 1));
	my ($template, $size, @names) = @{ $heads{ $f{kind} } };
	@f{@names} = take($bytes, $template, $size);
	$f{items} = [
		map { $f{kind} eq 'T' ? take_message($bytes) : take_run($bytes) }
		  1 .. ($f{count} // 0)
	];
	$f{size} = $before - length($$bytes);
	return \%f;
}

sub parse_frame
{
	my ($bytes) = @_;
	my $frame = take_frame(\$bytes);
	die length($bytes) . " bytes left" if length($bytes);
	return $frame;
}

# What pg_recvlogical has written: a newline after each frame.
sub parse_file
{
	my ($bytes) = @_;
	my @frames;
	eval {
		while (length($bytes))
		{
			my $frame = take_frame(\$bytes);
			take(\$bytes, 'a', 1) eq "\n" or die "no newline";
			push @frames, $frame;
		}
		1;
	} or $@ =~ /ends early/ or die $@;
	return @frames;
}

sub kinds
{
	return join('', map { $_->{kind} } @_);
}

sub ids
{
	return [ map { $_->{id} } map { @{ $_->{items} } } @_ ];
}

# What a relay would keep of a streamed transaction.
sub streamed_ids
{
	my ($xid, @frames) = @_;
	my %aborted = map { $_->{subxid} => 1 } grep { $_->{kind} eq 'A' } @frames;
	my @ids;
	for my $chunk (grep { $_->{kind} eq 'C' && $_->{xid} == $xid } @frames)
	{
		next if $aborted{ $chunk->{subxid} } || $aborted{$xid};
		push @ids, map { $_->{first} .. $_->{last} } @{ $chunk->{items} };
	}
	return \@ids;
}

1;
