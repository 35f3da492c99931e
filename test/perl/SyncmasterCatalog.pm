# Comparing a schema with what SyncMaster's own migrations make.
#
# test/facts/*.json hold the catalogue after each of Alembic's revisions, taken
# on PostgreSQL 15.  Both they and the catalogue of a server under test are
# turned into the same flat form, one entry for each thing that has to be equal:
#
#	column connection 3 => ["type", "character varying(32)", true, ...]
#
# Majors differ in two ways.  18 has entries for NOT NULL constraints, which the
# columns tell already, and 13 knows no compression of columns.

package SyncmasterCatalog;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use File::Spec;
use JSON::PP;
use Test::More;

our @EXPORT = qw(
  catalog_differences
  catalog_sql
  facts
  follow
  quote_ident
  quote_literal
  read_catalogs
  without_pg_trgm
);

my $facts_dir = File::Spec->catdir(dirname(__FILE__), '..', 'facts');
my $json = JSON::PP->new->canonical->allow_nonref;
my %facts;

sub quote_ident
{
	my ($name) = @_;
	$name =~ s/"/""/g;
	return qq("$name");
}

sub quote_literal
{
	my ($text) = @_;
	$text =~ s/'/''/g;
	return "'$text'";
}

# The catalogue of one schema as a line of JSON that read_catalogs() finds in the
# output of psql.  It leaves the session's search_path at its default.
sub catalog_sql
{
	my ($schema) = @_;
	my $literal = quote_literal($schema);
	my $path = quote_literal(quote_ident($schema) . ', pg_catalog');

	return <<"SQL";
SELECT set_config('search_path', $path, false) \\g /dev/null
WITH rel AS (
	SELECT c.*
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = $literal
		-- the extension's own view is a member, as its functions are
		AND NOT (c.relkind = 'v' AND EXISTS (SELECT FROM pg_depend d
			WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
				AND d.deptype = 'e'))
), entries (path, value) AS (
	SELECT format('relation %s', relname),
		json_build_array(relkind, relpersistence, reloptions, relrowsecurity,
			relreplident, obj_description(oid, 'pg_class'))
	FROM rel WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
	UNION ALL
	SELECT format('column %s %s', r.relname,
			row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum)),
		json_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
			a.attnotnull,
			CASE WHEN a.attgenerated = ''
				THEN pg_get_expr(d.adbin, d.adrelid) END,
			CASE WHEN a.attgenerated <> ''
				THEN pg_get_expr(d.adbin, d.adrelid) END,
			a.attgenerated, a.attidentity,
			(SELECT collname FROM pg_collation WHERE oid = a.attcollation),
			a.attstorage, coalesce(to_jsonb(a) ->> 'attcompression', ''),
			col_description(r.oid, a.attnum))
	FROM rel r
		JOIN pg_attribute a ON a.attrelid = r.oid
		LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
	WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f')
		AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	SELECT format('constraint %s %s', r.relname, c.conname),
		json_build_array(c.contype, pg_get_constraintdef(c.oid),
			c.condeferrable, c.condeferred, c.convalidated)
	FROM rel r JOIN pg_constraint c ON c.conrelid = r.oid
	WHERE c.contype <> 'n'
	UNION ALL
	SELECT format('index %s %s', r.relname, x.relname),
		json_build_array(pg_get_indexdef(x.oid, 0, true), i.indisunique,
			i.indisprimary, i.indisvalid, i.indisclustered,
			EXISTS (SELECT FROM pg_constraint c
					WHERE c.conindid = x.oid AND c.contype IN ('p', 'u', 'x')))
	FROM rel r
		JOIN pg_index i ON i.indrelid = r.oid
		JOIN pg_class x ON x.oid = i.indexrelid
	UNION ALL
	SELECT format('trigger %s', r.relname),
		json_agg(pg_get_triggerdef(t.oid) ORDER BY t.tgname)
	FROM rel r JOIN pg_trigger t ON t.tgrelid = r.oid
	WHERE NOT t.tgisinternal GROUP BY r.relname
	UNION ALL
	SELECT format('sequence %s', r.relname),
		json_build_array(format_type(s.seqtypid, NULL), s.seqstart,
			s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
			r.relpersistence,
			(SELECT format('%s.%s (%s)', t.relname, a.attname, d.deptype)
			 FROM pg_depend d
				JOIN pg_class t ON t.oid = d.refobjid
				JOIN pg_attribute a
					ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
			 WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid
				AND d.refclassid = 'pg_class'::regclass
				AND d.deptype IN ('a', 'i')))
	FROM rel r JOIN pg_sequence s ON s.seqrelid = r.oid
	UNION ALL
	SELECT format('function %s', p.oid::regprocedure), to_json(true)
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = $literal
		AND NOT EXISTS (SELECT FROM pg_depend d
						WHERE d.classid = 'pg_proc'::regclass
							AND d.objid = p.oid AND d.deptype = 'e')
	UNION ALL
	SELECT format('type %s', t.typname), to_json(true)
	FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
	WHERE n.nspname = $literal AND t.typtype IN ('e', 'd', 'r', 'm')
	UNION ALL
	SELECT format('extension %s', extname), to_json(true)
	FROM pg_extension WHERE extname NOT IN ('plpgsql', 'syncmaster')
	UNION ALL
	SELECT format('member %s of extension %s', r.relname, e.extname),
		to_json(true)
	FROM rel r
		JOIN pg_depend d ON d.classid = 'pg_class'::regclass
			AND d.objid = r.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid
)
SELECT json_build_object(
	'version', (SELECT extversion FROM pg_extension
				WHERE extname = 'syncmaster'),
	'revision', CASE WHEN to_regclass('alembic_version') IS NOT NULL
		THEN query_to_xml('SELECT version_num FROM alembic_version',
			false, false, '')::text END,
	'catalog', json_object_agg(path, value))
