# SyncMaster's real server, scheduler and worker under roles that have what
# syncmaster_grant() gives and nothing else, while another role owns the tables.
# Then each of these rights is taken away, to see that a statement of the service
# needs it.  Needs SyncMaster in $SYNCMASTER_VENV.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncMasterEnv;
use SyncmasterServer;
use Test::More;

my $python = require_syncmaster();
my $node = PostgreSQL::Test::Cluster->new('services');
$node->init;
$node->append_conf('postgresql.conf',
	"fsync = off\nautovacuum = off\nlog_statement = all\nlog_line_prefix = '<%u> '");
$node->start;

# Whoever installs owns database and schema and nothing else; PUBLIC may not even
# look into the schema.
my %role_of = map { $_ => "sm_$_" } qw(server scheduler worker);
$node->safe_psql('postgres',
	join ';', 'CREATE ROLE app; CREATE ROLE dba LOGIN; GRANT app TO dba',
	map { "CREATE ROLE $_ LOGIN" } values %role_of);
$node->safe_psql('postgres', 'CREATE DATABASE sm OWNER dba');
$node->safe_psql('postgres', 'ALTER DATABASE sm SET search_path = etl, public');
$node->safe_psql('sm', 'REVOKE ALL ON SCHEMA public FROM PUBLIC; '
	  . 'GRANT USAGE ON SCHEMA public TO dba; CREATE SCHEMA etl AUTHORIZATION dba');

sub as_dba
{
	my ($sql) = @_;
	return $node->safe_psql('sm', $sql, extra_params => [ '-U', 'dba' ]);
}

as_dba('CREATE EXTENSION syncmaster SCHEMA etl; GRANT USAGE, CREATE ON SCHEMA etl TO app; '
	  . "SELECT syncmaster_set_owner('app')");
as_dba("SELECT syncmaster_grant('$role_of{$_}', '$_')") foreach keys %role_of;
is( $node->safe_psql(
		'sm', q{SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'etl'}),
	'app',
	'another role owns the tables');
is( $node->safe_psql(
		'sm', q{SELECT role, service FROM syncmaster_privileges() WHERE state = 'granted'
			ORDER BY 1}),
	"sm_scheduler|scheduler\nsm_server|server\nsm_worker|worker",
	'the services are granted');
is( $node->safe_psql(
		'sm', q{SELECT * FROM syncmaster_privileges() WHERE state <> 'granted'}),
	'',
	'nobody has more or less');

# Run Python as a service; returns whether it succeeded, and what it printed.
sub try_program
{
	my ($service, @arguments) = @_;
	my ($stdout, $stderr) = ('', '');
	my %environment =
	  syncmaster_environment($node, 'sm', $role_of{$service}, 1);
	local @ENV{ keys %environment } = values %environment;
	local $ENV{SYNCMASTER__WORKER__LOG_URL_TEMPLATE} =
	  'https://logs.example.com/?run_id={{ run.id }}';

	# where no module lies about that could be taken for SyncMaster's
	my $ok = PostgreSQL::Test::Utils::run_log([ $python, @arguments ],
		'>', \$stdout, '2>', \$stderr,
		init => sub { chdir '/' or die $!; });
	return ($ok, $stdout, $stderr);
}

# The same with one of the programs of test/python.
sub try_session
{
	my ($service, $program, @arguments) = @_;
	return try_program($service, abs_path("$FindBin::RealBin/../test/python/$program.py"),
		@arguments);
}

# The same as a test that it succeeds.
sub run_session
{
	my ($service, $program, @arguments) = @_;
	my ($ok, $stdout, $stderr) = try_session($service, $program, @arguments);

	ok($ok, "$program @arguments") or diag($stderr);
	return $stdout;
}

# The server ------------------------------------------------------------------

my $server = start_server($node, $python, 'sm', $role_of{server});

sub id_of
{
	my ($name, $path, $content) = @_;
	return request_is($server, 200, "create $name", 'POST', $path, $content)->{id};
}

sub connection_data
{
	my ($group, $type, $name) = @_;
	return {
		group_id => $group,
		name => $name,
		description => '',
		type => $type,
		connection_data =>
		  { host => 'db.example.com', port => 5432, database_name => 'orders' },
		auth_data => { type => 'basic', user => 'user', password => 'secret' }
	};
}

