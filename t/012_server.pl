# SyncMaster's real server on a database that CREATE EXTENSION made, with the
# extra indexes, as the tables' owner and with no right beyond that.  Needs
# SyncMaster in $SYNCMASTER_VENV.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SyncMasterEnv;
use SyncmasterServer;
use Test::More;
use utf8;

my $python = require_syncmaster();

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off");
$node->start;
$node->safe_psql('postgres',
	'CREATE ROLE app LOGIN; CREATE ROLE dba LOGIN; GRANT app TO dba');

# What a search finds, as names.
sub found_is
{
	my ($server, $path, $words, @names) = @_;
	my $query = $server->{http}->www_form_urlencode({ search_query => $words });
	my $sign = $path =~ /\?/ ? '&' : '?';
	my ($status, $body) = request($server, 'GET', "$path$sign$query");

	is_deeply(
		[ sort map { $_->{name} // $_->{data}{name} // $_->{username} }
			  @{ $body->{items} // [] } ],
		[ sort @names ],
		"$server->{name}: $path finds what \"$words\" should")
	  or diag("status $status");
	return;
}

sub use_server
{
	my ($name, $database, $schema) = @_;
	my $server = start_server($node, $python, $database, 'app');
	$server->{name} = $name;

	log_in($server, 'developer');
	my $me = request_is($server, 200, 'read oneself', 'GET', '/users/me');
	is($me->{username}, 'developer', "$name: is who logged in");

	# Create.
	my $group = request_is($server, 200, 'create a group', 'POST', '/groups',
		{ name => 'Отдел аналитики', description => 'описание' });
	my $queue = request_is(
		$server, 200, 'create a queue',
		'POST',
		'/queues',
		{
			name => 'Night-queue.main',
			group_id => $group->{id},
			description => 'q'
		});
	is($queue->{slug}, "$group->{id}-night_queue_main", "$name: queue's slug");
	my @connections = (
		{
			name => 'Основная база данных',
			type => 'postgres',
			connection_data => {
				host => 'db-1.some-domain.example.com',
				port => 5432,
				database_name => 'orders'
			},
			auth_data => {
				type => 'basic',
				user => 'пользователь',
				password => 'sécret "1"'
			}
		},
		{
			name => 'Warehouse',
			type => 'clickhouse',
			connection_data =>
			  { host => 'ch.internal', port => 8123, database_name => 'dwh' },
			auth_data => { type => 'basic', user => 'loader', password => 'p2' }
		});
	foreach my $connection (@connections)
	{
		@$connection{qw(group_id description)} = ($group->{id}, 'd');
		my $made = request_is($server, 200, "create connection $connection->{type}",
			'POST', '/connections', $connection);
		$connection->{id} = $made->{id};
	}
	my $transfer = request_is(
		$server, 200,
		'create a transfer',
		'POST',
		'/transfers',
		{
			group_id => $group->{id},
			queue_id => $queue->{id},
			source_connection_id => $connections[0]{id},
			target_connection_id => $connections[1]{id},
			name => 'Ежедневная выгрузка заказов',
			description => '',
			is_scheduled => JSON::PP::true,
			schedule => '0 3 * * *',
			source_params =>
			  { type => 'postgres', table_name => 'public.customer_orders' },
			target_params => { type => 'clickhouse', table_name => 'dwh.orders' },
			strategy_params => { type => 'full' },
			transformations => []
		});

	# Each name is taken now: the server tells by the names of constraints.
	request_is($server, 409, 'a group of the same name',
		'POST', '/groups', { name => 'Отдел аналитики', description => '' });
	request_is($server, 409, 'a connection of the same name',
		'POST', '/connections', $connections[0]);

	# Read.
	is( request_is($server, 200, 'read the group', 'GET', "/groups/$group->{id}")
		  ->{data}{name},
		'Отдел аналитики',
		"$name: the group's name");
	is( request_is($server, 200, 'read the queue', 'GET', "/queues/$queue->{id}")
		  ->{name},
		'Night-queue.main',
		"$name: the queue's name");
	foreach my $connection (@connections)
	{
		my $read = request_is($server, 200, "read connection $connection->{type}",
			'GET', "/connections/$connection->{id}");
		is_deeply(
			[ $read->{name}, $read->{connection_data}{host}, $read->{auth_data} ],
			[
				$connection->{name},
				$connection->{connection_data}{host},
				{ type => 'basic', user => $connection->{auth_data}{user} }
			],
			"$name: the connection, without its password");
	}
	is( request_is($server, 200, 'read the transfer',
			'GET', "/transfers/$transfer->{id}")->{source_params}{table_name},
		'public.customer_orders',
		"$name: the transfer's table");

	# Search: stemmed, exact, by prefix, split at punctuation.
	my $of_group = "?group_id=$group->{id}";
	found_is($server, '/groups', 'аналитика', 'Отдел аналитики');
	found_is($server, '/groups', 'продажи');
	found_is($server, "/queues$of_group", 'night', 'Night-queue.main');
	found_is($server, "/queues$of_group", 'day');
	found_is($server, "/connections$of_group", 'базы данных',
		'Основная база данных');
	found_is($server, "/connections$of_group", 'domain', 'Основная база данных');
	found_is($server, "/connections$of_group", 'some-domain.exam',
		'Основная база данных');
	found_is($server, "/connections$of_group", 'wareh', 'Warehouse');
	found_is($server, "/connections$of_group", 'oracle');
	found_is($server, "/transfers$of_group", 'заказ',
		'Ежедневная выгрузка заказов');
	found_is($server, "/transfers$of_group", 'customer',
		'Ежедневная выгрузка заказов');
	found_is($server, "/transfers$of_group", 'dwh.orders',
		'Ежедневная выгрузка заказов');
	found_is($server, "/transfers$of_group", 'suppliers');
	found_is($server, '/users', 'develper', 'developer');

	# The credentials, as Python reads them.
	my $token = $node->safe_psql($database,
		"SELECT value FROM $schema.auth_data "
		  . "WHERE connection_id = $connections[0]{id}");
	my ($stdout, $stderr) = ('', '');
	ok( PostgreSQL::Test::Utils::run_log(
			[
				$python, '-I', '-c',
				'import sys; from cryptography.fernet import Fernet; '
				  . 'sys.stdout.buffer.write('
				  . 'Fernet(sys.argv[1]).decrypt(sys.argv[2].encode()))',
				encryption_key(), $token
			],
			'>', \$stdout, '2>', \$stderr),
		"$name: the credentials can be decrypted") or diag($stderr);
	is_deeply(decode_json($stdout), $connections[0]{auth_data},
		"$name: the credentials are what was given");

	# A run, while there is no broker: the server says so and marks it as failed.
	my $refused = request_is($server, 503, 'start a run without a broker',
		'POST', '/runs', { transfer_id => $transfer->{id} });
	like(
		$refused->{error}{message},
		qr/^Syncmaster not connected to task queue\. Run \d+ was failed$/,
		"$name: the server says what is wrong");
	is($node->safe_psql($database,
			    'SELECT transfer_id, status, type, started_at IS NULL, '
			  . q{transfer_dump -> 'source_connection' -> 'data' ->> 'host' }
			  . "FROM $schema.run"),
		"$transfer->{id}|FAILED|MANUAL|t|db-1.some-domain.example.com",
		"$name: the run is recorded as failed");
	my $runs = request_is($server, 200, 'list the runs',
		'GET', "/runs?transfer_id=$transfer->{id}");
	is_deeply([ map { $_->{status} } @{ $runs->{items} } ],
		['FAILED'], "$name: the run is listed as failed");

	# Delete.
	request_is($server, 409, 'the queue is in use',
		'DELETE', "/queues/$queue->{id}");
	request_is($server, 204, 'delete the transfer',
		'DELETE', "/transfers/$transfer->{id}");
	request_is($server, 204, "delete connection $_->{type}",
		'DELETE', "/connections/$_->{id}")
	  foreach @connections;
	request_is($server, 204, 'delete the queue',
		'DELETE', "/queues/$queue->{id}");
	request_is($server, 403, 'only a superuser may delete the group',
		'DELETE', "/groups/$group->{id}");
	$node->safe_psql($database,
		qq(UPDATE $schema."user" SET is_superuser = true));
	request_is($server, 204, 'delete the group',
		'DELETE', "/groups/$group->{id}");
	is( $node->safe_psql(
			$database,
			join ' UNION ALL ',
			map { qq(SELECT '$_' FROM $schema."$_") }
			  qw(group queue connection user_group auth_data transfer run)),
		'',
		"$name: nothing is left but the user");

	stop_server();
	unlike(slurp_file($server->{log}), qr/Traceback.*psycopg|asyncpg\.exc/s,
		"$name: the server met no error of the database's");
	return;
}

# Tables in public, then in a schema of their own.  In both cases another role
# installed the extension and keeps schema and database.
foreach my $schema ('public', 'etl')
{
	my $database = "in_$schema";

	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER dba");
	$node->safe_psql($database,
		"CREATE SCHEMA IF NOT EXISTS $schema; "
		  . "ALTER SCHEMA $schema OWNER TO dba; "
		  . "GRANT USAGE ON SCHEMA $schema TO app; "
		  . "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
	$node->safe_psql('postgres',
		"ALTER DATABASE $database SET search_path = $schema, public");
	$node->safe_psql(
		$database,
		"CREATE EXTENSION syncmaster SCHEMA $schema; "
		  . "GRANT CREATE ON SCHEMA $schema TO app; "
		  . "SELECT $schema.syncmaster_set_owner('app'); "
		  . "REVOKE CREATE ON SCHEMA $schema FROM app",
		extra_params => [ '-U', 'dba' ]);
	is( $node->safe_psql(
			$database, qq(
			SELECT count(*) FROM pg_indexes WHERE schemaname = '$schema'
				AND indexname ~ '^ix_syncmaster__')),
		7,
		"schema $schema: the extra indexes are there");
	use_server("schema $schema", $database, $schema);
}

$node->stop;

done_testing();
