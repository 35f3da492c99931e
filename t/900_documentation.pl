# The documentation is true: its examples run and print what it shows, its links
# lead somewhere, and the reference has every function and setting, as the server
# knows them.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use Documentation;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

chdir "$FindBin::RealBin/.." or die "could not change directory: $!";

my @reference = sort glob 'doc/reference/*.md';

# Links --------------------------------------------------------------------------

foreach my $page (pages())
{
	my @dead;

	foreach my $link (links($page))
	{
		next if $link =~ /^\w+:/;
		my ($file, $anchor) = split /#/, $link, 2;
		my $target =
		  $file eq '' ? $page : File::Spec->catfile(dirname($page), $file);
		1 while $target =~ s{[^/]+/\.\./}{};
		$target =~ s{(^|/)\./}{$1}g;
		push @dead, $link
		  if !-e $target
		  || (defined $anchor && !grep { $_ eq $anchor } headings($target));
	}
	is("@dead", '', "$page: no dead links");
}

cmp_ok(scalar(() = slurp_page('README.md') =~ /\n/g),
	'<=', 100, 'README.md: within two screens');
{
	my $readme = slurp_page('README.md');
	my @unnamed = grep { index($readme, "($_)") < 0 } glob 'doc/*.md';
	is("@unnamed", '', 'README.md: leads to every page of doc/');

	my $index = slurp_page('doc/reference.md');
	@unnamed = grep { index($index, substr($_, 4)) < 0 } @reference;
	is("@unnamed", '', 'doc/reference.md: leads to every page of it');
}

# A server to run examples on ------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('documentation');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf(
	'postgresql.conf', q(
autovacuum = off
fsync = off
timezone = 'UTC'
));
$node->start;
$node->safe_psql('postgres', q{
	CREATE ROLE syncmaster LOGIN;
	CREATE ROLE alice LOGIN;
	CREATE DATABASE sample;
	CREATE DATABASE syncmaster;
	CREATE DATABASE taken_over;
});
$node->safe_psql('sample', 'CREATE EXTENSION syncmaster');

# What Alembic left: the tables, without the extension.
$node->safe_psql('taken_over', q{
	CREATE EXTENSION syncmaster VERSION '1.11';
	DROP EXTENSION syncmaster;
	DROP SCHEMA syncmaster_history CASCADE});
fill_tables($node, 'sample');
$node->safe_psql('sample', 'ANALYZE');

# Key files where examples have them: relative to the data directory.
foreach my $file (
	[ 'new.key', 'bClzApDlUdcAx_3pgmTmdKHP6Oq5hDxOZVmN7UNCWNY=' ],
	[ 'old.key', '0VPSCAKRIak_0nizRqHAL0KS12_yZl1EMBlFaBBOzNs=' ])
{
	my ($name, $key) = @$file;
	open my $fh, '>', $node->data_dir . "/$name" or die "could not write: $!";
	print $fh "$key\n";
	close $fh;
	chmod 0600, $node->data_dir . "/$name";
}

# The reference and the catalogue ---------------------------------------------------

# Entries: ### `name(arguments)` or ### `name`, by name.
my %entries;
foreach my $page (@reference)
{
	my ($context, $title);
	foreach my $section (sections($page))
	{
		next if $section->{level} != 3 || $section->{title} !~ /^`([\w.]+)(.*)`$/;
		fail("$page: a second entry for $1") if $entries{$1};
		$entries{$1} = { %$section, page => $page, signature => "$1$2" };
	}
}

# Input arguments as the entry's heading has them, the result, and who may call it.
$node->safe_psql('postgres', 'CREATE ROLE installer LOGIN');
$node->safe_psql('postgres', 'CREATE DATABASE trusted OWNER installer');
$node->safe_psql('trusted', 'ALTER SCHEMA public OWNER TO installer');
$node->safe_psql('trusted', 'CREATE EXTENSION syncmaster',
	extra_params => [ '-U', 'installer' ]);

my $members = q{
	SELECT p.oid FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
	  AND d.refclassid = 'pg_extension'::regclass AND d.refobjid =
		(SELECT oid FROM pg_extension WHERE extname = 'syncmaster')};
