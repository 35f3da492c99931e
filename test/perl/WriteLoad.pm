# Sessions that write what SyncMaster's services write, and a log of what was
# committed, to compare with the tables after whatever happened to the server.

package WriteLoad;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use POSIX qw(_exit);
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

our @EXPORT = qw(new_load start_load stop_load compare_load);

# The tables, the key of each, and what its rows are compared by.  The vectors are
# computed by the server, and differ between revisions; a token is not compared by its
# text but by what it holds, as a rotation writes it anew.
my %tables = (
	(map { $_ => 'id' } qw(user group queue connection transfer run celery_taskmeta apscheduler_jobs)),
	auth_data => 'connection_id');
my %row = (auth_data =>
	  q(to_jsonb(auth_data) - 'value' || jsonb_build_object('value', syncmaster_decrypt(value))));

# The same of the row that a statement just wrote: there may be no function to decrypt
# with, so the writer says what the token holds.
sub written
{
	my ($table, $payload) = @_;
	my $json = qq{to_jsonb("$table") - 'search_vector'};
	$json .= qq{ - 'value' || '{"value": $payload}'} if defined $payload;
	return qq{RETURNING 'put', '$table', "$table".$tables{$table}, $json};
}

# A transaction: only when COMMIT was sent may it be there although nobody said so.
sub transaction
{
	return join "\n", "\\echo begin", 'BEGIN;', @_, '\echo sent', 'COMMIT;', '\echo done', '';
}

# What a load knows: its database, tokens to store, with what each holds, and the rows.
sub new_load
{
	my ($node, $database, %params) = @_;
	my $load = {
		node => $node,
		database => $database,
		role => $params{role},
		tokens => $params{tokens},
		writers => {},
		folder => PostgreSQL::Test::Utils::tempdir(),
		turns => 0,
		rows => { map { $_ => {} } keys %tables },
		errors => [],
		committed => 0
	};

	# All that is there is taken for committed.
	$load->{rows} = read_rows($load);
	return $load;
}

# A turn of the services: the server makes a connection with credentials, a transfer and
# a run, changes and deletes others; the worker executes the run; Celery and APScheduler
# write their tables.
sub turn
{
	my ($load, $writer, $i) = @_;
	my ($token, $payload) = @{ $load->{tokens}[ $i % @{ $load->{tokens} } ] };
	my $name = "w$writer.$i";
	my $connection = sub {
		return (
			qq{INSERT INTO connection (group_id, type, name, description, data)
				VALUES ($writer, 'postgres', '$_[0]', 'a connection', '{"host": "db-$i.example.com", "port": 5432}') }
			  . written('connection') . ';',
			q{SELECT currval('connection_id_seq') AS connection \gset},
			qq{INSERT INTO auth_data (connection_id, value) VALUES (:connection, '$token') }
			  . written('auth_data', $payload) . ';');
	};
	my @turn = (
		transaction($connection->("$name kept")),
		transaction(
			q{INSERT INTO transfer (group_id, name, description, source_connection_id, target_connection_id, is_scheduled, schedule,
					strategy_params, source_params, target_params, transformations, resources, queue_id)
				VALUES (} . $writer . qq{, '$name', '', :connection, :connection, true, '0 3 * * *', '{"type": "full"}',
					'{"type": "postgres", "table_name": "schema.table_$i"}', '{"type": "s3", "directory_path": "/some/path_$i"}',
					'[]', '{"max_parallel_tasks": 1}', $writer) } . written('transfer') . ';',
			q{SELECT currval('transfer_id_seq') AS transfer \gset}),
		transaction(
			'SELECT id, name FROM transfer WHERE id = :transfer;',
			qq{\\set dump '{"id": ' :transfer ', "name": "$name"}'},
			qq{INSERT INTO run (transfer_id, started_at, ended_at, status, type, log_url, transfer_dump)
				VALUES (:transfer, NULL, NULL, 'CREATED', 'MANUAL', NULL, :'dump') }
			  . written('run') . ';',
			q{SELECT currval('run_id_seq') AS run \gset}),
		transaction(
			qq{SELECT run.id, run.status FROM run WHERE run.id = :run AND run.status = 'CREATED';},
			q{UPDATE run SET started_at = clock_timestamp(), status = 'STARTED', log_url = 'https://logs.example.com/' || :run,
				updated_at = clock_timestamp() WHERE run.id = :run } . written('run') . ';'),
		transaction(
			qq{SELECT id FROM celery_taskmeta WHERE task_id = '$name';},
			qq{INSERT INTO celery_taskmeta (id, task_id, status, date_done)
				VALUES (nextval('task_id_sequence'), '$name', 'STARTED', clock_timestamp() AT TIME ZONE 'UTC') }
			  . written('celery_taskmeta') . ';'),
		transaction(
			q{UPDATE run SET ended_at = clock_timestamp(), status = 'FINISHED', updated_at = clock_timestamp()
				WHERE run.id = :run } . written('run') . ';'),
		transaction(
			qq{UPDATE celery_taskmeta SET status = 'SUCCESS', result = '\\x80054e2e', date_done = clock_timestamp() AT TIME ZONE 'UTC'
				WHERE celery_taskmeta.task_id = '$name' } . written('celery_taskmeta') . ';'),
		transaction(
			qq{DELETE FROM apscheduler_jobs WHERE apscheduler_jobs.id LIKE 'w$writer.%' RETURNING 'del', 'apscheduler_jobs', id;},
			qq{INSERT INTO apscheduler_jobs (id, next_run_time, job_state)
				VALUES ('$name', extract(epoch FROM clock_timestamp()), '\\x8005') } . written('apscheduler_jobs') . ';'),
		transaction($connection->("$name passing")),
		transaction(
			qq{UPDATE connection SET description = 'changed', updated_at = clock_timestamp() WHERE id = :connection }
			  . written('connection') . ';',
			qq{UPDATE auth_data SET value = '$token', updated_at = clock_timestamp() WHERE connection_id = :connection }
			  . written('auth_data', $payload) . ';'),
		transaction(
			q{DELETE FROM connection WHERE connection.id = :connection RETURNING 'del', 'connection', id;},
			'\echo del|auth_data|:connection'));
	return join '', @turn;
}