sub transfer_data
{
	my ($group, $queue, $source, $target, $name) = @_;
	return {
		group_id => $group,
		queue_id => $queue,
		source_connection_id => $source,
		target_connection_id => $target,
		name => $name,
		description => '',
		is_scheduled => JSON::PP::true,
		schedule => '0 3 * * *',
		source_params => { type => 'postgres', table_name => 'public.orders' },
		target_params => { type => 'clickhouse', table_name => 'dwh.orders' },
		strategy_params => { type => 'full' },
		transformations => []
	};
}

log_in($server, 'guest');
my $guest = request_is($server, 200, 'read oneself', 'GET', '/users/me')->{id};
log_in($server, 'owner');
my $owner = request_is($server, 200, 'read oneself', 'GET', '/users/me')->{id};
log_in($server, 'owner');
request_is($server, 200, 'list users', 'GET', '/users?search_query=gest');
request_is($server, 200, 'read a user', 'GET', "/users/$guest");

my @groups = map { id_of('a group', '/groups', { name => "group $_", description => '' }) }
  1 .. 3;
my $group = $groups[0];
request_is($server, 200, 'update the group', 'PUT', "/groups/$group",
	{ name => 'first group', description => 'new', owner_id => $owner });
request_is($server, 204, 'add a member', 'POST', "/groups/$group/users/$guest",
	{ role => 'Guest' });
request_is($server, 200, 'change the role', 'PUT', "/groups/$group/users/$guest",
	{ role => 'Developer' });
request_is($server, 200, 'list members', 'GET', "/groups/$group/users");
request_is($server, 204, 'remove the member',
	'DELETE', "/groups/$group/users/$guest");
request_is($server, 200, 'list groups', 'GET', '/groups?search_query=first');
request_is($server, 200, 'hand a group on', 'PUT', "/groups/$groups[2]",
	{ name => 'group 3', description => '', owner_id => $guest });

my @queues = map {
	id_of('a queue', '/queues',
		{ name => 'queue', group_id => $_, description => '' })
} @groups[ 0, 1 ];
request_is($server, 200, 'update the queue', 'PUT', "/queues/$queues[0]",
	{ name => 'new', description => 'new' });
request_is($server, 200, 'list queues', 'GET',
	"/queues?group_id=$group&search_query=new");

my $source = id_of('a connection', '/connections',
	connection_data($group, 'postgres', 'source'));
my $target = id_of('a connection', '/connections',
	connection_data($group, 'clickhouse', 'target'));
request_is($server, 200, 'known types', 'GET', '/connections/known_types');
request_is($server, 200, 'update the connection', 'PUT', "/connections/$source",
	connection_data($group, 'postgres', 'new source'));
request_is($server, 200, 'read the connection', 'GET', "/connections/$source");
request_is($server, 200, 'list connections', 'GET',
	"/connections?group_id=$group&search_query=source");
my $copy = request_is(
	$server, 200,
	'copy the connection',
	'POST', "/connections/$source/copy_connection",
	{ new_group_id => $groups[1], new_name => 'copy', remove_source => JSON::PP::false }
)->{id};

my $transfer = id_of('a transfer', '/transfers',
	transfer_data($group, $queues[0], $source, $target, 'transfer'));
request_is($server, 200, 'update the transfer', 'PUT', "/transfers/$transfer",
	transfer_data($group, $queues[0], $source, $target, 'new transfer'));
request_is($server, 200, 'read the transfer', 'GET', "/transfers/$transfer");
request_is($server, 200, 'list transfers', 'GET',
	"/transfers?group_id=$group&search_query=new&source_connection_type=postgres");
my $copied = request_is(
	$server, 200,
	'copy the transfer',
	'POST',
	"/transfers/$transfer/copy_transfer",
	{ new_group_id => $groups[1], new_queue_id => $queues[1], new_name => 'copy' })->{id};

# Nobody is at the broker's port.
request_is($server, 503, 'start a run', 'POST', '/runs',
	{ transfer_id => $transfer });
my $failed =
  request_is($server, 200, 'list runs', 'GET',
	"/runs?transfer_id=$transfer&status=FAILED")->{items}[0]{id};
