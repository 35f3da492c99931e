# SyncMaster's superusers where somebody else is at work, where the owner of the
# tables is hostile, and as SyncMaster's own programs see them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use OpenSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use SyncMasterEnv;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('superusers');
$node->init(allows_streaming => 1, extra => [ '-E', 'UTF8', '--locale', 'C' ]);
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off");
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres',
	'CREATE ROLE app LOGIN; CREATE ROLE dba LOGIN; CREATE DATABASE sm OWNER app; '
	  . 'CREATE DATABASE early OWNER app');
$node->safe_psql('sm', 'CREATE EXTENSION syncmaster', extra_params => [ '-U', 'app' ]);

sub add { return $node->safe_psql('sm', "SELECT * FROM syncmaster_add_superusers($_[0])"); }

sub remove
{
	return $node->safe_psql('sm', "SELECT * FROM syncmaster_remove_superusers($_[0])");
}

sub failure
{
	my ($sql) = @_;
	my (undef, undef, $stderr) = $node->psql('sm', $sql);
	return $stderr =~ /ERROR:  (.*)/ ? $1 : "no error: $stderr";
}

# Names beyond ASCII ------------------------------------------------------------

is(add("'дарья', 'Zoë Müller'"), "дарья|created\nZoë Müller|created",
	'letters beyond ASCII');
foreach my $code (qw(0085 00A0 00AD 200B 200D 202E 2060 3000 3164 FE0F FEFF E0041
	2800 FFFC FFFE 1BCA0 1D159 1D173))
{
	my $name = sprintf q(U&'bob\\+%06X'), hex $code;

	like(failure("SELECT * FROM syncmaster_add_superusers($name)"),
		qr/^there is no user "bob.*", and none is created under such a name$/,
		"U+$code");
	is($node->safe_psql('sm', "SELECT action FROM syncmaster_remove_superusers($name)"),
		'not found', "U+$code: there is none to be found");
}
is($node->safe_psql('sm', q{SELECT count(*) FROM "user" WHERE username LIKE 'bob%'}),
	0, 'none of them was created');
like(
	failure(q{SELECT * FROM syncmaster_add_superusers(repeat('ж', 257))}),
	qr/^username is too long$/,
	'the length is in characters');
is($node->safe_psql('sm', q{SELECT action FROM syncmaster_add_superusers(repeat('ж', 256))}),
	'created', 'and that many fit');

# Two at once -------------------------------------------------------------------

# The one creates users; the other, who wants the same in another order, finds
# them when the first is done.
my $first = begin_session($node, 'sm', $superuser,
	q{BEGIN; SELECT * FROM syncmaster_add_superusers('one', 'two');});
my $second = begin_session($node, 'sm', 'app',
	q{SELECT * FROM syncmaster_add_superusers('two', 'one', 'three');},
	nowait => 1, application => 'second');
$node->poll_query_until('sm',
	q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE application_name = 'second' AND wait_event_type = 'Lock'})
  or die 'the second does not wait';
in_session($first, 'COMMIT;');
is(wait_for_session($second), "two|unchanged\none|unchanged\nthree|created\n",
	'the second finds what the first created');

# The first changes its mind.
in_session($first, q{BEGIN; SELECT * FROM syncmaster_add_superusers('four');});
in_session($second, q{SELECT * FROM syncmaster_add_superusers('four');},
	nowait => 1);
$node->poll_query_until('sm',
	q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE application_name = 'second' AND wait_event_type = 'Lock'})
  or die 'the second does not wait';
in_session($first, 'ROLLBACK;');
is(wait_for_session($second), "four|created\n", 'the second creates it then');

# The server creates the user meanwhile, a plain one.
in_session($first,
	q{BEGIN; INSERT INTO "user" (username, is_superuser, is_active)
		VALUES ('five', false, true);});
in_session($second, q{SELECT * FROM syncmaster_add_superusers('five');},
	nowait => 1);
