# tools/follow.py writes the facts and the drafts of new revisions: those of 0012
# and 0013, taken out of a copy of this project, and those of two invented ones.
# The drafts' statements lead to the catalogue that Alembic makes, and back; the
# library built of the drafts finds nothing wrong there, and what is taken away.
# Needs SyncMaster in $SYNCMASTER_VENV.

use strict;
use warnings;

use File::Basename qw(dirname);
use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use SyncmasterCatalog;
use SyncMasterEnv;
use Test::More;

my $python = require_syncmaster();
my $root = dirname($FindBin::RealBin);
my $node = new_server('follow');

# A copy of the project with what is built, but for what tests leave.
sub copy_project
{
	my $copy = PostgreSQL::Test::Utils::tempdir_short();

	system("cd '$root' && tar -cf - --exclude=./.git --exclude=./tmp_check "
		  . "--exclude=./results --exclude=./output_iso --exclude=./dist . | "
		  . "tar -xf - -C '$copy'") == 0
	  or die 'could not copy the project';
	return $copy;
}

# Run the tool in the copy, build the library there, and return what was printed.
# Of the objects only those of revisions are built, as if the version were the same.
sub follow_release
{
	my ($copy, $venv) = @_;
	my ($output, $errors);

	IPC::Run::run([ "$copy/tools/follow.py", $venv ], '>', \$output, '2>', \$errors);
	is($?, 0, 'the tool succeeds') or diag($output, $errors);
	system("touch -r '$root/syncmaster.control' '$copy/syncmaster.control'") == 0
	  or die 'could not touch the control file';
	command_ok([ 'make', '-s', '-C', $copy, 'syncmaster.so', 'WERROR=-Werror' ],
		'the library is built of the drafts');
	return $output;
}

# The statements of a draft.
sub draft_sql
{
	my ($copy, $from, $to) = @_;
	my $script = slurp_file(sprintf '%s/migrations/syncmaster--1.%d--1.%d.sql',
		$copy, $from, $to);
	my ($sql) = $script =~ /\$ddl\$\n(.*)\$ddl\$/s;

	$sql =~ s/\@extschema\@/public/g;
	$sql =~ s/;\s*\z//;
	return $sql . sprintf(q{; UPDATE alembic_version SET version_num = '%04d'}, $to);
}

# Let the functions of a database be those of the library in the copy.
sub use_library
{
	my ($database, $copy) = @_;

	$node->safe_psql($database, "UPDATE pg_proc SET probin = '$copy/syncmaster' "
		  . q{WHERE probin = '$libdir/syncmaster'});
	return;
}

# What the library finds, but for the extension's version and its own indexes.
sub found
{
	my ($database, $undo) = @_;

	return $node->safe_psql($database, ($undo // '') . q{
		; SELECT object_type, object_name, problem FROM syncmaster_check()
		WHERE object_type <> 'extension' AND problem !~ '^is an extra index of the extension'
		  AND problem <> 'is behind the extension'
		ORDER BY 1, 2});
}

