# What services find by the names of SyncMaster's tables: a relation, a function or
# an operator of somebody else that comes first for a service's role is reported
# wherever one looks, with a command that ends it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('names');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off");
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my @services = qw(server scheduler worker monitor);
$node->safe_psql('postgres',
	join ';', 'CREATE ROLE app; CREATE ROLE mallory LOGIN; CREATE ROLE runs LOGIN',
	'CREATE DATABASE sm', 'GRANT CREATE ON DATABASE sm TO mallory',
	map { "CREATE ROLE sm_$_ LOGIN" } @services);
$node->safe_psql('sm',
	'REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO app; '
	  . "CREATE EXTENSION syncmaster; SELECT syncmaster_set_owner('app')");
$node->safe_psql('sm', join ';', map { "SELECT syncmaster_grant('sm_$_', '$_')" } @services);

# What each of them says about names; nothing else is wrong here.
sub privileges
{
	return $node->safe_psql('sm',
		q{SELECT role, object_type, object_name, fix FROM syncmaster_privileges()
		WHERE state = 'dangerous' AND privilege = 'SEARCH_PATH' ORDER BY 1, object_name COLLATE "C"});
}

sub check
{
	return $node->safe_psql('sm',
		q{SELECT severity, object_name, problem, expected, actual, fix FROM syncmaster_check()
		WHERE object_type = 'role' ORDER BY 2, actual COLLATE "C"});
}

sub preflight
{
	return $node->safe_psql('sm', q{SELECT severity, detail, hint
		FROM syncmaster_preflight('head') WHERE subject = 'search_path' ORDER BY 2});
}

sub health
{
	return $node->safe_psql('sm', q{SELECT severity, subject, detail, hint
		FROM syncmaster_health() WHERE check_name = 'search_path' ORDER BY 2, 3});
}

# What the service itself finds.
sub found
{
	my ($role, $name) = @_;
	return $node->safe_psql('sm',
		"SELECT relnamespace::regnamespace FROM pg_class WHERE oid = to_regclass('$name')",
		extra_params => [ '-U', $role ]);
}

sub quiet
{
	my ($name) = @_;
	is(join('', privileges(), check(), preflight(), health()), '', "$name: nothing is said");
	return;
}

quiet('as installed');
is( $node->safe_psql(
		'sm', q{SELECT role, object_type, object_name, privilege, state, fix
		FROM syncmaster_privileges() WHERE state <> 'granted'}),
	'mallory|database|sm|CREATE|excess|'
	  . join('; ',
		map { "ALTER ROLE sm_$_ IN DATABASE sm SET search_path = public" } @services),
	'who could make a schema that comes first is listed, in one row');

# A schema with the role's own name.
sub as_mallory
{
	my ($sql) = @_;
	return $node->safe_psql('sm', $sql, extra_params => [ '-U', 'mallory' ]);
}
as_mallory('CREATE SCHEMA sm_scheduler; CREATE TABLE sm_scheduler.apscheduler_jobs (id text)');
quiet('a schema that the service may not use');
as_mallory('GRANT USAGE ON SCHEMA sm_scheduler TO sm_scheduler');
is(found('sm_scheduler', 'apscheduler_jobs'), 'sm_scheduler', 'the scheduler uses that table');
my $fix = 'ALTER ROLE sm_scheduler IN DATABASE sm SET search_path = public';
is(privileges(), "sm_scheduler|table|sm_scheduler.apscheduler_jobs|$fix", 'privileges() says so');
is( check(),
	'error|sm_scheduler|finds another table than SyncMaster\'s|public.apscheduler_jobs|'
	  . "sm_scheduler.apscheduler_jobs|$fix",
	'and check()');
is( preflight(),
	'warning|role "sm_scheduler" finds another table than SyncMaster\'s: '
	  . "sm_scheduler.apscheduler_jobs|Its service uses that: $fix, or rename or drop what is found.",
	'and preflight()');
is( health(),
	'error|sm_scheduler|finds another table than SyncMaster\'s: sm_scheduler.apscheduler_jobs|'
	  . "$fix, or rename or drop what is found.",
	'and health()');
like(
	$node->safe_psql('sm', q{SELECT role, object_type, object_name FROM syncmaster_privileges()
		WHERE privilege = 'CREATE' ORDER BY 2}),
	qr/^mallory\|database\|sm\nmallory\|schema\|sm_scheduler$/,
	'who can make more there is listed');