request_is($server, 200, 'read the run', 'GET', "/runs/$failed");

# The scheduler ---------------------------------------------------------------

is(run_session('scheduler', 'scheduler_session', 'poll'),
	"jobs: $transfer $copied\n", 'scheduler: the transfers become jobs');
request_is($server, 204, 'delete the copied transfer',
	'DELETE', "/transfers/$copied");
is(run_session('scheduler', 'scheduler_session', 'poll'),
	"jobs: $transfer\n", 'scheduler: the job of a deleted transfer goes');
is( run_session('scheduler', 'scheduler_session', 'poll-again', 'due'),
	"ran: CannotConnectToTaskQueueError\njobs: $transfer\n",
	'scheduler: the job runs, without a broker');
is( $node->safe_psql(
		'sm', q{SELECT transfer_id, status FROM run WHERE type = 'SCHEDULED'}),
	"$transfer|FAILED",
	'scheduler: the run is recorded as failed');

# The worker ------------------------------------------------------------------

# Runs that the broker would have handed on.
my @runs = split /\n/, $node->safe_psql(
	'sm', qq{WITH u AS (UPDATE run SET status = 'CREATED'
			WHERE transfer_id = $transfer RETURNING id)
		SELECT id FROM u ORDER BY id});
like(
	run_session('worker', 'worker_session', @runs),
	qr/^$runs[0] SUCCESS\n$runs[1] FAILURE\n/m,
	'worker: executes two runs');
is( $node->safe_psql(
		'sm', qq{SELECT status, started_at < ended_at, log_url FROM run
			WHERE id IN ($runs[0], $runs[1]) ORDER BY id}),
	"FINISHED|t|https://logs.example.com/?run_id=$runs[0]\n"
	  . "FAILED|t|https://logs.example.com/?run_id=$runs[1]",
	'worker: the runs are as it says');
is( $node->safe_psql('sm', 'SELECT status FROM celery_taskmeta ORDER BY id'),
	"SUCCESS\nFAILURE",
	"worker: the results are in Celery's table");

# Whoever writes these tables runs code ------------------------------------------

# A pickle that, when it is read, runs a command: os.system('touch ...').
sub pickle
{
	my ($file) = @_;
	return "convert_to(E'cos\\nsystem\\n(S''touch $file''\\ntR.', 'UTF8')";
}

my $folder = abs_path(PostgreSQL::Test::Utils::tempdir());
$node->safe_psql('sm', "INSERT INTO apscheduler_jobs VALUES ('9', 0, "
	  . pickle("$folder/by_scheduler") . ')');
try_session('scheduler', 'scheduler_session', 'poll');
ok(-e "$folder/by_scheduler", 'the scheduler runs what is in apscheduler_jobs');
$node->safe_psql('sm',
	'UPDATE celery_taskmeta SET result = ' . pickle("$folder/by_worker"));
try_session('worker', 'worker_session', '--store',
	$node->safe_psql('sm', 'SELECT min(task_id) FROM celery_taskmeta'));
ok(-e "$folder/by_worker", 'the worker runs what is in celery_taskmeta');
$node->safe_psql('sm', "DELETE FROM apscheduler_jobs WHERE id = '9'; "
	  . 'UPDATE celery_taskmeta SET result = NULL');

# The server again ------------------------------------------------------------

$node->safe_psql('sm', "UPDATE run SET status = 'STARTED' WHERE id = $runs[0]");
request_is($server, 200, 'stop a run', 'POST', "/runs/$runs[0]/stop");
request_is($server, 204, 'delete the transfer', 'DELETE',
	"/transfers/$transfer");
request_is($server, 204, 'delete a connection', 'DELETE', "/connections/$_")
  foreach $source, $target, $copy;
request_is($server, 204, 'delete a queue', 'DELETE', "/queues/$_")
  foreach @queues;

