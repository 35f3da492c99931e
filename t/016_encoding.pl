# Databases in other encodings than UTF-8.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

$ENV{PGCLIENTENCODING} = 'UTF8';
my $node = new_server('encoding');
create_roles($node);

sub create_encoded
{
	my ($dbname, $encoding) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $dbname OWNER app
		TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	return;
}

# Rows as a client sees them, without what depends on the server's locale.
sub texts
{
	my ($dbname) = @_;
	return $node->safe_psql($dbname, 'SELECT id, name, description, data FROM connection
		ORDER BY id') . $node->safe_psql($dbname, 'SELECT id, name FROM transfer ORDER BY id');
}

my $texts;
foreach my $encoding (qw(UTF8 KOI8R WIN1251 EUC_JP SQL_ASCII))
{
	my $dbname = lc "in_$encoding";
	create_encoded($dbname, $encoding);
	my ($rc, undef, $stderr) = run_sql($node, $dbname, 'app', 'CREATE EXTENSION syncmaster');
	is("$rc $stderr", '0 ', "$encoding: CREATE EXTENSION, quietly");
	fill_tables($node, $dbname);
	customize($node, $dbname, 'app');
	like($node->safe_psql($dbname, 'SELECT syncmaster_full_version()'),
		qr/ at revision 0013, [^;]*$/, "$encoding: everything is in order");
	$texts = texts($dbname) unless defined $texts;
	ok(texts($dbname) eq $texts, "$encoding: the rows are there");

	# The functions read the scripts, too.
	is($node->safe_psql($dbname, "SELECT syncmaster_downgrade('0011')"),
		'0011', "$encoding: downgrade");
	is($node->safe_psql($dbname, "SELECT syncmaster_upgrade('head')"),
		'0013', "$encoding: upgrade");

	# Into a database of the same encoding.
	my $want = sample_state($node, $dbname);
	my $dump = dump_database($node, $dbname, '-Fc');
	create_encoded("again_$encoding", $encoding);
	restored_quietly($node, $dump, lc "again_$encoding", $encoding, '-j2');
	is_same_state($node, lc "again_$encoding", $want, $encoding);

	# Into one of another.
	next if $encoding eq 'SQL_ASCII' || $encoding eq 'UTF8';
	create_encoded("utf8_$encoding", 'UTF8');
	restored_quietly($node, $dump, lc "utf8_$encoding", "$encoding into UTF8");
	ok(texts(lc "utf8_$encoding") eq $texts, "$encoding into UTF8: the rows are there");
	ids_go_on($node, lc "utf8_$encoding", "$encoding into UTF8");
}

# An encoding without Cyrillic letters: the Russian stemmer is no obstacle.
{
	create_encoded('in_latin1', 'LATIN1');
	my ($rc, undef, $stderr) =
	  run_sql($node, 'in_latin1', 'app', 'CREATE EXTENSION syncmaster');
	is("$rc $stderr", '0 ', 'LATIN1: CREATE EXTENSION, quietly');
	is($node->safe_psql('in_latin1', <<'SQL'), '1', 'LATIN1: the search works');
INSERT INTO "user" (username, is_superuser, is_active) VALUES ('é', true, true);
INSERT INTO "group" (name, description, owner_id) VALUES ('summer', 'été', 1);
SELECT count(*) FROM "group" WHERE search_vector @@ to_tsquery('simple', 'summer');
SQL
}

done_testing();
