# bin/syncmaster-db and SyncMaster's config.yml: which database it takes, and where
# it stops.  With SyncMaster in $SYNCMASTER_VENV, what it reads is compared with
# what SyncMaster reads, on files that are put together at random.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use CommandLine;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncMasterEnv;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('config');
$node->init;
$node->append_conf('postgresql.conf', qq(
fsync = off
autovacuum = off
listen_addresses = '127.0.0.1'
));
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN');
# A revision each, to see which one was taken.
my %revision = (one => '0001', two => '0002', three => '0003');
foreach my $name (sort keys %revision)
{
	$node->safe_psql('postgres', "CREATE DATABASE $name OWNER app");
	$node->safe_psql($name, "CREATE TABLE alembic_version (version_num varchar(32));
		INSERT INTO alembic_version VALUES ('$revision{$name}'); GRANT SELECT ON alembic_version TO app");
}
my $port = $node->port;

sub url
{
	my ($name, $rest) = @_;
	return "postgresql+asyncpg://app:hidden\@127.0.0.1:$port/$name" . ($rest // '');
}

sub yaml
{
	my ($name) = @_;
	return "database:\n  url: " . url($name) . "\n";
}

# Run in a folder of its own with these files, and these variables.
my $folder = $node->basedir . '/folder';
mkdir $folder or die;

sub ours
{
	my ($files, $env, @arguments) = @_;
	unlink glob "$folder/*";
	write_file("$folder/$_", $files->{$_}) foreach keys %$files;
	my $run = command_line(args => \@arguments, env => $env // {},
		wrapper => [ 'sh', '-c', 'cd "$0" && exec "$@"', $folder ]);
	unlike($run->{err} . $run->{place}, qr/hidden/, "@arguments: no password");
	return $run;
}

my @files = (
	{ 'config.yml' => yaml('one') },
	{ 'config.yml' => yaml('one'), env => 'SYNCMASTER__DATABASE__URL=' . url('two') . "\n", 'other.yml' => yaml('three') });
my $two = { SYNCMASTER__DATABASE__URL => url('two') };
my %pg = (PGHOST => '127.0.0.1', PGPORT => $port, PGUSER => 'app');
# name, files, variables, options, database or message, source
foreach my $case (
	[ 'the file of the folder', $files[0], {}, [], 'one', 'database.url in config.yml' ],
	[ 'the environment alone', {}, $two, [], 'two', 'SYNCMASTER__DATABASE__URL' ],
	[ 'both, the same', $files[0], { SYNCMASTER__DATABASE__URL => url('one') }, [], 'one', 'config.yml' ],
	[ 'both, written differently', $files[0],
		{ SYNCMASTER__DATABASE__URL => "postgresql://a%70p\@127.0.0.1:$port/one" }, [], 'one', 'config.yml' ],
	[ 'both, different', $files[0], $two, [],
		qr/config\.yml says database "one" on 127\.0\.0\.1, SYNCMASTER__DATABASE__URL says database "two" on 127/ ],
	[ 'both, another option', $files[0],
		{ SYNCMASTER__DATABASE__URL => url('one', '?options=-csearch_path%3Dx') }, [], qr/config\.yml says/ ],
	[ 'both, another user', $files[0],
		{ SYNCMASTER__DATABASE__URL => url('one') =~ s/app:/postgres:/r }, [], qr/config\.yml says/ ],
	[ 'the option decides', $files[1], $two, [ '--config', 'config.yml' ], 'one', 'config.yml' ],
	[ 'the option decides for none', $files[1], $two, ['--no-config'], 'two', 'SYNCMASTER__DATABASE__URL' ],
	[ 'another file', $files[1], {}, ['--config=other.yml'], 'three', 'database.url in other.yml' ],
	[ 'a file of variables', $files[1], {}, [ '--env-file', 'env' ], 'two', 'SYNCMASTER__DATABASE__URL in env' ],
	[ 'both options', $files[1], {}, [ '--env-file', 'env', '--config', 'config.yml' ], qr/config\.yml says/ ],
	[ 'the variable', $files[1], { SYNCMASTER_CONFIG_FILE => 'other.yml' }, [], 'three', 'other.yml' ],
	[ 'the variable, a path', $files[1], { SYNCMASTER_CONFIG_FILE => '~/other.yml', HOME => $folder }, [], 'three', 'other.yml' ],
	[ 'the variable, empty', $files[1], { SYNCMASTER_CONFIG_FILE => '', %$two }, [], 'two', 'SYNCMASTER__DATABASE__URL' ],
	[ 'the variable, different', $files[1], { SYNCMASTER_CONFIG_FILE => 'other.yml', %$two }, [], qr/other\.yml says/ ],
	[ 'the variable, no such file', $files[1], { SYNCMASTER_CONFIG_FILE => 'no.yml', %$two }, [], qr/names no\.yml, which does not exist/ ],
	[ 'the variable in a file of variables', { %{ $files[1] }, env => "SYNCMASTER_CONFIG_FILE=other.yml\n" }, $two,
		[ '--env-file', 'env' ], 'three', 'other.yml' ],
	[ 'both in a file of variables', { %{ $files[1] }, env => "$files[1]{env}SYNCMASTER_CONFIG_FILE='other.yml'\n" }, {},
		[ '--env-file', 'env' ], qr/other\.yml says/ ],
	[ 'no such file', {}, {}, [ '--config', 'no.yml' ], qr/there is no file no\.yml/ ],
	[ 'a file without an address', { 'config.yml' => "server:\n  debug: true\n" }, $two, [], 'two', 'SYNCMASTER__DATABASE__URL' ],
	[ 'a file without an address, alone', { 'config.yml' => "database.url: x\nDATABASE:\n  url: x\n" }, {}, [],
		qr/^syncmaster-db: no database is named, and config\.yml has no database\.url: set SYNCMASTER__DATABASE__URL/ ],
	[ 'nothing at all', {}, {}, [], qr/^syncmaster-db: no database is named: set SYNCMASTER__DATABASE__URL/ ],
	[ 'the option, without an address', { 'config.yml' => "server:\n  debug: true\n" }, $two, [ '--config', 'config.yml' ],
		qr/config\.yml has no database\.url/ ],
	[ 'an address without a database', { 'config.yml' => "database:\n  url: postgresql://app\@127.0.0.1\n" }, {}, [],
		qr/database\.url in config\.yml names no database/ ],
	[ "libpq's variables, different", $files[0], { %pg, PGDATABASE => 'two' }, [], qr/config\.yml says .*the variables PG\.\.\. says database "two"/ ],
	[ "libpq's variables, the same", $files[0], { %pg, PGDATABASE => 'one' }, [], 'one', 'config.yml' ],
	[ "libpq's variables, another port", $files[0], { %pg, PGDATABASE => 'one', PGPORT => 1 }, [], qr/config\.yml says/ ],
	[ "libpq's variables, a service", $files[0], { PGSERVICE => 'x' }, [], qr/the variables PG\.\.\. says service x/ ],
	[ "libpq's variables that name no database", $files[0], { PGHOST => '/nowhere' }, [], 'one', 'config.yml' ],
	[ "libpq's variables alone", {}, { %pg, PGDATABASE => 'three' }, [], 'three', 'variables PG...' ],
	[ 'both exclude each other', $files[0], {}, [ '--no-config', '--config', 'config.yml' ], qr/exclude each other/ ],
	[ 'small letters', {}, { syncmaster__database__url => url('two') }, [], 'two', 'SYNCMASTER__DATABASE__URL' ],
	[ 'mixed letters', {}, { Syncmaster__Database__URL => url('two') }, [], 'two', 'SYNCMASTER__DATABASE__URL' ],
	[ 'both letters', {}, { syncmaster__database__url => url('two'), SYNCMASTER__DATABASE__URL => url('one') }, [],
		qr/have different values/ ],
	[ 'small letters in a file', { env => 'syncmaster__database__url=' . url('two') }, {}, [ '--env-file', 'env' ], 'two', ' in env' ],
	[ 'both letters in a file', { env => 'syncmaster__database__url=' . url('two') . "\nSYNCMASTER__DATABASE__URL=" . url('one') . "\n" }, {},
		[ '--env-file', 'env' ], qr/env, line 2: syncmaster__database__url and SYNCMASTER__DATABASE__URL have different values/ ],
	[ 'both letters in a file, the same', { env => join "\n", map { "$_=" . url('two') } qw(syncmaster__database__url SYNCMASTER__DATABASE__URL) },
		{}, [ '--env-file', 'env' ], 'two', ' in env' ],
	[ 'two keys in a file', { env => 'SYNCMASTER__DATABASE__URL=' . url('two')
			. "\nSYNCMASTER__ENCRYPTION__SECRET_KEY=a\nsyncmaster__encryption__secret_key=b\n" }, {},
		[ '--env-file', 'env' ], qr/env, line 3: SYNCMASTER__ENCRYPTION__SECRET_KEY and syncmaster__encryption__secret_key have different values/ ],
	[ 'an object', {}, { SYNCMASTER__DATABASE => '{"url": "' . url('one') . '"}' }, [], qr/SYNCMASTER__DATABASE is not read/ ],
	[ 'an object in a file', { env => 'SYNCMASTER__DATABASE={}' }, {}, [ '--env-file', 'env' ], qr/env, line 1: SYNCMASTER__DATABASE is not read/ ])
{
	my ($name, $files, $env, $options, $expected, $source) = @$case;
	my $run = ours($files, $env, @$options, 'current');
	if (ref $expected)
	{
		is($run->{status}, 2, "$name: refused");
		like($run->{err}, $expected, "$name: why");
	}
	else
	{
		is($run->{status}, 0, "$name: exit status") or diag($run->{err});
		is($run->{out}, "$revision{$expected}\n", "$name: the database");
		like($run->{place}, qr/^schema public of database $expected on 127\.0\.0\.1:$port as app, by .*\Q$source\E$/, "$name: is told");
	}
}
mkdir "$folder/x.yml" or die;
like(ours({}, {}, '--config', 'x.yml', 'current')->{err}, qr/x\.yml is a folder; Docker makes one/, 'a folder');
rmdir "$folder/x.yml";

# What is beyond the subset is refused, with its line.
foreach my $case (
	[ 'an anchor', "database: &d\n  url: U\n", 1 ],
	[ 'an alias', "x: &d\n  url: U\ndatabase: *d\n", 1 ],
	[ 'a merge', "database:\n  <<: x\n  url: U\n", 2 ],
	[ 'a block scalar', "database:\n  url: >-\n    U\n", 2 ],
	[ 'a value over two lines', "database:\n  url: U\n    x\n", 3 ],
	[ 'a quoted value over two lines', "a: \"x\ndatabase:\n  url: U\n\"\n", 1 ],
	[ 'a flow map', "database: {url: U}\n", 1 ],
	[ 'a flow list over two lines', "a: [x,\n]\ndatabase:\n  url: U\n", 1 ],
	[ 'a tab', "database:\n\turl: U\n", 2 ],
	[ 'the same key twice', "database:\n  url: U\n  url: U\n", 3 ],
	[ 'the same section twice', "database:\n  url: U\ndatabase:\n  url: U\n", 3 ],
	[ 'a tag', "database:\n  url: !!str U\n", 2 ],
	[ 'a second document', "database:\n  url: U\n---\na: b\n", 3 ],
	[ 'a list', "- database:\n    url: U\n", 1 ],
	[ 'an escape', "database:\n  url: \"\\x70ostgresql://\"\n", 2 ],
	[ 'a wrong indentation', "database:\n    a: b\n  url: U\n", 3 ])
{
	my ($name, $text, $line) = @$case;
	my $run = ours({ 'config.yml' => $text =~ s/U/url('one')/ger }, {}, 'current');
	is($run->{status}, 2, "$name: refused") or diag($run->{out});
	like($run->{err}, qr/^syncmaster-db: config\.yml, line $line: .*does not read/, "$name: where");
}
my $upstream = q{# as SyncMaster's own
database:
  url: U

server:
  debug: true # !!! NEVER USE ON PRODUCTION !!!
  cors:
    allow_origins: [http://localhost:3000]
    allow_methods: ['*']
logging:
  filters:
    correlation_id:
      (): asgi_correlation_id.CorrelationIdFilter
  text: |
    database:
  url: x
superusers:
  - admin
worker:
  log_url_template: https://h/w?a={{ b }}&run_id={{ run.id }}
};
is(ours({ 'config.yml' => $upstream =~ s/U/url('one')/er }, {}, 'current')->{out}, "0001\n", "SyncMaster's own file");

# The real one says the same, or this one says nothing -----------------------------------

SKIP:
{
	my $python = python_of('SYNCMASTER_VENV');
	skip '$SYNCMASTER_VENV does not name a virtual environment', 1 if !defined $python;

	my $dir = $node->basedir . '/random';
	mkdir $dir or die;
	my $root = "$FindBin::RealBin/..";
	my @lines = (
		'database:', 'database: {}', '"database":', "'database' :", 'database : # c', 'Database:', 'database: null',
		'database: x', '  database:', '  url: U', "  url: 'U'", '  url: "U"', '  url : U', '  url:  U   # c', '  url: U#c',
		'url: U', '    url: U', ' url: U', '  url: "post\\u0067resql://h/d"', '  URL: U', '  url: null', "  url: ''",
		'  url: 5', '  url: !!str U', '  url: [U]', '  url: |', '  url: >', '  url:', '    U', "\turl: U", "  url:\tU", 'url:U',
		"  url: U\r", "database:\r", "\r", '# c', '', '  # c', '---', '...', '%YAML 1.2', 'a: |', 'a: >-', 'a: |2', '  text: |',
		'    database:', '      url: U', '- database:', '  - url: U', '-   url: U', '    - url: U', '  - - a', '  -', '  - k: |',
		'     z', '  - a', '- a', "  - 'q", 'x: [1, 2]', 'x: [1,', ']', 'x: {database: {url: a}}', '{database: {url: U}}',
		'{database: {url: U}', '}', "x: ['a", 'x: [a #', 'x: ["]"]', 'x: "]" ]', "x: it's", "x: 'it''s'", "x: 'open",
		'x: "open', '  more', "'", '"', 'x: a: b', 'x: a #b', 'x: &a 1', 'x: *a', 'database: &d', '<<: *d', 'database: *d',
		'  <<: *d', '? database', ': url', '  pool_pre_ping: true', 'encryption:', '  secret_key: k=', 'server:', '  cors:',
		'    allow_origins: [http://localhost:3000]', "    allow_methods: ['*']", '(): x', '    (): a.b');
	# As a different sequence would be no loss, it is the same each time.
	srand 13;
	my $count = 0;
	my %text;
	while ($count < 1500)
	{
		my @text = map { $lines[ rand @lines ] } 1 .. 1 + rand 5;
		splice @text, rand(@text + 1), 0, 'database:', '  url: U' if rand() < 0.6;
		unshift @text, 'server:', '  debug: true' if rand() < 0.4;
		my $number = 0;
		my $text = join("\n", @text) . (rand() < 0.9 ? "\n" : '');
		$text =~ s/U/'postgresql+asyncpg:\/\/u:p@h:5432\/d' . ++$number/ge;
		$text = "\xef\xbb\xbf$text" if rand() < 0.05;
		$text{ ++$count } = $text;
		open my $fh, '>:raw', "$dir/$count" or die;
		print $fh $text;
		close $fh or die;
	}
	my $script_of_theirs = write_file("$dir/read.py", <<"PY");
import os
from pydantic import Field
from syncmaster.settings import BaseSettings, DatabaseSettings
class Settings(BaseSettings):
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
for i in range(1, $count + 1):
    os.environ["SYNCMASTER_CONFIG_FILE"] = "$dir/%d" % i
    try:
        print(i, "=" + Settings().database.url.replace("\\n", "|"))
    except Exception:
        print(i, "=")
PY
	my @theirs = split /\n/, `cd / && env -u SYNCMASTER__DATABASE__URL $python $script_of_theirs`;
	is(scalar @theirs, $count, "SyncMaster's answer for each file");
	foreach my $shell ('sh', 'bash --posix', 'busybox sh')
	{
		my ($name) = split / /, $shell;
		next if !grep { -x "$_/$name" } split /:/, $ENV{PATH};
		my $script = write_file("$dir/read.sh", <<"SH");
set -eu
wrong_usage() { exit 2; }
fail() { exit 2; }
. "$root/cli/config_file.sh"
i=0
while [ \$i -lt $count ]; do
	i=\$((i + 1))
	if found=\$(read_config_file "$dir/\$i"; echo "=\$config_url"); then
		echo "\$i \$found"
	else
		echo "\$i refused"
	fi
done
SH
		my @ours = split /\n/, `$shell $script`;
		is(scalar @ours, $count, "$shell: an answer for each file");
		my %found = (same => 0, refused => 0);
		foreach my $i (0 .. $count - 1)
		{
			my ($ours) = $ours[$i] =~ /^\d+ (.*)/;
			my ($theirs) = $theirs[$i] =~ /^\d+ (.*)/;
			# A value that is no address is refused when it is taken apart.
			if ($ours eq 'refused') { $found{refused}++ if $theirs ne '=' }
			elsif ($ours eq $theirs) { $found{same}++ if $theirs ne '=' }
			elsif ($ours !~ /^=postgres/ && $theirs eq '=') { $found{refused_later}++ }
			else { fail("$shell: the same database: $text{$i + 1} ours $ours theirs $theirs") }
		}
		cmp_ok($found{same}, '>=', 40, "$shell: the same database in many files");
		cmp_ok($found{same}, '>', $found{refused}, "$shell: more than refused without need");
	}
}

$node->stop;
done_testing();