# Walk from one revision to others by the statements of the drafts.
sub walk
{
	my ($database, $copy, @path) = @_;

	foreach my $i (1 .. $#path)
	{
		my $facts = sprintf 'rev-%04d', $path[$i];
		follow($node, $database,
			{ name => 'drafts' },
			{
				name => "from $path[$i - 1] to $path[$i]",
				sql => draft_sql($copy, $path[ $i - 1 ], $path[$i]),
				facts => -e "$root/test/facts/$facts.json" ? $facts
				: "$copy/test/facts/$facts.json"
			});
		is(found($database), '', "drafts: nothing is wrong at $path[$i]");
	}
	return;
}

# The past ------------------------------------------------------------------------

my $past = copy_project();
my @written = map { "test/facts/rev-00$_.json" } 12, 13;
unlink "$past/$_"
  or die "could not remove $_: $!"
  foreach @written, (map { "src/schema/revision_00$_.c" } 12, 13),
  map { "migrations/syncmaster--1.$_.sql" }
  qw(11--1.12 12--1.11 12--1.13 13--1.12);
my $list = slurp_file("$past/src/schema/revision_list.c");
$list =~ s/ \\\n\trevision\(001[23]\)//g;
PostgreSQL::Test::Utils::append_to_file("$past/list", $list);
rename "$past/list", "$past/src/schema/revision_list.c" or die $!;
system('sed', '-i', 's/1\.13/1.11/', "$past/syncmaster.control", "$past/META.json")
  == 0 or die 'could not set the version';

my $output = follow_release($past, dirname(dirname($python)));
foreach my $file (@written, 'src/schema/revision_list.c', 'syncmaster.control',
	'META.json')
{
	is(slurp_file("$past/$file"), slurp_file("$root/$file"), "$file is back");
}
like($output, qr/^Revision 0012, .*^tables group columns search_vector generated +\|/ms,
	'what changed is printed');
like(
	slurp_file("$past/src/schema/revision_0012.c"),
	qr/"transfer",\s+\.inputs = \{"name", "source_params", "target_params"\}/,
	'what an expression reads is said');
like($output, qr{^  t/010_versions\.pl: \d}m, 'and places for a person');

$node->safe_psql('postgres', 'CREATE DATABASE past TEMPLATE template0');
$node->safe_psql('past', q{CREATE EXTENSION syncmaster VERSION '1.11'});
use_library('past', $past);
walk('past', $past, 11, 12, 13, 12, 11);
is($node->safe_psql('past', 'SELECT max(revision) FROM syncmaster_versions()'),
	'0013', 'the library has the revisions again');

# The future ----------------------------------------------------------------------

# An environment with SyncMaster and two more revisions.
my $venv = PostgreSQL::Test::Utils::tempdir_short();
my $package = qx('$python' -I -c 'import importlib.util as u; print(*u.find_spec("syncmaster").submodule_search_locations)');
chomp $package;
mkdir "$venv/$_" foreach 'bin', 'lib';
system('cp', '-r', $package, "$venv/lib/") == 0 or die 'could not copy SyncMaster';
append_to_file("$venv/bin/python",
	"#!/bin/sh\nPYTHONPATH='$venv/lib' exec '$python' \"\$@\"\n");
chmod 0755, "$venv/bin/python";
my $versions = "$venv/lib/syncmaster/db/migrations/versions";
append_to_file("$versions/2027-01-01_0014_labels.py", <<'PYTHON');
"""Add labels"""
import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "label",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True),
                  server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk__label"),
        sa.UniqueConstraint("group_id", "name", name="uq__label__group_id_name"),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], ondelete="CASCADE",
                                name="fk__label__group_id__group"))
    op.create_index("ix__label__group_id", "label", ["group_id"])


def downgrade():
    op.drop_table("label")
PYTHON
append_to_file("$versions/2027-02-01_0015_retries.py", <<'PYTHON');
"""Add retries"""
import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("transfer", sa.Column("retries", sa.Integer()))
    op.add_column("transfer", sa.Column("label_id", sa.BigInteger()))
    op.create_foreign_key("fk__transfer__label_id__label", "transfer", "label",
                          ["label_id"], ["id"], ondelete="CASCADE")
    op.create_index("ix__transfer__label_id", "transfer", ["label_id"], unique=True)
    op.alter_column("connection", "type", type_=sa.String(64))
    op.alter_column("run", "log_url", nullable=False)
    op.create_index("ix__run__created_at", "run", ["created_at"])


def downgrade():
    pass
PYTHON

my $future = copy_project();
follow_release($future, $venv);
$node->safe_psql('postgres', 'CREATE DATABASE future TEMPLATE template0');
$node->safe_psql('future',
	'SET syncmaster.create_indexes = off; CREATE EXTENSION syncmaster');
use_library('future', $future);
walk('future', $future, 13, 14, 15);

my %missing = (
	'DROP INDEX ix__run__created_at' => 'index|ix__run__created_at|is missing',
	'ALTER TABLE transfer DROP COLUMN retries' =>
	  'column|transfer.retries|is missing',
	'ALTER TABLE transfer DROP CONSTRAINT fk__transfer__label_id__label' =>
	  'constraint|transfer.fk__transfer__label_id__label|is missing',
	'ALTER TABLE label DROP CONSTRAINT uq__label__group_id_name' =>
	  'constraint|label.uq__label__group_id_name|is missing',
	'ALTER TABLE connection ALTER COLUMN type TYPE varchar(32)' =>
	  'column|connection.type|is shorter than SyncMaster makes it now',
	'ALTER TABLE run ALTER COLUMN log_url DROP NOT NULL' =>
	  'column|run.log_url|allows NULL');
