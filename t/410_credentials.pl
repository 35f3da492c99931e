# Tokens one by one, verification and rotation, and what can go wrong with them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use MIME::Base64 qw(encode_base64url decode_base64url);
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('credentials');
write_keys($node, "$_.key", $KEY{$_}) foreach keys %KEY;
my $one = use_keys('one.key');
my $two_after_one = use_keys('two.key', 'one.key');
my $changed = 'SELECT xmin, connection_id, value FROM auth_data ORDER BY connection_id';

sub sql
{
	my ($sql, $keys) = @_;
	return $node->safe_psql('postgres', ($keys // $one) . $sql);
}

# An error with this SQLSTATE and message; returns all of it.
sub fails
{
	my ($sql, $state, $message, $name, $keys) = @_;
	my ($out, $err) = query($node, ($keys // $one) . $sql);
	is(sqlstate($err), $state, "$name: SQLSTATE");
	like($err, $message, "$name: message");
	return $err;
}

sub padded
{
	my ($bytes) = @_;
	my $text = encode_base64url($bytes);
	return $text . '=' x (-length($text) % 4);
}

### Round trips in the database

foreach my $json (
	'{}', '[]', '""', 'null', 'true', '[{}, [], [[]]]',
	'{"a": {"b": {"c": [1, 2, {"d": null}]}}}',
	"{\"\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c\": \"\xf0\x9f\x94\x91\"}",
	'[0, -1, 12345678901234567890123456789, 1.5, -0.001, 0.1234567890123456789012345]',
	'{"quote": "\\"", "back": "\\\\", "line": "a\\nb\\tc\\u0001"}')
{
	is(sql("SELECT syncmaster_decrypt(syncmaster_encrypt('$json')) = '$json'"),
		't', "round trip of $json");
}
is( sql(q{SELECT syncmaster_decrypt(syncmaster_encrypt(v)) = v
		  FROM (SELECT jsonb_build_object('a', repeat('x', 1 << 20)) AS v) x}),
	't', 'round trip of 1 MB');
is(sql(q{SELECT count(DISTINCT syncmaster_encrypt('{}')) FROM generate_series(1, 200)}),
	'200', 'each token has its own IV');
fails(q{SELECT syncmaster_encrypt(('[' || repeat('9', 5000) || ']')::jsonb)},
	'54000', qr/credentials hold an integer of more than 4300 digits/,
	'a number that Python would not read');

# PL/pgSQL keeps its call sites until the end of the transaction, but not the
# keys of other settings, nor those of an earlier command.
sql(q{CREATE FUNCTION seal(value jsonb) RETURNS text LANGUAGE plpgsql
	AS $$ BEGIN RETURN app.syncmaster_encrypt(value); END $$});
is(sql(q{BEGIN;
	SELECT seal('{}') IS NOT NULL;
	SET LOCAL syncmaster.secret_key_file = 'two.key';
	SELECT syncmaster_decrypt(seal('{"n": 2}'));
	COMMIT}), qq(t\n{"n": 2}), 'another key file in the same transaction');
is(sql(q{BEGIN;
	SET LOCAL syncmaster.secret_key_file = 'changing.key';
	\! cp one.key changing.key
	SELECT seal('{}') IS NOT NULL;
	\! cp two.key changing.key
	SELECT syncmaster_decrypt(seal('{"n": 2}'));
	COMMIT} =~ s/(\S+\.key)(?= |$)/$node->data_dir . "\/$1"/egmr), qq(t\n{"n": 2}),
	'the same file with another key in the same transaction');

### Bad tokens

my $token = sql(q{SELECT syncmaster_encrypt('{"secret": "hush"}')});
my $bytes = decode_base64url($token);
my %malformed = (
	'empty' => '',
	'blank' => ' ',
	'one character' => 'g',
	'not base64' => '%%%%',
	'not ASCII' => "$token\xc3\xa9",
	'without padding' => $token =~ s/=+$//r,
	'wrong version' => padded("\x81" . substr $bytes, 1),
	'version only' => padded(substr $bytes, 0, 1),
	'without timestamp' => padded(substr $bytes, 0, 8),
	'short' => padded(substr $bytes, 0, 72),
	'not a multiple of the block size' => padded("$bytes\0"));
foreach my $name (sort keys %malformed)
{
	fails("SELECT syncmaster_decrypt('$malformed{$name}')",
		'22P02', qr/value is not a Fernet token/, $name);
}
foreach my $place (1, 9, 25, 40, length($bytes) - 1)
{
	my $flipped = $bytes;
	substr($flipped, $place, 1) ^= "\x01";
	fails("SELECT syncmaster_decrypt('" . padded($flipped) . "')",
		'22000', qr/token cannot be read with any key/, "a bit flipped in byte $place");
}
fails("SELECT syncmaster_decrypt('" . padded(substr $bytes, 0, length($bytes) - 16) . "')",
	'22000', qr/token cannot be read with any key/, 'a block cut off');
fails("SELECT syncmaster_decrypt('$token')", '22000',
	qr/token cannot be read with any key\nDETAIL:  The keys tried are $FINGERPRINT{two}, $FINGERPRINT{three}\./,
	'a token under another key', use_keys('two.key', 'three.key'));
fails(q{SELECT syncmaster_decrypt(repeat('gAAA', 25 * 1024 * 1024 + 3))},
	'22000', qr/token cannot be read with any key/, '100 MB of token');
fails(q{SELECT syncmaster_decrypt(repeat('%', 100 * 1024 * 1024))},
	'22P02', qr/value is not a Fernet token/, '100 MB of something else');

fails(q{SELECT syncmaster_decrypt(repeat('gAAA', 90 * 1024 * 1024 + 3))},
	'54000', qr/credentials are too large/, '360 MB of token');

# The specification's vectors, with the specification's key.
write_keys($node, 'spec.key', 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=');
my $spec = use_keys('spec.key');
my $refused = 0;
foreach my $vector (slurp_file("$FindBin::RealBin/../test/fernet/invalid.json") =~ /"token": "(.*?)"/g)
{
	my ($out, $err) = query($node, "$spec SELECT syncmaster_decrypt('$vector')");
	$refused++ if $err =~ /cannot be read with any key|is not a Fernet token/;
	like($err, qr/credentials are not JSON/, 'the others decrypt to "hello"')
	  if $err !~ /cannot be read with any key|is not a Fernet token/;
}
is($refused, 6, 'six of the invalid vectors are refused whatever the time');

# Payloads that are signed and encrypted well, but are not what jsonb can hold:
# made by OpenSSL's program with the first test key.
sub make_token
{
	my ($payload) = @_;
	my $key = unpack 'H*', decode_base64url($KEY{one});
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $head = "\x80" . "\0" x 8 . "\1" x 16;
	my $run = sub {
		my ($input, @command) = @_;
		open my $in, '>:raw', "$dir/in" or die $!;
		print $in $input;
		close $in or die $!;
		system("openssl @command -in $dir/in -out $dir/out 2>$dir/err") == 0
		  or die slurp_file("$dir/err");
		open my $out, '<:raw', "$dir/out" or die $!;
		local $/;
		return scalar <$out>;
	};
	$head .= $run->($payload, qw(enc -aes-128-cbc -K), substr($key, 32),
		'-iv', '01' x 16);
	my $hmac = sub {
		open my $in, '>:raw', "$dir/in" or die $!;
		print $in $_[0];
		close $in or die $!;
		my $hex = substr $key, 0, 32;
		my $result = qx{openssl dgst -sha256 -mac HMAC -macopt hexkey:$hex -binary $dir/in};
		return $result;
	};
	return padded($head . $hmac->($head));
}
SKIP:
{
	my @payloads = (
		'', 'hush', '{"hush": ', "{'hush': 1}", '{"a": hush}', '{"a": "hush}', 'NaN',
		'{"hush": "\u0000"}', '{"hush": "\ud800"}', "{\"hush\": \"\xff\"}",
		"\"hush\0\"", '{"hush": 1e999999}', '{"hush": 1} hush', "\xfe\xff\0{\0}");
	skip 'no openssl', 1 + 3 * @payloads if system('openssl version >/dev/null 2>&1') != 0;
	is(sql("SELECT syncmaster_decrypt('" . make_token('{"a": 1}') . "')"),
		'{"a": 1}', 'a token that OpenSSL made');
	foreach my $payload (@payloads)
	{
		my $err = fails("SELECT syncmaster_decrypt('" . make_token($payload) . "')",
			'22032', qr/credentials are not JSON that jsonb can hold/,
			'payload ' . ($payload =~ s/[^ -~]/?/gr));
		unlike($err, qr/hush|0xff/, 'the payload is not shown');
	}
}

### Verification and rotation

add_connections($node, 1, 60);
sql(q{INSERT INTO auth_data (connection_id, value)
	SELECT id, syncmaster_encrypt(jsonb_build_object('user', 'u' || id, 'password', 'p' || id))
	FROM connection WHERE id <= 50});
my $verify = q{SELECT status, key_fingerprint, credentials, connection_ids
	FROM syncmaster_verify_credentials()};
is(sql($verify), "primary key|$FINGERPRINT{one}|50|
unreadable||0|{}
connection without credentials||10|{51,52,53,54,55,56,57,58,59,60}
credentials without connection||0|{}", 'all under the primary key');
is(sql($verify, $two_after_one), "primary key|$FINGERPRINT{two}|0|
previous key|$FINGERPRINT{one}|50|
unreadable||0|{}
connection without credentials||10|{51,52,53,54,55,56,57,58,59,60}
credentials without connection||0|{}", 'all under a previous key');

my $before = sql("SELECT connection_id, syncmaster_decrypt(value), substr(value, 1, 11), updated_at
	FROM auth_data ORDER BY 1");
my $rows = sql($changed);
is(sql('SELECT * FROM syncmaster_rotate_credentials(true)', $two_after_one),
	'50|0|0|{}', 'a dry run counts');
is(sql($changed), $rows, 'and changes nothing');
sleep 1;
is(sql('SELECT * FROM syncmaster_rotate_credentials()', $two_after_one),
	'50|0|0|{}', 'rotation');
is(sql("SELECT connection_id, syncmaster_decrypt(value), substr(value, 1, 11), updated_at
	FROM auth_data ORDER BY 1", use_keys('two.key')), $before,
	'the new key reads the same, with the same timestamps');
isnt(sql($changed), $rows, 'every row was written');
$rows = sql($changed);
is(sql('SELECT * FROM syncmaster_rotate_credentials(dry_run => false)', $two_after_one),
	'0|50|0|{}', 'rotation once more');
is(sql($changed), $rows, 'changes nothing');
fails("SELECT syncmaster_decrypt(value) FROM auth_data", '22000',
	qr/token cannot be read with any key/, 'the old key reads nothing any more');

# Some under each key, and more rows with one file for both.
write_keys($node, 'both.key', $KEY{three}, $KEY{two}, $KEY{one});
sql(q{UPDATE auth_data SET value = syncmaster_encrypt('{"v": 1}') WHERE connection_id <= 5});
sql(q{UPDATE auth_data SET value = syncmaster_encrypt('{"v": 2}')
	WHERE connection_id BETWEEN 6 AND 9}, use_keys('three.key'));
is(sql($verify, use_keys('both.key')), "primary key|$FINGERPRINT{three}|4|
previous key|$FINGERPRINT{two}|41|
previous key|$FINGERPRINT{one}|5|
unreadable||0|{}
connection without credentials||10|{51,52,53,54,55,56,57,58,59,60}
credentials without connection||0|{}", 'credentials under three keys');
is(sql('SELECT * FROM syncmaster_rotate_credentials()', use_keys('both.key')),
	'46|4|0|{}', 'all keys in one file');
is(sql($verify, use_keys('three.key')) =~ /primary key\|\w+\|50\|/, 1, 'all under the third');

# Unreadable tokens: named, everything rolled back, nothing shown.
$rows = sql($changed);
my %unreadable = (
	7 => "'nonsense'", 13 => "''",
	21 => q{overlay(value PLACING 'A' FROM length(value) - 5)},
	34 => 'substr(value, 1, 60)');
foreach my $id (sort { $a <=> $b } keys %unreadable)
{
	sql("UPDATE auth_data SET value = $unreadable{$id} WHERE connection_id = $id");
}
$rows = sql($changed);
my $to_one = use_keys('one.key', 'three.key');
my $err = fails('SELECT * FROM syncmaster_rotate_credentials()', '22000',
	qr/credentials of 4 connections cannot be read with any key\nDETAIL:  connection_id: 7, 13, 21, 34\. Nothing was changed\./,
	'unreadable tokens', $to_one);
unlike($err, qr/nonsense|gAAAA/, 'their content is not shown');
is(sql($changed), $rows, 'and nothing was changed');
is(sql('SELECT * FROM syncmaster_rotate_credentials(true)', $to_one),
	'46|0|4|{7,13,21,34}', 'a dry run reports them');
is(sql("SELECT connection_ids, credentials FROM syncmaster_verify_credentials() WHERE status = 'unreadable'", $to_one),
	'{7,13,21,34}|4', 'and so does verification');
sql("DELETE FROM auth_data WHERE connection_id IN (13, 21, 34)");
fails('SELECT * FROM syncmaster_rotate_credentials()', '22000',
	qr/credentials of 1 connection cannot be read with any key\nDETAIL:  connection_id: 7\. /,
	'one unreadable token', $to_one);
sql("DELETE FROM auth_data WHERE connection_id = 7");

# NULL, where the constraint was dropped; rows without a connection; many
# unreadable ones.
sql(q{ALTER TABLE auth_data ALTER COLUMN value DROP NOT NULL;
	ALTER TABLE auth_data DROP CONSTRAINT fk__auth_data__connection_id__connection;
	INSERT INTO auth_data (connection_id, value) VALUES (1000, NULL), (1001, NULL)});
is(sql("SELECT status, connection_ids FROM syncmaster_verify_credentials() WHERE connection_ids <> '{}'", $to_one),
	"unreadable|{1000,1001}\nconnection without credentials|{7,13,21,34,51,52,53,54,55,56,57,58,59,60}\ncredentials without connection|{1000,1001}",
	'NULL and credentials without a connection');
fails('SELECT * FROM syncmaster_rotate_credentials()', '22000',
	qr/connection_id: 1000, 1001\./, 'NULL', $to_one);
sql(q{INSERT INTO auth_data SELECT g, 'bad' FROM generate_series(2001, 2300) g});
fails('SELECT * FROM syncmaster_rotate_credentials()', '22000',
	qr/credentials of 302 connections .*: 1000, 1001, 2001, .*, 2098 and 202 more\. Nothing/s, 'many unreadable tokens', $to_one);
sql(q{DELETE FROM auth_data WHERE connection_id >= 1000;
	INSERT INTO auth_data VALUES (3000, repeat('gAAA', 90 * 1024 * 1024 + 3))});
is(sql("SELECT connection_ids FROM syncmaster_verify_credentials() WHERE status = 'unreadable'", $to_one),
	'{3000}', 'what is too large is unreadable');
fails('SELECT * FROM syncmaster_rotate_credentials()', '22000',
	qr/connection_id: 3000\./, 'what is too large', $to_one);
sql('DELETE FROM auth_data WHERE connection_id >= 1000');

# Without a connection_id, where the primary key was dropped: counted by both
# functions, and rotated like any other.
sql(q{ALTER TABLE auth_data DROP CONSTRAINT pk__auth_data;
	ALTER TABLE auth_data ALTER COLUMN connection_id DROP NOT NULL;
	INSERT INTO auth_data (connection_id, value)
		SELECT NULL, syncmaster_encrypt('{"v": 3}') FROM generate_series(1, 2);
	INSERT INTO auth_data (connection_id, value) VALUES (NULL, 'bad'), (1000, 'bad')}, use_keys('three.key'));
is(sql("SELECT status, credentials, connection_ids FROM syncmaster_verify_credentials() WHERE status ~ 'unread|without conn'", $to_one),
	"unreadable|2|{1000,NULL}\ncredentials without connection|4|{1000,NULL,NULL,NULL}",
	'credentials without a connection_id');
is(sql('SELECT * FROM syncmaster_rotate_credentials(true)', $to_one), '48|0|2|{1000,NULL}',
	'a dry run counts them');
fails('SELECT * FROM syncmaster_rotate_credentials()', '22000',
	qr/credentials of 2 connections .*: 1000, null\. Nothing/s, 'an unreadable one', $to_one);
sql(q{DELETE FROM auth_data WHERE value = 'bad'});
is(sql('BEGIN; SELECT * FROM syncmaster_rotate_credentials();
	SELECT count(*) FROM auth_data
	WHERE connection_id IS NULL AND syncmaster_decrypt(value)->>$$v$$ = $$3$$; ROLLBACK', $to_one),
	"48|0|0|{}\n2", 'and rotation takes them along');
sql(q{DELETE FROM auth_data WHERE connection_id IS NULL;
	ALTER TABLE auth_data ADD CONSTRAINT pk__auth_data PRIMARY KEY (connection_id)});

sql(q{ALTER TABLE auth_data ALTER COLUMN value SET NOT NULL;
	ALTER TABLE auth_data ADD CONSTRAINT fk__auth_data__connection_id__connection
		FOREIGN KEY (connection_id) REFERENCES connection ON DELETE CASCADE});

# Large ones, out of line.
sql(q{INSERT INTO auth_data (connection_id, value)
	SELECT 51 + g, syncmaster_encrypt(jsonb_build_object('large', repeat('x', 400000 * g)))
	FROM generate_series(1, 5) g}, use_keys('three.key'));
is(sql('SELECT * FROM syncmaster_rotate_credentials()', $to_one), '51|0|0|{}', 'large tokens');
is( sql(q{SELECT sum(length(syncmaster_decrypt(value)->>'large')) FROM auth_data}),
	'6000000', 'are whole');

# In a transaction that is rolled back, and one with changes of its own.
$rows = sql($changed);
my $to_two = $two_after_one;
sql('BEGIN; SELECT syncmaster_rotate_credentials(); ROLLBACK', $to_two);
is(sql($changed), $rows, 'rolled back');
is( sql(q{BEGIN;
	UPDATE auth_data SET updated_at = now() WHERE connection_id = 1;
	SELECT re_encrypted FROM syncmaster_rotate_credentials();
	SELECT re_encrypted FROM syncmaster_rotate_credentials();
	ROLLBACK}, $to_two), "51\n0", 'after other changes of the transaction');

# One that the same command inserted: its foreign key is checked all the same.
sql(q{ALTER TABLE connection DISABLE TRIGGER ALL; DELETE FROM connection WHERE id = 60});
fails(q{WITH new AS (INSERT INTO auth_data (connection_id, value)
		SELECT 60, value FROM auth_data WHERE connection_id = 1 RETURNING 1)
	SELECT (SELECT re_encrypted FROM syncmaster_rotate_credentials()) FROM new}, '23503',
	qr/violates foreign key constraint "fk__auth_data__connection_id__connection"/,
	'a row of the same command without a connection', $to_two);
sql(q{ALTER TABLE connection ENABLE TRIGGER ALL});
is(sql($changed), $rows, 'nothing was changed');

# Keys that share the half that signs: a token is under the one that decrypts
# it, and noise, which one in 256 decrypts to under the other, is no secret.
my $half = padded(substr(decode_base64url($KEY{one}), 0, 16) . "\x55" x 16);
write_keys($node, 'half.key', $half);
write_keys($node, 'half_and_one.key', $half, $KEY{one});
sql(q{BEGIN;
	CREATE TABLE many AS SELECT connection_id, value FROM auth_data;
	INSERT INTO connection (id, group_id, type, name, description, data)
		SELECT g, 1, 'postgres', 'c' || g, '', '{}' FROM generate_series(10001, 13000) g;
	INSERT INTO auth_data (connection_id, value)
		SELECT g, syncmaster_encrypt(jsonb_build_object('n', g, 'password', 'secret'))
		FROM generate_series(10001, 13000) g;
	DELETE FROM auth_data WHERE connection_id < 10001;
	COMMIT});
is(sql($verify =~ s/connection_ids/cardinality(connection_ids)/r . q{ WHERE status !~ 'connection'}, use_keys('half.key')) =~ s/\|\w{16}\|/|/r,
	"primary key|0|\nunreadable||3000|3000", 'half of a key reads nothing');
is(sql('SELECT re_encrypted, failed FROM syncmaster_rotate_credentials(true)', use_keys('two.key', 'half.key')),
	'0|3000', 'nor does it rotate anything');
is(sql('SELECT credentials FROM syncmaster_verify_credentials() LIMIT 2', use_keys('half_and_one.key')),
	"0\n3000", 'with the whole key beside it all are read under that');
is(sql('SELECT * FROM syncmaster_rotate_credentials()', use_keys('two.key', 'half_and_one.key')),
	'3000|0|0|{}', 'and rotated');
is(sql(q{SELECT count(*) FROM auth_data WHERE (syncmaster_decrypt(value)->>'n')::int = connection_id},
	use_keys('two.key')), '3000', 'to what they were');
sql(q{BEGIN;
	DELETE FROM connection WHERE id > 10000;
	INSERT INTO auth_data (connection_id, value) SELECT * FROM many;
	DROP TABLE many;
	COMMIT});

### What blocks a rotation

foreach my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	fails("BEGIN ISOLATION LEVEL $level; SELECT syncmaster_rotate_credentials()", '25001',
		qr/credentials cannot be rotated at this isolation level/, $level, $to_two);
}
fails('BEGIN READ ONLY; SELECT syncmaster_rotate_credentials()', '25006',
	qr/cannot execute syncmaster_rotate_credentials\(\) in a read-only transaction/,
	'a read-only transaction', $to_two);
is(sql('BEGIN READ ONLY; SELECT re_encrypted FROM syncmaster_rotate_credentials(true)', $to_two),
	'51', 'a dry run in a read-only transaction');

# A writer in between: the rotation waits, then gives up and says for whom.
{
	my $other = begin_session($node, 'postgres', undef,
		'BEGIN; UPDATE auth_data SET updated_at = now() WHERE connection_id = 1;');
	fails("SET syncmaster.lock_timeout = 100; SELECT syncmaster_rotate_credentials()", '55P03',
		qr/could not lock table "auth_data" within 100 ms/, 'a writer', $to_two);
	is(sql("SELECT credentials FROM syncmaster_verify_credentials() WHERE status = 'previous key'", $to_two),
		'51', 'verification does not wait');

	# Who has only locked a row is waited for no longer.
	in_session($other, q{COMMIT; SET application_name = 'row locker';
		BEGIN; SELECT connection_id FROM auth_data WHERE connection_id = 2 FOR UPDATE;});
	fails("SET syncmaster.lock_timeout = 100; SELECT syncmaster_rotate_credentials()", '55P03',
		qr/could not lock table "auth_data" within 100 ms\nDETAIL:  It is locked by process \d+ \(.*application "row locker"/,
		'a row that is locked', $to_two);
	end_session($other);
}

done_testing();
