# The configuration for exporters and Prometheus: each metric of the view comes
# out once, under its name and labels.  The collector for burningalchemist's
# sql_exporter is read as that reads it; Debian's exporter and Prometheus' promtool
# are used where they are installed, or where $SQL_EXPORTER and $PROMTOOL name
# them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use File::Spec;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SampleDatabase;
use Test::More;

BEGIN
{
	eval { require CPAN::Meta::YAML; 1 }
	  or plan skip_all => 'Perl has no CPAN::Meta::YAML';
}

my $folder = File::Spec->catdir($FindBin::RealBin, '..', 'monitoring');

# A program that a variable names, or that is on the path.
sub program
{
	my ($variable, $name) = @_;
	return $ENV{$variable} if ($ENV{$variable} // '') ne '';
	foreach my $dir (File::Spec->path)
	{
		my $file = File::Spec->catfile($dir, $name);
		return $file if -x $file;
	}
	return;
}

sub read_yaml
{
	my ($file) = @_;
	my $yaml = CPAN::Meta::YAML->read(File::Spec->catfile($folder, $file));

	die "$file: " . CPAN::Meta::YAML->errstr if !defined $yaml;
	return $yaml->[0];
}

my $node = new_server('exporters');
create_roles($node);
$node->safe_psql('postgres', 'CREATE ROLE syncmaster_monitor LOGIN');
create_database($node, 'syncmaster', 'app');
$node->safe_psql('syncmaster', q{
	CREATE EXTENSION syncmaster;
	GRANT SELECT ON syncmaster_metrics TO syncmaster_monitor});
fill_tables($node, 'syncmaster');
$node->safe_psql('syncmaster', 'ANALYZE');

# Series as an exporter writes them, without the value.
sub series
{
	my ($name, %labels) = @_;
	return sprintf '%s{%s}', $name,
	  join ',', map { qq{$_="$labels{$_}"} }
	  grep { $labels{$_} ne '' } sort keys %labels;
}

my $rows = decode_json($node->safe_psql('syncmaster', q{
	SELECT json_agg(m) FROM (TABLE syncmaster_metrics
		UNION ALL SELECT * FROM syncmaster_read_metrics(true)) m}));
my %want = map { (series($_->{name}, %{ $_->{labels} }) => $_->{value}) } @$rows;
cmp_ok(scalar keys %want, '>', 40, 'there are metrics');
my %labels_of = map { $_->{name} => join ' ', sort keys %{ $_->{labels} } } @$rows;

# What came out is what is in the view; counters of the server may have moved on.
sub is_complete
{
	my ($got, $name) = @_;
	my @keys = grep { !/_total\{/ } keys %want;

	is_deeply([ sort keys %$got ], [ sort keys %want ], "$name: all series");
	is_deeply({ map { $_ => ($got->{$_} // '') + 0 } @keys },
		{ map { $_ => $want{$_} + 0 } @keys }, "$name: and their values");
	return;
}

# ---------------------------------------------------------------------------
# Names

foreach my $name (sort keys %labels_of)
{
	like($name, qr/^syncmaster_[a-z]+(_[a-z]+)*$/, "$name is a name");
	unlike($name, qr/_(?:ms|milliseconds|minutes|hours|days|kb|mb|count|sum|bucket)$/,
		"... in a base unit");
}

# ---------------------------------------------------------------------------
# The collector, read as sql_exporter does: a query's row gives a value to each
# metric that refers to the query and whose column is not NULL.

my $config = read_yaml('sql_exporter.yml');
my @collectors = map { read_yaml($_) } @{ $config->{collector_files} };
is_deeply($config->{target}{collectors},
	[ map { $_->{collector_name} } @collectors ], 'the configuration names the collectors');
is_deeply($config->{collector_files},
	[ 'syncmaster.collector.yml', 'syncmaster_health.collector.yml' ], '... and their files');
my %queries = map { $_->{query_name} => $_ } map { @{ $_->{queries} } } @collectors;
is(scalar keys %queries, 2, 'one query for each collector gives all metrics');

my %results;
foreach my $name (keys %queries)
{
	my $query = $queries{$name}{query} =~ s/;?\s*\z//r;
	my ($rc, $stdout, $stderr) =
	  run_sql($node, 'syncmaster', 'syncmaster_monitor',
		"SELECT json_agg(q) FROM ($query) q");

	is("$rc $stderr", '0 ', "query $name can be run by a monitor")
	  or BAIL_OUT('no metrics');
	$results{$name} = decode_json($stdout);
}

my %known = map { $_ => 1 } qw(metric_name type help key_labels values query_ref);
my (%got, $exposition);
foreach my $metric (map { @{ $_->{metrics} } } @collectors)
{
	my $name = $metric->{metric_name};
	my @labels = @{ $metric->{key_labels} // [] };

	is(join(' ', grep { !$known{$_} } keys %$metric), '', "$name: only known keys");
	is($metric->{type}, $name =~ /_total$/ ? 'counter' : 'gauge', "$name: type");
	is(join(' ', sort @labels), $labels_of{$name} // 'not in the view',
		"$name: labels");
	is(scalar @{ $metric->{values} }, 1, "$name: one value");
	isnt($metric->{help} // '', '', "$name: help");
	$exposition .= "# HELP $name $metric->{help}\n# TYPE $name $metric->{type}\n";
	foreach my $row (@{ $results{ $metric->{query_ref} } })
	{
		my ($column) = @{ $metric->{values} };

		die "$name: no column \"$_\""
		  foreach grep { !exists $row->{$_} } $column, @labels;
		next if !defined $row->{$column};
		my $series = series($name, map { $_ => $row->{$_} // '' } @labels);
		ok(!exists $got{$series}, "$series is there once");
		$got{$series} = $row->{$column};
		$exposition .= "$series $row->{$column}\n" =~ s/\{\}//r;
	}
}
is_complete(\%got, 'collector');

# Whoever may create functions in a schema of the path has none of them run, and
# the query of Debian's exporter below runs in their company, too.
$node->safe_psql('syncmaster', q{
	CREATE FUNCTION public.jsonb_build_object(text, float8) RETURNS jsonb
	LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''planted code ran''; END';
	CREATE FUNCTION public.planted(jsonb, name) RETURNS text
	LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''planted code ran''; END';
	CREATE OPERATOR public.->> (LEFTARG = jsonb, RIGHTARG = name,
		FUNCTION = public.planted)});
my @debian = map { $_->{queries}[0]{query} } @{ read_yaml('prometheus-sql-exporter.yml')->{jobs} };
foreach my $query ((map { $_->{query} } values %queries), @debian)
{
	my ($rc, $stdout, $stderr) =
	  run_sql($node, 'syncmaster', 'syncmaster_monitor', $query);

	is("$rc $stderr", '0 ', 'planted code does not run');
	unlike($query, qr/(?<!OPERATOR\(pg_catalog\.)->>/,
		'... as operators are qualified');
}

# ---------------------------------------------------------------------------
# Prometheus

SKIP:
{
	my $promtool = program('PROMTOOL', 'promtool');
	skip 'promtool is not installed; $PROMTOOL may name it', 4
	  if !defined $promtool;

	my $output = '';
	ok( IPC::Run::run([ $promtool, 'check', 'metrics' ],
			'<', \$exposition, '>', \$output, '2>&1'),
		'promtool finds no fault in the metrics') or diag($output);
	foreach my $command (
		[ 'check', 'config', "$folder/prometheus.yml" ],
		[ 'check', 'rules', "$folder/syncmaster.rules.yml" ],
		[ 'test', 'rules', "$folder/../test/syncmaster.rules.test.yml" ])
	{
		ok( IPC::Run::run([ $promtool, @$command ], '>', \$output, '2>&1'),
			"promtool $command->[0] $command->[1]") or diag($output);
	}
}

# Whatever the rules ask for is in the view.
my $rules = slurp_file("$folder/syncmaster.rules.yml");
my %asked = map { $_ => 1 } $rules =~ /\b(syncmaster_(?!full|purge)\w+)(?!\()\b/g;
delete $asked{syncmaster_health};
is(join(' ', grep { !exists $labels_of{$_} } sort keys %asked),
	'', 'the rules ask for metrics of the view');

# ---------------------------------------------------------------------------
# Grafana's dashboard, after the rules of Grafana's own dashboard-linter.

my $dashboard = decode_json(slurp_file("$folder/grafana-dashboard.json"));
my %variable = map { $_->{name} => $_ } @{ $dashboard->{templating}{list} };
is_deeply([ @{ $variable{datasource} }{qw(type query label)} ],
	[ 'datasource', 'prometheus', 'Data source' ], 'dashboard: the source of data can be chosen');
foreach my $name (qw(job instance))
{
	is_deeply(
		[ map { $variable{$name}{$_} } qw(type label multi allValue) ],
		[ 'query', ucfirst $name, JSON::PP::true, '.+' ],
		"dashboard: variable $name");
	is($variable{$name}{datasource}{uid}, '${datasource}', '... of that source');
}
is($dashboard->{editable}, JSON::PP::false, 'dashboard: it is not edited in place');
is($dashboard->{uid}, 'syncmaster-database', '... and has an id of its own');

my (%panel_ids, %covered, @queries_of_panels);
foreach my $panel (@{ $dashboard->{panels} })
{
	my $title = $panel->{title};
	my $at = $panel->{gridPos};

	ok(length $title && length $panel->{description}, "panel $panel->{id} has title and description");
	ok(!$panel_ids{ $panel->{id} }++, "$title: an id of its own");
	like($panel->{type}, qr/^(?:stat|table|timeseries)$/, "$title: a known type");
	like($panel->{fieldConfig}{defaults}{unit}, qr/^(?:short|s|bytes|cps|percentunit)$/, "$title: a unit");
	is_deeply($panel->{datasource}, { type => 'prometheus', uid => '${datasource}' },
		"$title: the source that was chosen");
	ok(!grep({ $covered{$_}++ }
			map { my $x = $_; map { "$x $_" } $at->{y} .. $at->{y} + $at->{h} - 1 }
			  $at->{x} .. $at->{x} + $at->{w} - 1) && $at->{x} + $at->{w} <= 24,
		"$title: a place of its own");
	foreach my $target (@{ $panel->{targets} })
	{
		my $expr = $target->{expr};

		is_deeply($target->{datasource}, $panel->{datasource}, "$title: its query, too");
		isnt($target->{legendFormat} // '', '', '... has a legend');
		while ($expr =~ /\b(syncmaster_\w+)(\{[^}]*\})?/g)
		{
			ok(exists $labels_of{$1}, "$title: $1 is a metric");
			like($2 // '', qr/^\{job=~"\$job", instance=~"\$instance"/, '... of the chosen instances');
		}
		is(scalar(() = $expr =~ /_total\b/g), scalar(() = $expr =~ /rate\(\w+_total\{[^}]*\}\[\$__rate_interval\]\)/g),
			"$title: counters are rates");
		push @queries_of_panels, [ $title, $expr, [ $target->{legendFormat} =~ /\{\{(\w+)\}\}/g ] ];
	}
}
my %shown = map { $_ => 1 } map { $_->[1] =~ /\b(syncmaster_\w+)/g } @queries_of_panels;
is_deeply([ sort keys %shown ], [ grep { !/_complete$/ } sort keys %labels_of ],
	'dashboard: all metrics are in it');

# Have a real Prometheus scrape an exporter, and run the dashboard's queries.
sub run_prometheus
{
	my ($exporter_port) = @_;
  SKIP:
	{
		my $prometheus = program('PROMETHEUS', 'prometheus');
		skip 'prometheus is not installed; $PROMETHEUS may name it', 1
		  if !defined $prometheus;

		# As monitoring/prometheus.yml says, but more often, and of this port.
		my $temp = PostgreSQL::Test::Utils::tempdir();
		my $text = slurp_file("$folder/prometheus.yml");
		$text =~ s{syncmaster\.rules\.yml}{$folder/syncmaster.rules.yml};
		$text =~ s/localhost:9399/127.0.0.1:1/;
		$text =~ s/localhost:9237/127.0.0.1:$exporter_port/;
		append_to_file("$temp/prometheus.yml", "global:\n  scrape_interval: 1s\n$text");
		my $port = PostgreSQL::Test::Cluster::get_free_port();
		my $log = '';
		my $process = IPC::Run::start(
			[
				$prometheus, "--config.file=$temp/prometheus.yml",
				"--storage.tsdb.path=$temp/data", "--web.listen-address=127.0.0.1:$port"
			],
			'>', \$log, '2>&1');
		my $http = HTTP::Tiny->new(timeout => 10, no_proxy => ['127.0.0.1']);
		my $ask = sub {
			my ($expr) = @_;
			my $answer = $http->get("http://127.0.0.1:$port/api/v1/query?"
				  . $http->www_form_urlencode({ query => $expr }));
			return { status => $answer->{content} } if $answer->{content} !~ /^\{/;
			return decode_json($answer->{content});
		};

		# Two scrapes, as a rate needs them.
		foreach my $i (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
		{
			my $answer = $ask->('count_over_time(syncmaster_schema_in_step[1h]) > 1 '
				  . 'and on() count(syncmaster_health_findings)');
			last if @{ $answer->{data}{result} // [] } || !$process->pumpable;
			$process->pump_nb;
			select undef, undef, undef, 0.1;
		}
		foreach my $query (@queries_of_panels)
		{
			my ($title, $expr, $labels) = @$query;
			my $sent = $expr =~ s/\$(?:job|instance)\b/.+/gr =~ s/\$__rate_interval/1h/gr;
			my $answer = $ask->($sent);
			my $result = $answer->{data}{result} // [];

			is($answer->{status}, 'success', "Prometheus: $title") or diag("$sent\n$log");
			cmp_ok(scalar @$result, '>', 0, '... has a series');
			is(join(' ', grep { !exists $result->[0]{metric}{$_} } @$labels), '', '... with the labels of its legend');
		}
		$process->signal('TERM');
		eval { $process->finish };
	}
	return;
}

# ---------------------------------------------------------------------------
# Debian's exporter

SKIP:
{
	my $exporter = program('SQL_EXPORTER', 'prometheus-sql-exporter');
	skip 'prometheus-sql-exporter is not installed; $SQL_EXPORTER may name it', 4
	  if !defined $exporter;

	my $text = slurp_file("$folder/prometheus-sql-exporter.yml");
	my $address = sprintf 'postgres://syncmaster_monitor@/syncmaster?'
	  . 'host=%s&port=%d&sslmode=disable', $node->host, $node->port;
	is($text =~ s/'postgres:[^']*'/'$address'/g, 2, 'both jobs name a database');

	my $temp = PostgreSQL::Test::Utils::tempdir();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	append_to_file("$temp/config.yml", $text);
	my $log = '';
	my $process = IPC::Run::start(
		[
			$exporter, '-config.file', "$temp/config.yml",
			'-web.listen-address', "127.0.0.1:$port"
		],
		'>', \$log, '2>&1');
	my $http = HTTP::Tiny->new(timeout => 10, no_proxy => ['127.0.0.1']);
	my $page = '';
	foreach my $i (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $answer = $http->get("http://127.0.0.1:$port/metrics");
		$page = $answer->{content} if $answer->{success};
		last if ($page =~ /^sql_syncmaster\{/m && $page =~ /^sql_syncmaster_health\{/m)
		  || !$process->pumpable;
		$process->pump_nb;
		select undef, undef, undef, 0.1;
	}
	run_prometheus($port);
	$process->signal('TERM');
	eval { $process->finish };

	# as metric_relabel_configs in prometheus.yml says
	my $relabel = read_yaml('prometheus.yml')->{scrape_configs}[1]{metric_relabel_configs};
	my $drop = qr/^(?:$relabel->[1]{regex})$/;
	my %series;
	while ($page =~ /^sql_syncmaster(?:_health)?\{(.*)\} (\S+)$/mg)
	{
		my ($list, $value) = ($1, $2);
		my %labels = $list =~ /(\w+)="((?:[^"\\]|\\.)*)"/g;
		my $name = $labels{name};

		delete @labels{ grep { $_ =~ $drop } keys %labels };
		delete @labels{qw(database host)};
		$series{ series($name, %labels) } = $value;
	}
	is_complete(\%series, "Debian's exporter") or diag($log);
}

$node->stop;
done_testing();
