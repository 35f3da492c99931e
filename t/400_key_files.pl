# The files that hold keys: which are taken, which are refused, and how.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('key_files');
my $dir = $node->data_dir;

# Encrypt and decrypt with a file as the key file.
sub try_file
{
	my ($file, $previous) = @_;
	return query($node,
		use_keys($file, $previous)
		  . q{SELECT syncmaster_decrypt(syncmaster_encrypt('{"a": 1}'))});
}

sub accepted
{
	my ($file, $name) = @_;
	my ($out, $err) = try_file($file);
	is($out, '{"a": 1}', $name) or diag $err;
	return;
}

sub padded
{
	my ($bytes) = @_;
	my $text = encode_base64url($bytes);
	return $text . '=' x (-length($text) % 4);
}

# A file is refused with this SQLSTATE and message, and no key is shown.
sub refused
{
	my ($file, $state, $message, $name) = @_;
	my ($out, $err) = try_file($file);
	is(sqlstate($err), $state, "$name: SQLSTATE");
	like($err, $message, "$name: message");
	unlike($err, qr/\Q$_\E/, "$name: no key") foreach map { substr $_, 4, 12 } values %KEY;

	# Who may call the functions and not see the setting is not told the path,
	# which is in the log.
	my $log = -s $node->logfile;
	($out, $err) = query($node,
		use_keys($file) . q{SET ROLE app; SELECT syncmaster_encrypt('[]')});
	is(sqlstate($err), $state, "$name: SQLSTATE without a right on the setting");
	like($err, qr/key file of setting "syncmaster\.secret_key_file"/, "$name: the setting is named");
	unlike($err, qr/\Q$file\E/, "$name: the file is not");
	like(slurp_file($node->logfile, $log), qr/DETAIL:  .*[kK]ey file (?:is )?"\Q$file\E"/,
		"$name: but in the log");
	return;
}

$node->safe_psql('postgres', q{
	GRANT USAGE ON SCHEMA app TO app;
	GRANT EXECUTE ON FUNCTION syncmaster_encrypt(jsonb), syncmaster_decrypt(text) TO app;
	CREATE ROLE viewer IN ROLE pg_read_all_settings;
	GRANT USAGE ON SCHEMA app TO viewer;
	GRANT EXECUTE ON FUNCTION syncmaster_encrypt(jsonb) TO viewer});
write_keys($node, 'one.key', $KEY{one});
accepted('one.key', 'a file in the data directory');
accepted("$dir/one.key", 'an absolute name');
write_keys($node, 'several.key', $KEY{two}, '', "  $KEY{one}\t\r", '');
accepted('several.key', 'several keys, blank lines, blanks around a key');
write_keys($node, 'windows.key', "$KEY{one}\r", "$KEY{two} \r", "\r");
accepted('windows.key', 'lines that end as on Windows');
write_keys($node, 'twice.key', $KEY{one}, $KEY{one});
accepted('twice.key', 'the same key twice');
open my $fh, '>', "$dir/open.key" or die $!;
print $fh $KEY{one};
close $fh;
chmod 0400, "$dir/open.key";
accepted('open.key', 'no newline at the end, mode 0400');

# A link to a file of the server's user.
symlink "$dir/one.key", "$dir/link.key" or die $!;
accepted('link.key', 'a link');
symlink "$dir/nowhere", "$dir/dangling.key" or die $!;
refused('dangling.key', '58P01', qr/could not read key file "dangling.key": No such file/,
	'a link to nothing');

# Who else may read it.
foreach my $mode (0640, 0604, 0620, 0602, 0610, 0777)
{
	chmod $mode, write_keys($node, 'mode.key', $KEY{one});
	refused('mode.key', 'F0000', qr/key file "mode.key" is accessible to others/,
		sprintf 'mode %04o', $mode);
}
refused('link_to_mode.key', 'F0000', qr/key file "link_to_mode.key" is accessible to others/,
	'a link to a file that others can read')
  if symlink "$dir/mode.key", "$dir/link_to_mode.key";

# What COPY and the like write is readable by others, by PostgreSQL's umask.
$node->safe_psql('postgres', "COPY (SELECT '$KEY{one}') TO '$dir/copied.key'");
refused('copied.key', 'F0000', qr/is accessible to others/, 'a file that COPY wrote')
  if (stat "$dir/copied.key")[2] & 077;

