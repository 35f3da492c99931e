# A release, made in a copy: all files say the same of it, its scripts are frozen, and its
# notes are those of the changelog.

use strict;
use warnings;

use FindBin;

use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'git or python3 is not installed'
  if system('{ git --version && python3 --version; } >/dev/null 2>&1') != 0;
my $copy = PostgreSQL::Test::Utils::tempdir() . '/copy';
chdir "$FindBin::RealBin/.." or die "could not change directory: $!";
system_or_bail('sh', '-euc', '. tools/lib.sh; copy_sources "$1"', 'sh', $copy);
chdir $copy or die "could not change directory: $!";
$ENV{GIT_CONFIG_GLOBAL} = '/dev/null';
$ENV{GIT_AUTHOR_NAME} = $ENV{GIT_COMMITTER_NAME} = 'a';
$ENV{GIT_AUTHOR_EMAIL} = $ENV{GIT_COMMITTER_EMAIL} = 'a@example.com';
system_or_bail('sh', '-euc', 'rm -rf .git results && git init -q . && git add . && git commit -q -m old');

sub output
{
	my (@command) = @_;
	my ($out, $err) = run_command(\@command);
	return "$out\n$err\n" =~ s/\A\n+|\n+\z//gr;
}

sub write_text
{
	my ($file, $text) = @_;
	open my $fh, '>', $file or die "could not write $file: $!";
	print $fh $text;
	close $fh or die "could not write $file: $!";
	return;
}

my $metadata = sub { return output('python3', 'tools/metadata.py') };
is($metadata->(), '', 'before: all agree');

my ($version) = slurp_file('syncmaster.control') =~ /^default_version = '(.*)'/m;
my $release = $version =~ tr/.// == 2 ? $version : "$version.0";
my ($notes) = slurp_file('CHANGELOG.md') =~ /^## \[\Q$version\E\] - .*\n+((?:(?!## ).*\n)+)/m;
SKIP:
{
	skip "$version is released", 10 if slurp_file('META.json') !~ /"testing"/;

	like(output('python3', 'tools/release.py', 'tomorrow'), qr/^Release the version/, 'a wrong date: refused');
	write_text('new', '');
	like(output('python3', 'tools/release.py'), qr/not committed/, 'a new file: refused');
	unlink 'new';
	like(output('python3', 'tools/release.py', '2031-02-30'), qr/^Release the version/, 'a date that is none: refused');
	system_or_bail('git', 'tag', "v$release");
	like(output('sh', '-c', 'cd t && python3 ../tools/release.py'), qr/^the tag v\Q$release\E is there already$/, 'a tag that is there: refused');
	system_or_bail('git', 'tag', '-d', "v$release");

	# A script of an earlier release was changed.
	my ($old) = glob 'migrations/*.sql';
	write_text('test/released.sha256', "0  $old\n");
	system_or_bail('git', 'add', '.');
	system_or_bail('git', 'commit', '-q', '-m', 'old release');
	is(output('python3', 'tools/release.py'), "$old was released, and may not change\nnothing was changed", 'a changed script: refused');
	is(output('git', 'status', '--porcelain'), '', 'and nothing was changed');
	system_or_bail('git', 'reset', '-q', '--hard', 'HEAD~');

	is(output('python3', 'tools/release.py', '2031-02-03'),
		"released as v$release: now make dist, and push the tag", 'released');
	is(output('git', 'diff', '-U0', 'HEAD~', '--', 'CHANGELOG.md', 'debian', 'META.json') =~ s/^(?![-+][^-+]).*\n//mgr =~ s/\n?\z/\n/r,
		<<TEXT, 'what it changes');
-## [$version] - unreleased
+## [$version] - 2031-02-03
-   "release_status": "testing",
+   "release_status": "stable",
-postgresql-syncmaster ($version-1) UNRELEASED; urgency=medium
+postgresql-syncmaster ($version-1) unstable; urgency=medium
- -- syncmaster contributors <maintainers\@syncmaster.invalid>  @{[ $notes && output('git', 'show', 'HEAD~:debian/changelog') =~ />  (.*)/ ]}
+ -- syncmaster contributors <maintainers\@syncmaster.invalid>  Mon, 03 Feb 2031 00:00:00 +0000
TEXT
	is(output('git', 'describe') . output('git', 'status', '--porcelain'), "v$release", 'tagged, and nothing is left');
	like(output('python3', 'tools/release.py'), qr/CHANGELOG.md has 0 places .* is it released\?/, 'again: refused');
}