$node->poll_query_until('sm',
	q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE application_name = 'second' AND wait_event_type = 'Lock'})
  or die 'the second does not wait';
in_session($first, 'COMMIT;');
is(wait_for_session($second), "five|promoted\n", 'the second promotes him');

# Nobody waits forever.
in_session($first, q{BEGIN; UPDATE "user" SET email = 'x' WHERE username = 'five';});
like(
	failure(q{SET syncmaster.lock_timeout = '100ms';
		SELECT * FROM syncmaster_remove_superusers('five')}),
	qr/canceling statement due to lock timeout/,
	'the wait for a row is bounded');
in_session($first, 'ROLLBACK;');
end_session($_) foreach $first, $second;

# A hostile owner ---------------------------------------------------------------

$node->safe_psql(
	'sm', q{
	CREATE TABLE seen (who name, how text);
	GRANT INSERT ON seen TO PUBLIC;
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.seen VALUES (current_user, TG_NAME);
		RETURN NEW;
	END $$;
	CREATE TRIGGER before BEFORE INSERT OR UPDATE ON "user"
		FOR EACH ROW EXECUTE FUNCTION note();
	CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE plpgsql AS
		'BEGIN INSERT INTO public.seen VALUES (current_user, $$lower$$); RETURN $1; END'},
	extra_params => [ '-U', 'app' ]);
is(add("'six', 'дарья'"), "six|created\nдарья|unchanged", 'with triggers of the owner');
is(remove("'six'"), 'six|demoted', 'with triggers of the owner');
is($node->safe_psql('sm', 'SELECT DISTINCT * FROM seen'),
	'app|before', 'they ran with his rights, and no function of his was called');

$node->safe_psql(
	'sm', q{DROP TRIGGER before ON "user";
		CREATE CONSTRAINT TRIGGER later AFTER INSERT OR UPDATE ON "user"
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()},
	extra_params => [ '-U', 'app' ]);
like(
	failure("SELECT * FROM syncmaster_add_superusers('seven')"),
	qr/cannot fire deferred trigger within security-restricted operation/,
	'what would run at the end, with the rights of the caller, does not');
my $deferred = 'trigger "later" of table "user" is deferred, and fails where a command writes the table';
is( $node->safe_psql('sm', qq{
		SELECT severity FROM syncmaster_preflight('head') WHERE detail = '$deferred';
		SELECT severity FROM syncmaster_check() WHERE problem = '$deferred'}),
	"warning\nwarning", '... and is listed beforehand');
is( $node->safe_psql('sm', q{BEGIN; SET CONSTRAINTS ALL IMMEDIATE;
		SELECT action FROM syncmaster_add_superusers('seven'); ROLLBACK}),
	'created', '... and runs at once where the hint was heeded');
$node->safe_psql('sm', 'DROP TRIGGER later ON "user"; TRUNCATE seen');

$node->safe_psql('sm',
	'GRANT TRIGGER ON "user" TO dba; GRANT USAGE, CREATE ON SCHEMA public TO dba');
$node->safe_psql(
	'sm', q{CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN RETURN NEW; END';
	CREATE TRIGGER other BEFORE INSERT ON "user"
		FOR EACH ROW EXECUTE FUNCTION other()},
	extra_params => [ '-U', 'dba' ]);
like(
	failure("SELECT * FROM syncmaster_add_superusers('seven')"),
	qr/trigger "other" of table "user" may run another role's code/,
	'a trigger of somebody else is refused');
$node->safe_psql('sm', 'DROP TRIGGER other ON "user"; DROP FUNCTION other()');

$node->safe_psql('sm', 'ALTER TABLE "user" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY');
like(failure('SELECT * FROM syncmaster_superusers()'),
	qr/row-level security policy/, 'no policy hides a superuser');
like(
	failure("SELECT * FROM syncmaster_add_superusers('seven')"),
	qr/row-level security policy/,
	'nor a user');
$node->safe_psql('sm',
	'ALTER TABLE "user" DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY');