my @functions = split /\n/, $node->safe_psql(
	'trusted', qq{
	SELECT p.proname,
		p.proname || '(' || coalesce((
			SELECT string_agg(trim(concat_ws(' ',
					CASE a.mode WHEN 'b' THEN 'INOUT' WHEN 'v' THEN 'VARIADIC' END,
					quote_ident(nullif(p.proargnames[a.n], '')),
					format_type(a.type, NULL),
					CASE WHEN d.value IS NOT NULL THEN 'DEFAULT ' || d.value END)),
				', ' ORDER BY a.n)
			FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]),
					p.proargmodes) WITH ORDINALITY a (type, mode, n)
			LEFT JOIN LATERAL (SELECT regexp_replace(
					pg_get_function_arg_default(p.oid, a.n::int),
					'::.*', '') AS value) d ON true
			WHERE coalesce(a.mode, 'i') IN ('i', 'b', 'v')), '') || ')',
		CASE WHEN p.prokind = 'p' THEN 'a row'
			WHEN p.prorettype = 'record'::regtype AND p.proretset THEN 'rows'
			WHEN p.prorettype = 'record'::regtype THEN 'a row'
			WHEN p.prorettype = 'void'::regtype THEN 'nothing'
			WHEN p.proretset
			THEN 'a set of `' || format_type(p.prorettype, NULL) || '`'
			ELSE '`' || format_type(p.prorettype, NULL) || '`' END,
		CASE WHEN has_function_privilege('alice', p.oid, 'EXECUTE')
			THEN 'everybody'
			WHEN has_function_privilege('installer', p.oid, 'EXECUTE')
			THEN 'administrators' ELSE 'superusers' END,
		coalesce((SELECT string_agg(p.proargnames[n] || ' '
				|| format_type(p.proallargtypes[n], NULL), ', ' ORDER BY n)
			FROM generate_subscripts(p.proargmodes, 1) n
			WHERE p.proargmodes[n] IN ('o', 'b', 't')), '')
	FROM pg_proc p WHERE p.oid IN ($members) ORDER BY p.proname});

cmp_ok(scalar @functions, '>', 0, 'the extension has functions');
my %known;
foreach my $function (@functions)
{
	my ($name, $signature, $returns, $for, $columns) = split /\|/, $function, -1;
	my $entry = $entries{$name};

	$known{$name} = 1;
	ok(defined $entry, "$name() is in the reference") or next;
	is($entry->{signature}, $signature, "$name(): arguments");
	next if $entry->{text} =~ /^Internal\.$/m;
	has($entry, "Returns $returns");
	has($entry, "For $for");
	is(columns_of($entry), $columns, "$name(): columns of the result");
	has($entry, 'Errors:');
	ok( (grep { index($_, "$name(") >= 0 } examples($entry)),
		"$name(): an example");
}