foreach my $sql (sort keys %missing)
{
	is(found('future', "BEGIN; $sql"), $missing{$sql}, "found: $sql");
}

# The revision that tables seem to be at.
my %apparent = (
	'DROP TABLE label CASCADE' => '0013',
	q{UPDATE alembic_version SET version_num = '0013'} => '0014',
	'DELETE FROM alembic_version' => '0015',
	'DELETE FROM alembic_version; DROP INDEX ix__run__created_at' => '0014',
	'DELETE FROM alembic_version; ALTER TABLE transfer DROP COLUMN retries' =>
	  '0014',
	'DELETE FROM alembic_version; '
	  . 'ALTER TABLE transfer ALTER COLUMN retries TYPE bigint' => '0014',
	'DELETE FROM alembic_version; DROP TABLE label CASCADE' => '0013');
foreach my $sql (sort keys %apparent)
{
	is( $node->safe_psql('future', "BEGIN; $sql; " . q{
			SELECT expected FROM syncmaster_check() WHERE object_type = 'revision'
			  AND problem <> 'is behind the extension'}),
		$apparent{$sql}, "apparent revision: $sql");
}

is( found('future', q{BEGIN; UPDATE alembic_version SET version_num = '0099'}),
	'revision|alembic_version|is newer than the library, which cannot compare it',
	'columns of later revisions are known');
like(
	$node->safe_psql('future', q{
		BEGIN; ALTER TABLE transfer DROP COLUMN retries;
		SELECT detail FROM syncmaster_preflight('head')}),
	qr/^column "retries" of table "public.transfer" is missing$/m,
	'a migration needs columns of later revisions');

# The statement that makes a table which is lost.
sub lost_table
{
	return $node->safe_psql('future', q{
		BEGIN; DROP TABLE transfer CASCADE;
		SELECT fix FROM syncmaster_check() WHERE object_name = 'transfer'});
}

like(lost_table(),
	qr/retries integer.*CONSTRAINT fk__transfer__label_id__label.*ix__transfer__label_id/,
	'a lost table with what later revisions add');
walk('future', $future, 15, 14);
my $fix = lost_table();
like($fix, qr/CREATE TABLE/, 'a lost table at an earlier revision');
unlike($fix, qr/retries|label/, 'and nothing of later ones');
walk('future', $future, 14, 13);

# What drafts cannot say ----------------------------------------------------------

append_to_file("$versions/2027-03-01_0016_more.py", <<'PYTHON');
"""Add what cannot be said"""
import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade():
    op.execute('ALTER TABLE "user" ADD COLUMN address inet, '
               "ADD COLUMN visits integer DEFAULT 7, ADD CHECK (visits > 0)")
    op.drop_column("transfer", "retries")
    op.execute("CREATE SEQUENCE visit_sequence")


def downgrade():
    pass
PYTHON
my ($run_migration) = glob "$versions/*_0008_*.py";
my $released = slurp_file($run_migration);
$released =~ s/length=512/length=513/ or die 'found no length';
unlink $run_migration;
append_to_file($run_migration, $released);

my $errors;
IPC::Run::run([ "$future/tools/follow.py", $venv ], '>', \$output, '2>', \$errors);
is($?, 0, 'the tool succeeds once more') or diag($output, $errors);
like($output,
	qr/changed revision 0015 or an earlier one.*^tables run columns log_url type/ms,
	'a released revision that was changed is reported');
like($output, qr/^Not in src\S+0016\.c: $_/m, "told: $_")
  foreach 'column user\.address: type inet', 'column user\.visits: default 7',
  'constraint user_visits_check: CHECK', 'gone: tables transfer columns retries',
  'sequence visit_sequence: \.ids_of';
IPC::Run::run([ "$future/tools/follow.py", $venv ], '>', \$output, '2>', \$errors);
like($output, qr/ends at 0016: nothing is new/, 'nothing is new');

done_testing();