FROM entries;
RESET search_path;
SQL
}

# The catalogues in what psql printed, in order.  The revision comes as XML, the
# one way to read a table that may not exist within a query.
sub read_catalogs
{
	my ($output) = @_;
	my @catalogs;

	foreach my $line (split /\n(?=\{"version")/, "\n$output")
	{
		next if $line !~ /^\{"version"/;
		my ($result) = JSON::PP->new->decode_prefix($line);
		my %flat = map { $_ => $json->encode($result->{catalog}{$_}) }
		  keys %{ $result->{catalog} };
		if (defined $result->{revision})
		{
			$flat{revision} = join ',',
			  sort $result->{revision} =~ m{<version_num>(.*?)</version_num>}g;
		}
		push @catalogs, { version => $result->{version}, flat => \%flat };
	}
	return @catalogs;
}

# What SyncMaster's migrations make, in the same form.  "base" is what a downgrade
# to base leaves.  A name with a slash is the path of a file elsewhere.
sub facts
{
	my ($name) = @_;
	my $base = $name eq 'base';
	my $path = $name =~ m,/, ? $name : File::Spec->catfile($facts_dir,
		($base ? 'rev-0001' : $name) . '.json');

	return { %{ $facts{$name} } } if $facts{$name};

	open my $fh, '<', $path or die "could not open $path: $!";
	local $/ = undef;
	my $facts = decode_json(<$fh>);
	close $fh;

	my %flat;
	foreach my $table (keys %{ $facts->{tables} })
	{
		flatten_table(\%flat, $table, $facts->{tables}{$table})
		  unless $base && $table ne 'alembic_version';
	}
	if ($base)
	{
		$flat{revision} = '';
		$facts{$name} = \%flat;
		return {%flat};
	}
	foreach my $sequence_name (keys %{ $facts->{sequences} })
	{
		my $sequence = $facts->{sequences}{$sequence_name};
		$flat{"sequence $sequence_name"} = $json->encode(
			[
				@$sequence{
					qw(type start increment min max cache cycle persistence
					  owned_by)
				}
			]);
	}
	$flat{"function $_"} = 'true' foreach @{ $facts->{functions} };
	$flat{"type $_"} = 'true' foreach @{ $facts->{types} };
	$flat{"extension $_"} = 'true'
	  foreach grep { $_ ne 'plpgsql' } keys %{ $facts->{extensions} };
	$flat{revision} = join ',', @{ $facts->{alembic_version} };
	$facts{$name} = \%flat;
	return {%flat};
}

sub flatten_table
{
	my ($flat, $name, $table) = @_;
	my $position = 0;

	$flat->{"relation $name"} = $json->encode(
		[ @$table{qw(kind persistence reloptions rls replident comment)} ]);
	foreach my $column (@{ $table->{columns} })
	{
		$position++;
		$flat->{"column $name $position"} = $json->encode(
			[
				@$column{
					qw(name type notnull default generated generated_kind
					  identity collation storage compression comment)
				}
			]);
	}
	foreach my $constraint (@{ $table->{constraints} })
	{
		$flat->{"constraint $name $constraint->{name}"} = $json->encode(
			[ @$constraint{qw(type def deferrable deferred validated)} ]);
	}
	foreach my $index (@{ $table->{indexes} })
	{
		$flat->{"index $name $index->{name}"} = $json->encode(
			[
				@$index{
					qw(def unique primary valid clustered backs_constraint)
				}
			]);
	}
	$flat->{"trigger $name"} = $json->encode($table->{triggers})
	  if @{ $table->{triggers} };
	return;
}

# A copy of facts for a database where pg_trgm is missing.
sub without_pg_trgm
{
	my %flat = %{ $_[0] };
	delete $flat{'extension pg_trgm'};
	return \%flat;
}

# What differs, a line for each thing.
sub catalog_differences
{
	my ($expected, $actual) = @_;
	my @differences;
	my %paths = (%$expected, %$actual);

	foreach my $path (sort keys %paths)
	{
		my $want = $expected->{$path} // 'nothing';
		my $have = $actual->{$path} // 'nothing';
		push @differences, "$path: $have instead of $want" if $have ne $want;
	}
	return @differences;
}

# Run steps in one session and test after each what the schema and the version of
# the extension are.  A step is
#
#	{ name => ..., sql => ..., facts => name or facts(), version => '1.13' }
#
# where facts and version may be left out.  Options are schema, and role to
# connect as.  Returns what psql wrote to standard error, an entry a step.
sub follow
{
	my ($node, $database, $options, @steps) = @_;
	my $schema = $options->{schema} // 'public';
	my $script = '';
	my ($stdout, $stderr) = ('', '');

	foreach my $step (@steps)
	{
		$script .= "\\warn === $step->{name}\n$step->{sql};\n"
		  . catalog_sql($schema);
	}
	my $rc = $node->psql(
		$database, $script,
		stdout => \$stdout,
		stderr => \$stderr,
		on_error_stop => 1,
		extra_params => $options->{role} ? [ '-U', $options->{role} ] : []);

	my @catalogs = read_catalogs($stdout);
	my (undef, @messages) = split /^=== .*\n/m, $stderr;
	foreach my $i (0 .. $#steps)
	{
		my $step = $steps[$i];
		my $name = ($options->{name} // $database) . ": $step->{name}";
		my $catalog = $catalogs[$i];

		if (!defined $catalog)
		{
			fail($name);
			diag($messages[$i] // 'not run');
			next;
		}
		my $facts = $step->{facts};
		my @differences;
		push @differences,
		  catalog_differences(ref $facts ? $facts : facts($facts),
			$catalog->{flat})
		  if defined $facts;
		push @differences,
		  "version is " . ($catalog->{version} // 'nothing')
		  . " instead of $step->{version}"
		  if defined $step->{version}
		  && ($catalog->{version} // 'nothing') ne $step->{version};
		ok(!@differences, $name) or diag(join "\n", @differences);
	}
	diag($stderr) if $rc != 0 && @catalogs == @steps;
	return @messages;
}

1;
