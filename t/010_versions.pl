# The catalogue after every version and revision equals what SyncMaster's own
# migrations make: on empty databases, up, down and up again, in any schema, by
# whoever may, and with whatever is there already.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use CommandLine;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncmasterCatalog;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('versions');
$node->init;
$node->append_conf(
	'postgresql.conf', qq(
fsync = off
autovacuum = off
syncmaster.create_indexes = off
));
$node->start;

$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE ROLE other LOGIN');
my $ndatabases = 0;

sub new_database
{
	my ($sql) = @_;
	my $name = 'db' . ++$ndatabases;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, $sql) if defined $sql;
	return $name;
}

# The comparison notices what it should ----------------------------------------

my @changes = (
	'ALTER TABLE run ADD COLUMN extra integer',
	'ALTER TABLE run DROP COLUMN log_url, ADD COLUMN log_url varchar(512)',
	'ALTER TABLE run ALTER COLUMN log_url TYPE varchar(511)',
	'ALTER TABLE run ALTER COLUMN log_url SET NOT NULL',
	'ALTER TABLE run ALTER COLUMN created_at DROP DEFAULT',
	'ALTER TABLE run ALTER COLUMN id DROP DEFAULT',
	'ALTER TABLE run ALTER COLUMN log_url SET STORAGE EXTERNAL',
	'ALTER TABLE run ALTER COLUMN log_url TYPE varchar(512) COLLATE "C"',
	'ALTER TABLE run SET (fillfactor = 90)',
	'ALTER TABLE run SET UNLOGGED',
	'ALTER TABLE run ENABLE ROW LEVEL SECURITY',
	'ALTER TABLE run REPLICA IDENTITY FULL',
	'ALTER TABLE run RENAME CONSTRAINT pk__run TO run_pkey',
	'ALTER TABLE run ADD CHECK (id > 0)',
	'ALTER TABLE run DROP CONSTRAINT fk__run__transfer_id__transfer, '
	  . 'ADD CONSTRAINT fk__run__transfer_id__transfer '
	  . 'FOREIGN KEY (transfer_id) REFERENCES transfer (id)',
	'ALTER TABLE run DROP CONSTRAINT fk__run__transfer_id__transfer, '
	  . 'ADD CONSTRAINT fk__run__transfer_id__transfer FOREIGN KEY '
	  . '(transfer_id) REFERENCES transfer (id) ON DELETE CASCADE NOT VALID',
	'ALTER TABLE "group" DROP COLUMN search_vector, '
	  . 'ADD COLUMN search_vector tsvector NOT NULL',
	'COMMENT ON TABLE run IS $$x$$',
	'COMMENT ON COLUMN run.id IS $$x$$',
	'CREATE INDEX extra ON run (id)',
	'DROP INDEX ix__run__type',
	'DROP INDEX ix__run__type; CREATE INDEX ix__run__type ON run (type DESC)',
	'CREATE TRIGGER t BEFORE UPDATE ON run FOR EACH ROW '
	  . 'EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'ALTER SEQUENCE run_id_seq OWNED BY NONE',
	'ALTER SEQUENCE run_id_seq INCREMENT 2',
	'ALTER SEQUENCE task_id_sequence CYCLE',
	'CREATE SEQUENCE extra',
	'CREATE TABLE extra ()',
	'CREATE VIEW extra AS SELECT 1',
	'CREATE FUNCTION extra() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
	'CREATE DOMAIN extra AS text',
	'DROP TABLE run',
	'DROP SEQUENCE task_id_sequence',
	'DROP EXTENSION pg_trgm',
	'ALTER EXTENSION syncmaster ADD TABLE run',
	'ALTER EXTENSION syncmaster ADD SEQUENCE task_id_sequence',
	q(UPDATE alembic_version SET version_num = '0012'),
	q(INSERT INTO alembic_version VALUES ('0012')),
	'DELETE FROM alembic_version',
	'DROP TABLE alembic_version');
