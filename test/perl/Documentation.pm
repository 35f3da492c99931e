# The documentation as tests see it: its files, their headings and links, and the
# blocks of code in them, which can be run.
#
# A ```sql block is run by psql.  A ```text block right behind it is what psql
# prints: tables and errors, where "…" stands for anything within a line, a line
# "…" for any lines, and runs of spaces and dashes for runs of any length.  An
# error that is not shown there is a failure.  What a reader need not see is in a
# comment: <!-- sql ... -->, and <!-- database: NAME --> says where the blocks after
# it are run.
#
# A ```sh block is run by a shell of its own, in a folder that the page's blocks share,
# a ```conf block is read by a server.  <!-- not run: WHY --> is right before a block for
# which there is another test, or can be none.

package Documentation;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use Test::More;

our @EXPORT = qw(blocks headings is_as_shown links pages run_blocks run_session
  run_shell_blocks sections slurp_page);

# All pages, README.md first.
sub pages
{
	return grep { -f } 'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md',
	  sort(glob '*/README.md'), sort(glob 'doc/*.md doc/*/*.md');
}

sub slurp_page
{
	my ($page) = @_;
	local $/;
	open my $fh, '<', $page or die "could not read $page: $!";
	return scalar <$fh>;
}

# The blocks of code on a page, in order: kind (sql, sh, text, mermaid, ..., or
# "database" for the comment), text, line, and whether it is hidden.
sub blocks
{
	my ($page) = @_;
	my ($block, $end, $indent, $not_run, @blocks);
	my $number = 0;

	foreach my $line (split /\n/, slurp_page($page))
	{
		$number++;
		if (defined $block)
		{
			if ($line =~ $end)
			{
				push @blocks, $block;
				undef $block;
				next;
			}
			$line =~ s/^ {0,$indent}//;
			$block->{text} .= "$line\n";
		}
		elsif ($line =~ /^( *)```(\w*)\s*$/)
		{
			($indent, $end) = (length $1, qr/^ *```\s*$/);
			$block = { kind => $2, text => '', line => $number, not_run => $not_run };
			undef $not_run;
		}
		elsif ($line =~ /^ *<!-- not run: (.*) -->$/)
		{
			$not_run = $1;
		}
		elsif ($line =~ /^( *)<!-- (sql|sh)$/)
		{
			($indent, $end) = (length $1, qr/^ *-->$/);
			$block = { kind => $2, text => '', line => $number, hidden => 1 };
		}
		elsif ($line =~ /^<!-- database: (\w+) -->$/)
		{
			push @blocks, { kind => 'database', text => $1, line => $number };
		}
	}
	die "$page: a block is not closed" if defined $block;
	return @blocks;
}