$node->safe_psql('sm', "SELECT syncmaster_stamp('head')");
is($node->safe_psql('sm', q{SELECT count(*) FROM syncmaster_repair(true) WHERE action = 'repaired'
		AND problem ~ 'another'}), 0, 'repair leaves it');
$node->safe_psql('sm', "SELECT fix FROM syncmaster_check() WHERE object_type = 'role' \\gexec\n");
is(found('sm_scheduler', 'apscheduler_jobs'), 'public', 'after the fix the scheduler uses ours');
quiet('after the fix');

# Other relations and other kinds, where each of the settings counts.
as_mallory('CREATE SCHEMA before; GRANT USAGE ON SCHEMA before TO PUBLIC; '
	  . 'CREATE VIEW before.run AS SELECT 1 AS id; CREATE SEQUENCE before.task_id_sequence; '
	  . 'CREATE VIEW before.syncmaster_metrics AS SELECT 1');
quiet('a schema that nobody searches');
my @settings = (
	[ 'ALTER ROLE sm_worker SET search_path', 'ALTER ROLE sm_worker RESET search_path' ],
	[ 'ALTER ROLE sm_worker IN DATABASE sm SET search_path',
		'ALTER ROLE sm_worker IN DATABASE sm RESET search_path' ]);
foreach my $setting (@settings)
{
	$node->safe_psql('sm', "$setting->[0] = before, public");
	is(found('sm_worker', 'run'), 'before', "$setting->[0]: the worker uses another table");
	is( privileges() =~ s/\|[^|\n]*$//gmr,
		"sm_worker|table|before.run\nsm_worker|sequence|before.task_id_sequence",
		"$setting->[0]: it is listed");
	$node->safe_psql('sm', $setting->[1]);
}
my $others = "sm_monitor|view|before.syncmaster_metrics\n"
  . "sm_server|table|before.run\nsm_server|sequence|before.task_id_sequence\n"
  . "sm_worker|table|before.run\nsm_worker|sequence|before.task_id_sequence";