$node->safe_psql(
	'sm', q{ALTER TABLE "user" RENAME TO users;
	CREATE FUNCTION spy() RETURNS text LANGUAGE plpgsql AS
		'BEGIN INSERT INTO public.seen VALUES (current_user, $$spy$$); RETURN $$x$$; END';
	CREATE VIEW "user" AS SELECT id, spy()::varchar AS username, true AS is_superuser,
		true AS is_active FROM users},
	extra_params => [ '-U', 'app' ]);
foreach my $call ('syncmaster_superusers()', "syncmaster_add_superusers('x')")
{
	is(failure("SELECT * FROM $call"),
		'"user" is not an ordinary table', "$call does not read a view");
}
is($node->safe_psql('sm', 'SELECT * FROM seen'), '', 'and calls nothing in it');
$node->safe_psql('sm', 'DROP VIEW "user"; ALTER TABLE users RENAME TO "user"');

# Every revision, other widths, a standby -----------------------------------------

$node->safe_psql('early', 'CREATE EXTENSION syncmaster', extra_params => [ '-U', 'app' ]);
foreach my $revision (qw(0013 0012 0011 0008 0001))
{
	$node->safe_psql('early',
		"SET syncmaster.allow_destroy = on; SELECT syncmaster_downgrade('$revision')");
	is( $node->safe_psql(
			'early', "SELECT action FROM syncmaster_add_superusers('at_$revision')"),
		'created',
		"at $revision");
}
$node->safe_psql('early', 'ALTER TABLE "user" ALTER username TYPE varchar(8)');
like(($node->psql('early', "SELECT * FROM syncmaster_add_superusers('nine56789')"))[2],
	qr/DETAIL:  It has 9 characters, and column "username" takes 8/,
	'the width is that of the column');

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is( $standby->safe_psql('early', 'SELECT username FROM syncmaster_superusers()'),
	"at_0001\nat_0008\nat_0011\nat_0012\nat_0013",
	'a standby lists superusers');
like(($standby->psql('early', "SELECT * FROM syncmaster_add_superusers('x')"))[2],
	qr/cannot execute syncmaster_add_superusers\(\)/, 'and makes none');
$standby->stop;

# SyncMaster's own programs -------------------------------------------------------

SKIP:
{
	my $python = python_of('SYNCMASTER_VENV');
	skip 'SYNCMASTER_VENV is not set', 6 if !defined $python;
	my %environment = syncmaster_environment($node, 'sm', 'app', 1);
	local @ENV{ keys %environment } = values %environment;
	my $run = sub {
		my ($stdout, $stderr) = ('', '');
		PostgreSQL::Test::Utils::run_log(
			[ $python, "$FindBin::RealBin/../test/python/superusers_session.py", @_ ],
			'>', \$stdout, '2>', \$stderr) or diag($stderr);
		return $stdout;
	};
	my $listed = sub {
		my @names = $run->('list') =~ /^\s+'(.*)'$/gm;
		return join "\n", sort @names;
	};
	my $ours = sub {
		return join "\n", sort split /\n/,
		  $node->safe_psql('sm', 'SELECT username FROM syncmaster_superusers()');
	};

	remove("repeat('ж', 256)");
	is($listed->(), $ours->(), 'its list is ours');
	add("'ours', 'both'");
	$run->('add', 'theirs', 'both');
	is($listed->(), $ours->(), 'after both have added some');
	like($ours->(), qr/^theirs$/m, 'theirs is one of them');
	is( $node->safe_psql(
			'sm', q{SELECT count(DISTINCT to_jsonb(u) - '{id,username,created_at,updated_at}'::text[])
				FROM "user" u WHERE username IN ('ours', 'theirs')}),
		1,
		'the rows are alike');
	$run->('remove', 'ours');
	is(remove("'ours', 'theirs'"), "ours|unchanged\ntheirs|demoted",
		'each takes away what the other gave');
	is($run->('read', 'both'),
		"User(username=both, is_superuser=True, is_active=True)\n",
		'the server reads a user that we created');
}