# The parts of a page, each from a heading to the next one of any level.
sub sections
{
	my ($page) = @_;
	my (@sections, $fenced);

	foreach my $line (split /\n/, slurp_page($page))
	{
		$fenced = !$fenced if $line =~ /^ *```/;
		if (!$fenced && $line =~ /^(#+) +(.*?) *$/)
		{
			push @sections, { level => length $1, title => $2, text => '' };
		}
		elsif (@sections)
		{
			$sections[-1]{text} .= "$line\n";
		}
	}
	return @sections;
}

# What a link to a heading of the page may name: GitHub's and Gitea's rule.
sub headings
{
	my ($page) = @_;
	my (@anchors, %seen);

	foreach my $section (sections($page))
	{
		my $anchor = lc $section->{title};
		$anchor =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
		$anchor =~ s/[^\w\- ]//g;
		$anchor =~ s/ /-/g;
		my $n = $seen{$anchor}++;
		push @anchors, $n ? "$anchor-$n" : $anchor;
	}
	return @anchors;
}

# Targets of the links on a page, outside of code.
sub links
{
	my ($page) = @_;
	my $text = slurp_page($page);

	$text =~ s/^ *```.*?^ *```//gms;
	$text =~ s/`[^`\n]*`//g;
	return $text =~ /\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)/g;
}

# Run the sql blocks of a page, in one session of psql for each database; a test
# for each block.  $prepare->(NAME) gives the database for the name in a comment,
# or for "empty" at the top of the page.
sub run_blocks
{
	my ($node, $page, $prepare) = @_;
	my (@runs, @group, $name);
	my @blocks = blocks($page);

	return 0 if !grep { $_->{kind} eq 'sql' } @blocks;
	$name = 'empty';
	foreach my $i (0 .. $#blocks)
	{
		my $block = $blocks[$i];
		if ($block->{kind} eq 'database')
		{
			push @runs, [ $name, @group ] if @group;
			($name, @group) = ($block->{text});
		}
		elsif ($block->{kind} eq 'sql' && !$block->{not_run})
		{
			my $next = $blocks[ $i + 1 ];
			$block->{expected} = $next->{text}
			  if $next && $next->{kind} eq 'text';
			push @group, $block;
		}
	}
	push @runs, [ $name, @group ] if @group;
	run_session($node, $page, $prepare->($_->[0]), @$_[ 1 .. $#$_ ])
	  foreach @runs;
	return 1;
}

# Run the sh blocks of a page, each in a shell of its own, in $folder; a test for each.
# $replace->(TEXT) puts the test's own places where the page has a reader's.
sub run_shell_blocks
{
	my ($node, $page, $folder, $replace) = @_;

	foreach my $block (grep { $_->{kind} eq 'sh' && !$_->{not_run} } blocks($page))
	{
		my ($stdout, $stderr) = ('', '');
		local $ENV{PGHOST} = $node->host;
		local $ENV{PGPORT} = $node->port;
		delete local $ENV{PGDATABASE};
		IPC::Run::run(
			[ 'sh', '-euc', 'cd "$1"; eval "$2"', 'sh', $folder, $replace->($block->{text}) ],
			'<', \'', '>', \$stdout, '2>', \$stderr);
		is($? >> 8, 0, "$page, line $block->{line}: exit status") or diag($stdout, $stderr);
	}
	return;
}

# Several blocks one after the other in one session.
sub run_session
{
	my ($node, $page, $database, @blocks) = @_;
	my $marker = '=== block';
	my $script = '';
	my ($stdout, $stderr) = ('', '');

	$script .= "\\echo $marker\n\\warn $marker\n$_->{text}\n;\n\\o\n"
	  . "\\pset format aligned\n\\pset tuples_only off\n"
	  foreach @blocks;
	{
		local $ENV{PGHOST} = $node->host;
		local $ENV{PGPORT} = $node->port;
		local $ENV{PGDATABASE} = $database;
		local $ENV{PGCLIENTENCODING} = 'UTF8';
		IPC::Run::run([ 'psql', '-Xq', '-P', 'pager=off' ],
			'<', \$script, '>', \$stdout, '2>', \$stderr);
	}
	my (undef, @results) = split /^\Q$marker\E\n/m, $stdout, -1;
	my (undef, @messages) = split /^\Q$marker\E\n/m, $stderr, -1;
	foreach my $i (0 .. $#blocks)
	{
		is_as_shown("$page, line $blocks[$i]{line}",
			$blocks[$i], $results[$i], $messages[$i]);
	}
	return;
}

my $message_line = qr/^(?:(?:psql: )?(?:ERROR|FATAL|WARNING|NOTICE|INFO): |
	(?:DETAIL|HINT|CONTEXT|LINE\ \d+): |\\|\s*\^)/x;

sub is_as_shown
{
	my ($name, $block, $result, $messages) = @_;
	my $expected = $block->{expected};

	if (!defined $result || !defined $messages)
	{
		return fail("$name: not run");
	}
	if (!defined $expected)
	{
		return unlike($messages, qr/^(?:ERROR|FATAL):/m, "$name: no error");
	}
	my (@shown_result, @shown_messages);
	my $lines = \@shown_result;
	foreach my $line (split /\n/, $expected)
	{
		# A line "…" goes on with what was before.
		$lines = $line =~ /$message_line/ ? \@shown_messages : \@shown_result
		  if $line ne '…';
		push @$lines, $line;
	}

	return
	     like(simplified($result), pattern(@shown_result), "$name: result")
	  && like(
		simplified(join '', map { "$_\n" } grep { /^ERROR:|^FATAL:/ || @shown_messages }
			  split /\n/, $messages),
		pattern(@shown_messages), "$name: messages");
}

sub simplified
{
	my ($text) = @_;
	$text =~ s/[ \t]+$//gm;
	$text =~ s/^ +//gm;
	$text =~ s/ {2,}/ /g;
	$text =~ s/-{2,}/--/g;
	$text =~ s/\n\n+/\n/g;
	$text =~ s/\A\n+//;
	$text =~ s/\n+\z//;
	return $text;
}

# The lines as a regular expression.
sub pattern
{
	my $text = simplified(join '', map { "$_\n" } @_);
	my $pattern = join "\n", map {
		$_ eq '…' ? '(?:.*\n?)*?' : join '.*?', map { quotemeta } split /…/, $_, -1
	} split /\n/, $text;

	# Where any lines may be, there may be none.
	$pattern =~ s/\n(\Q(?:.*\n?)*?\E)/\n?$1/g;
	$pattern =~ s/(\Q(?:.*\n?)*?\E)\n/$1\n?/g;
	return qr/\A$pattern\n*\z/;
}

1;