# What it freezes.
is($metadata->(), '', 'after: all agree');
my @scripts = glob 'migrations/*.sql';
foreach my $script (@scripts)
{
	my $text = slurp_file($script);
	write_text($script, "$text-- \n");
	is($metadata->(), "$script was released, and may not change", "$script changed");
	write_text($script, $text);
}
foreach my $case (
	[ 'CHANGELOG.md', qr/^(## .* - )\d.*/m, 'unreleased', qr/^CHANGELOG.md: the date of \Q$version\E is unreleased, and/ ],
	[ 'debian/changelog', qr/()unstable/, 'UNRELEASED', qr/^debian.changelog and META.json do not agree/ ],
	[ 'META.json', qr/()"stable"/, '"testing"', qr/^CHANGELOG.md: the date .*\ndebian.changelog and META.json do not agree/ ],
	[ 'test/released.sha256', qr/()\A.*\n/, '', qr{^\Q$scripts[0]\E is not in test/released.sha256: tools/release.py} ])
{
	my ($file, $pattern, $instead, $message) = @$case;
	my $text = slurp_file($file);
	write_text($file, $text =~ s/$pattern/$1$instead/r);
	like($metadata->(), $message, "$file differs");
	write_text($file, $text);
}
rename $scripts[0], "$scripts[0].away" or die;
like($metadata->(), qr/^\Q$scripts[0]\E was released, and may not change$/m, "$scripts[0] is gone");
rename "$scripts[0].away", $scripts[0] or die;

# What is handed out.
system_or_bail('packaging/dist', 'source');
is(slurp_file("dist/syncmaster-$release-notes.md"), $notes, 'the notes are the section of the changelog');
ok(-s "dist/syncmaster-$release.zip", 'beside the bundle');

# The next version on the same revision, begun as CONTRIBUTING.md says.
my $next = $version =~ tr/.// == 2 ? $version =~ s/(\d+)$/$1 + 1/er : "$version.1";
foreach my $case (
	[ 'syncmaster.control', qr/^default_version = .*/m, "default_version = '$next'" ],
	[ 'META.json', qr/"stable"/, '"testing"' ],
	[ 'META.json', qr/"version": "\Q$release\E"/, "\"version\": \"$next\"" ],
	[ 'CHANGELOG.md', qr/(?=^## \[)/m, "## [$next] - unreleased\n\n" ],
	[ 'debian/changelog', qr/\A/, "postgresql-syncmaster ($next-1) UNRELEASED; urgency=medium\n\n" ])
{
	my ($file, $pattern, $instead) = @$case;
	my $text = slurp_file($file);
	$file eq 'META.json' ? $text =~ s/$pattern/$instead/g : $text =~ s/$pattern/$instead/;
	write_text($file, $text);
}
like($metadata->(), qr/^no script leads to the default version \Q$next\E$/m, 'the next version needs scripts');
write_text("migrations/syncmaster--$version--$next.sql",
	"\\echo Use \"ALTER EXTENSION syncmaster UPDATE\" to load this file. \\quit\n\nSELECT \@extschema\@.syncmaster_finish_script('$next');\n");
write_text("migrations/syncmaster--$next--$version.sql",
	"\\echo Use \"ALTER EXTENSION syncmaster UPDATE TO '$version'\" to load this file. \\quit\n\nSELECT \@extschema\@.syncmaster_finish_script('$version');\n");
is($metadata->(), '', 'with them, all agree');

done_testing();
