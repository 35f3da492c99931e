# bin/syncmaster-db: how it finds the database, what it says and how it ends.
# With SyncMaster in $SYNCMASTER_VENV, its words are compared with Alembic's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use CommandLine;
use Credentials;
use File::Spec;
use IO::Socket::INET;
use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('command_line');
$node->init;
$node->append_conf('postgresql.conf', qq(
fsync = off
autovacuum = off
listen_addresses = '127.0.0.1'
));
$node->start;

# Roles with passwords that have to be written in codes, asked for over TCP.
my %password = (
	plain => 'secret',
	codes => q{p@s:s/w%41 rd?#&=+'"\$`é});
foreach my $role (sort keys %password)
{
	my $quoted = $password{$role} =~ s/'/''/gr;
	$node->safe_psql('postgres',
		"SET password_encryption = 'scram-sha-256';
		 CREATE ROLE $role LOGIN SUPERUSER PASSWORD '$quoted'");
}
my $hba = $node->data_dir . '/pg_hba.conf';
my $old_hba = slurp_file($hba);
open my $fh, '>', $hba or die "could not write $hba: $!";
print $fh "host all all 127.0.0.1/32 scram-sha-256\n$old_hba";
close $fh or die "could not write $hba: $!";
$node->reload;

my $port = $node->port;
my $tcp = "127.0.0.1:$port";

sub encode
{
	return $_[0] =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger;
}

sub url
{
	my ($role, $address) = @_;
	return sprintf 'postgresql+asyncpg://%s:%s@%s', $role,
	  encode($password{$role}), $address;
}

sub new_database
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	return $name;
}

sub socket_url
{
	my ($database) = @_;
	return sprintf 'postgresql+asyncpg://plain@/%s?host=%s&port=%d', $database,
	  encode($node->host), $port;
}

# Run, and compare exit status and standard output, and errors with a pattern.
sub ends
{
	my ($name, $run, $status, $out, $err) = @_;
	my $got = command_line(%$run);

	is($got->{status}, $status, "$name: exit status") or diag($got->{err});
	ref $out ? like($got->{out}, $out, "$name: output")
	  : is($got->{out}, $out, "$name: output");
	defined $err ? like($got->{err}, $err, "$name: errors")
	  : is($got->{err}, '', "$name: no errors");
	return;
}

# Usage -------------------------------------------------------------------------

my $help = command_line(args => ['--help']);
my @lines = split /\n/, $help->{out};
is($help->{status}, 0, 'help: exit status');
cmp_ok(scalar @lines, '<=', 45, 'help fits a screen: lines');
is(scalar(grep { length > 80 } @lines), 0, 'help fits a screen: columns');
foreach my $word (
	qw(upgrade downgrade current history heads show check stamp plan preflight
	rotate-credentials superusers health purge-runs purge-partitions purge-results end-runs
	verify-credentials
	grant revoke privileges help --sql --dry-run --env-file --config --schema --quiet))
{
	like($help->{out}, qr/\Q$word\E/, "help tells of $word");
}
my $control = slurp_file("$FindBin::RealBin/../syncmaster.control");
my ($version) = $control =~ /^default_version = '(.*)'/m;
ends('version', { args => ['--version'] }, 0, "syncmaster-db $version\n");

foreach my $case (
	[ [], qr/a command is missing/ ],
	[ ['frobnicate'], qr/unknown command frobnicate/ ],
	[ ['merge'], qr/merge has no counterpart/ ],
	[ ['downgrade'], qr/downgrade: an argument is missing/ ],
	[ [ 'upgrade', '0012', '0013' ], qr/too many arguments/ ],
	[ [ 'current', '--sql' ], qr/current has no option --sql/ ],
	[ [ 'downgrade', '-1', '--sql' ], qr/downgrade --sql needs a range FROM:TO/ ],
	[ ['--frob'], qr/unknown option --frob/ ],
	[ ['--env-file'], qr/--env-file needs a value/ ],
	[ [ '--env-file', '', 'current' ], qr/--env-file needs a value/ ],
	[ [ '--env-file=', 'current' ], qr/--env-file needs a value/ ],
	[ [ 'superusers', 'add' ], qr/an argument is missing/ ],
	[ [ 'superusers', 'promote' ], qr/list, add NAME/ ],
	[ [ 'history', '-r', '0012' ], qr/FROM:TO/ ])
{
	my ($arguments, $message) = @$case;
	ends("usage: @$arguments", { args => $arguments }, 2, '', $message);
}

# Addresses ---------------------------------------------------------------------

# A server that accepts connections and says nothing; libpq would wait for it for ever.
{
	my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1')
	  or die "could not listen: $!";

	ends("a timeout of $_ s", { args => ['current'], url => sprintf('postgresql://plain@127.0.0.1:%d/x?timeout=%s',
				$silent->sockport, $_) }, 3, '', qr/timeout expired/)
	  foreach qw(0.5 .5 00.5);
}

ends('no address', { args => ['current'] }, 2, '', qr/no database is named/);
ends('an address of something else',
	{ url => 'mysql://u:hidden@h/d', args => ['current'] },
	2, '', qr/^((?!hidden).)*does not begin with postgresql((?!hidden).)*$/);
ends('@ in a password, as it is',
	{ url => "postgresql+asyncpg://plain:hid\@den\@$tcp/d", args => ['current'] },
	2, '', qr/^((?!den).)*write \@ as %40((?!den).)*$/);
ends('/ in a user name, as it is',
	{ url => "postgresql+asyncpg://hid/den:pw\@$tcp/d", args => ['current'] },
	2, '', qr/^((?!den).)*write \@ as %40((?!den).)*$/);
ends('text behind an IPv6 address',
	{ url => 'postgresql+asyncpg://u:pw@[::1]5432/d', args => ['current'] },
	2, '', qr/no proper host and port/);
ends('an unknown parameter',
	{ url => socket_url('postgres') . '&frob=1', args => ['current'] },
	2, '', qr/neither asyncpg's nor libpq's: frob/);
ends('nobody listens',
	{ url => 'postgresql+asyncpg://u:hidden@127.0.0.1:1/d', args => ['current'] },
	3, '', qr/^((?!hidden).)*[Cc]onnection refused((?!hidden).)*$/s);
ends('a wrong password',
	{ url => "postgresql+asyncpg://plain:hidden\@$tcp/postgres",
		args => ['current'] },
	3, '', qr/^((?!hidden).)*password authentication failed((?!hidden).)*$/s);
ends('no password, and nobody to ask',
	{ url => "postgresql+asyncpg://plain\@$tcp/postgres", args => ['current'] },
	3, '', qr/no password supplied/);

my $address = new_database('address');
$node->safe_psql($address, q{
	CREATE TABLE alembic_version (version_num varchar(32) NOT NULL,
		CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
	INSERT INTO alembic_version VALUES ('0007')});
my %libpq = (
	PGHOST => '127.0.0.1',
	PGPORT => $port,
	PGUSER => 'codes',
	PGPASSWORD => $password{codes},
	PGDATABASE => $address);
my %elsewhere = (
	PGHOST => '127.0.0.2',
	PGHOSTADDR => '127.0.0.2',
	PGPORT => 1,
	PGSERVICE => 'nowhere');
foreach my $case (
	[ 'a password in codes', url => url('codes', "$tcp/$address") ],
	[
		'codes in small letters',
		url => lc(encode($password{codes})) =~ s/^/postgresql:\/\/codes:/r
		  =~ s/%61/A/r . "\@$tcp/$address"
	],
	[ 'a backslash and codes that are none',
		url => url('codes', "$tcp/$address") . '?application_name=%5c0101\\0101%zz%' ],
	[ 'the scheme postgresql', url => url('plain', "$tcp/$address") =~ s/\+asyncpg//r ],
	[ 'no port', url => url('plain', "127.0.0.1/$address"), status => 3 ],
	[ 'no port but in the environment', url => url('plain', "127.0.0.1/$address"),
		env => { PGPORT => $port }, status => 2, err => qr/without a port, and PGPORT is $port: write/ ],
	[ 'no port in the query', url => url('plain', "/$address?host=127.0.0.1"),
		env => { PGPORT => $port }, status => 2, err => qr/without a port, and PGPORT is $port: write/ ],
	[ 'no port, and the usual one in the environment', url => url('plain', "127.0.0.1/$address"),
		env => { PGPORT => 5432 }, status => 3 ],
	[ 'an empty port', url => url('plain', "127.0.0.1:/$address?port=$port") ],
	[ 'a host in the query', url => url('plain', "/$address?host=127.0.0.1:$port") ],
	[ 'host and port in the query', url => url('plain', "/$address?host=127.0.0.1&port=$port") ],
	[ 'a socket', url => socket_url($address) ],
	[
		'several hosts',
		url => url('plain', "/$address?host=127.0.0.1:1&host=127.0.0.1:$port")
	],
	[
		'several hosts in one parameter',
		url => url('plain', "/$address?host=127.0.0.1,127.0.0.1&port=1,$port")
	],
	[
		'parameters of asyncpg',
		url => url('plain', "$tcp/$address?ssl=prefer&timeout=08.5&command_timeout=60"
			  . '&prepared_statement_cache_size=0')
	],
	[ 'ssl=require', url => url('plain', "$tcp/$address?ssl=require"), status => 3,
		err => qr/(?:server does not support SSL|SSL support is not compiled in)/ ],
	[
		'variables of another server',
		url => url('plain', "$tcp/$address"),
		env => \%elsewhere
	],
	[ "libpq's variables", env => \%libpq ],
	[
		'a password file, with an address without a password',
		url => "postgresql+asyncpg://codes\@$tcp/$address",
		passfile => "*:*:*:codes:" . ($password{codes} =~ s/([:\\])/\\$1/gr)
	])
{
	my ($name, %case) = @$case;
	my %env = %{ $case{env} // {} };

	if (defined $case{passfile})
	{
		$env{PGPASSFILE} = write_file($node->basedir . '/passfile', $case{passfile});
		chmod 0600, $env{PGPASSFILE} or die;
	}
	my $status = $case{status} // 0;
	ends("address: $name",
		{ url => $case{url}, env => \%env, args => ['current'] },
		$status, $status ? '' : "0007\n", $status ? $case{err} // qr/./ : undef);
}

# Files of variables ------------------------------------------------------------

my $good = url('plain', "$tcp/$address");
my $canary = $node->basedir . '/canary';
foreach my $case (
	[ 'bare', "SYNCMASTER__DATABASE__URL=$good\n" ],
	[ 'as in the documentation', "export SYNCMASTER__DATABASE__URL=$good" ],
	[ 'double quotes', qq{SYNCMASTER__DATABASE__URL="$good"  # ours\n} ],
	[ 'single quotes, blanks', qq{  export   SYNCMASTER__DATABASE__URL = '$good' \n} ],
	[ 'lines of Windows', "TZ=UTC\r\nSYNCMASTER__DATABASE__URL=$good\r\n" ],
	[ 'a byte order mark', "\xef\xbb\xbfSYNCMASTER__DATABASE__URL=$good\n" ],
	[ 'a comment behind', "SYNCMASTER__DATABASE__URL=$good # ours\n" ],
	[ 'twice', "SYNCMASTER__DATABASE__URL=nonsense\nSYNCMASTER__DATABASE__URL=$good\n" ],
	[
		'others around',
		"# comment\n\nTZ=UTC\nodd line\nX=\"\nSYNCMASTER__DATABASE__URL=$good\n"
		  . "SYNCMASTER__SERVER__CORS__ALLOW_ORIGINS=[\"http://h\"]\nA={{ b }}&c\n"
	],
	[ 'commands elsewhere', "A=\$(touch $canary)\nB=`touch $canary`\n"
		  . "SYNCMASTER__DATABASE__URL=$good\n; touch $canary\n" ],
	[
		"libpq's",
		join "\n",
		map { my $value = $libpq{$_} =~ s/(["\\\$`])/\\$1/gr; qq{$_="$value"} }
		  sort keys %libpq
	],
	[ 'a command', "SYNCMASTER__DATABASE__URL=\$(touch $canary)$good\n",
		qr/line 1: variables and commands are not expanded/ ],
	[ 'a variable', "TZ=UTC\nSYNCMASTER__DATABASE__URL=\"\${HOME}$good\"\n",
		qr/line 2: variables and commands are not expanded/ ],
	[ 'an open quote', "SYNCMASTER__DATABASE__URL=\"$good\n", qr/line 1: the closing quote/ ],
	[ 'an open single quote', "SYNCMASTER__DATABASE__URL='$good\n", qr/line 1: the closing quote/ ],
	[ 'text behind a quote', "SYNCMASTER__DATABASE__URL='${good}'x\n", qr/behind the closing quote/ ],
	[ 'nothing of ours', "TZ=UTC\n", qr/contains neither/ ])
{
	my ($name, $text, $message) = @$case;
	my $file = write_file($node->basedir . '/env file', $text);
	ends("file: $name",
		{ url => 'postgresql://u@127.0.0.1:1/other', args => [ '--env-file', $file, 'current' ] },
		$message ? 2 : 0, $message ? '' : "0007\n", $message);
	unlink $file;
}
ok(!-e $canary, 'nothing of a file was run');

# A service in the environment is another database than that of the file.
my $service = write_file($node->basedir . '/service',
	"[other]\nhost=127.0.0.1\nport=$port\nuser=plain\npassword=$password{plain}\ndbname=postgres\n");
my %service = (PGSERVICEFILE => $service, PGSERVICE => 'other');
my $libpq_file = write_file($node->basedir . '/libpq',
	join "\n", map { "$_='$libpq{$_}'" } grep { $_ ne 'PGPASSWORD' } sort keys %libpq);
ends('the environment: a service', { env => \%service, args => ['current'] }, 0, '');
ends('file: a service and an address in the environment',
	{ env => { %service, PGHOSTADDR => '127.0.0.2', PGPASSWORD => $password{codes} },
		args => [ '--env-file', $libpq_file, 'current' ] }, 0, "0007\n");
ends('file: a service',
	{ env => { %libpq, PGSERVICEFILE => $service },
		args => [ '--env-file', write_file($node->basedir . '/other', "PGSERVICE=other\n"), 'current' ] },
	0, '');
ends('file: none', { args => [ 'current', '--env-file=/does/not/exist' ] },
	2, '', qr/cannot read/);

# From an empty database to head, and around ------------------------------------

my $db = new_database('town');
my $url = url('codes', "$tcp/$db");
sub run_ends
{
	my ($arguments, $status, $out, $err) = @_;
	ends(join(' ', @$arguments), { url => $url, args => $arguments },
		$status, $out, $err);
	return;
}
my $head = '0013';

run_ends(['current'], 0, '');
run_ends([ 'current', '--check-heads' ], 4, '', qr/not at head, which is $head/);
run_ends(['check'], 4, qr/^Target database is not up to date: it is at base/);
run_ends(['preflight'], 0, "Nothing blocks the upgrade.\n");
run_ends(['plan'], 0, qr/^0001  table user: create table$/m);
run_ends([ 'upgrade', '--sql' ], 0, qr/^CREATE TABLE public\."user" \(/m);
is($node->safe_psql($db, "SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql'"),
	0, 'nothing of this changed anything');

run_ends([ 'upgrade', '0005' ], 0, "upgrade base -> 0005\n");
run_ends([ 'upgrade', '+1' ], 0, "upgrade 0005 -> 0006\n");
run_ends(['current'], 0, "0006\n");
run_ends(['upgrade'], 0, "upgrade 0006 -> $head (head)\n");
run_ends([ 'upgrade', 'head' ], 0, "nothing to do, $head (head)\n");
run_ends([ 'upgrade', '0011' ], 0, "nothing to do, $head (head)\n");
run_ends([ '-q', 'upgrade' ], 0, '');
run_ends(['current'], 0, "$head (head)\n");
run_ends([ 'current', '-c' ], 0, "$head (head)\n");
run_ends(['check'], 0, "No new upgrade operations detected.\n");
run_ends([ 'history', '-i', '-r', '0012:' ],
	0, qr/\A0012 -> $head \(head\) \(current\), .*\n0011 -> 0012, .*\n\z/);
run_ends([ 'show', 'current' ], 0, qr/\ARev: $head \(head\)\nParent: 0012\n/);

run_ends([ 'downgrade', '-1' ], 0, "downgrade $head -> 0012\n");
run_ends(['check'], 4, qr/^Target database is not up to date: it is at 0012/);
run_ends(['plan'], 0, qr/^ +before: CREATE INDEX CONCURRENTLY .*date_done\);$/m);
run_ends([ 'downgrade', 'base' ], 1, '', qr/would drop tables/);
run_ends([ 'stamp', $head ], 1, '', qr/are not at revision $head/);
run_ends([ 'stamp', '0012' ], 0, "nothing to do, 0012\n");

# a later release's schema is not behind
$node->safe_psql($db, q{UPDATE alembic_version SET version_num = '3f1c0ab9d2e4'});
run_ends(['check'], 4,
	qr/\Awarning: revision "alembic_version" is newer than the library, .*\n  expected: at most $head\n  actual:   3f1c0ab9d2e4\n\z/);
run_ends(['upgrade'], 1, '', qr/^HINT:  Install a newer package/m);
$node->safe_psql($db, 'DELETE FROM alembic_version');
run_ends([ 'stamp', '0012' ], 0, "stamp base -> 0012\n");
run_ends([ 'upgrade', '1.13' ], 0, "upgrade 0012 -> $head (head)\n");

$node->safe_psql($db, 'DROP INDEX ix__user__username');
run_ends(['check'], 4, qr/^error: index "ix__user__username" is missing\n(.*\n)*  fix: +CREATE UNIQUE INDEX/m);
$node->safe_psql($db, 'CREATE UNIQUE INDEX ix__user__username ON "user" (username)');

# What is told is never taken for SQL or for a command of psql.
foreach my $odd ("x'); DROP TABLE run; --", ':"schema"', '\\q', "0012\n", '', "\xff")
{
	run_ends([ 'upgrade', $odd ], 1, '', qr/ERROR/);
	run_ends([ 'stamp', $odd ], 1, '', qr/ERROR/);
}
is($node->safe_psql($db, "SELECT count(*) FROM pg_class WHERE relname = 'run'"),
	1, 'no table was dropped');

run_ends([ 'downgrade', '--allow-destroy', 'base' ], 0, "downgrade $head -> base\n");
run_ends(['upgrade'], 0, "upgrade base -> $head (head)\n");

# Another schema, by the database's search_path, and options of libpq.
my $etl = new_database('etl');
$node->safe_psql($etl, qq{CREATE SCHEMA etl;
	ALTER DATABASE $etl SET search_path = etl, public});
ends('another schema', { url => url('plain', "$tcp/$etl"), args => ['upgrade'] },
	0, "upgrade base -> $head (head)\n");
is($node->safe_psql($etl, "SELECT count(*) FROM etl.\"user\""), 0,
	'another schema: tables are there');
ends('PGOPTIONS', { url => socket_url(new_database('options')), args => ['upgrade'],
	env => { PGOPTIONS => '-c syncmaster.create_indexes=off -c default_transaction_isolation=serializable' } },
	0, "upgrade base -> $head (head)\n");
is($node->safe_psql('options', "SELECT count(*) FROM pg_class WHERE relname LIKE 'ix_syncmaster__%'"),
	0, 'PGOPTIONS: settings are heeded');

# Alembic's table is read with care where the extension is not: a view is none.
$node->safe_psql('postgres', 'CREATE EXTENSION syncmaster');
my $planted = new_database('planted');
$node->safe_psql($planted, q{
	CREATE FUNCTION boom() RETURNS varchar LANGUAGE plpgsql
		AS 'BEGIN RAISE EXCEPTION ''planted''; END';
	CREATE VIEW alembic_version AS SELECT boom() AS version_num});
ends('a view', { url => socket_url($planted), args => ['current'] }, 0, '');

# A server without the extension, and one without psql.
SKIP:
{
	my $elsewhere = $node->safe_psql('postgres', 'SHOW server_version_num') >= 180000;
	skip 'PostgreSQL before 18 looks for extensions in one folder', 1 if !$elsewhere;
	ends('no extension on the server', { url => socket_url(new_database('lacking')), args => ['upgrade'],
		env => { PGOPTIONS => '-c extension_control_path=/does/not/exist' } },
		1, '', qr/is not installed on the server: install its package/);
}

# Credentials and superusers -------------------------------------------------------

ends('superusers without the extension', { url => socket_url(new_database('none')),
	args => [ 'superusers', 'list' ] }, 1, '', qr/run "syncmaster-db upgrade" first/);

add_connections($node, 1, 3);
my %keys = (one => [ $KEY{one} ], both => [ $KEY{two}, $KEY{one} ], two => [ $KEY{two} ],
	three => [ $KEY{three} ]);
write_keys($node, $_, @{ $keys{$_} }) foreach keys %keys;
sub keys_ends
{
	my ($file, @rest) = @_;
	my $arguments = shift @rest;
	ends("key file $file: @$arguments", { url => socket_url('postgres'),
		args => $arguments, env => { PGOPTIONS => "-c syncmaster.secret_key_file=$file" } },
		@rest);
	return;
}
$node->safe_psql('postgres', use_keys('one')
	  . "INSERT INTO auth_data (connection_id, value)
		 SELECT g, syncmaster_encrypt('{\"user\": \"u\"}') FROM generate_series(1, 3) g");
keys_ends('both', [ 'rotate-credentials', '--dry-run' ], 0,
	"re-encrypted: 3, already current: 0, failed: 0\n");
keys_ends('three', [ 'rotate-credentials', '--dry-run' ], 4,
	"re-encrypted: 0, already current: 0, failed: 3 (connections 1, 2, 3)\n");
keys_ends('three', ['rotate-credentials'], 1, '', qr/connection/);
keys_ends('both', ['rotate-credentials'], 0,
	"re-encrypted: 3, already current: 0, failed: 0\n");
keys_ends('two', ['rotate-credentials'], 0,
	"re-encrypted: 0, already current: 3, failed: 0\n");

ends('superusers: upgrade', { url => socket_url('none'), args => ['upgrade'] }, 0,
	"upgrade base -> $head (head)\n");
my $odd = q{O'Brien :'x' \\};
foreach my $case (
	[ ['list'], '' ],
	[ [ 'add', 'alice', $odd ], "alice: created\n$odd: created\n" ],
	[ ['list'], "$odd\nalice\n" ],
	[ [ 'add', 'alice' ], "alice: unchanged\n" ],
	[ [ 'remove', $odd ], "$odd: demoted\n" ],
	[ ['list'], "alice\n" ])
{
	my ($arguments, $out) = @$case;
	ends("superusers @$arguments", { url => socket_url('none'),
		args => [ 'superusers', @$arguments ] }, 0, $out);
}
ends('an empty name', { url => socket_url('none'), args => [ 'superusers', 'add', '' ] },
	1, '', qr/ERROR/);

# Every shell that is there does the same.
my $by_file = write_file($node->basedir . '/by_file',
	qq{# a comment\nexport SYNCMASTER__DATABASE__URL="} . url('codes', "$tcp/shells") . qq{" # another\n});
new_database('shells');
foreach my $shell ('dash', 'bash', 'bash --posix', 'busybox sh', 'ksh', 'mksh', 'yash', 'zsh --emulate sh')
{
	my ($program) = split / /, $shell;
	next if !grep { -x "$_/$program" } split /:/, $ENV{PATH};
	foreach my $case (
		[ ['upgrade'], 0, "upgrade base -> $head (head)\n" ],
		[ [ 'downgrade', '-1' ], 0, "downgrade $head -> 0012\n" ],
		[ ['check'], 4, "Target database is not up to date: it is at 0012, head is $head.\n" ],
		[ [ 'show', '0012' ], 0, "Rev: 0012\nParent: 0011\n\n    "
			  . "text search with Russian stemming and exact words\n\n" ],
		[ [ 'downgrade', '--allow-destroy', 'base' ], 0, "downgrade 0012 -> base\n" ])
	{
		my ($arguments, $status, $out) = @$case;
		ends("$shell: @$arguments", { shell => $shell,
			args => [ '--env-file', $by_file, @$arguments ] }, $status, $out);
	}
}

# Others are at work ------------------------------------------------------------

my $busy = new_database('busy');
ends('busy: upgrade', { url => socket_url($busy), args => [ 'upgrade', '0012' ] },
	0, "upgrade base -> 0012\n");
my $holder = begin_session($node, $busy, 'plain',
	'BEGIN; LOCK TABLE celery_taskmeta IN ACCESS EXCLUSIVE MODE;');
ends('a lock is not available', { url => socket_url($busy), args => ['upgrade'],
	env => { PGOPTIONS => '-c syncmaster.lock_timeout=10' } },
	5, '', qr/could not lock table "celery_taskmeta".*holder/s);

my $version_holder = begin_session($node, $busy, 'plain',
	'BEGIN; LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE;');
ends("the revision's lock is not available: $_", { url => socket_url($busy), args => [$_],
	env => { PGOPTIONS => '-c lock_timeout=10ms' } }, 5, '', qr/lock timeout/)
  foreach qw(current check upgrade);
end_session($version_holder);
my $alembic_holder = begin_session($node, $address, 'plain',
	'BEGIN; LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE;');
ends("the lock of Alembic's table is not available: $_", { url => socket_url($address), args => [$_],
	env => { PGOPTIONS => '-c lock_timeout=10ms' } }, 5, '', qr/lock timeout/)
  foreach qw(current plan);
end_session($alembic_holder);
my $sole = begin_session($node, $address, 'plain',
	'BEGIN; SELECT pg_advisory_xact_lock(1937337955, 1684172141);');
ends("another's turn: $_", { url => socket_url($address), args => [$_],
	env => { PGOPTIONS => '-c lock_timeout=10ms' } }, 5, '', qr/waiting for another.*lock timeout/s)
  foreach qw(plan upgrade);
ends("another's turn: current", { url => socket_url($address), args => ['current'] }, 0, "0007\n");
end_session($sole);

# The address must not be seen while it waits: not in the process list, not in a
# file, not on the terminal.
my $waiter = start_command_line(url => url('codes', "$tcp/$busy"),
	args => ['upgrade'], env => { PGOPTIONS => '-c syncmaster.lock_timeout=0',
	TMPDIR => $node->basedir });
$node->poll_query_until($busy, q{SELECT count(*) > 0 FROM pg_stat_activity
	WHERE application_name = 'syncmaster-db' AND wait_event_type = 'Lock'
	AND state = 'active'})
  or die 'it does not wait';
my @processes = processes_of($waiter);
cmp_ok(scalar @processes, '>=', 2, 'the process list was looked at');
my $seen = join "\n", @processes;
like($seen, qr/psql/, 'psql is among them');
unlike($seen, qr/\Q$_\E/, 'no password in the process list')
  foreach $password{codes}, encode($password{codes}), 'p@s', 'p%40s';
my @left = glob $node->basedir . '/tmp.*';
is(scalar @left, 1, 'one temporary folder');
is(sprintf('%04o', (stat $left[0])[2] & 07777), '0700', 'which nobody else can read');
is(slurp_file("$left[0]/state"), "connected\n", 'and which holds no password');
is(-s "$left[0]/output", 0, 'nor does what is printed');

# A second one waits for the first, and then has nothing to do.
my $second = start_command_line(url => socket_url($busy), args => ['upgrade']);
$node->poll_query_until($busy, q{SELECT count(*) > 0 FROM pg_stat_activity
	WHERE application_name = 'syncmaster-db' AND wait_event = 'advisory'})
  or die 'the second does not wait';
end_session($holder);
my $first = finish_command_line($waiter);
is($first->{status}, 0, 'the first ends well') or diag($first->{err});
is($first->{out}, "upgrade 0012 -> $head (head)\n", 'the first upgraded');
my $last = finish_command_line($second);
is($last->{status}, 0, 'the second ends well') or diag($last->{err});
is($last->{out}, "nothing to do, $head (head)\n", 'the second had nothing to do');
like($last->{err}, qr/waiting for another syncmaster-db/, 'the second said that it waits');
is(join('', glob $node->basedir . '/tmp.*'), '', 'no temporary folder is left');

# Output that is lost, and standard files that are closed.  Not each sed and awk looks
# whether what it prints arrives.
my $tools = PostgreSQL::Test::Utils::tempdir();
foreach my $tool (grep { -x '/bin/busybox' || -x '/usr/bin/busybox' } qw(awk sed))
{
	chmod 0755, write_file("$tools/$tool", "#!/bin/sh\nexec busybox $tool \"\$@\"\n") or die;
}
my $with_tools = qq{PATH='$tools':"\$PATH"; export PATH; exec "\$0" "\$@" >/dev/full};
foreach my $case (
	[ 'lost: upgrade --sql', 'exec "$0" "$@" >/dev/full', [ 'upgrade', '--sql', 'head' ], 1, qr/what it prints is lost/ ],
	[ 'lost: upgrade FROM:TO --sql', 'exec "$0" "$@" >/dev/full', [ 'upgrade', '0011:head', '--sql' ], 1, qr/what it prints is lost/ ],
	[ 'lost: upgrade FROM:TO --sql, BusyBox', $with_tools, [ 'upgrade', '0011:head', '--sql' ], 1, qr/what it prints is lost/ ],
	[ 'lost: health', 'exec "$0" "$@" >/dev/full', ['health'], 1, qr/what it prints is lost/ ],
	[ 'lost: health, BusyBox', $with_tools, ['health'], 1, qr/what it prints is lost/ ],
	[ 'lost: current', 'exec "$0" "$@" >/dev/full', ['current'], 1, qr/what it prints is lost/ ],
	[ 'closed: all', 'exec "$0" "$@" <&- >&- 2>&-', ['current'], 0 ],
	[ 'closed: standard output', 'exec "$0" "$@" >&-', ['current'], 0 ])
{
	my ($name, $command, $arguments, $status, $err) = @$case;
	next if $command =~ /full/ && !-c '/dev/full';
	ends($name, { url => socket_url($busy), args => $arguments,
		wrapper => [ 'sh', '-c', $command ] }, $status, '', $err);
}

# Many codes are decoded in a moment, which is less than a process for each takes.
my $began = (times)[2];
ends('many codes', { url => url('plain', "$tcp/$address?options=" . '-c%20a.b%3D' . '%41' x 3000), args => ['current'] },
	0, "0007\n");
cmp_ok((times)[2] - $began, '<', 2, 'many codes: CPU time');

# Five on an empty database.
my $race = new_database('race');
my @racers = map { start_command_line(url => socket_url($race), args => ['upgrade']) } 1 .. 5;
my @results = map { finish_command_line($_) } @racers;
is(join(' ', map { $_->{status} } @results), '0 0 0 0 0', 'five on an empty database');
is(scalar(grep { $_->{out} eq "upgrade base -> $head (head)\n" } @results), 1, 'one upgraded');
is(scalar(grep { $_->{out} eq "nothing to do, $head (head)\n" } @results), 4,
	'four found nothing to do');

# Those that only ask make the extension one after the other, too.
my $askers = new_database('askers');
my @asking = map { start_command_line(url => socket_url($askers), args => ['preflight']) } 1 .. 4;
push @asking, start_command_line(url => socket_url($askers), args => ['upgrade']);
my @answers = map { finish_command_line($_) } @asking;
is(join(' ', map { $_->{status} } @answers), '0 0 0 0 0', 'four ask, one upgrades')
  or diag(map { $_->{err} } @answers);

# Interrupted, it cancels at the server, even if psql gets the signal as well.
foreach my $case ([ 'INT', 130 ], [ 'TERM', 143 ], [ 'HUP', 129 ],
	[ '-INT', 130 ], [ '-TERM', 143 ], [ '-HUP', 129 ])
{
	my ($name, $status) = @$case;
	next if $name =~ /^-/ && !grep { -x "$_/setsid" } split /:/, $ENV{PATH};
	my $hold = begin_session($node, $busy, 'plain',
		'BEGIN; LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE;');
	my $victim = start_command_line(url => socket_url($busy), args => [ 'downgrade', '-1' ],
		shell => $name =~ /^-/ ? 'setsid' : '',
		env => { PGOPTIONS => '-c syncmaster.lock_timeout=0' });
	$node->poll_query_until($busy, q{SELECT count(*) > 0 FROM pg_stat_activity
		WHERE application_name = 'syncmaster-db' AND wait_event_type = 'Lock'})
	  or die 'it does not wait';
	signal_command_line($victim, $name);
	my $ended = finish_command_line($victim);
	is($ended->{status}, $status, "SIG$name: exit status");
	like($ended->{err}, qr/canceling statement due to user request/, "SIG$name: cancelled");
	end_session($hold);
	is($node->safe_psql($busy, "SELECT syncmaster_schema_version() || count(*)
		FROM pg_stat_activity WHERE application_name = 'syncmaster-db'"),
		"${head}0", "SIG$name: nothing happened, nobody is left");
}

# Interrupted while it connects, it does not go on.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
  or die "could not listen: $!";
foreach my $case ([ 'INT', 130 ], [ 'TERM', 143 ], [ 'HUP', 129 ])
{
	my ($name, $status) = @$case;
	my $victim = start_command_line(args => ['upgrade'],
		url => 'postgresql://u@127.0.0.1:' . $listener->sockport . '/d',
		env => { PGCONNECT_TIMEOUT => 0 });
	my $connection = $listener->accept or die "nobody connects: $!";
	sysread $connection, my $request, 1 or die 'psql does not speak';
	signal_command_line($victim, $name);
	is(finish_command_line($victim)->{status}, $status, "SIG$name while it connects: exit status");
	is($victim->{err}, '', "SIG$name while it connects: no errors");
}

# On a terminal, what takes its time says how long.
SKIP:
{
	skip 'there are no terminals', 3 if !eval { require IO::Pty; IO::Pty->new };

	my $terminal =
	  on_terminal(url => socket_url(new_database('terminal')), args => ['upgrade']);
	like($terminal, qr/^syncmaster-db: revision 0012 applied in \d+ ms/m, 'progress on a terminal');
	unlike(on_terminal(url => socket_url('terminal'), args => [ '-q', 'downgrade', '-1' ]),
		qr/\S/, 'none if it is to be quiet');
	unlike(on_terminal(url => socket_url(new_database('bare')), args => [ 'upgrade', '0005' ]),
		qr/restore/, 'no talk of a restore');
}

$node->stop;
done_testing();
