# bin/syncmaster-db: the commands of an operator, with exit statuses for cron and
# Nagios, and help.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use CommandLine;
use Credentials;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('operations');
$node->init;
$node->append_conf('postgresql.conf', qq(
fsync = off
autovacuum = off
));
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE sm_server LOGIN; CREATE ROLE "Odd $role" LOGIN; CREATE ROLE nobody LOGIN');

my %base = (PGHOST => $node->host, PGPORT => $node->port, PGUSER => scalar getpwuid $<, PGDATABASE => 'postgres');

sub ours
{
	my ($env, @arguments) = @_;
	return command_line(args => \@arguments, env => { %base, %$env });
}

sub ends
{
	my ($arguments, $status, $out, $err, $env) = @_;
	my $run = ours($env // {}, @$arguments);
	my $name = "@$arguments";
	is($run->{status}, $status, "$name: exit status") or diag($run->{out}, $run->{err});
	ref $out ? like($run->{out}, $out, "$name: output") : is($run->{out}, $out, "$name: output");
	defined $err ? like($run->{err}, $err, "$name: errors") : is($run->{err}, '', "$name: no errors");
	return $run;
}

# Help for each command, from the page; a manual page and completions ----------------

my $page = slurp_file("$FindBin::RealBin/../doc/command-line.md");
my @commands = $page =~ /^### `([a-z-]+)/mg;
cmp_ok(scalar @commands, '>=', 20, 'the page has the commands');
my $usage = ours({}, 'help')->{out};
is(ours({}, '--help')->{out}, $usage, '--help is help');
foreach my $command (@commands)
{
	like($usage, qr/^  $command /m, "help has $command");
	my $run = ends([ 'help', $command ], 0, qr/\AUsage: syncmaster-db \[options\] $command\b/);
	is(ours({}, $command, '--help')->{out}, $run->{out}, "$command --help is the same");
	next if $command eq 'help';
	unlike(ours({}, $command, 'a', 'b', 'c', 'd')->{err}, qr/unknown command/, "$command is there") if $command ne 'superusers';
}
my ($manual, $complaints) = run_command([ "$FindBin::RealBin/../cli/assemble", 'manual' ]);
like($manual, qr/^\.SS upgrade /m, 'the manual page has the commands');
is($complaints, '', 'the manual page: no errors');
unlike($manual . join('', map { ours({}, 'help', $_)->{out} } @commands), qr/\]\(/, 'no link is shown as it is written');

# The page has each option and each number of arguments that the program takes, and so have
# help, manual page and completions, which are made of the page's headings.
my %long = ('-r' => '--rev-range', '-i' => '--indicate-current', '-v' => '--verbose');
my $option = qr/(?<![\w-])--?[a-zA-Z][a-z-]*/;
my $program = slurp_file("$FindBin::RealBin/../bin/syncmaster-db");
my ($parser) = $program =~ /^\tcase \$argument in\n(.*?)^\tesac/ms;
my %parsed = map { $_ => 1 } $parser =~ s/\[ .*? \]//gr =~ /$option/g;
my %told = map { $_ => 1 } join(' ', $page =~ /`([^`\n]*)`/g) =~ /$option/g;
is(join(' ', grep { !$told{$_} } sort keys %parsed), '', 'each option is on the page');
my ($general) = $page =~ /^## Options\n(.*?)^## /ms;
my @general = join(' ', $general =~ /^\* (.*?): /mg) =~ /$option/g;
is(join(' ', grep { !$parsed{$_} } @general), '', "each of the page's options is there");
my %expected;
while ($program =~ /^\t([a-z-]+(?: \| [a-z-]+)*)\)\n\t\texpect (\d+ \d+) ('[^']*'|--\S+) "/mg)
{
	my ($names, $arguments, $options) = ($1, $2, $3);
	$expected{$_} = join ' ', $arguments, sort $options =~ /$option/g foreach split / \| /, $names;
}
while ($page =~ /^### `([a-z-]+)(.*)`$/mg)
{
	my ($command, $rest) = ($1, $2);
	next if $command eq 'help' || $command eq 'superusers';
	my @options = map { $long{$_} // $_ } $rest =~ /$option/g;
	my $optional = () = $rest =~ /\[[A-Z]/g;
	my $least = () = $rest =~ s/\[[^\]]*\]//gr =~ /[A-Z]+/g;
	my $most = $rest =~ /[A-Z]\.\.\./ ? 10000 : $least + $optional;
	is(join(' ', $least, $most, sort @options),
		delete $expected{$command}, "$command: arguments and options of the page");
}
is(join(' ', keys %expected), 'superusers', 'the page has the commands that the program has');
foreach my $command ('', @commands)
{
	my ($out, $err) = run_command([ 'bash', '-euc', '. <("$1" bash)
		COMP_WORDS=(syncmaster-db --schema grant $2 -) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_syncmaster_db
		echo "${COMPREPLY[*]}"', 'bash', "$FindBin::RealBin/../cli/assemble", $command ]);
	my ($heading) = $page =~ /^### `\Q$command\E(?: (.*))?`$/m;
	is($out, join(' ', @general, $command eq '' ? () : ($heading // '') =~ /$option/g),
		"completion of the options of \"$command\"");
}
ends([ 'help', 'frob' ], 2, '', qr/unknown command frob/);
ends(['-V'], 0, qr/^syncmaster-db 1\.\d+$/);

# Without the extension ---------------------------------------------------------------

foreach my $command (['health'], [ 'purge-runs', '1 day' ], [ 'purge-partitions', '1 day' ], [ 'purge-results', '1 day' ], [ 'end-runs', '1' ], ['verify-credentials'],
	[ 'grant', 'sm_server', 'server' ], [ 'revoke', 'sm_server', 'server' ], ['privileges'])
{
	ends($command, 1, '', qr/run "syncmaster-db upgrade" first/);
}
ends([ 'health', '--nagios' ], 3, qr/run "syncmaster-db upgrade" first.*^SYNCMASTER UNKNOWN/ms);
ends(['upgrade'], 0, qr/^upgrade base -> /);
ends(['check'], 0, "No new upgrade operations detected.\n");
# What somebody may not compare is not said to be right.
ends(['check'], 0, qr/\A(?:info: sequence "\w+" was not compared with the highest id, which you may not read\n){8}\z/,
	undef, { PGUSER => 'nobody' });

# Whatever the server hints at is named as a command of this program.
$node->safe_psql('postgres', q(CREATE DATABASE hints));
$node->safe_psql('hints', q{
	CREATE FUNCTION hint() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN
		RAISE 'no' USING HINT = current_setting('a.hint');
	END $$;
	CREATE EVENT TRIGGER hint ON ddl_command_start EXECUTE FUNCTION hint()});
foreach my $case (
	[ q{"my s".syncmaster_check() and "a ""b"".c".syncmaster_check()}, 'syncmaster-db check and syncmaster-db check' ],
	[ q{SELECT * FROM etl.syncmaster_check(), the "x" of syncmaster_grant()}, 'syncmaster-db check, the "x" of syncmaster-db grant' ],
	[ q{CALL "s".syncmaster_purge_runs(interval '90d', keep_last => 2)}, q{syncmaster-db purge-runs '90d' --keep-last 2} ],
	[ q{as syncmaster_preflight() says}, 'as syncmaster-db preflight says' ],
	[ q{SELECT syncmaster_stamp('0012')}, 'syncmaster-db stamp 0012' ],
	[ q{use another schema: CREATE EXTENSION syncmaster SCHEMA name. If}, 'use another schema: syncmaster-db --schema name upgrade. If' ],
	[ 'DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster SCHEMA public; makes', 'DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster SCHEMA public; makes' ],
	[ q{CREATE EXTENSION syncmaster SCHEMA "a ""b"" C", and}, 'syncmaster-db --schema "a ""b"" C" upgrade, and' ])
{
	my ($hint, $words) = @$case;
	my $escaped = $hint =~ s/ /\\ /gr;
	ends(['upgrade'], 1, '', qr/^HINT:  \Q$words\E$/m, { PGDATABASE => 'hints', PGOPTIONS => "-c a.hint=$escaped" });
}

# Health ----------------------------------------------------------------------------------

ends(['health'], 0, qr/./);
ends([ '-q', 'health' ], 0, '');
ends([ 'health', '--nagios' ], 0, qr/\ASYNCMASTER OK: errors: 0, warnings: 0\n\z/);
add_connections($node, 1, 3);
$node->safe_psql('postgres', qq{SELECT setval('"$_\_id_seq"', 100)}) foreach qw(user group connection);
$node->safe_psql('postgres', q{
	INSERT INTO queue (name, slug, description, group_id) SELECT 'q', 'q', '', min(id) FROM "group"});
my $transfer = $node->safe_psql('postgres', q{
	INSERT INTO transfer (name, description, group_id, source_connection_id, target_connection_id, queue_id, is_scheduled, schedule,
		source_params, target_params, strategy_params, transformations, resources)
	SELECT 't', '', (SELECT min(id) FROM "group"), 1, 2, (SELECT min(id) FROM queue), false, '', '{}', '{}', '{}', '[]', '{}' RETURNING id});
$node->safe_psql('postgres', qq{
	INSERT INTO run (transfer_id, status, created_at, started_at, type, transfer_dump)
	SELECT $transfer, CASE WHEN g = 1 THEN 'STARTED' ELSE 'FINISHED' END, now() - g * interval '100 days', now() - interval '90 days', 'MANUAL', '{}'
	FROM generate_series(1, 5) g});
ends(['health'], 4, qr/^warning: runs: run: 1 run is STARTED.*\n  \S/m);
ends([ '-q', 'health' ], 4, qr/\Awarning: /);
ends([ 'health', '--nagios' ], 1, qr/\ASYNCMASTER WARNING: errors: 0, warnings: [1-9]\d*\nwarning: /);
$node->safe_psql('postgres', 'DROP INDEX ix__user__username');
ends([ '--nagios', 'health' ], 2, qr/\ASYNCMASTER CRITICAL: errors: [1-9]\d*, /);
# hints name commands of this program
foreach my $case (
	[ '', qr/^  syncmaster-db check lists them/m ],
	[ '', qr/^  .*syncmaster-db end-runs ID\.\.\. ends/m ],
	[ '-c syncmaster.health_retention=90d', qr/^  syncmaster-db purge-runs '90d' deletes them/m ],
	[
		'-c syncmaster.health_retention=90d -c syncmaster.health_keep_last=1',
		qr/^  syncmaster-db purge-runs '90d' --keep-last 1 deletes them/m
	])
{
	my $run = ends([ '-q', 'health' ], 4, $case->[1], undef, { PGOPTIONS => $case->[0] });
	unlike($run->{out}, qr/(?:SELECT|CALL) .*syncmaster_/, '... and no function');
}
$node->safe_psql('postgres', 'CREATE UNIQUE INDEX ix__user__username ON "user" (username)');
ends([ 'health', '--nagios' ], 3, qr/SYNCMASTER UNKNOWN/, undef, { PGDATABASE => 'nope' });
ends([ 'health', '--nagios' ], 3, qr/permission denied.*SYNCMASTER UNKNOWN/s, undef, { PGUSER => 'nobody' });
ends([ 'health', '--nagios', 'x' ], 3, qr/too many arguments.*SYNCMASTER UNKNOWN/s);
ends([ 'check', '--nagios' ], 3, qr/check has no option --nagios/);

# Retention -------------------------------------------------------------------------------

ends([ 'purge-runs', '90 days', '--dry-run' ], 0, "would be deleted: 4\n", qr/^syncmaster-db: 4 rows of table "run" would be deleted$/m);
ends([ '-q', 'purge-runs', '90 days', '--keep-last', '3', '--dry-run' ], 0, "would be deleted: 2\n");
ends([ 'purge-runs', '450 days', '--batch-size=1' ], 0, "deleted: 1\n", qr/^syncmaster-db: deleted 1 row of table "run"$/m);
ends([ '-q', 'purge-runs', '90 days' ], 0, "deleted: 3\n");
is($node->safe_psql('postgres', 'SELECT string_agg(status, \',\') FROM run'), 'STARTED', 'the active run stays');
ends([ '-q', 'purge-results', '1 day' ], 0, "deleted: 0\n");
ends([ 'purge-partitions', '90 days' ], 0, "dropped: 0\n", qr/^syncmaster-db: table "run" has no partitions$/m);
# 90 would be seconds, and 3m minutes
foreach my $command ([ 'purge-runs' ], ['purge-partitions'], ['purge-results'], [ 'end-runs', '--older-than' ])
{
	foreach my $age ('90', ' 90 ', '0', '1.5', '-1')
	{
		ends([ @$command, $age ], 2, '', qr/the age "\Q$age\E" has no unit; write it like '90 days'/);
	}
	foreach my $age ('3m', '3 M', '3. m 2 d')
	{
		ends([ @$command, $age ], 2, '', qr/in the age "\Q$age\E", write min or months for m/);
	}
	foreach my $age ('100y', '1000mon', '100000:00', '100000 days', 'P100Y2M', 'PT9999999M', '60000000min')
	{
		ends([ '-q', @$command, $age ], 0, qr/\A(?:(?:deleted|dropped): 0\n)?\z/);
	}
}
ends(['purge-partitions'], 2, '', qr/an argument is missing/);
ends([ 'purge-partitions', '-1 day' ], 1, '', qr/older_than is out of range/);
ends([ 'purge-partitions', '1 day', '--batch-size', '3' ], 2, '', qr/has no option --batch-size/);
ends(['purge-runs'], 2, '', qr/an argument is missing/);
ends([ 'purge-runs', '-1 day' ], 1, '', qr/older_than is out of range/);
ends([ 'purge-runs', "x'); DROP TABLE run; --" ], 1, '', qr/invalid input syntax for type interval/);
ends([ 'purge-runs', '1 day', '--keep-last', 'x' ], 1, '', qr/invalid input syntax for type integer/);
ends([ 'purge-results', '1 day', '--keep-last', '3' ], 2, '', qr/has no option --keep-last/);
ends([ 'purge-runs', '1 day' ], 1, '', qr/permission denied/, { PGUSER => 'nobody' });

# Runs that a crash left active ------------------------------------------------------------

$node->safe_psql('postgres', qq{
	INSERT INTO run (id, transfer_id, status, created_at, type, transfer_dump)
	SELECT 1000 + g, $transfer, CASE WHEN g < 4 THEN 'CREATED' ELSE 'FINISHED' END, now() - g * interval '1 day', 'MANUAL', '{}'
	FROM generate_series(1, 4) g});
ends([ 'end-runs', '--older-than', '60 hours', '--dry-run' ], 0, qr/\A\d+: STARTED since \d.* to be ended\n1003: CREATED since [-\d]+ [:\d]+\S* to be ended\n\z/);
ends([ '--older-than=60 hours', 'end-runs' ], 0, qr/^1003: CREATED since .* ended$/m);
ends([ 'end-runs', '1002', '1001', '--status', 'STOPPED' ], 0, qr/\A1001: CREATED since .* ended\n1002: .* ended\n\z/);
ends([ 'end-runs', '1001', '1004', '77' ], 4, qr/\A77: not found\n1001: STOPPED since .* not active\n1004: FINISHED since .* not active\n\z/);
is($node->safe_psql('postgres', 'SELECT string_agg(status, \',\' ORDER BY id) FROM run'), 'FAILED,STOPPED,STOPPED,FAILED,FINISHED', 'as the table has it');
ends(['end-runs'], 2, '', qr/an id or --older-than is missing/);
ends([ 'end-runs', '1', '--older-than', '1 day' ], 2, '', qr/exclude each other/);
ends([ 'end-runs', 'x}' ], 1, '', qr/malformed array literal|invalid input syntax/);
ends([ 'end-runs', '1', '--status', 'CREATED' ], 1, '', qr/is no status to end a run with/);
ends([ 'end-runs', '--older-than', '' ], 2, '', qr/needs a value/);
ends([ 'end-runs', '1', '--keep-last', '1' ], 2, '', qr/has no option --keep-last/);
ends([ 'end-runs', '1' ], 1, '', qr/permission denied/, { PGUSER => 'nobody' });

# Roles -----------------------------------------------------------------------------------

# up to 14 everybody may create objects in the schema public
$node->safe_psql('postgres', 'REVOKE CREATE ON SCHEMA public FROM PUBLIC');
ends(['privileges'], 0, qr/\A/);
ends([ 'grant', 'sm_server', 'server' ], 0, qr/^GRANT .* TO sm_server;$/m);
ends([ 'grant', 'Odd $role', 'monitor' ], 0, qr/^GRANT .* TO "Odd \$role";$/m);
ends(['privileges'], 0, qr/^granted: sm_server has the service server$/m);
$node->safe_psql('postgres', 'REVOKE INSERT ON run FROM sm_server');
ends(['privileges'], 4, qr/^missing: sm_server \(server\): INSERT on table run: .*\n  fix: GRANT INSERT ON TABLE public\.run TO sm_server$/m);
ends([ 'revoke', 'sm_server', 'server' ], 0, qr/^REVOKE .* FROM sm_server;$/m);
ends([ 'revoke', 'sm_server', 'server' ], 0, qr/\A/, qr/^HINT:  What else it has is listed by syncmaster-db privileges\.$/m);
ends([ 'grant', 'sm_server', 'frob' ], 1, '', qr/ERROR.*service/);
ends([ 'grant', 'sm_server' ], 2, '', qr/an argument is missing/);

# Credentials -------------------------------------------------------------------------------

write_keys($node, 'one', $KEY{one});
write_keys($node, 'two', $KEY{two}, $KEY{one});
my %one = (PGOPTIONS => '-c syncmaster.secret_key_file=one');
my %two = (PGOPTIONS => '-c syncmaster.secret_key_file=two');
$node->safe_psql('postgres', use_keys('one') . "INSERT INTO auth_data (connection_id, value)
	SELECT g, syncmaster_encrypt('{\"user\": \"u\"}') FROM generate_series(1, 3) g");
ends(['verify-credentials'], 0, qr/^primary key $FINGERPRINT{one}: 3$/m, undef, \%one);
my $fingerprint = $FINGERPRINT{one};
ends(['verify-credentials'], 0, qr/^previous key $fingerprint: 3$/m, undef, \%two);
ends(['verify-credentials'], 0, qr/^key of the services $fingerprint: is the primary key$/m, undef,
	{ %one, SYNCMASTER__ENCRYPTION__SECRET_KEY => $KEY{one} });
ends(['verify-credentials'], 4, qr/^key of the services $fingerprint: is not the primary key$/m, undef,
	{ %two, syncmaster__encryption__secret_key => $KEY{one} });
my $config = write_file($node->basedir . '/config.yml', "encryption:\n  secret_key: '$KEY{one}'\ndatabase:\n  url: postgresql:///postgres\n");
ends([ '--config', $config, 'verify-credentials' ], 0, qr/^key of the services $fingerprint: is the primary key$/m, undef,
	{ %one, SYNCMASTER__ENCRYPTION__SECRET_KEY => $KEY{two} });
my ($public) = slurp_file("$FindBin::RealBin/../config.docker.yml") =~ /^encryption:\n(?:  #.*\n)*  secret_key: (\S+)$/m
  or die 'no key';
my $run = ends(['verify-credentials'], 4, qr/^key of the services: is the example key of .*, which is public: make another one$/m, undef,
	{ SYNCMASTER__ENCRYPTION__SECRET_KEY => $public, PGOPTIONS => "-c syncmaster.secret_key_file=" . write_keys($node, 'public', $public)
		  . " -c syncmaster.previous_secret_key_file=" . write_keys($node, 'one', $KEY{one}) });
unlike($run->{out} . $run->{err}, qr/\Q$public\E/, 'it is not printed');
$node->safe_psql('postgres', "UPDATE auth_data SET value = 'x' WHERE connection_id = 2");
ends(['verify-credentials'], 4, qr/^unreadable: 1 \(connections 2\)$/m, undef, \%one);
unlike(slurp_file($node->logfile), qr/\Q$KEY{one}\E/, 'no key reached the server');

$node->stop;
done_testing();