foreach my $setting ('DATABASE sm', 'ROLE ALL')
{
	$node->safe_psql('sm', "ALTER $setting SET search_path = before, public");
	is(privileges() =~ s/\|[^|\n]*$//gmr, $others, "ALTER $setting: all but the fixed one");
	$node->safe_psql('sm', "ALTER $setting RESET search_path");
}
$node->append_conf('postgresql.conf', "search_path = 'before, public'");
$node->reload;
is(privileges() =~ s/\|[^|\n]*$//gmr, $others, 'postgresql.conf');
is( $node->safe_psql('sm', q{SELECT count(*) FROM syncmaster_privileges()
		WHERE privilege = 'SEARCH_PATH'}, extra_params => [ '-U', 'mallory' ]),
	5, 'also to a role that may not read the file');
$node->safe_psql('sm', 'ALTER DATABASE sm SET search_path = public');
quiet('a setting of the database before that of the file');

# A role of its own that a service logs in with.
$node->safe_psql('sm', 'GRANT sm_worker TO runs; ALTER ROLE runs SET search_path = before, public');
is(privileges() =~ s/\|[^|\n]*$//gmr,
	"runs|table|before.run\nruns|sequence|before.task_id_sequence",
	'a member of the service\'s role that logs in');
$node->safe_psql('sm', 'ALTER ROLE runs NOLOGIN');
quiet('a member that cannot log in');
$node->safe_psql('sm', 'REVOKE sm_worker FROM runs; ALTER ROLE sm_worker SET search_path = after, public');
quiet('a schema that is not there');

# A role that a setting has the session begin as, whose name is what "$user" stands for.
as_mallory('CREATE SCHEMA runs; CREATE TABLE runs.queue (); GRANT USAGE ON SCHEMA runs TO PUBLIC');
$node->safe_psql('sm', q{ALTER ROLE sm_worker SET search_path = "$user", public; ALTER ROLE sm_worker SET role = runs});
quiet('a role that the service may not become');
$node->safe_psql('sm', 'GRANT runs TO sm_worker');
is(found('sm_worker', 'queue'), 'runs', 'a session begins as another role');
is(privileges() =~ s/\|[^|\n]*$//gmr, 'sm_worker|table|runs.queue', '... whose schema is listed');
$node->safe_psql('sm', 'REVOKE USAGE ON SCHEMA runs FROM PUBLIC; GRANT USAGE ON SCHEMA runs TO sm_worker');
quiet('a schema that only the role which logs in may use');

# That role needs the service's rights, as the session has no others.
my $begins = q{SELECT role, object_type, object_name, privilege, fix FROM syncmaster_privileges() WHERE state = 'missing'};
is($node->safe_psql('sm', $begins), 'sm_worker|role|runs|ROLE|ALTER ROLE sm_worker IN DATABASE sm SET role = none',
	'a service whose sessions begin as a role without rights');
unlike($node->safe_psql('sm', 'SELECT current_user', extra_params => [ '-U', 'sm_worker' ]), qr/sm_worker/, '... which they do');
$node->safe_psql('sm', q{SELECT syncmaster_grant('runs', 'server')});
like($node->safe_psql('sm', $begins), qr/^sm_worker\|role\|runs\|ROLE\|/, '... or with the rights of another service');
$node->safe_psql('sm', q{SELECT syncmaster_grant('runs', 'worker')});
is($node->safe_psql('sm', $begins), '', '... or with those of the same service');
$node->safe_psql('sm', q{SELECT syncmaster_revoke('runs', 'server'); SELECT syncmaster_revoke('runs', 'worker');
	GRANT app TO runs});
is($node->safe_psql('sm', $begins), '', '... or with those of the owner of the tables');
$node->safe_psql('sm', 'REVOKE app FROM runs');
$node->safe_psql('sm', $begins =~ s/role, .*?fix/fix/r . ' \gexec');
is($node->safe_psql('sm', $begins), '', '... or after the fix');
is($node->safe_psql('sm', 'SELECT current_user', extra_params => [ '-U', 'sm_worker' ]), 'sm_worker', '... which has them begin as themselves');
$node->safe_psql('sm', 'ALTER ROLE sm_worker IN DATABASE sm RESET role');
$node->safe_psql('sm', 'DROP SCHEMA runs CASCADE; REVOKE runs FROM sm_worker;
	ALTER ROLE sm_worker RESET role; ALTER ROLE sm_worker SET search_path = after, public');

# A table that SyncMaster's schema lacks, after that schema.
$node->safe_psql('sm', 'ALTER ROLE sm_worker SET search_path = public, before; '
	  . 'ALTER SEQUENCE task_id_sequence RENAME TO other');
is(privileges() =~ s/\|[^|\n]*$//gmr, 'sm_worker|sequence|before.task_id_sequence',
	'a name that means nothing in our schema, and something later');
$node->safe_psql('sm', 'ALTER SEQUENCE other RENAME TO task_id_sequence');

# Functions and operators count wherever they are on the path.
as_mallory(q{
	CREATE FUNCTION before.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
	CREATE FUNCTION before.mine(varchar) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
	CREATE FUNCTION before.like(varchar, varchar) RETURNS bool LANGUAGE sql AS 'SELECT true';
	CREATE OPERATOR before.% (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = before.like)});
is( check() =~ s/\|[^|\n]*$//gmr,
	'error|sm_worker|may call another role\'s operator||before.% (character varying, character varying)
error|sm_worker|may call another role\'s function||before.lower(character varying)',
	'functions and operators of another role');
is(privileges(),
	'sm_worker|operator|before.% (character varying, character varying)|'
	  . "ALTER ROLE sm_worker IN DATABASE sm SET search_path = public\n"
	  . 'sm_worker|function|before.lower(character varying)|'
	  . 'ALTER ROLE sm_worker IN DATABASE sm SET search_path = public',
	'are listed');
$node->safe_psql('sm', 'ALTER SCHEMA before OWNER TO app; '
	  . 'ALTER FUNCTION before.lower(varchar) OWNER TO app; '
	  . "ALTER OPERATOR before.% (varchar, varchar) OWNER TO $superuser");
quiet('those of the tables\' owner or a superuser');

# Whatever a service's role makes itself, nobody else has planted.
$node->safe_psql('sm', 'CREATE SCHEMA sm_worker AUTHORIZATION sm_worker; '
	  . 'ALTER ROLE sm_worker RESET search_path; ALTER DATABASE sm RESET search_path; '
	  . 'ALTER ROLE sm_server SET search_path = public; ALTER ROLE sm_monitor SET search_path = public');
$node->append_conf('postgresql.conf', q{search_path = '"$user", public'});
$node->safe_psql('sm', q{CREATE FUNCTION sm_worker.now(int) RETURNS int LANGUAGE sql AS 'SELECT 1'},
	extra_params => [ '-U', 'sm_worker' ]);
$node->reload;
quiet("a function of the role's own");
is( $node->safe_psql('sm', q{SELECT role, object_name FROM syncmaster_privileges()
		WHERE privilege = 'CREATE'}),
	'', "nor may anybody else create in the role's own schema");

# In SyncMaster's own schema there is only one way out.
$node->safe_psql('sm', 'GRANT CREATE ON SCHEMA public TO mallory');
as_mallory(q{CREATE FUNCTION public.now(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION public.like(varchar, varchar) RETURNS bool LANGUAGE sql AS 'SELECT true';
	CREATE OPERATOR public.% (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.like)});
is($node->safe_psql('sm', q{SELECT DISTINCT fix FROM syncmaster_privileges()
		WHERE privilege = 'SEARCH_PATH' ORDER BY 1}),
	"DROP OPERATOR IF EXISTS public.% (character varying, character varying)\nDROP ROUTINE IF EXISTS public.now(integer)",
	'what is in our schema is to be dropped');
$node->safe_psql('sm', "SELECT DISTINCT fix FROM syncmaster_privileges()
	WHERE privilege = 'SEARCH_PATH' \\gexec\n");
quiet('dropped');

# Where pg_catalog is named late, everything before it hides what PostgreSQL has.
my $late = q{SELECT role, object_type, object_name, privilege, reason, fix FROM syncmaster_privileges()
	WHERE object_name LIKE 'late%' ORDER BY 1, 2, 3};
$node->safe_psql('sm', 'CREATE SCHEMA late; GRANT CREATE, USAGE ON SCHEMA late TO mallory; GRANT USAGE ON SCHEMA late TO PUBLIC');
as_mallory(q{CREATE FUNCTION late.length(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION late.mine(varchar, varchar) RETURNS bool LANGUAGE sql AS 'SELECT true';
	CREATE OPERATOR late.^ (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = late.mine);
	CREATE VIEW late.pg_class AS SELECT 1; CREATE DOMAIN late.json AS text; CREATE DOMAIN late.mine AS text});
my $back = 'ALTER ROLE sm_server IN DATABASE sm SET search_path = public';
my $hidden = join '', map { "sm_server|$_->[0]|late.$_->[1]|SEARCH_PATH|the role may $_->[2] another role's $_->[0]|$back\n" } (
	[ 'function', 'length(text)', 'call' ], [ 'operator', '^ (character varying, character varying)', 'call' ],
	[ 'relation', 'pg_class', 'use' ], [ 'type', 'json', 'use' ]);
my $maker = "mallory|schema|late|CREATE|services find what it makes in schema \"late\" before %s|$back\n";
foreach my $path (
	[ 'public, late', '' ],
	[ 'public, pg_catalog, late', '' ],
	[ 'public, late, pg_catalog', sprintf($maker, 'PostgreSQL\'s own functions') . $hidden ],
	[ 'late, pg_catalog', sprintf($maker, 'PostgreSQL\'s own functions') . $hidden ],
	[ 'public, pg_catalog, late, pg_catalog', '' ],
	[ 'pg_catalog, public, late, pg_catalog', '' ],
	[ 'pg_catalog, late, public', sprintf($maker, 'SyncMaster\'s tables') ],
	[ 'late, pg_catalog, public', sprintf($maker, 'SyncMaster\'s tables') . $hidden ])
{
	$node->safe_psql('sm', "ALTER ROLE sm_server SET search_path = $path->[0]");
	is($node->safe_psql('sm', $late) . ($path->[1] ? "\n" : ''), $path->[1], "search_path = $path->[0]");
}
is(check() =~ s/\|[^|\n]*$//gmr, join("\n", map { "error|sm_server|may $_" }
		q{call another role's operator||late.^ (character varying, character varying)}, q{use another role's type||late.json},
		q{call another role's function||late.length(text)}, q{use another role's relation||late.pg_class}), 'check() says so');
$node->safe_psql('sm', 'ALTER ROLE sm_server SET search_path = public; DROP SCHEMA late CASCADE');
quiet('the schema is gone');

$node->stop;

done_testing();