# A file of root's may be readable by its group, as PostgreSQL allows it for
# ssl_key_file.
SKIP:
{
	my $mount = $ENV{KEY_MOUNT};
	skip 'only root makes files of root', 37 if !$mount;
	accepted("$mount/mounted.key", 'a link to a file of root that the group may read, as Kubernetes mounts it');
	refused("$mount/$_->[0].key", 'F0000', qr/key file "\Q$mount\E\/$_->[0].key" is accessible to others\n.*$_->[1]/,
		"a file of root with mode $_->[1]")
	  foreach [ 'writable', '0460' ], [ 'executable', '0450' ], [ 'public', '0444' ];
	refused("$mount/foreign.key", 'F0000',
		qr/key file "\Q$mount\E\/foreign.key" does not belong to the server's user or to root/,
		"another user's file that the group may read");
}

# Not a regular file.
refused('base', 'F0000', qr/key file "base" is not a regular file/, 'a directory');
refused('/dev/null', 'F0000', qr/is not a regular file/, 'a device');
system('mkfifo', '-m', '600', "$dir/fifo.key") == 0 or die 'mkfifo';
refused('fifo.key', 'F0000', qr/is not a regular file/, 'a pipe, without waiting for it');
refused('none.key', '58P01', qr/could not read key file "none.key"/, 'no file');
SKIP:
{
	skip 'root reads everything', 5 if $> == 0;
	chmod 0, write_keys($node, 'unreadable.key', $KEY{one});
	refused('unreadable.key', '42501', qr/could not read key file "unreadable.key": Permission denied/,
		'a file without rights');
}