# SyncMaster's image does this before it starts the server, with its role.
{
	local $ENV{SYNCMASTER__SUPERUSERS} = '["guest", "first"]';
	my ($ok, undef, $stderr) =
	  try_program('server', '-m', 'syncmaster.server.scripts.manage_superusers', 'add');
	ok($ok, "the image's entry point adds superusers") or diag($stderr);
	is(as_dba('SELECT username FROM syncmaster_superusers()'),
		"first\nguest", 'an existing user, and a new one');
	run_session('server', 'superusers_session', 'remove', 'guest', 'first');
	is(as_dba('SELECT username FROM syncmaster_superusers()'), '', 'and removes them');
}

# Nobody is a superuser by means of the server's interface; we make one.
request_is($server, 403, 'only a superuser may delete the group',
	'DELETE', "/groups/$group");
is(as_dba("SELECT * FROM syncmaster_add_superusers('owner', 'root')"),
	"owner|promoted\nroot|created", 'superusers are made');
log_in($server, 'root');
is( request_is($server, 200, 'read oneself', 'GET', '/users/me')->{is_superuser},
	JSON::PP::true,
	'who was created can log in, as a superuser');
request_is($server, 204, 'delete the group', 'DELETE', "/groups/$_")
  foreach @groups;
log_in($server, 'plain');
as_dba("SELECT syncmaster_remove_superusers('root')");
my ($ours, $theirs) = map {
	$node->safe_psql(
		'sm', qq{SELECT row_to_json(u)::jsonb
			- '{id,username,created_at,updated_at}'::text[]
		FROM "user" u WHERE username = '$_'})
} qw(root plain);
is($ours, $theirs, 'a user that we create is as one that the server creates');

my $log = slurp_file($node->logfile);
is_deeply(
	[ grep { /permission denied/ } split /\n/, $log ], [],
	'nothing was denied to any service');

# Is each right needed? -------------------------------------------------------

# The statements of a role, as PREPARE takes them.
sub statements_of
{
	my ($role) = @_;
	my %statements;

	while ($log =~
		/^<$role>\ LOG:\s+(?:statement|execute\ [^:]*):\s+
			((?:SELECT|INSERT|UPDATE|DELETE|WITH)\b.*(?:\n\t.*)*)/gmxi)
	{
		my $sql = $1 =~ s/\n\t/\n/gr;
		$statements{$sql} = 1 if $sql !~ /\bpg_catalog\b/;
	}
	return sort keys %statements;
}

# Roles' rights on the schema's relations, as GRANT writes them.
my $rights_query = q{
	SELECT format('%s%s ON %s %s', privilege_type, '(' || quote_ident(attname) || ')',
		CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, name)
	FROM (SELECT oid::regclass AS name, relkind, NULL AS attname, relacl AS acl
			FROM pg_class WHERE relnamespace = 'etl'::regnamespace
		UNION ALL
		SELECT c.oid::regclass, relkind, attname, attacl FROM pg_attribute
			JOIN pg_class c ON c.oid = attrelid
			WHERE relnamespace = 'etl'::regnamespace) s, aclexplode(acl)
	WHERE grantee = 'service_role'::regrole ORDER BY 1};

# Executes none of the statements: EXPLAIN asks for the rights that it would need.
$node->safe_psql('sm', <<'SQL');
CREATE TABLE statement (role name, sql text);
CREATE FUNCTION first_denied(service name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	s text;
	n int;
BEGIN
	FOR s IN SELECT sql FROM statement WHERE role = service
	LOOP
		n := (SELECT coalesce(max(m[1]::int), 0)
			FROM regexp_matches(s, '\$(\d+)', 'g') m);
		EXECUTE 'SET ROLE ' || service;
		BEGIN
			EXECUTE 'PREPARE p AS ' || s;
			EXECUTE 'EXPLAIN EXECUTE p' || CASE WHEN n > 0
				THEN '(' || repeat('NULL,', n - 1) || 'NULL)' ELSE '' END;
			DEALLOCATE p;
			RESET ROLE;
		EXCEPTION WHEN insufficient_privilege THEN
			RESET ROLE;
			IF EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'p') THEN
				DEALLOCATE p;
			END IF;
			RETURN s;
		END;
	END LOOP;
	RETURN NULL;
