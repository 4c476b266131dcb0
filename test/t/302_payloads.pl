# test/t/302_payloads.pl
#
# Bytes arrive as they were enqueued: payloads at every edge on their way,
# names, keys and headers in any script; what cannot arrive is refused at
# enqueue, in the caller's transaction.
#
# SPDX-License-Identifier: PostgreSQL
use strict;
use warnings;
use utf8;

use Digest::SHA 'sha256_hex';
use Encode qw(encode_utf8 decode_utf8);
use OutboxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $receiver = start_receiver(body => 'none');

route_create($node, 'hook', 'http', $receiver->url('/hook'));
my $relay = start_relay($node);

# sql(text): exit code, output and errors of psql, which goes on after errors.
sub sql
{
	my ($text) = @_;
	my ($out, $err);
	my $code = $node->psql('postgres', encode_utf8($text),
		stdout => \$out, stderr => \$err, on_error_stop => 0);
	return ($code, decode_utf8($out // ''), decode_utf8($err // ''));
}

sub by_id
{
	my ($id) = @_;
	return wait_for(
		"message $id arrives",
		sub {
			my ($found) =
			  grep { $_->{headers}{'outbox-message-id'} == $id }
			  $receiver->delivered('/hook');
			return $found;
		});
}

# ---------- payloads ----------

# The TOAST edge, the edge of a payload in a frame, of a frame, of the limit.
my @sizes = (
	0, 1,
	(map { 1999 + 20 * $_ } 0 .. 5), 2100,
	(map { 32768 + $_ } -1 .. 1), (map { 65536 + $_ } -1 .. 1),
	1048575, 1048576);

# Bytes that neither compress nor are text, made and hashed by the server.
$node->safe_psql('postgres', q{
	CREATE FUNCTION noise(size integer) RETURNS bytea LANGUAGE sql AS $$
		SELECT substr(coalesce(string_agg(sha256(i::text::bytea), ''), ''),
					  1, size)
		FROM generate_series(1, size / 32 + 1) AS i
	$$;
});

sub enqueue_sizes
{
	my ($expression) = @_;
	my $rows = $node->safe_psql('postgres',
		    "SELECT s, outbox_enqueue_bytes('bin', b,"
		  . " message_key => 'k' || s), encode(sha256(b), 'hex')"
		  . ' FROM unnest(ARRAY[' . join(',', @sizes) . ']) AS s,'
		  . " LATERAL (SELECT $expression AS b) AS x ORDER BY s");
	return map { [ split /\|/ ] } split /\n/, $rows;
}

foreach my $kind (
	[ 'noise', 'noise(s)' ],
	[ 'what compresses', q{convert_to(repeat('a', s), 'UTF8')} ])
{
	my ($what, $expression) = @$kind;

	foreach my $row (enqueue_sizes($expression))
	{
		my ($size, $id, $sum) = @$row;
		my $request = by_id($id);

		is("$request->{length} $request->{sha256}",
			"$size $sum", "$size bytes of $what");
	}
}
is(by_id(
		$node->safe_psql('postgres',
			q{SELECT outbox_enqueue_bytes('bin', '\x00ff0d0a00')}))->{sha256},
	sha256_hex("\x00\xff\x0d\x0a\x00"),
	'NUL, CR and LF are bytes like others');

# Many edges in one transaction: frames split where they must.
my @ids = map { $_->[1] } enqueue_sizes('noise(s)');
is((by_id($_))->{headers}{'outbox-message-id'}, $_, 'in one transaction')
  foreach $ids[0], $ids[-1];

# ---------- texts ----------

my @texts = (
	"it's; DROP TABLE outbox.message; --",
	'"double" \\back\\ $dollar$ {brace}',
	'100% of %s %n %41',
	"\x{1F680}\x{1F469}\x{200D}\x{1F467} emoji",
	"\x{05E9}\x{05DC}\x{05D5}\x{05DD} \x{0645}\x{0631}\x{062D}\x{0628}\x{0627}",
	"\x{202E}turned round\x{202C}",
	' blanks at both ends ',
	'e' . "\x{0301}" . ' is not ' . "\x{00E9}",
	'x' x 255);

sub percent_decode
{
	my ($text) = @_;
	$text =~ s/%([0-9A-F]{2})/chr(hex($1))/ge;
	return decode_utf8($text);
}

# A dollar quote that is in none of them.
sub lit
{
	return '$q$' . $_[0] . '$q$';
}

foreach my $n (0 .. $#texts)
{
	my $text = $texts[$n];
	my $short = "text $n";
	my (undef, $id, $err) =
	  sql( 'SELECT outbox_enqueue(' . lit($text) . ", '{}',"
		  . ' biz_key => ' . lit($text) . ', tag => ' . lit($text)
		  . ', message_key => ' . lit($text)
		  . ", headers => jsonb_build_object('X-Text', " . lit($text)
		  . '::text))');
	is($err, '', "enqueued: $short");
	my $headers = by_id($id)->{headers};

	is(percent_decode($headers->{"outbox-$_"}), $text, "$_: $short")
	  foreach qw(message-type message-key biz-key tag);
	like($headers->{'outbox-message-key'}, qr/^[\x20-\x7e]+$/,
		"the key is ASCII on the way: $short");
	# The blanks around a field's value are not part of it (RFC 9110).
	is($headers->{'x-text'}, $text =~ s/^ +| +$//gr, "header: $short");
	is( decode_utf8(
			$node->safe_psql('postgres',
				"SELECT message_key FROM outbox.messages WHERE id = $id")),
		$text,
		"in the view: $short");
}

# ---------- refused ----------

my @refused = (
	[ 'NULL type', q{outbox_enqueue(NULL, '{}')}, '22004' ],
	[ 'empty type', q{outbox_enqueue('', '{}')}, '22023' ],
	[ 'NULL payload', q{outbox_enqueue('a', NULL)}, '22004' ],
	[ 'long type', q{outbox_enqueue(repeat('t', 256), '{}')}, '22001' ],
	[ 'line break in a key', q{outbox_enqueue('a', '{}', message_key => E'a\nb')}, '22021' ],
	[ 'long key', q{outbox_enqueue('a', '{}', message_key => repeat('k', 1025))}, '22001' ],
	[ 'payload over the limit', q{outbox_enqueue_bytes('a', noise(1048577))}, '54000' ],
	[ 'CR LF in a header', q{outbox_enqueue('a', '{}', headers => '{"X": "a\r\nY: b"}')}, '22021' ],
	[ 'name that is no token', q{outbox_enqueue('a', '{}', headers => '{"X Y": "a"}')}, '42602' ],
	[ 'Host', q{outbox_enqueue('a', '{}', headers => '{"hOST": "a"}')}, '42939' ],
	[ 'Content-Length', q{outbox_enqueue('a', '{}', headers => '{"Content-Length": 0}')}, '42939' ],
	[ 'Transfer-Encoding', q{outbox_enqueue('a', '{}', headers => '{"Transfer-Encoding": "chunked"}')}, '42939' ],
	[ 'one of ours', q{outbox_enqueue('a', '{}', headers => '{"Outbox-Attempt": "7"}')}, '42939' ],
	[ '64 kB of headers', q{outbox_enqueue('a', '{}', headers => jsonb_build_object('X', repeat('x', 65536)))}, '54000' ],
	[ 'unknown on_duplicate', q{outbox_enqueue('a', '{}', on_duplicate => 'perhaps')}, '22023' ],
	[ 'topic that Kafka refuses', q{outbox_enqueue('a', '{}', topic => 'a b')}, '42602' ]);

foreach my $case (@refused)
{
	my ($what, $call, $state) = @$case;
	my (undef, undef, $err) =
	  sql("\\set VERBOSITY verbose\nSELECT $call");

	like($err, qr/ERROR:  $state: /, "refused: $what");
	unlike($err, qr/xxxxxxxxxxxxxxxx/, "without its contents: $what");
}
sql(q{
	BEGIN;
	SAVEPOINT s;
	SELECT outbox_enqueue('a', NULL);
	ROLLBACK TO s;
	SELECT outbox_enqueue('last', '{}');
	COMMIT;
});
wait_for('what followed a refused one arrives',
	sub { grep { $_->{headers}{'outbox-message-type'} eq 'last' }
		  $receiver->delivered('/hook') });
pass('the caller goes on after a refused one');
is(scalar(grep { $_->{status} != 200 } $receiver->requests('/hook')),
	0, 'each was sent once and taken');

is($relay->stop, 0, 'the relay ends when asked');

# ---------- what is read from the table ----------

# The stream has the bytes as they are stored. So must have what comes by SQL,
# whatever encoding the environment asks for.
$node->safe_psql('postgres', q{SELECT outbox_route_pause('hook')});
$relay = start_relay($node, env => { PGCLIENTENCODING => 'LATIN1' });
my (undef, $waiting) = sql(
	q{SELECT outbox_enqueue('late', '{}', message_key => 'clé', headers => '{"X-Text": "été"}')}
);
wait_for('it waits in the backlog',
	sub { $node->safe_psql('postgres', 'SELECT count(*) FROM outbox.backlog') });
$node->safe_psql('postgres', q{SELECT outbox_route_resume('hook')});

my $late = by_id($waiting)->{headers};
is($late->{'outbox-message-key'}, 'cl%C3%A9', 'the key as it is stored');
is($late->{'x-text'}, 'été', 'a header as it is stored');
is($relay->stop, 0, 'the relay ends when asked');
$receiver->stop;
$node->stop;
done_testing();
