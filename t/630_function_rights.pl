# The rights on the extension's functions and view: whatever default privileges
# say, in updates, for a new owner, in dumps, and for roles of any name.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OtherInstallation;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

# An installation of its own, as one of its scripts is changed below.
my ($bindir, $scripts) = other_installation('function_rights', qr/^$/);
my $node;
{
	local $ENV{PATH} = "$bindir:$ENV{PATH}";
	$node = new_server('rights');
}
create_roles($node);
$node->safe_psql('postgres', q{
	CREATE ROLE anon LOGIN;
	CREATE ROLE vault LOGIN;
	CREATE ROLE dba LOGIN SUPERUSER;
	CREATE ROLE etl_owner LOGIN});

sub query
{
	my ($dbname, $sql) = @_;
	return $node->safe_psql($dbname, $sql);
}

sub as_role
{
	my ($role, $dbname, $sql) = @_;
	return run_command_on($node, 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1',
		'-U', $role, '-d', $dbname, '-c', $sql);
}

# Who the owner of a database is in rights: a role of PostgreSQL's own from 14 on.
my $has_role = $node->safe_psql('postgres',
	q{SELECT count(*) FROM pg_roles WHERE rolname = 'pg_database_owner'});
my $database_owner = $has_role ? 'pg_database_owner' : 'app';
my $databases = 0;