# Malformed keys.
my %malformed = (
	'too short' => substr($KEY{one}, 0, 40),
	'without padding' => substr($KEY{one}, 0, 43),
	'31 bytes' => substr($KEY{one}, 0, 40) . 'Ng==',
	'33 bytes' => substr($KEY{one}, 0, 43) . 'A',
	'no base64' => 'this is not a key, is it?',
	'not ASCII' => $KEY{one} . "\xc3\xa9",
	'a line of an environment file' => "SECRET_KEY=$KEY{one}",
	'a mark of byte order' => "\xef\xbb\xbf$KEY{one}",
	'a zero byte' => substr($KEY{one}, 0, 20) . "\0" . substr($KEY{one}, 20),
	'16 bits a character' => join('', map { "$_\0" } split //, $KEY{one}),
	'very long' => $KEY{one} x 50);
foreach my $name (sort keys %malformed)
{
	write_keys($node, 'bad.key', $KEY{two}, $malformed{$name});
	refused('bad.key', 'F0000', qr/line 2 of key file "bad.key" is not a key/, $name);
}

# What editors and shells make of a file is named.
my $utf16 = join '', map { "$_\0" } split //, "$KEY{one}\r\n";
foreach my $case (
	[ "$KEY{one},$KEY{two}", 'has a comma\. Write each key on a line of its own', 'two keys on a line' ],
	[ "$KEY{one}$KEY{two}", 'is 32 bytes in base64url, 44 characters', 'two keys without a comma' ],
	[ "$KEY{one} $KEY{two}", 'is 32 bytes in base64url', 'two keys with a blank between' ],
	[ qq{"$KEY{one}"}, 'is 32 bytes in base64url', 'a key in quotes' ],
	[ "# SyncMaster's key", 'is a comment\. A key file has only keys', 'a comment' ],
	[ "\xef\xbb\xbf$KEY{one}", 'begins with a byte order mark\. Save it without one', 'a byte order mark' ],
	[ "\xff\xfe$utf16", 'is in UTF-16', 'UTF-16 with a byte order mark' ],
	[ $utf16, 'is in UTF-16', 'UTF-16 without one' ])
{
	my ($content, $detail, $name) = @$case;
	write_keys($node, 'bad.key', $content);
	refused('bad.key', 'F0000', qr/line 1 of key file "bad.key" is not a key\nDETAIL:  .* $detail/, $name);
}
write_keys($node, 'empty.key');
refused('empty.key', 'F0000', qr/key file "empty.key" has no key/, 'an empty file');
write_keys($node, 'blank.key', '', ' ', "\t");
refused('blank.key', 'F0000', qr/key file "blank.key" has no key/, 'a blank file');
# 16384 bytes, with the newline at their end, and one more
write_keys($node, 'edge.key', $KEY{one}, ' ' x 16338);
accepted('edge.key', 'the largest file');
write_keys($node, 'beyond.key', $KEY{one}, ' ' x 16339);
refused('beyond.key', 'F0000', qr/key file "beyond.key" is too large/, 'a byte more');
write_keys($node, 'large.key', ($KEY{one}) x 400);
refused('large.key', 'F0000', qr/key file "large.key" is too large/, 'a large file');
truncate(write_keys($node, 'huge.key', $KEY{one}), 1 << 33) or die $!;
refused('huge.key', 'F0000', qr/key file "huge.key" is too large/, 'a huge file, without reading it');
unlink "$dir/huge.key";
write_keys($node, 'many.key', $KEY{two}, map { padded(pack 'Nx28', $_) } 1 .. 300);
accepted('many.key', '301 keys');

# The file of previous keys is checked in the same way.
chmod 0644, write_keys($node, 'mode.key', $KEY{two});
my ($out, $err) = try_file('one.key', 'mode.key');
like($err, qr/F0000: key file "mode.key" is accessible to others/,
	'previous keys that others can read');
foreach my $case (
	[ 'app', 'of setting "syncmaster.previous_secret_key_file"' ],
	[ 'viewer', '"mode.key"' ])
{
	my ($role, $shown) = @$case;
	(undef, $err) = query($node,
		use_keys('one.key', 'mode.key') . "SET ROLE $role; SELECT syncmaster_encrypt('[]')");
	like($err, qr/F0000: key file \Q$shown\E is accessible to others\nDETAIL:  The file's mode is 0644\./,
		"... and what role $role is told");
}

# Every function that reads the files, called by a role that may not see the settings,
# by a function with the rights of its owner, who may, and by a superuser.
write_keys($node, 'path_good.key', $KEY{one});
chmod 0644, write_keys($node, 'path_mode.key', $KEY{one});
write_keys($node, 'path_content.key', 'no key');
write_keys($node, 'path_empty.key');
write_keys($node, 'path_large.key', ($KEY{one}) x 400);
mkdir "$dir/path_directory.key" or die $!;
my @reads = (
	q{SELECT app.syncmaster_encrypt('[]')},
	q{SELECT app.syncmaster_decrypt('x')},
	'SELECT count(*)::text FROM app.syncmaster_verify_credentials()',
	'SELECT count(*)::text FROM app.syncmaster_rotate_credentials()',
	'SELECT count(*)::text FROM app.syncmaster_rotate_credentials(dry_run => true)',
	q{SELECT detail || hint FROM app.syncmaster_health() WHERE check_name = 'credentials'});
$node->safe_psql('postgres', q{
	CREATE ROLE reader;
	GRANT USAGE ON SCHEMA app TO reader;
	GRANT EXECUTE ON FUNCTION syncmaster_encrypt(jsonb), syncmaster_decrypt(text),
		syncmaster_verify_credentials(), syncmaster_rotate_credentials(boolean),
		syncmaster_health() TO reader});
my $calls = join '; ', @reads;
my $definers = join '; ', map { "SELECT definer$_()" } 0 .. $#reads;
$node->safe_psql('postgres', "CREATE FUNCTION definer$_() RETURNS text LANGUAGE plpgsql
		SECURITY DEFINER AS \$\$DECLARE t text; BEGIN $reads[$_] INTO t; RETURN t; END\$\$")
  foreach 0 .. $#reads;
foreach my $case (
	[ 'missing', 'could not read key file %s: No such file or directory' ],
	[ 'mode', 'key file %s is accessible to others' ],
	[ 'content', 'line 1 of key file %s is not a key' ],
	[ 'empty', 'key file %s has no key' ],
	[ 'large', 'key file %s is too large' ],
	[ 'directory', 'key file %s is not a regular file' ])
{
	my ($kind, $message) = @$case;
	foreach my $setting ('secret_key_file', 'previous_secret_key_file')
	{
		my $file = "$dir/path_$kind.key";
		my $keys = $setting eq 'secret_key_file' ? use_keys($file) : use_keys('path_good.key', $file);
		my $hidden = sprintf $message, qq{of setting "syncmaster.$setting"};
		my $shown = sprintf $message, qq{"$file"};

		# each of them is refused
		foreach my $as ("SET ROLE reader; $calls", "SET ROLE reader; $definers",
			"SET SESSION AUTHORIZATION reader; $definers")
		{
			my ($out, $err) = query($node, "\\set ON_ERROR_STOP off\n$keys $as");
			is(scalar(() = "$out$err" =~ /\Q$hidden\E/g), scalar(@reads),
				"$kind, $setting: what is said after " . $as =~ s/;.*//r);
			unlike("$out$err", qr/path_$kind|\Q$dir\E/, '... without the path');
		}
		my ($out, $err) = query($node, "\\set ON_ERROR_STOP off\n$keys $calls");
		is(scalar(() = "$out$err" =~ /\Q$shown\E/g), scalar(@reads), '... a superuser is told the path');
	}
}

# A superuser who calls another role's function lends it nothing either.
$node->safe_psql('postgres', q{
	CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN
			PERFORM app.syncmaster_encrypt('[]');
		EXCEPTION WHEN OTHERS THEN
			RETURN SQLERRM;
		END $$;
	ALTER FUNCTION caught() OWNER TO reader});
($out, $err) = query($node, use_keys("$dir/path_mode.key") . 'SELECT caught()');
is($out, 'key file of setting "syncmaster.secret_key_file" is accessible to others',
	"a function of a role that may not see the setting, which a superuser calls");

# Settings in postgresql.conf, and a changed file without a reload.
write_keys($node, 'conf.key', $KEY{one});
$node->append_conf('postgresql.conf', "syncmaster.secret_key_file = 'conf.key'");
$node->reload;
($out, $err) = query($node, "SELECT syncmaster_decrypt(syncmaster_encrypt('[1]'))");
is($out, '[1]', 'a setting in postgresql.conf');
my $token = $node->safe_psql('postgres', q{SELECT syncmaster_encrypt('[2]')});
write_keys($node, 'conf.key', $KEY{two});
($out, $err) = query($node, "SELECT syncmaster_decrypt('$token')");
like($err, qr/22000: token cannot be read with any key\nDETAIL:  The key tried is $FINGERPRINT{two}\./,
	'the file is read anew, and fingerprints are shown');
write_keys($node, 'conf.key', $KEY{two}, $KEY{three}, $KEY{one});
is($node->safe_psql('postgres', "SELECT syncmaster_decrypt('$token')"), '[2]',
	'any key of the file reads');

# One who was granted the functions uses the keys, and sees no file.
is( $node->safe_psql('postgres', q{
	SET ROLE app;
	SELECT syncmaster_decrypt(syncmaster_encrypt('[3]'))}),
	'[3]', 'a role that was granted the functions');

# A key without its padding is not taken for a path because it has a plus or a slash,
# nor is a path taken for a key.
foreach my $value ('A' x 21 . '+' . 'B' x 21, 'A' x 21 . '/' . 'B' x 20 . '+=')
{
	($out, $err) = query($node, "LOAD 'syncmaster'; SET syncmaster.secret_key_file = '$value'");
	like($err, qr/22023: a secret key is no value for a setting that names a file/, "$value is a key");
	unlike($err, qr/\Q$value\E/, '... which is not repeated');
}
($out, $err) = query($node, "LOAD 'syncmaster'; SET syncmaster.secret_key_file = '/etc/keys/" . 'a' x 33 . q{'});
is($err, '', 'a path of as many characters is none');

# The file of previous keys is another one later in the same command.
write_keys($node, 'two.key', $KEY{two});
(undef, $err) = query($node, use_keys('one.key', 'two.key') . qq{
	DO \$\$
	DECLARE token text;
	DECLARE content jsonb;
	BEGIN
		PERFORM set_config('syncmaster.secret_key_file', 'two.key', false);
		token := syncmaster_encrypt('[4]');
		PERFORM set_config('syncmaster.secret_key_file', 'one.key', false);
		FOR i IN 1 .. 2 LOOP
			content := syncmaster_decrypt(token);
			RAISE NOTICE 'pass % reads %', i, content;
			PERFORM set_config('syncmaster.previous_secret_key_file', '', false);
		END LOOP;
	END \$\$});
like($err, qr/pass 1 reads \[4\].*22000: token cannot be read with any key/s,
	'another file of previous keys within a command');
unlike($err, qr/pass 2/, '... whose keys are not kept');

# A key in place of a file, in the configuration file.
$node->append_conf('postgresql.conf', "syncmaster.secret_key_file = '$KEY{three}'");
$node->reload;
$node->poll_query_until('postgres',
	"SELECT count(*) > 0 FROM pg_file_settings WHERE name = 'syncmaster.secret_key_file'");
is($node->safe_psql('postgres', 'SELECT syncmaster_library_version() IS NOT NULL; SHOW syncmaster.secret_key_file'),
	"t\n", 'a key in place of a file is not taken');

$node->stop;
done_testing();