# Who may not read the table does not wait for it, nor lets others wait.
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
my $migration = begin_session($node, 'sm', $superuser,
	'BEGIN; LOCK TABLE "user" IN ACCESS EXCLUSIVE MODE;');
like(
	($node->psql('sm', q{SET syncmaster.lock_timeout = '200ms';
		SELECT * FROM syncmaster_superusers()}, extra_params => [ '-U', 'stranger' ]))[2],
	qr/permission denied for table user/,
	'rights are asked for before the lock');
in_session($migration, 'ROLLBACK;');
end_session($migration);

# A function that is called in place of ours ---------------------------------------

# Whoever may make functions in the schema can plant some; the call that the
# reference calls safe reaches ours.
$node->safe_psql('postgres', 'CREATE DATABASE planted OWNER app');
$node->safe_psql('planted', 'CREATE SCHEMA other AUTHORIZATION app; '
	. 'GRANT USAGE, CREATE ON SCHEMA public TO app');
$node->safe_psql(
	'planted', q{
	CREATE FUNCTION public.syncmaster_add_superusers(text,
		OUT username text, OUT action text) RETURNS SETOF record
		LANGUAGE sql AS $$SELECT 'planted', current_user::text$$;
	CREATE FUNCTION public.syncmaster_add_superusers(VARIADIC varchar[],
		OUT username text, OUT action text) RETURNS SETOF record
		LANGUAGE sql AS $$SELECT 'planted', current_user::text$$;
	CREATE PROCEDURE other.syncmaster_create_indexes(text)
		LANGUAGE sql AS 'SELECT 1'},
	extra_params => [ '-U', 'app' ]);
my @planted = (
	'other.syncmaster_create_indexes(IN text)',
	'public.syncmaster_add_superusers(VARIADIC character varying[])',
	'public.syncmaster_add_superusers(text, OUT username text, OUT action text)');

# How arguments are printed is not the same on all majors.
sub names_only { return $_[0] =~ s/\((?:VARIADIC |IN )?([^,)]*)[^)]*\)/($1)/gr; }
my $planted = names_only(join "\n", @planted);
my (undef, undef, $warnings) = $node->psql('planted', 'CREATE EXTENSION syncmaster');
is( names_only(
		join "\n",
		sort $warnings =~ /WARNING:  function (.*) has the name of a function of the extension/g),
	$planted,
	'CREATE EXTENSION warns of functions with the names of ours');
is( names_only($node->safe_psql(
			'planted', q{SELECT object_name FROM syncmaster_check()
				WHERE severity = 'error' AND object_type = 'function'
				AND problem = 'has the name of a function of the extension' ORDER BY 1})),
	$planted,
	'syncmaster_check() has them as errors');
is( names_only($node->safe_psql(
			'planted', q{SELECT substring(detail from 'function (.*) has the name')
				FROM syncmaster_preflight() WHERE severity = 'warning'
				AND subject = 'function' ORDER BY 1})),
	$planted,
	'syncmaster_preflight() warns of them');
is( $node->safe_psql('planted',
		q{SELECT * FROM public.syncmaster_add_superusers(VARIADIC ARRAY['alice']::text[])}),
	'alice|created',
	'the call that is proof against them reaches ours');
like($node->safe_psql('planted', q{SELECT * FROM public.syncmaster_add_superusers('alice')}),
	qr/^planted/, 'another call does not');
$node->safe_psql('planted', $_)
  foreach split /\n/, $node->safe_psql('planted',
	q{SELECT fix FROM syncmaster_check() WHERE problem LIKE 'has the name of%'});
is($node->safe_psql('planted', q{SELECT * FROM syncmaster_add_superusers('alice')}),
	'alice|unchanged', 'the fixes drop them');
(undef, undef, $warnings) =
  $node->psql('planted', 'DROP EXTENSION syncmaster; CREATE EXTENSION syncmaster');
unlike($warnings, qr/has the name of/, 'and no warning is left');

$node->stop;

done_testing();