sub new_database
{
	my ($owner) = @_;
	my $dbname = 'db' . ++$databases;
	create_database($node, $dbname, $owner // 'app');
	query($dbname, 'GRANT CREATE ON SCHEMA public TO app, etl_owner');
	return $dbname;
}

# Who has which right on the functions and the view, whatever their owner's name.
my $rights = q{
	SELECT string_agg(concat_ws(' ', o.name,
			CASE a.grantee WHEN 0 THEN 'PUBLIC' WHEN o.owner THEN 'owner'
				ELSE a.grantee::regrole::text END,
			a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END),
		E'\n' ORDER BY o.name, a.grantee, a.privilege_type)
	FROM (
		SELECT oid::regprocedure::text, proowner,
			coalesce(proacl, acldefault('f', proowner)), 'pg_proc'::regclass, oid
		FROM pg_proc
		UNION ALL
		SELECT oid::regclass::text, relowner,
			coalesce(relacl, acldefault('r', relowner)), 'pg_class', oid
		FROM pg_class WHERE relkind = 'v') AS o (name, owner, acl, class, oid)
	JOIN pg_depend d ON d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'syncmaster',
	aclexplode(o.acl) a};

# ---------------------------------------------------------------------------
# Default privileges

my @defaults = (
	'',
	'GRANT EXECUTE ON FUNCTIONS TO anon',
	'GRANT EXECUTE ON FUNCTIONS TO anon WITH GRANT OPTION',
	'IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO anon, PUBLIC',
	'REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC',
	'REVOKE ALL ON FUNCTIONS FROM %s, PUBLIC',
	'REVOKE ALL ON FUNCTIONS FROM %s',
	'GRANT SELECT ON TABLES TO anon; REVOKE ALL ON TABLES FROM %s',
	'GRANT ALL ON FUNCTIONS TO app, vault, pg_monitor WITH GRANT OPTION',
	'GRANT ALL ON TABLES TO anon, PUBLIC');
foreach my $case (
	[ 'a superuser', undef, 'postgres' ],
	[ 'another superuser', 'dba', 'dba' ],
	[ 'the owner of the database', 'app', 'postgres' ])
{
	my ($who, $role, $maker) = @$case;
	my $superuser = query('postgres', 'SELECT current_user');
	$maker = $superuser if $maker eq 'postgres';
	my $want;

	foreach my $default (@defaults)
	{
		my $dbname = new_database();
		my $name = "$who, ALTER DEFAULT PRIVILEGES $default";

		query($dbname, qq{ALTER DEFAULT PRIVILEGES FOR ROLE "$maker" } . s/%s/"$maker"/r)
		  foreach split /; /, $default;
		query($dbname, "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT ALL ON FUNCTIONS TO anon")
		  if $default ne '' && $maker ne 'app';
		foreach my $version ('1.11', '1.12', '1.13')
		{
			my ($rc, undef, $stderr) = as_role($role // $superuser, $dbname, 'SET syncmaster.progress = off; '
				. ($version eq '1.11' ? q{CREATE EXTENSION syncmaster VERSION '1.11'}
				: "ALTER EXTENSION syncmaster UPDATE TO '$version'"));
			is("$rc $stderr", '0 ', "$name: version $version");
			my $is = query($dbname, $rights);
			$want = $is if !defined $want;
			is($is, $want, "$name: rights in version $version");
		}
	}
	unlike($want, qr/anon|vault|pg_monitor|dba/, "$who: nobody else has any");
	like($want, qr/^syncmaster_check\(\) PUBLIC EXECUTE$/m, "$who: check() is for everybody");
	unlike($want, qr/^syncmaster_(?:decrypt|upgrade|migrate)\(.*PUBLIC/m,
		"$who: others are not");
	unlike($want, qr/^syncmaster_(?:decrypt|encrypt|verify|rotate|migrate|finish)\S+ (?!owner)/m,
		"$who: those that read keys are for superusers");
	like($want, qr/^syncmaster_upgrade\(text\) $database_owner EXECUTE\*?$/m,
		"$who: the owner of the database may upgrade");
}

# Before the scripts let anything of the tables' owner run, it is all settled.
{
	my $dbname = new_database();

	query($dbname, q{
		CREATE EXTENSION syncmaster VERSION '1.11';
		SELECT syncmaster_set_owner('etl_owner');
		SET syncmaster.allow_destroy = on;
		SELECT syncmaster_downgrade('0010');
		DROP EXTENSION syncmaster;
		ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO etl_owner, PUBLIC;
		SET ROLE etl_owner;
		CREATE TABLE seen (may bool);
		CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				INSERT INTO public.seen SELECT has_function_privilege(
					'public.syncmaster_decrypt(text)', 'EXECUTE');
				RETURN NEW;
			END $$;
		CREATE TRIGGER look BEFORE UPDATE ON alembic_version
			FOR EACH ROW EXECUTE FUNCTION look();
		RESET ROLE;
		CREATE EXTENSION syncmaster});
	is(query($dbname, 'SELECT DISTINCT may FROM seen'),
		'f', 'code that runs during a script cannot call what reads keys');
}

# A function that a later script makes, and what a DBA granted before: he means it.
my $script = "$scripts/syncmaster--1.12--1.13.sql";
my $text = slurp_file($script);
unlink $script or die $!;
append_to_file($script, $text =~ s{(?=\n-- Celery)}{<<'SQL'}er);

ALTER EXTENSION syncmaster DROP FUNCTION @extschema@.syncmaster_encrypt(jsonb);
DROP FUNCTION @extschema@.syncmaster_encrypt(jsonb);
CREATE FUNCTION @extschema@.syncmaster_encrypt(value pg_catalog.jsonb)
    RETURNS pg_catalog.text AS 'MODULE_PATHNAME', 'syncmaster_encrypt'
    LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
SQL
foreach my $in_one ('', 'BEGIN;', 'BEGIN; SAVEPOINT s;')
{
	my $dbname = new_database();
	my $name = $in_one eq '' ? 'update' : "$in_one update";
	my $grants = q{
		SELECT string_agg(p.proname || ' ' || a.grantee::regrole, ', ' ORDER BY p.proname)
		FROM pg_proc p, aclexplode(p.proacl) a
		WHERE a.grantee IN ('anon'::regrole, 'vault'::regrole)};

	query($dbname, qq{
		$in_one
		CREATE EXTENSION syncmaster VERSION '1.12';
		GRANT EXECUTE ON FUNCTION syncmaster_decrypt(text), syncmaster_encrypt(jsonb),
			syncmaster_health() TO vault;
		REVOKE EXECUTE ON FUNCTION syncmaster_check() FROM PUBLIC;
		REVOKE EXECUTE ON PROCEDURE syncmaster_purge_runs FROM $database_owner;
		ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO anon, PUBLIC;
		ALTER EXTENSION syncmaster UPDATE;
		} . ($in_one eq '' ? '' : 'COMMIT'));
	is(query($dbname, $grants), 'syncmaster_decrypt vault, syncmaster_health vault',
		"$name: what was granted stays, what a new function came with goes");
	is( query($dbname, qq{
			SELECT has_function_privilege('anon', 'syncmaster_check()', 'EXECUTE'),
				has_function_privilege('$database_owner', oid, 'EXECUTE'),
				has_function_privilege('anon', 'syncmaster_encrypt(jsonb)', 'EXECUTE')
			FROM pg_proc WHERE proname = 'syncmaster_purge_runs'}),
		't|t|f', "$name: what was missing is there again");
	my $dump = slurp_file(dump_database($node, $dbname, '-s'));
	my @dumped = $dump =~ /^(?:GRANT|REVOKE) .*syncmaster_\w+\(.*;$/mg;
	is(join("\n", sort @dumped), <<'SQL' =~ s/\n\z//r, "$name: a dump has what was granted");
GRANT ALL ON FUNCTION public.syncmaster_decrypt(token text) TO vault;
GRANT ALL ON FUNCTION public.syncmaster_health(OUT severity text, OUT check_name text, OUT subject text, OUT detail text, OUT hint text) TO vault;
SQL
}
unlink $script or die $!;
append_to_file($script, $text);

# ---------------------------------------------------------------------------
# A new owner of the tables, of the database, of the extension

my @calls = (
	q{SELECT syncmaster_upgrade('head')}, 'SELECT count(*) FROM syncmaster_health()',
	q{CALL syncmaster_purge_runs('1 year', dry_run => true)},
	'SELECT count(*) FROM syncmaster_repair(true)', 'SELECT count(*) FROM syncmaster_metrics');
my $upgrade_refused =
  q{SELECT detail, hint FROM syncmaster_preflight('head') WHERE subject = 'rights'};
{
	my $dbname = new_database('vault');
	query($dbname, q{CREATE EXTENSION syncmaster; SELECT syncmaster_set_owner('app')});
	my $before = query($dbname, $rights);
	foreach my $call (@calls)
	{
		my ($rc, undef, $stderr) = as_role('app', $dbname, $call);
		$stderr =~ s/^NOTICE:  0 rows .*\n//;
		is("$rc $stderr", '0 ', "the tables' owner: $call");
	}
	query($dbname, q{
		GRANT EXECUTE ON FUNCTION syncmaster_encrypt(jsonb) TO app;
		SELECT syncmaster_set_owner('etl_owner')});
	foreach my $call (@calls)
	{
		my ($rc, undef, $stderr) = as_role('etl_owner', $dbname, $call);
		$stderr =~ s/^NOTICE:  0 rows .*\n//;
		is("$rc $stderr", '0 ', "their new owner: $call");
		($rc, undef, $stderr) = as_role('app', $dbname, $call);
		like($stderr, qr/permission denied for/, "the former owner: $call");
	}
	is( join("\n", sort grep { !/^syncmaster_encrypt\S+ app / } split /\n/, query($dbname, $rights)),
		join("\n", sort map { s/ app / etl_owner /r } split /\n/, $before),
		'set_owner() hands over exactly these rights');
	query($dbname, q{SELECT syncmaster_set_owner('etl_owner')});

	# as PostgreSQL's own commands leave it
	query($dbname, q{
		REVOKE EXECUTE ON FUNCTION syncmaster_encrypt(jsonb) FROM app;
		REASSIGN OWNED BY etl_owner TO app; DROP OWNED BY etl_owner});
	is((as_role('app', $dbname, $upgrade_refused))[1], <<'OUT',
role "app" may not execute function syncmaster_upgrade(text)|Run the upgrade as a superuser, or have one run GRANT EXECUTE ON ROUTINE public.syncmaster_upgrade(text) TO app;
OUT
		'REASSIGN OWNED: preflight() says who may not upgrade');
	is((as_role('vault', $dbname, $upgrade_refused))[1],
		'', '... and nothing to the owner of the database');
	my $lacking = q{SELECT problem, expected, fix FROM syncmaster_check()
		WHERE object_name = 'syncmaster_upgrade(text)'};
	is(query($dbname, $lacking),
		'may not be used by a role that it is for|EXECUTE for app|'
		  . 'GRANT EXECUTE ON ROUTINE public.syncmaster_upgrade(text) TO app',
		'... check() lists it');
	is( query($dbname, q{
			SELECT role, object_type, privilege, state, reason, fix FROM syncmaster_privileges()
			WHERE object_name = 'syncmaster_upgrade(text)'}),
		'app|function|EXECUTE|missing|it is for the owners of the tables, the database '
		  . 'and the extension|GRANT EXECUTE ON ROUTINE public.syncmaster_upgrade(text) TO app',
		'... and privileges()');
	is( (as_role('vault', $dbname, q{SELECT action, count(*) FROM syncmaster_repair(false)
			WHERE problem LIKE 'may not be used%' GROUP BY 1}))[1], "done|18\n",
		'... and repair() repairs it for all roles that may migrate');
	is(query($dbname, $rights), $before, '... exactly');

	query('postgres', "ALTER DATABASE $dbname OWNER TO reader");
	my ($rc, undef, $stderr) = as_role('reader', $dbname, $calls[0]);
	is("$rc $stderr", '0 ', 'a new owner of the database may upgrade') if $has_role;
}

# The extension itself in other hands.
{
	my $dbname = new_database('writer');
	as_role('writer', $dbname, 'CREATE EXTENSION syncmaster');
	query($dbname, "ALTER DATABASE $dbname OWNER TO app; REASSIGN OWNED BY writer TO reader");
	query('postgres', "ALTER DATABASE $dbname OWNER TO app");
	is( query($dbname, q{
			SELECT count(*) FILTER (WHERE role = 'reader'), count(DISTINCT role)
			FROM syncmaster_privileges() WHERE state = 'missing'}),
		$has_role ? '18|1' : '18|2', "REASSIGN OWNED: the extension's new owner lacks its rights");
	query($dbname, q{SELECT syncmaster_upgrade('head')});
	my ($rc, undef, $stderr) = as_role('reader', $dbname, $calls[0]);
	is("$rc $stderr", '0 ', '... an upgrade grants them');
	is( query($dbname, q{SELECT count(*) FROM syncmaster_privileges() WHERE state = 'missing'}),
		'0', '... all of them');
}

# ---------------------------------------------------------------------------
# Who was granted what is not meant for that role

{
	my $dbname = new_database();
	query($dbname, q{
		CREATE EXTENSION syncmaster;
		GRANT EXECUTE ON FUNCTION syncmaster_decrypt(text) TO vault WITH GRANT OPTION;
		GRANT EXECUTE ON FUNCTION syncmaster_encrypt(jsonb) TO PUBLIC;
		GRANT EXECUTE ON FUNCTION syncmaster_health() TO anon, app, etl_owner, dba;
		GRANT etl_owner TO app;
		GRANT app TO reader});
	is( query($dbname, q{
			SELECT role, object_type, object_name, privilege, state, reason, fix
			FROM syncmaster_privileges() WHERE object_name LIKE 'syncmaster\_%' ORDER BY 3, 1}),
		<<'OUT' =~ s/\n\z//r, 'privileges() lists them');
vault|function|syncmaster_decrypt(text)|EXECUTE|excess|it is for superusers|REVOKE EXECUTE ON ROUTINE public.syncmaster_decrypt(text) FROM vault CASCADE
PUBLIC|function|syncmaster_encrypt(jsonb)|EXECUTE|excess|it is for superusers|REVOKE EXECUTE ON ROUTINE public.syncmaster_encrypt(jsonb) FROM PUBLIC
anon|function|syncmaster_health()|EXECUTE|excess|it is for the owners of the tables, the database and the extension|REVOKE EXECUTE ON ROUTINE public.syncmaster_health() FROM anon
etl_owner|function|syncmaster_health()|EXECUTE|excess|it is for the owners of the tables, the database and the extension|REVOKE EXECUTE ON ROUTINE public.syncmaster_health() FROM etl_owner
OUT
	my $listed = q{SELECT severity, object_type, object_name, problem, actual, fix
		FROM syncmaster_check() WHERE object_type = 'function'};
	is(query($dbname, $listed), <<'OUT' =~ s/\n\z//r, 'check() lists those on functions that read keys');
warning|function|syncmaster_encrypt(jsonb)|may be called by a role that it is not for|EXECUTE for PUBLIC|REVOKE EXECUTE ON ROUTINE public.syncmaster_encrypt(jsonb) FROM PUBLIC
info|function|syncmaster_decrypt(text)|may be called by a role that it is not for|EXECUTE for vault|REVOKE EXECUTE ON ROUTINE public.syncmaster_decrypt(text) FROM vault CASCADE
OUT
	is( query($dbname, q{SELECT action, why FROM syncmaster_repair(false) WHERE object_type = 'function'}),
		'left|somebody has granted it, and may have meant it', 'repair() leaves them');
	query($dbname, $_) foreach split /\n/, query($dbname,
		q{SELECT fix FROM syncmaster_privileges() WHERE object_name LIKE 'syncmaster\_%'});
	is( query($dbname, $listed) . query($dbname,
			q{SELECT * FROM syncmaster_privileges() WHERE object_name LIKE 'syncmaster\_%'}),
		'', 'their fixes repair it');
}

# ---------------------------------------------------------------------------
# Dumps

{
	my $source = new_database();
	query($source, q{
		CREATE EXTENSION syncmaster;
		SELECT syncmaster_set_owner('etl_owner');
		SELECT count(*) FROM syncmaster_grant('reader', 'monitor');
		GRANT EXECUTE ON FUNCTION syncmaster_decrypt(text) TO vault});
	my $want = query($source, $rights);
	foreach my $case ([], ['-Fc'])
	{
		my $dump = dump_database($node, $source, @$case);
		my $dbname = new_database();

		restored_quietly($node, $dump, $dbname, "@$case restored", '-1');
		is(query($dbname, $rights), $want, "@$case restored: the same rights");
	}
}

# Where the default privileges are others, a dump is restored to the same rights.
{
	my $source = new_database();
	query($source, 'CREATE EXTENSION syncmaster');
	my $dump = dump_database($node, $source);
	my $dbname = new_database();
	query($dbname, 'ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO anon');
	restored_quietly($node, $dump, $dbname, 'restored under default privileges');
	is(query($dbname, $rights), query($source, $rights),
		'restored under default privileges: the same rights');
}

# ---------------------------------------------------------------------------
# Names of roles that PostgreSQL does not put into scripts

foreach my $role (q{o'brien}, q{CORP\alice}, q{svc_sync$}, q{a "quoted" one}, '@extschema@')
{
	my $quoted = '"' . $role =~ s/"/""/gr . '"';
	query('postgres', "CREATE ROLE $quoted LOGIN");
	my $dbname = 'db' . ++$databases;
	query('postgres', "CREATE DATABASE $dbname OWNER $quoted");

	foreach my $sql (
		q{CREATE EXTENSION syncmaster VERSION '1.11'}, q{SELECT syncmaster_upgrade('+1')},
		'ALTER EXTENSION syncmaster UPDATE', q{SELECT syncmaster_downgrade('-2')},
		q{SELECT syncmaster_upgrade('head')})
	{
		my ($rc, undef, $stderr) = as_role($role, $dbname, $sql);
		is("$rc $stderr", '0 ', "$role: $sql");
	}
	is( query($dbname, q{
			SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'}),
		$role, "$role owns the tables");
	is(query($dbname, 'SELECT DISTINCT applied_by FROM syncmaster_history()'),
		$role, "$role is in the history");
	my $dump = dump_database($node, $dbname, '-U', $role, '-Fc');
	query('postgres', "CREATE DATABASE r$dbname OWNER $quoted");
	restored_quietly($node, $dump, "r$dbname", "$role restores", '-U', $role, '-1');
	is(query("r$dbname", 'SELECT count(*) FROM pg_class WHERE relname = \'run\''),
		1, "$role: restored");
}

# Who gave the command, where a function with its owner's rights did: the rights
# of the extension's owner count, not those of whoever called the function.
{
	my $dbname = new_database('writer');
	as_role('writer', $dbname, q{CREATE EXTENSION syncmaster VERSION '1.11'});
	query($dbname, q{
		CREATE FUNCTION update() RETURNS void LANGUAGE sql SECURITY DEFINER
			AS 'ALTER EXTENSION syncmaster UPDATE';
		ALTER FUNCTION update() OWNER TO writer});
	my ($rc, undef, $stderr) = as_role('reader', $dbname, 'SELECT update()');
	is("$rc $stderr", '0 ', 'a function of the owner updates');
	is(query($dbname, q{SELECT DISTINCT applied_by FROM syncmaster_history()}),
		'writer', '... as that role');

	query($dbname, q{SELECT syncmaster_downgrade('-2'); SELECT syncmaster_set_owner('etl_owner')});
	query('postgres', "ALTER DATABASE $dbname OWNER TO etl_owner; GRANT CREATE ON DATABASE $dbname TO writer");
	($rc, undef, $stderr) = as_role('reader', $dbname, 'SELECT update()');
	like($stderr, qr/role "writer" may not migrate the tables of role "etl_owner"/,
		'... and no more than that role may');
	query('postgres', 'GRANT writer TO etl_owner');

	# code that the owner planted, run by a member's maintenance
	query($dbname, q{
		GRANT CREATE ON SCHEMA public TO writer;
		SET ROLE writer;
		CREATE TABLE planted AS SELECT 1 AS a;
		CREATE FUNCTION run_update() RETURNS int LANGUAGE plpgsql AS
			$$BEGIN ALTER EXTENSION syncmaster UPDATE; RETURN 1; END$$;
		CREATE FUNCTION indexed(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
			$$BEGIN
				IF session_user = 'etl_owner' THEN RETURN public.run_update(); END IF;
				RETURN 1;
			END$$;
		CREATE INDEX ON planted (indexed(a))});
	($rc, undef, $stderr) = as_role('etl_owner', $dbname, 'REINDEX TABLE planted');
	like($stderr, qr/role "writer" may not migrate the tables of role "etl_owner"/,
		'planted code has the rights of the role that planted it');
	($rc, undef, $stderr) = as_role('etl_owner', $dbname, 'ALTER EXTENSION syncmaster UPDATE');
	is("$rc $stderr", '0 ', 'a member of the owner updates');
	is(query($dbname, q{SELECT DISTINCT applied_by FROM syncmaster_history() ORDER BY 1}),
		"etl_owner\n" . query('postgres', 'SELECT current_user') . "\nwriter", '... as itself');

	# a superuser needs no right of the owner's
	query($dbname, q{SELECT syncmaster_downgrade('-1')});
	query('postgres', 'REVOKE writer FROM etl_owner');
	($rc, undef, $stderr) =
	  as_role(query('postgres', 'SELECT current_user'), $dbname, 'ALTER EXTENSION syncmaster UPDATE');
	is("$rc $stderr", '0 ', 'a superuser updates an extension whose owner may not migrate');
}

# ---------------------------------------------------------------------------
# Functions that make calls ambiguous

foreach my $case (
	[ 'preflight', 'syncmaster_check', '()', 'integer', 'int DEFAULT 0' ],
	[ 'check', 'syncmaster_preflight', q{('head')}, 'text, integer', 'text, int DEFAULT 0' ],
	[ 'check', 'syncmaster_health', '()', 'VARIADIC text[]', q{VARIADIC text[] DEFAULT '{}'} ])
{
	my ($works, $name, $call, $types, $arguments) = @$case;
	my $function = "public.$name($types)";
	my $dbname = new_database();
	query($dbname, qq{
		SET ROLE app;
		CREATE FUNCTION $name($arguments) RETURNS int LANGUAGE sql AS 'SELECT 1'});
	foreach my $sql (
		q{CREATE EXTENSION syncmaster VERSION '1.12'}, 'ALTER EXTENSION syncmaster UPDATE',
		q{SELECT syncmaster_downgrade('-1')}, q{SELECT syncmaster_upgrade('head')})
	{
		my (undef, undef, $stderr) = as_role(query('postgres', 'SELECT current_user'), $dbname, $sql);
		next if $sql =~ /grade/;
		like($stderr, qr/^WARNING:  function \Q$function\E has the name of a function of the extension$/m,
			"$function: $sql warns");
	}
	my (undef, undef, $stderr) = as_role('app', $dbname, "SELECT * FROM $name$call");
	like($stderr, qr/function $name\([^)]*\) is not unique/, '... a call is ambiguous')
	  unless $types =~ /VARIADIC/;
	like(query($dbname, "SELECT f FROM syncmaster_$works() f"), qr/DROP FUNCTION \Q$function\E/,
		"... $works() names it");
	is( query($dbname, q{
			SELECT p.oid::regprocedure FROM pg_proc p WHERE p.proname LIKE 'syncmaster\_%'
			AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
				WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
				AND e.extname = 'syncmaster')}),
		$function =~ s/public\.|VARIADIC //gr =~ s/, /,/r, '... and so does the catalogue');
}

# One that is made of the library is none of the extension's either.
{
	my $dbname = new_database();
	query($dbname, q{
		CREATE EXTENSION syncmaster;
		CREATE FUNCTION syncmaster_check(int DEFAULT 0) RETURNS text
			AS '$libdir/syncmaster', 'syncmaster_full_version' LANGUAGE C});
	like(query($dbname, 'SELECT f FROM syncmaster_preflight() f'),
		qr/DROP FUNCTION public\.syncmaster_check\(integer\)/, "a function of the library's");
}

# Nor is one that the owner of the extension, who is no superuser, made a member.
{
	my $dbname = new_database();
	query('postgres', "ALTER DATABASE $dbname OWNER TO app");
	as_role('app', $dbname, q{
		CREATE EXTENSION syncmaster;
		CREATE FUNCTION syncmaster_add_superusers(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
		ALTER EXTENSION syncmaster ADD FUNCTION syncmaster_add_superusers(text)});
	foreach my $report ('check()', q{preflight('head')})
	{
		like(query($dbname, "SELECT f FROM syncmaster_$report f"),
			qr/ALTER EXTENSION syncmaster DROP FUNCTION public\.syncmaster_add_superusers\(text\); DROP FUNCTION public\.syncmaster_add_superusers\(text\)/,
			"a function that was made a member: $report");
	}
	query($dbname, query($dbname, q{
		SELECT fix FROM syncmaster_check() WHERE problem LIKE '%name of a function%'}));
	is(query($dbname, q{SELECT count(*) FROM syncmaster_check() WHERE object_type = 'function'}),
		'0', '... and what check() says drops it');
}

# ---------------------------------------------------------------------------
# Names of schemas that cannot be in a script

foreach my $schema ('@extschema@', '@extowner@', 'MODULE_PATHNAME', 'a;--', '/* a', "a\nb",
	q{a'b}, q{a"b}, 'a$b', 'a\\b')
{
	my $dbname = new_database();
	my $quoted = '"' . $schema =~ s/"/""/gr . '"';
	my $superuser = query('postgres', 'SELECT current_user');
	my $name = $schema =~ s/\n/ /r;
	query($dbname, "CREATE SCHEMA $quoted");

	# The server itself refuses it, or we do.
	my (undef, undef, $stderr) =
	  as_role($superuser, $dbname, "CREATE EXTENSION syncmaster SCHEMA $quoted");
	like($stderr, qr/ERROR:  (?:invalid|schema "\$libdir)/, "schema $name: refused");
	is(query($dbname, q{SELECT count(*) FROM pg_class WHERE relname = 'run'}),
		'0', "schema $name: nothing is made");

	query($dbname, "DROP SCHEMA $quoted; CREATE SCHEMA s; "
		  . "CREATE EXTENSION syncmaster SCHEMA s VERSION '1.12'; ALTER SCHEMA s RENAME TO $quoted");
	like(query($dbname, "SELECT f FROM $quoted.syncmaster_preflight() f"),
		qr/error,schema,"?invalid name of schema .*It must not contain .*Rename the schema/s,
		"schema $name: preflight() says so");
	foreach my $call (q{upgrade('head')}, q{downgrade('-1')}, 'create_indexes()')
	{
		(undef, undef, $stderr) =
		  as_role($superuser, $dbname, "SELECT $quoted.syncmaster_$call");
		like($stderr, qr/ERROR:  invalid name of schema /, "schema $name: $call is refused");
	}
	(undef, undef, $stderr) = as_role($superuser, $dbname, 'ALTER EXTENSION syncmaster UPDATE');
	like($stderr, qr/ERROR:  (?:invalid|schema "\$libdir)/, "schema $name: so is ALTER EXTENSION");
}

done_testing();