END $$;
SQL
$log = slurp_file($node->logfile);
my %statements;
foreach my $service (sort keys %role_of)
{
	my $role = $role_of{$service};
	my $quote = '$quoted$';
	my @statements = statements_of($role);

	cmp_ok(scalar @statements, '>', 10, "$service: statements were logged");
	$node->safe_psql('sm', join ';',
		map { "INSERT INTO statement VALUES ('$role', $quote$_$quote)" } @statements);
	is($node->safe_psql('sm', "SELECT first_denied('$role')"),
		'', "$service: none of its statements is denied");

	foreach my $right (split /\n/,
		$node->safe_psql('sm', $rights_query =~ s/service_role/$role/r))
	{
		next if $right =~ /SEQUENCE/;
		isnt(
			$node->safe_psql(
				'sm', "BEGIN; REVOKE $right FROM $role; "
				  . "SELECT first_denied('$role'); ROLLBACK"),
			'',
			"$service needs $right");
	}
}

# Sequences are asked for when they are used.
sub without
{
	my ($service, $right, $do) = @_;
	my $role = $role_of{$service};

	$node->safe_psql('sm', "REVOKE $right FROM $role");
	is( $node->safe_psql(
			'sm', q{SELECT role, state, fix FROM syncmaster_privileges()
				WHERE state <> 'granted'}),
		"$role|missing|GRANT $right TO $role",
		"without $right: it is listed as missing");
	my $offset = -s $node->logfile;
	$do->();
	like(slurp_file($node->logfile, $offset),
		qr/<$role> ERROR:  permission denied/,
		"$service needs $right");
	as_dba("SELECT syncmaster_grant('$role', '$service')");
	return;
}

log_in($server, 'owner');
my $seq = 'USAGE ON SEQUENCE etl';
without('server', "$seq.user_id_seq",
	sub { $server->{http}->post_form("$server->{base}/auth/token",
			{ grant_type => 'password', username => 'new', password => 'any' }) });
without('server', "$seq.group_id_seq",
	sub { request($server, 'POST', '/groups', { name => 'last', description => '' }) });
$group = id_of('a group', '/groups', { name => 'last', description => '' });
without('server', "$seq.queue_id_seq",
	sub { request($server, 'POST', '/queues',
			{ name => 'queue', group_id => $group, description => '' }) });
my $queue = id_of('a queue', '/queues',
	{ name => 'queue', group_id => $group, description => '' });
without('server', "$seq.connection_id_seq",
	sub { request($server, 'POST', '/connections',
			connection_data($group, 'postgres', 'source')) });
($source, $target) = map {
	id_of('a connection', '/connections', connection_data($group, @$_))
} [ 'postgres', 'source' ], [ 'clickhouse', 'target' ];
my $data = transfer_data($group, $queue, $source, $target, 'transfer');
without('server', "$seq.transfer_id_seq",
	sub { request($server, 'POST', '/transfers', $data) });
$transfer = id_of('a transfer', '/transfers', $data);
without('server', "$seq.run_id_seq",
	sub { request($server, 'POST', '/runs', { transfer_id => $transfer }) });
without('scheduler', "$seq.run_id_seq",
	sub { try_session('scheduler', 'scheduler_session', 'poll', 'due') });
request_is($server, 503, 'start a run', 'POST', '/runs', { transfer_id => $transfer });
my $run = $node->safe_psql(
	'sm', q{UPDATE run SET status = 'CREATED'
		WHERE id = (SELECT max(id) FROM run) RETURNING id});
without('worker', "$seq.task_id_sequence",
	sub { try_session('worker', 'worker_session', $run) });
stop_server();

# Without USAGE on the schema nothing is found.
foreach my $service (sort keys %role_of)
{
	$node->safe_psql('sm', "REVOKE USAGE ON SCHEMA etl FROM $role_of{$service}");
	my ($rc, undef, $stderr) = $node->psql('sm', 'SELECT count(*) FROM etl.run',
		extra_params => [ '-U', $role_of{$service} ]);
	like($stderr, qr/permission denied for schema etl/,
		"$service needs USAGE on the schema");
}
is( $node->safe_psql(
		'sm', q{SELECT role, object_type, object_name, privilege
			FROM syncmaster_privileges() WHERE state = 'missing' ORDER BY 1}),
	join("\n", map { "sm_$_|schema|etl|USAGE" } sort keys %role_of),
	'and it is listed as missing');

$node->stop;

done_testing();