# Start the writers.  Each goes on, with a psql for some turns, until it is to stop.
sub start_load
{
	my ($load, $writers) = @_;

	unlink "$load->{folder}/stop";
	foreach my $writer (1 .. $writers)
	{
		my $first = $load->{turns} += 1000;
		my $log = "$load->{folder}/$writer";
		unlink $log, "$log.errors";
		my $pid = fork // die "could not fork: $!";
		if ($pid)
		{
			$load->{writers}{$writer} = { pid => $pid, log => $log };
			next;
		}
		foreach my $i (0 .. 199)
		{
			last if -e "$load->{folder}/stop";
			append_to_file("$log.sql.$i", '\set QUIET on' . "\n" . join '', map { turn($load, $writer, $first + 3 * $i + $_) } 0 .. 2);
			local $ENV{PGAPPNAME} = 'writer';
			system("psql -XAtq -v ON_ERROR_STOP=1 -h '" . $load->{node}->host . "' -p " . $load->{node}->port
				  . " -U $load->{role} -d $load->{database} -f '$log.sql.$i' >>'$log' 2>>'$log.errors'");
			unlink "$log.sql.$i";

			# the server may be away
			usleep(50_000) if $?;
			append_to_file($log, "end\n");
		}
		_exit(0);
	}

	# until all of them have committed something, or ended as the server is gone
	foreach my $running (values %{ $load->{writers} })
	{
		usleep(10_000) until -s $running->{log} && slurp_file($running->{log}) =~ /^(?:done|end)$/m;
	}
	return;
}

# Stop them, and read what they logged: what was committed counts, and what may have been
# is kept for the comparison.
sub stop_load
{
	my ($load) = @_;

	append_to_file("$load->{folder}/stop", '');
	foreach my $writer (sort keys %{ $load->{writers} })
	{
		my $running = delete $load->{writers}{$writer};
		waitpid $running->{pid}, 0;
		next if !-e $running->{log};

		# Nothing but the loss of the server keeps a writer from its work, or a deadlock.
		push @{ $load->{errors} }, grep { !/deadlock detected/ } slurp_file("$running->{log}.errors") =~ /ERROR:  .*/g;

		my ($sent, @changes) = (0);
		foreach my $line (split /\n/, slurp_file($running->{log}))
		{
			if ($line eq 'begin') { ($sent, @changes) = (0) }
			elsif ($line eq 'sent') { $sent = 1 }
			elsif ($line eq 'done')
			{
				apply($load, @changes);
				$load->{written}{ $_->[1] }++ foreach @changes;
				$load->{committed}++;
				($sent, @changes) = (0);
			}
			elsif ($line eq 'end')
			{
				push @{ $load->{doubtful} }, [@changes] if $sent;
				($sent, @changes) = (0);
			}
			elsif ($line =~ /^(?:put|del)\|/) { push @changes, [ split /\|/, $line, 4 ] }
		}
	}
	return;
}

sub apply
{
	my ($load, @changes) = @_;
	foreach my $change (@changes)
	{
		my ($what, $table, $id, $json) = @$change;
		if ($what eq 'put') { $load->{rows}{$table}{$id} = $json }
		else { delete $load->{rows}{$table}{$id} }
	}
	return;
}

sub read_rows
{
	my ($load) = @_;
	my %rows = map { $_ => {} } keys %tables;
	my $sql = join ' UNION ALL ', map {
		my $json = $row{$_} // qq{to_jsonb("$_") - 'search_vector'};
		qq{SELECT '$_', $tables{$_}::text, ($json)::text FROM "$_"}
	} sort keys %tables;

	foreach my $line (split /\n/, $load->{node}->safe_psql($load->{database}, $sql))
	{
		my ($table, $id, $json) = split /\|/, $line, 3;
		$rows{$table}{$id} = $json;
	}
	return \%rows;
}

# The differences between the tables and what was committed.  A transaction whose COMMIT
# was sent and not answered is there as a whole, or not at all.  Rows of which the given
# function says that they may be gone are allowed to be.
sub compare_load
{
	my ($load, $may_be_gone) = @_;
	my $found = read_rows($load);
	my @differences;

	foreach my $doubtful (@{ delete $load->{doubtful} // [] })
	{
		my $there = grep { ($found->{ $_->[1] }{ $_->[2] } // 'gone') eq ($_->[3] // 'gone') } @$doubtful;
		apply($load, @$doubtful) if $there == @$doubtful;
	}
	foreach my $table (sort keys %tables)
	{
		my ($want, $got) = ($load->{rows}{$table}, $found->{$table});
		foreach my $id (sort keys %$want)
		{
			if (!exists $got->{$id})
			{
				if ($may_be_gone && $may_be_gone->($table, $want->{$id}))
				{
					delete $want->{$id};
					next;
				}
				push @differences, "lost: $table $id $want->{$id}";
			}
			elsif ($got->{$id} ne $want->{$id})
			{
				push @differences, "$table $id is $got->{$id}, was committed as $want->{$id}";
			}
		}
		push @differences, map { "not committed: $table $_ $got->{$_}" } grep { !exists $want->{$_} } sort keys %$got;
	}
	return @differences;
}

1;
