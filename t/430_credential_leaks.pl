# With everything logged that can be logged, no key and no plaintext is in any
# log, view or message.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Credentials;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('leaks');
my $libdir = qx{pg_config --pkglibdir};
chomp $libdir;
my @libraries = grep { -e "$libdir/$_.so" } qw(pg_stat_statements auto_explain);
plan skip_all => 'needs pg_stat_statements and auto_explain' if @libraries < 2;

$node->init;
$node->append_conf('postgresql.conf', q{
	shared_preload_libraries = 'pg_stat_statements, auto_explain'
	pg_stat_statements.track = all
	pg_stat_statements.track_utility = on
	pg_stat_statements.save = on
	auto_explain.log_min_duration = 0
	auto_explain.log_nested_statements = on
	auto_explain.log_analyze = on
	auto_explain.log_verbose = on
	auto_explain.log_triggers = on
	log_statement = all
	log_min_messages = debug5
	log_min_error_statement = debug5
	log_error_verbosity = verbose
	log_duration = on
	log_min_duration_statement = 0
	log_parameter_max_length = -1
	log_parameter_max_length_on_error = -1
	debug_print_parse = on
	debug_print_rewritten = on
	debug_print_plan = on
	track_activity_query_size = 65536
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE SCHEMA app;
	ALTER DATABASE postgres SET search_path = app, public;
	CREATE EXTENSION pg_stat_statements SCHEMA public;
	CREATE EXTENSION syncmaster SCHEMA app});
write_keys($node, "$_.key", $KEY{$_}) foreach keys %KEY;
write_keys($node, 'bad.key', "$KEY{one}$KEY{two}");
write_keys($node, 'mixed.key', $KEY{two}, 'hush-broken-key');
chmod 0644, write_keys($node, 'open.key', $KEY{one});
add_connections($node, 1, 20);

# All that the sessions saw goes here as well.
my $seen = '';
sub run
{
	my ($sql) = @_;
	my ($out, $err) = query($node, "SET client_min_messages = debug5;\n$sql");
	$seen .= $err;
	return $out;
}

# The plaintext arrives by COPY, which no log shows, as do_not_tell-1 and so on.
my $to_one = use_keys('one.key');
my $rows = join '', map { qq({"password": "do_not_tell-$_", "\xd1\x8f": 3.1415926}\n) } 1 .. 20;
run(qq{$to_one CREATE TEMP TABLE plain (id serial, payload jsonb);
COPY plain (payload) FROM STDIN;
$rows\\.
INSERT INTO auth_data (connection_id, value) SELECT id, syncmaster_encrypt(payload) FROM plain;
SELECT syncmaster_generate_key() AS generated \\gset
\\o @{[$node->data_dir]}/generated.out
\\qecho :generated
\\o
});
my $generated = slurp_file($node->data_dir . '/generated.out');
chomp $generated;
like($generated, qr/^[\w-]{43}=$/, 'a generated key was written');

my $to_two = use_keys('two.key', 'one.key');
is(run("$to_two SELECT credentials FROM syncmaster_verify_credentials()"), "0\n20\n0\n0\n0", 'verified');
is(run("$to_two SELECT failed FROM syncmaster_rotate_credentials(true)"), '0', 'dry run');
is(run("$to_two SELECT re_encrypted FROM syncmaster_rotate_credentials()"), '20', 'rotated');
is(run("$to_two SELECT count(syncmaster_decrypt(value)) FROM auth_data"), '20', 'decrypted');
is(run(qq{$to_two CREATE TEMP TABLE result AS SELECT syncmaster_decrypt(value) AS v FROM auth_data;
SELECT count(*) FROM result}), '20', 'decrypted into a table');

# Errors, and an unreadable row.
run(use_keys($_) . 'SELECT syncmaster_rotate_credentials()')
  foreach 'bad.key', 'mixed.key', 'open.key', 'none.key', 'base';
run('UPDATE auth_data SET value = left(value, 60) WHERE connection_id = 4');
my $to_three = use_keys('three.key', 'two.key');
run("$to_three SELECT syncmaster_rotate_credentials()");
run("$to_three SELECT syncmaster_decrypt(value) FROM auth_data");
run(use_keys('one.key') . 'SELECT syncmaster_decrypt(value) FROM auth_data');

# A trigger that fails in the middle, with a cancelled statement.
run(qq{CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN RAISE EXCEPTION 'failed with %', NEW; END \$\$;
CREATE TRIGGER fail BEFORE UPDATE ON auth_data FOR EACH ROW EXECUTE FUNCTION fail();
$to_three UPDATE auth_data SET value = (SELECT value FROM auth_data WHERE connection_id = 1) WHERE connection_id = 4;
SELECT syncmaster_rotate_credentials()});

my $views = $node->safe_psql('postgres', q{
	SELECT query FROM pg_stat_statements;
	SELECT s::text FROM pg_settings s;
	SELECT a::text FROM pg_stat_activity a});
$node->stop;
my $log = slurp_file($node->logfile);
my $saved = '';
$saved .= slurp_file($_) foreach map { glob $node->data_dir . "/$_/*" } qw(pg_stat_tmp pg_stat);

# Where a secret would be, there are other things.
ok($log =~ /statement: SELECT re_encrypted FROM syncmaster_rotate_credentials/, 'the log has the statements');
ok($log =~ /:targetList/, 'and parse trees');
ok($log =~ /$FINGERPRINT{one}/, 'and fingerprints');
ok($log =~ /failed with/, 'and errors');
ok($views =~ /syncmaster_rotate_credentials/, 'pg_stat_statements has the statements');
ok($seen =~ /DEBUG/, 'the sessions saw messages');

my %secrets = (
	(map { ("key $_" => $KEY{$_}) } keys %KEY),
	'the generated key' => $generated,
	'a broken key' => 'hush-broken',
	'a password' => 'do_not_tell',
	'a number of the payload' => '3.1415926');
foreach my $name (sort keys %secrets)
{
	# A part of a secret is secret as well.
	my @parts = ($secrets{$name});
	push @parts, substr($secrets{$name}, 0, 16), substr($secrets{$name}, 20, 16) if length $secrets{$name} > 40;
	foreach my $part (@parts)
	{
		is(index($log, $part), -1, "$name is not in the log");
		is(index($views, $part), -1, "$name is not in a view");
		is(index($seen, $part), -1, "$name is not in a message");
		is(index($saved, $part), -1, "$name is not in the saved statistics");
	}
}

done_testing();