my $changed = new_database('CREATE EXTENSION syncmaster');
my @changed = read_catalogs(
	$node->safe_psql(
		$changed,
		join '',
		map { "BEGIN; $_;\n" . catalog_sql('public') . "ROLLBACK;\n" }
		  'SELECT', @changes));
is_deeply([ catalog_differences(facts('rev-0013'), $changed[0]{flat}) ],
	[], 'nothing is noticed where nothing is changed');
foreach my $i (0 .. $#changes)
{
	ok( catalog_differences(facts('rev-0013'), $changed[ $i + 1 ]{flat}) > 0,
		"noticed: $changes[$i]");
}

# Direct, step by step, and there and back again -----------------------------

foreach my $schema ('public', 'etl', 'My Schema; 2')
{
	my $create =
	    'CREATE SCHEMA IF NOT EXISTS ' . quote_ident($schema)
	  . '; CREATE EXTENSION syncmaster SCHEMA '
	  . quote_ident($schema);

	foreach my $n (11 .. 13)
	{
		follow(
			$node,
			new_database(),
			{ schema => $schema, name => "empty database, schema $schema" },
			{
				name => "straight to 1.$n",
				sql => "$create VERSION '1.$n'",
				facts => "rev-00$n",
				version => "1.$n"
			});
	}

	my $database = new_database();
	my @steps = ({ name => 'create at 1.11', sql => "$create VERSION '1.11'" });
	foreach my $n (12, 13, 12, 11, 12, 13, 11, 13)
	{
		push @steps,
		  {
			name => "update to 1.$n",
			sql => "ALTER EXTENSION syncmaster UPDATE TO '1.$n'",
			facts => "rev-00$n",
			version => "1.$n"
		  };
	}
	follow($node, $database,
		{ schema => $schema, name => "step by step, schema $schema" }, @steps);
	is($node->safe_psql($database, q(
		SELECT string_agg(DISTINCT n.nspname, ' ')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
		AND c.relkind <> 'v')),
		join(' ', sort $schema, 'syncmaster_history'),
		"schema $schema: no other schema is touched");
}


# All revisions, by syncmaster_upgrade() and syncmaster_downgrade() ------------

# What version the extension has while the schema is at a revision.
sub version_for
{
	my ($revision) = @_;
	return $revision > 11 ? '1.' . $revision : '1.11';
}

sub move
{
	my ($direction, $target, $revision, %more) = @_;
	my $id = $revision > 0 ? sprintf('%04d', $revision) : 'base';

	return {
		name => "$direction $target",
		sql => ($direction eq 'downgrade' ? 'SET syncmaster.allow_destroy = on; ' : '')
		  . "SELECT 1 / (r = '$id')::int"
		  . " FROM syncmaster_${direction}('$target') r",
		facts => $revision > 0 ? "rev-$id" : 'base',
		version => version_for($revision),
		%more
	};
}

my @down = map { move('downgrade', sprintf('%04d', $_), $_) } reverse 1 .. 12;
my @up = map { move('upgrade', sprintf('%04d', $_), $_) } 1 .. 13;

follow(
	$node,
	new_database(),
	{ name => 'every revision' },
	{
		name => 'create',
		sql => 'CREATE EXTENSION syncmaster',
		facts => 'rev-0013'
	},
	@down,
	move('downgrade', 'base', 0),
	@up,
	(map { move('downgrade', '-1', $_) } reverse 0 .. 12),
	(map { move('upgrade', '+1', $_) } 1 .. 13),
	move('downgrade', '-8', 5),
	move('upgrade', 'head', 13),
	move('downgrade', 'base', 0),
	move('upgrade', '1.11', 11),
	move('upgrade', '1.13', 13),
	move('downgrade', '1.12', 12),
	move('downgrade', '0005+2', 7),
	move('upgrade', 'head-1', 12),
	move('downgrade', 'head-1', 12));

# The version of the extension and the revision of the schema may part: here
# Alembic, or a restore, took the schema down while the version stayed.
foreach my $revision (1 .. 12)
{
	my $id = sprintf '%04d', $revision;
	my $n = $revision;

	follow(
		$node,
		new_database(),
		{ name => "version ahead of revision $id" },
		{
			name => 'part them',
			sql => "CREATE EXTENSION syncmaster; "
			  . "SET syncmaster.allow_destroy = on; "
			  . "SELECT syncmaster_downgrade('$id'); "
			  . "DROP EXTENSION syncmaster; SET syncmaster.restoring = on; "
			  . "CREATE EXTENSION syncmaster; RESET syncmaster.restoring",
			facts => "rev-$id",
			version => '1.13'
		},
		move('upgrade', 'head', 13));
}

# Who installs, and whose the tables are then ----------------------------------

foreach my $schema ('public', 'etl')
{
	my $database = new_database();
	$node->safe_psql('postgres', "ALTER DATABASE $database OWNER TO app");
	$node->safe_psql($database, 'ALTER SCHEMA public OWNER TO app');

	my @steps;
	push @steps,
	  { name => 'make the schema', sql => "CREATE SCHEMA $schema" }
	  if $schema ne 'public';
	push @steps,
	  {
		name => 'create at 1.11',
		sql => "CREATE EXTENSION syncmaster SCHEMA $schema VERSION '1.11'; "
		  . "SET search_path = $schema, public",
		facts => 'rev-0011'
	  };
	foreach my $n (12, 13, 12)
	{
		push @steps,
		  {
			name => "update to 1.$n",
			sql => "ALTER EXTENSION syncmaster UPDATE TO '1.$n'",
			facts => "rev-00$n"
		  };
	}
	push @steps,
	  {
		name => 'downgrade to 0005',
		sql => 'SET syncmaster.allow_destroy = on; '
		  . "SELECT $schema.syncmaster_downgrade('0005')",
		facts => 'rev-0005'
	  },
	  {
		name => 'upgrade to head',
		sql => "SELECT $schema.syncmaster_upgrade('head')",
		facts => 'rev-0013'
	  };
	my $name = "owner of the database, no superuser, schema $schema";
	follow($node, $database,
		{ schema => $schema, role => 'app', name => $name }, @steps);

	is($node->safe_psql($database, q(
		SELECT string_agg(DISTINCT pg_get_userbyid(c.relowner), ' ')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
		AND c.relkind <> 'v')),
		'app', "$name: owns all tables, sequences and indexes");
	is($node->safe_psql($database,
			"SELECT pg_get_userbyid(extowner) FROM pg_extension "
			  . "WHERE extname IN ('syncmaster', 'pg_trgm')"),
		"app\napp", "$name: owns both extensions");
}

# A superuser gives the tables to the database's owner.
my $given = new_database();
$node->safe_psql('postgres', "ALTER DATABASE $given OWNER TO app");
$node->safe_psql($given,
	'ALTER SCHEMA public OWNER TO app; CREATE EXTENSION syncmaster');
is($node->safe_psql($given, q(
	SELECT string_agg(DISTINCT pg_get_userbyid(c.relowner), ' ')
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
		AND c.relkind <> 'v')),
	'app', "installed by a superuser: the tables are the database owner's");

# pg_trgm ----------------------------------------------------------------------

# In each case: where it has to be afterwards, and whose.
my %trgm = (
	'absent' => [ '', 'etl app', 'gone' ],
	'in place' => [ 'CREATE EXTENSION pg_trgm SCHEMA etl', 'etl app', 'gone' ],
	'in another schema' =>
	  [ 'CREATE EXTENSION pg_trgm SCHEMA public', 'public app', 'gone' ],
	'in a schema off the search_path' => [
		'CREATE SCHEMA far; CREATE EXTENSION pg_trgm SCHEMA far',
		'far app', 'gone'
	],
	"another role's" => [
		'RESET ROLE; CREATE EXTENSION pg_trgm SCHEMA public; SET ROLE app',
		"public " . $node->safe_psql('postgres', 'SELECT current_user'), 'stays'
	]);
foreach my $case (sort keys %trgm)
{
	my ($sql, $where, $fate) = @{ $trgm{$case} };
	my $database = new_database();
	my $facts = facts('rev-0009');

	$facts->{'extension pg_trgm'} = 'true' if $fate eq 'stays';
	$node->safe_psql('postgres', "ALTER DATABASE $database OWNER TO app");
	$node->safe_psql($database, "ALTER SCHEMA public OWNER TO app; "
		  . "SET ROLE app; CREATE SCHEMA etl; $sql");
	my @messages = follow(
		$node,
		$database,
		{ schema => 'etl', role => 'app', name => "pg_trgm $case" },
		{
			name => 'create',
			sql => 'CREATE EXTENSION syncmaster SCHEMA etl',
			facts => 'rev-0013'
		},
		{
			name => 'is where it was',
			sql => "SELECT 1 / (format('%s %s', extnamespace::regnamespace, "
			  . "extowner::regrole) = '$where')::int "
			  . "FROM pg_extension WHERE extname = 'pg_trgm'"
		},
		{
			name => 'downgrade past it',
			sql => 'SET syncmaster.allow_destroy = on; '
			  . "SELECT etl.syncmaster_downgrade('0009')",
			facts => $facts
		},
		{
			name => 'upgrade again',
			sql => "SELECT etl.syncmaster_upgrade('head')",
			facts => 'rev-0013'
		});
	my $said =
	  qr/WARNING: +extension "pg_trgm" stays, because it belongs to another role/;
	$fate eq 'stays'
	  ? like($messages[2], $said, "pg_trgm $case: stays with a warning")
	  : unlike($messages[2], $said, "pg_trgm $case: is dropped");
}

my $without = new_database(
	'CREATE EXTENSION syncmaster; DROP EXTENSION pg_trgm CASCADE');
follow(
	$node, $without,
	{ name => 'pg_trgm lost' },
	{
		name => 'all else is there',
		sql => 'SELECT',
		facts => without_pg_trgm(facts('rev-0013'))
	},
	{
		name => 'made again by syncmaster_upgrade()',
		sql => "SELECT syncmaster_upgrade('head')",
		facts => 'rev-0013'
	},
	{
		name => 'made again by CREATE EXTENSION',
		sql => 'DROP EXTENSION pg_trgm; DROP EXTENSION syncmaster; '
		  . 'CREATE EXTENSION syncmaster',
		facts => 'rev-0013'
	});

# Without the extension ---------------------------------------------------------

# The SQL that syncmaster-db prints without a database.
sub offline_sql
{
	my (@arguments) = @_;
	my $got = command_line(args => [ @arguments, '--sql' ]);

	is("$got->{status} $got->{err}", '0 ', "@arguments --sql: printed");
	return $got->{out};
}

sub offline
{
	my ($direction, $from, $to, @options) = @_;
	my $revision = $to eq 'head' ? '0013' : $to;

	unshift @options, '--allow-destroy' if $direction eq 'downgrade' && $revision lt '0011' || $to eq 'base';
	return {
		name => "$direction $from:$to",
		sql => offline_sql($direction, "$from:$to", @options),
		facts => $revision eq 'base' ? 'base' : "rev-$revision"
	};
}

my @ids = ('base', map { sprintf '%04d', $_ } 1 .. 13);
foreach my $schema ('public', q(My "S$e&\\'x; 2), '$syncmaster$ $syncmaster_$ $syncmaster_step$')
{
	my $database = new_database();
	$node->safe_psql('postgres', "ALTER DATABASE $database OWNER TO app");
	$node->safe_psql($database, 'ALTER SCHEMA public OWNER TO app; CREATE SCHEMA IF NOT EXISTS '
		  . quote_ident($schema) . ' AUTHORIZATION app');
	my @options = $schema eq 'public' ? () : ('--schema', $schema);
	my @jumps = (
		offline('upgrade', 'base', 'head', @options),
		offline('downgrade', 'head', 'base', @options));
	push @jumps, (map { offline('upgrade', @ids[ $_ - 1, $_ ]) } 1 .. 13),
	  (map { offline('downgrade', @ids[ $_, $_ - 1 ]) } reverse 1 .. 13),
	  offline('upgrade', '', '0011'), offline('upgrade', '0011', 'head'),
	  offline('downgrade', '0013', '0004'), offline('upgrade', '0004', '0012'),
	  offline('downgrade', '0012', '0012')
	  if $schema eq 'public';
	my @messages = follow($node, $database,
		{ schema => $schema, role => 'app', name => "without the extension, schema $schema" }, @jumps);
	is(join('', @messages) =~ s/^=== .*$//mr, '', "schema $schema: and says nothing");
}

# Ids of rows that Celery made without its sequences are not given out again, and those of
# a sequence that is further are not either.
my $celery = new_database(offline_sql('upgrade', 'base:0008') . q(
	CREATE TABLE celery_taskmeta (id integer PRIMARY KEY, task_id varchar(155) UNIQUE);
	INSERT INTO celery_taskmeta VALUES (7, 'a'), (42, 'b');
	CREATE TABLE celery_tasksetmeta (id integer PRIMARY KEY, taskset_id varchar(155) UNIQUE);
	INSERT INTO celery_tasksetmeta VALUES (42, 'a');
	CREATE SEQUENCE taskset_id_sequence START 77));
my $begun = $node->safe_psql('postgres', "CREATE DATABASE begun TEMPLATE $celery;") . 'begun';
$node->safe_psql($begun, q(TRUNCATE celery_taskmeta; ALTER SEQUENCE taskset_id_sequence RESTART 42));
foreach my $case ([ $celery, '43 77' ], [ $begun, '1 43' ])
{
	my ($database, $next) = @$case;
	$node->safe_psql($database, offline_sql('upgrade', '0008:0009'));
	is($node->safe_psql($database, q(SELECT concat_ws(' ', nextval('task_id_sequence'), nextval('taskset_id_sequence')))),
		$next, 'the next ids of Celery');
}

# It runs as a whole or not at all, from the revision that it was made for only.
my $offline = new_database();
$node->safe_psql($offline, offline_sql('upgrade', ':0011'));
foreach my $case (
	[ 'upgrade', '0012:head', 'the database is at revision 0011, but this SQL begins at 0012' ],
	[ 'upgrade', 'base:head', 'the database is at revision 0011, but this SQL begins at base' ],
	[ 'upgrade', '0011:head', 'relation "public.celery_tasksetmeta" does not exist', 'DROP TABLE celery_tasksetmeta' ])
{
	my ($direction, $range, $message, $before) = @$case;
	$node->safe_psql($offline, $before) if defined $before;
	my $want = $node->safe_psql($offline, catalog_sql('public'));
	my (undef, undef, $err) = $node->psql($offline, offline_sql($direction, $range), on_error_stop => 0);
	like($err, qr/ERROR:  \Q$message\E/, "$range: refused");
	is($node->safe_psql($offline, catalog_sql('public')), $want, "$range: nothing is changed");
}

# Also where psql goes on after an error, or begins transactions by itself.
my %psqlrc = (
	'on' => "\\set ON_ERROR_ROLLBACK on\n\\set ON_ERROR_STOP off\n",
	'off' => "\\set AUTOCOMMIT off\n\\set ON_ERROR_STOP off\n");

sub psql_with
{
	my ($rc, $sql) = @_;
	local $ENV{PSQLRC} = $node->basedir . '/psqlrc';
	write_file($ENV{PSQLRC}, $psqlrc{$rc});
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-q', '-d', $node->connstr($offline), '-f', write_file($node->basedir . '/offline.sql', $sql) ],
		'>', \$out, '2>', \$err);
	return $err;
}
is(psql_with('off', offline_sql('downgrade', '0011:0010', '--allow-destroy')), '', 'AUTOCOMMIT off: no error');
is($node->safe_psql($offline, 'TABLE alembic_version'), '0010', 'AUTOCOMMIT off: done and committed');
foreach my $rc (sort keys %psqlrc)
{
	my $want = $node->safe_psql($offline, catalog_sql('public'));
	like(psql_with($rc, offline_sql('downgrade', '0008:0007', '--allow-destroy')),
		qr/ERROR:  the database is at revision 0010, but this SQL begins at 0008/, "psqlrc, $rc: refused");
	is($node->safe_psql($offline, catalog_sql('public')), $want, "psqlrc, $rc: nothing is changed");
}
$node->safe_psql($offline, 'DROP TABLE alembic_version');
like(($node->psql($offline, offline_sql('upgrade', '0011:head')))[2],
	qr/ERROR:  relation "public.alembic_version" does not exist/, 'no revision at all: refused');

# Whatever the session looks up first, and how it reads strings (19 reads them in one way).
my $hostile = new_database(q(CREATE SCHEMA evil;
	CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'));
follow($node, $hostile, { name => 'without the extension, a hostile session' },
	{
		name => 'upgrade',
		sql => q(SET search_path = evil, pg_catalog; DO $$BEGIN SET standard_conforming_strings = off;
			EXCEPTION WHEN OTHERS THEN NULL; END$$;)
		  . offline_sql('upgrade', 'base:head')
		  . 'RESET standard_conforming_strings',
		facts => 'rev-0013'
	});

# It keeps other migrations out, as the extension does, and waits for a lock as long.
is($node->safe_psql($hostile, offline_sql('downgrade', 'head:0012') =~ s{^COMMIT;}{
		SELECT mode FROM pg_locks WHERE relation = 'public.alembic_version'::regclass
			AND pid = pg_backend_pid() AND mode ~ '^Share'; ROLLBACK;}rm),
	'ShareRowExclusiveLock', 'other migrations are kept out');
my ($timeout) = offline_sql('upgrade', '0011:head') =~ /^ +SET LOCAL lock_timeout = '(.*)';/m;
is($timeout, $node->safe_psql($offline, q(CREATE SCHEMA other; CREATE EXTENSION syncmaster SCHEMA other;
	SHOW syncmaster.lock_timeout)), 'the same lock_timeout');

# A range takes what a target may be.
foreach my $case (
	[ 'upgrade', '0011:+1', '0011 to 0012' ],
	[ 'upgrade', '1.11:1.13', '0011 to 0013' ],
	[ 'upgrade', 'base+3:head-1', '0003 to 0012' ],
	[ 'upgrade', ':+2', 'base to 0002' ],
	[ 'downgrade', 'head:-2', '0013 to 0011' ],
	[ 'downgrade', '1.12:0010+1', '0012 to 0011' ])
{
	my ($direction, $range, $words) = @$case;
	like(offline_sql($direction, $range), qr/\A-- SyncMaster's schema, from $words\n/, "$direction $range: $words");
}

foreach my $case (
	[ 2, 'a range needs --sql', 'upgrade', '0011:head' ],
	[ 2, 'a range needs --sql', 'downgrade', 'head:0011' ],
	[ 2, 'downgrade --sql needs a range FROM:TO', 'downgrade', '0012', '--sql' ],
	[ 2, 'a range of revisions is FROM:TO', 'upgrade', '0011:', '--sql' ],
	[ 1, 'cannot locate revision "current"', 'upgrade', 'current:head', '--sql' ],
	[ 1, 'cannot locate revision "0099"', 'upgrade', '0011:0099', '--sql' ],
	[ 1, 'upgrade cannot lead from 0013 to 0011', 'upgrade', 'head:0011', '--sql' ],
	[ 1, 'downgrade cannot lead from 0011 to 0013', 'downgrade', '0011:head', '--sql' ],
	[ 1, 'to print it nevertheless, add --allow-destroy', 'downgrade', '0011:0010', '--sql' ],
	[ 1, 'to print it nevertheless, add --allow-destroy', 'downgrade', '0010:0009', '--sql' ],
	[ 1, 'schema pg_toast is reserved', 'upgrade', '0011:head', '--sql', '--schema', 'pg_toast' ],
	[ 1, 'cannot locate revision "+1"', 'upgrade', '+1:head', '--sql' ],
	[ 1, 'cannot locate revision "+3"', 'upgrade', '0011:+3', '--sql' ],
	[ 1, 'cannot locate revision "1.10"', 'upgrade', '0009:1.10', '--sql' ],
	[ 1, 'cannot locate revision "+"', 'upgrade', '0011:+', '--sql' ],
	[ 1, 'upgrade cannot lead from 0012 to 0011', 'upgrade', '0012:-1', '--sql' ],
	[ 2, 'leave out --config and --env-file', 'upgrade', '0011:head', '--sql', '--config', '/nowhere' ],
	[ 2, 'leave out --config and --env-file', 'upgrade', '0011:head', '--sql', '--env-file', '/nowhere' ])
{
	my ($status, $message, @arguments) = @$case;
	my $got = command_line(args => \@arguments);
	is("$got->{status} $got->{out}", "$status ", "@arguments: exit status, and no SQL");
	like($got->{err}, qr/\Q$message\E/, "@arguments: says why");
}

# What Celery and APScheduler made ---------------------------------------------

# As they are without the indexes that Celery made only lately.
my %foreign = (
	task_id_sequence => 'CREATE SEQUENCE task_id_sequence START 77',
	taskset_id_sequence => 'CREATE SEQUENCE taskset_id_sequence START 77',
	celery_taskmeta => q(
		CREATE TABLE celery_taskmeta (
			id integer NOT NULL, task_id varchar(155), status varchar(50),
			result bytea, date_done timestamp without time zone,
			traceback text, name varchar(155), args bytea, kwargs bytea,
			worker varchar(155), retries integer, queue varchar(155),
			PRIMARY KEY (id), UNIQUE (task_id));
		INSERT INTO celery_taskmeta (id, task_id) VALUES (42, 'x')),
	celery_tasksetmeta => q(
		CREATE TABLE celery_tasksetmeta (
			id integer NOT NULL, taskset_id varchar(155), result bytea,
			date_done timestamp without time zone,
			PRIMARY KEY (id), UNIQUE (taskset_id));
		INSERT INTO celery_tasksetmeta (id, taskset_id) VALUES (42, 'x')),
	apscheduler_jobs => q(
		CREATE TABLE apscheduler_jobs (
			id varchar(191) NOT NULL, next_run_time double precision,
			job_state bytea NOT NULL, PRIMARY KEY (id));
		CREATE INDEX ix_apscheduler_jobs_next_run_time
			ON apscheduler_jobs (next_run_time);
		INSERT INTO apscheduler_jobs (id, job_state) VALUES ('x', '\x00')));
my @foreign = sort keys %foreign;

# That what was there is still the same: rows, and where sequences start.
sub untouched_sql
{
	my %kept = map { $_ => 1 } @_;
	my @checks = ('1');

	foreach my $name (grep { $kept{$_} } @foreign)
	{
		push @checks, $name =~ /sequence$/
		  ? "(SELECT 1 / (last_value = 77)::int FROM $name)"
		  : "(SELECT 1 / (count(*) = 1)::int FROM $name)";
	}
	return 'SELECT ' . join ', ', @checks;
}

# Every subset, on top of what a database has otherwise.
sub subsets
{
	my ($database, $name, $prepare, $facts) = @_;
	my @steps;

	foreach my $bits (0 .. 2**@foreign - 1)
	{
		my @kept = grep { $bits & 1 << $_ } 0 .. $#foreign;
		my @names = @foreign[@kept];
		my $expected = facts('rev-0013');

		foreach my $sequence (grep { /sequence$/ } @names)
		{
			$expected->{"sequence $sequence"} =~ s/^\["bigint",1,/["bigint",77,/;
		}
		push @steps,
		  {
			name => join(', ', @names) || 'none',
			sql => 'ROLLBACK; BEGIN; '
			  . $prepare
			  . join('; ', map { $foreign{$_} } @names)
			  . '; CREATE EXTENSION syncmaster; '
			  . untouched_sql(@names),
			facts => $expected,
			version => '1.13'
		  };
	}
	follow($node, $database, { name => $name }, @steps);
	return;
}

subsets(new_database(), 'no alembic_version, only', '');
subsets(
	new_database(
		"CREATE EXTENSION syncmaster; SET syncmaster.allow_destroy = on; "
		  . "SELECT syncmaster_downgrade('base'); DROP EXTENSION syncmaster"),
	'empty alembic_version, only', '');
foreach my $n (9 .. 13)
{
	my $id = sprintf '%04d', $n;
	subsets(
		new_database(
			"CREATE EXTENSION syncmaster; SET syncmaster.allow_destroy = on; "
			  . "SELECT syncmaster_downgrade('$id'); DROP EXTENSION syncmaster"),
		"at $id, only",
		join('', map { 'DROP ' . (/sequence$/ ? 'SEQUENCE' : 'TABLE')
			  . " IF EXISTS $_; " } @foreign));
}

# Celery of today makes its indexes, too; and one that was told to keep less makes
# fewer columns, which stay as they are.
my $few = facts('rev-0013');
delete $few->{"column celery_taskmeta $_"} foreach 7 .. 12;
follow(
	$node,
	new_database(),
	{ name => 'made by Celery' },
	{
		name => 'with the indexes',
		sql => "BEGIN; $foreign{celery_taskmeta}; CREATE INDEX "
		  . 'ix_celery_taskmeta_date_done ON celery_taskmeta (date_done); '
		  . 'CREATE EXTENSION syncmaster',
		facts => 'rev-0013'
	},
	{
		name => 'with the first six columns',
		sql => "ROLLBACK; BEGIN; $foreign{celery_taskmeta}; "
		  . 'ALTER TABLE celery_taskmeta '
		  . join(', ', map { "DROP COLUMN $_" }
			  qw(name args kwargs worker retries queue))
		  . '; CREATE EXTENSION syncmaster',
		facts => $few
	});

# A database that SyncMaster 0.2.0 made ----------------------------------------

my $old = new_database(
	"CREATE EXTENSION syncmaster VERSION '1.11'; DROP EXTENSION syncmaster; "
	  . 'ALTER TABLE "group" DROP COLUMN search_vector; '
	  . 'ALTER TABLE "group" ALTER COLUMN name TYPE varchar(256), '
	  . 'ADD COLUMN search_vector tsvector NOT NULL GENERATED ALWAYS AS '
	  . "(to_tsvector('english', name)) STORED; "
	  . 'ALTER TABLE connection ALTER COLUMN type TYPE varchar(23)');
my @messages = follow(
	$node, $old,
	{ name => 'made by SyncMaster 0.2.0' },
	{ name => 'as it was', sql => 'SELECT', facts => 'release-0.2.0' },
	{
		name => 'taken over',
		sql => 'CREATE EXTENSION syncmaster',
		facts => 'release-0.2.0-upgraded-to-0013',
		version => '1.13'
	},
	{
		name => 'and back',
		sql => "SELECT syncmaster_downgrade('0011')",
		facts => 'release-0.2.0'
	},
	{
		name => 'and up again',
		sql => 'ALTER EXTENSION syncmaster UPDATE',
		facts => 'release-0.2.0-upgraded-to-0013'
	});
foreach my $i (1, 3)
{
	is_deeply(
		[ $messages[$i] =~ /WARNING: +(.*)/g ],
		[
			'column "name" of table "group" is character varying(256), '
			  . 'where SyncMaster now makes character varying(128)',
			'column "type" of table "connection" is character varying(23), '
			  . 'where SyncMaster now makes character varying(32)'
		],
		'made by SyncMaster 0.2.0: both differences are said');
}

done_testing();