# Views.
foreach my $view (split /\n/, $node->safe_psql(
		'trusted', q{
		SELECT c.relname, (SELECT string_agg(attname || ' '
				|| format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
			FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0)
		FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
		WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e'
		  AND d.refclassid = 'pg_extension'::regclass AND d.refobjid =
			(SELECT oid FROM pg_extension WHERE extname = 'syncmaster')}))
{
	my ($name, $columns) = split /\|/, $view;
	my $entry = $entries{$name};

	$known{$name} = 1;
	ok(defined $entry, "$name is in the reference") or next;
	is(columns_of($entry), $columns, "$name: columns");
	ok((grep { /\b$name\b/ } examples($entry)), "$name: an example");
}

# Settings, with type, unit, default, values, and who may set them.
foreach my $setting (split /\n/, $node->safe_psql(
		'trusted', q{
		SELECT syncmaster_library_version() IS NULL AS loaded \gset
		SELECT name,
			CASE vartype WHEN 'enum' THEN
				(SELECT string_agg('`' || v || '`', ', ' ORDER BY n)
				 FROM unnest(enumvals) WITH ORDINALITY u (v, n))
			ELSE vartype || coalesce(' in ' || CASE unit WHEN 'ms'
					THEN 'milliseconds' WHEN 's' THEN 'seconds' ELSE unit END, '') END
			|| coalesce(', ' || min_val || ' to ' || max_val, ''),
			coalesce('`' || nullif(boot_val, '') || '`', 'unset'),
			CASE context WHEN 'user' THEN 'everybody' ELSE context || 's' END
		FROM pg_settings WHERE name LIKE 'syncmaster.%' ORDER BY name}))
{
	my ($name, $type, $default, $by) = split /\|/, $setting;
	my $entry = $entries{$name};

	$known{$name} = 1;
	ok(defined $entry, "$name is in the reference") or next;
	has($entry, "Type: $type.");
	has($entry, "Default: $default");
	has($entry, "Set by: $by");
	ok((grep { index($_, $name) >= 0 } examples($entry)), "$name: an example");
}

is(join(' ', grep { !$known{$_} } sort keys %entries),
	'', 'the reference has nothing that the server has not');

# The index on the first page names every entry with its page.
{
	my $index = slurp_page('doc/reference.md');
	my @missing = grep {
		my $page = substr $entries{$_}{page}, 4;
		$index !~ /\[`\Q$_\E(?:\(\))?`\]\(\Q$page\E#/
	} sort keys %entries;
	is("@missing", '', 'doc/reference.md: every entry is in its list');
}

# A line of the entry begins with these words.
sub has
{
	my ($entry, $words) = @_;
	return ok($entry->{text} =~ /^\Q$words\E(?!\w)/m,
		"$entry->{signature}: \"$words\"");
}

sub columns_of
{
	my ($entry) = @_;
	my @columns;

	if ($entry->{text} =~ /^\| column \| type \|.*\n\|.*\n((?:\|.*\n)+)/m)
	{
		foreach my $line (split /\n/, $1)
		{
			push @columns, "$1 $2" if $line =~ /^\| `(\w+)` \| `([^`]+)` \|/;
		}
	}
	return join ', ', @columns;
}

sub examples
{
	my ($entry) = @_;
	return $entry->{text} =~ /^```sql\n(.*?)^```$/gms;
}

# The diagram ------------------------------------------------------------------------

{
	my ($diagram) = grep { $_->{kind} eq 'mermaid' } blocks('doc/schema.md');
	my ($printed) = run_command([
		'psql', '-XAtq', '-f', 'test/schema.sql', $node->connstr('trusted') ]);
	is("$printed\n", $diagram->{text}, 'doc/schema.md: the diagram is the catalogue');

	# Every table is in the list below it, and the other way round.
	my $tables = join ' ', sort $diagram->{text} =~ /^    "(\w+)" \{/gm;
	my @listed = map { /^\| (.*?) \|/ ? $1 =~ /`(?:\w+\.)?(\w+)`/g : () }
	  split /\n/, slurp_page('doc/schema.md');
	is(join(' ', sort @listed), $tables, 'doc/schema.md: the list of tables');
	is( $node->safe_psql(
			'trusted', q{
			SELECT count(*) FROM pg_constraint
			WHERE contype = 'f' AND confdeltype <> 'c'}),
		'0', 'doc/schema.md: all foreign keys are ON DELETE CASCADE');
}

# SQLSTATEs -------------------------------------------------------------------------

# A code and its name belong together, and whatever the sources raise is there.
{
	my $text = join '', map { slurp_page($_) } @reference;
	my %codes = reverse $text =~ /`([0-9A-Z]{5})` ([a-z]+(?:_[a-z]+)+)/g;
	my @wrong = grep {
		$node->safe_psql(
			'postgres', qq{
			SET client_min_messages = notice;
			DO \$\$ BEGIN RAISE $_;
			EXCEPTION WHEN SQLSTATE '$codes{$_}' THEN NULL;
			WHEN OTHERS THEN CREATE TABLE wrong_code (); END \$\$;
			SELECT to_regclass('wrong_code');
			DROP TABLE IF EXISTS wrong_code}) ne ''
	} sort keys %codes;
	cmp_ok(scalar keys %codes, '>', 10, 'SQLSTATEs have names');
	is("@wrong", '', 'which are theirs');

	my $sources = join '', map { slurp_page($_) } glob 'src/*.c src/*/*.c';

	# PL/pgSQL has the names without the prefix of their class.
	my %raised = map { lc $_ => 1 } $sources =~ /\bERRCODE_(?:T_R_)?(\w+)/g;

	# These are only looked at.
	delete @raised{
		qw(to_category successful_completion deadlock_detected unique_violation out_of_memory)};
	my @missing = grep { !exists $codes{$_} } sort keys %raised;
	is("@missing", '', 'every code that the sources raise is in the reference');
}

# Examples --------------------------------------------------------------------------

# That page is about Alembic as well, and has a test of its own.
my $databases = 0;
foreach my $page (grep { $_ ne 'doc/alembic.md' } pages())
{
	run_blocks(
		$node, $page,
		sub {
			my ($name) = @_;
			my $template = $name eq 'empty' ? 'template0' : $name;
			my $database = 'page_' . ++$databases;
			$node->safe_psql('postgres',
				"CREATE DATABASE $database TEMPLATE $template");
			return $database;
		});
}

# Commands for the shell, and lines for the server's configuration.
my $tools = PostgreSQL::Test::Utils::tempdir();
open my $sudo, '>', "$tools/sudo" or die "could not write: $!";
print $sudo <<'SH';
#!/bin/sh
[ "$1" != -u ] || shift 2
exec "$@"
SH
close $sudo;
chmod 0755, "$tools/sudo";
sub write_conf
{
	my ($text) = @_;
	open my $fh, '>', $node->data_dir . '/page.conf' or die "could not write: $!";
	print $fh $text;
	close $fh;
	return;
}
write_conf('');
$node->append_conf('postgresql.conf', "include = 'page.conf'");

my ($host, $port) = ($node->host, $node->port);
my $owner = getpwuid $<;
foreach my $page (grep { $_ ne 'doc/alembic.md' } pages())
{
	my @blocks = blocks($page);

	is(join(' ', map { $_->{line} } grep { $_->{kind} !~ /^(?:sql|text|sh|conf|log|mermaid|database)$/ } @blocks),
		'', "$page: each block says what it is");

	# Typed into zsh, "#" begins no comment; typed into bash, "!" within double quotes is
	# replaced by an earlier command.
	is(join(' ', map { $_->{line} } grep {
				$_->{kind} eq 'sh' && !$_->{hidden} && $_->{text} =~ /(?:^|\s)#|"[^"'\n]*!/m
			} @blocks),
		'', "$page: each block can be pasted into bash and zsh");
	if (grep { $_->{kind} eq 'sh' && !$_->{not_run} } @blocks)
	{
		my $folder = PostgreSQL::Test::Utils::tempdir();
		local $ENV{PATH} = "$tools:$ENV{PATH}";
		$node->safe_psql('postgres', 'DROP DATABASE syncmaster');
		$node->safe_psql('postgres', 'CREATE DATABASE syncmaster TEMPLATE sample');
		run_shell_blocks($node, $page, $folder, sub {
			return $_[0] =~ s{/etc/syncmaster}{$folder/etc}gr
			  =~ s{-o postgres}{-o $owner}gr
			  =~ s{postgresql\+asyncpg://syncmaster:changeme\@db:5432/syncmaster}
			  {'postgresql+asyncpg://$owner\@/syncmaster?host=$host&port=$port'}grx;
		});
	}
	foreach my $block (grep { $_->{kind} eq 'conf' } @blocks)
	{
		my $text = $block->{text};
		# 18 and later
		$text =~ s/^extension_control_path.*\n//m
		  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'extension_control_path'}) == 0;
		write_conf($text);
		is($node->safe_psql('postgres', q{
				SELECT string_agg(coalesce(name, '') || ': ' || error, ', ') FROM pg_file_settings WHERE error IS NOT NULL}),
			'', "$page, line $block->{line}: settings");
		cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%/page.conf'}),
			'>', 0, "$page, line $block->{line}: they are read");
		write_conf('');
	}
}

$node->stop;

done_testing();
