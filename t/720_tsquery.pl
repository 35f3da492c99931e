# syncmaster_tsquery() gives the query that SyncMaster's server sends, with the
# same notices and errors, as computed by the server's own code.
#
# SYNCMASTER_VENV names a virtual environment with data-syncmaster[server].
# SYNCMASTER_SEED repeats the random inputs of an earlier run, and SYNCMASTER_ROUNDS
# multiplies their number: each run tries others, so that few are enough.  From 8 on,
# every code point is tried.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $venv = $ENV{SYNCMASTER_VENV};
plan skip_all =>
  'SYNCMASTER_VENV does not name a virtual environment with data-syncmaster'
  unless defined $venv && -x "$venv/bin/python";

my $compare = abs_path(dirname(__FILE__) . '/../test/compare_tsquery.py');
my $seed = $ENV{SYNCMASTER_SEED} || int(rand(2**31));
note "SYNCMASTER_SEED=$seed";
my $rounds = $ENV{SYNCMASTER_ROUNDS} // 1;
my $few = 300 * $rounds;
my $share = $rounds < 8 ? 8 : 1;

my $node = PostgreSQL::Test::Cluster->new('tsquery');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);

# Hundreds of megabytes of statements and notices would tell nothing.
$node->append_conf('postgresql.conf',
	"log_statement = 'none'\nlog_min_messages = 'log'");
$node->start;

# Make a database and compare what the server and the extension make of inputs
# of some kinds there.
sub compare_in
{
	my ($dbname, $create, @args) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $dbname TEMPLATE template0 $create");
	$node->safe_psql($dbname, 'CREATE EXTENSION syncmaster');

	my ($stdout, $stderr);
	my $passed = PostgreSQL::Test::Utils::run_log(
		[
			"$venv/bin/python", $compare,
			'--dsn' => $node->connstr($dbname),
			'--seed' => $seed,
			'--share' => $share,
			@args
		],
		'>' => \$stdout,
		'2>' => \$stderr);
	note $stdout;
	diag "seed $seed\n$stdout$stderr" unless $passed;
	ok($passed, "same queries in $dbname: @args");
	return;
}

# What is a letter, and so where PostgreSQL splits a word further, depends on
# the locale: in C all that is not ASCII is one.
compare_in('utf8_c', q(ENCODING 'UTF8' LOCALE 'C'),
	'--inputs' => 10 * $few, qw(random codepoints large));

SKIP:
{
	my ($rc) = $node->psql('postgres',
		q(CREATE DATABASE probe TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'));
	skip 'there is no locale C.UTF-8', 1 if $rc != 0;
	compare_in('utf8_locale', q(ENCODING 'UTF8' LOCALE 'C.UTF-8'),
		'--inputs' => 2 * $few, qw(random codepoints));
}

# The server is a Python program and sees Unicode, whatever the database has.
my %codec = (
	KOI8R => 'koi8-r',
	WIN1251 => 'cp1251',
	ISO_8859_5 => 'iso8859-5',
	LATIN1 => 'latin1',
	EUC_JP => 'euc_jp');
foreach my $encoding (sort keys %codec)
{
	compare_in(
		lc $encoding, "ENCODING '$encoding' LOCALE 'C'",
		'--codec' => $codec{$encoding},
		'--inputs' => $few,
		qw(random codepoints));
}

# Bytes that are not UTF-8, where a text may hold them.
compare_in('bytes', q(ENCODING 'SQL_ASCII' LOCALE 'C'),
	'--inputs' => 4 * $few, qw(random bytes));

# And where it may not, as a damaged table would give them.
compare_in('damaged', q(ENCODING 'UTF8' LOCALE 'C'),
	'--inputs' => 4 * $few, 'damaged');

my $log = slurp_file($node->logfile);
unlike($log, qr/was terminated by signal/, 'no crash');

$node->stop;
done_testing();
