# The table of doc/scale-out.md, which says of each function where it works.

package FunctionTable;

use strict;
use warnings;

use Documentation;
use Exporter 'import';
use FunctionCalls;
use Test::More;

our @EXPORT = qw(is_as_in_table is_function_table);

# The section of doc/scale-out.md, and its table as {function}{place} => cell.
sub function_table
{
	my ($section) = grep { $_->{title} eq 'Every function' } sections('doc/scale-out.md');
	my ($head, undef, @rows) =
	  map { [ split / *\| */ ] } grep { /^\|/ } split /\n/, $section->{text};
	my %cells;

	foreach my $row (@rows)
	{
		my ($name) = $row->[1] =~ /`(\w+)\(\)`/ or die "no function: $row->[1]";
		die "$name() is there twice" if $cells{$name};
		$cells{$name}{ $head->[$_] } = $row->[$_] foreach 2 .. $#$head;
	}
	return ($section->{text}, \%cells);
}

# Has the table each function?
sub is_function_table
{
	my ($node, $dbname) = @_;
	my (undef, $cells) = function_table();

	is_deeply([ sort keys %$cells ],
		[ sort map { $_->[0] } function_calls($node, $dbname) ],
		'doc/scale-out.md has each function once');
	is_deeply([ grep { !/^(?:works|works here only|`\w{5}`)$/ }
			map { values %$_ } values %$cells ],
		[], '... and says of each whether it works');
	return;
}

# Does each function work there, or fail with the error that the table says, and with
# a message that the section has?  Transactions are rolled back, but procedures commit;
# with reads => 1, nothing is changed before; functions that match "except" are not called.
sub is_as_in_table
{
	my ($place, $node, $dbname, %params) = @_;
	my ($text, $cells) = function_table();
	my (@got, @wanted);

	foreach my $function (function_calls($node, $dbname))
	{
		my ($name, $kind, $all, $call) = @$function;
		my $want = $cells->{$name}{$place} // '';

		next if $params{except} && $name =~ $params{except};
		$all = $call if $params{reads};
		my $sql = $kind eq 'p' ? "$key_settings $call" : "BEGIN; $key_settings $all; ROLLBACK";
		my (undef, undef, $err) =
		  $node->psql($dbname, "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
		my ($code, $message) = $err =~ /ERROR:  (\w{5}): (.*)/;

		$want = 'works' if $want eq 'works here only';
		push @wanted, "$name $want";
		push @got, "$name " . (defined $code ? "`$code`" : 'works');
		next if !defined $code;
		$message =~ s/syncmaster_\w+\(\)|(?:CREATE|DROP|ALTER) EXTENSION/…/;
		like($text, qr/`$code`[^|]*?`\Q$message\E`/, "$place: $name(): the page has the message");
	}
	is_deeply(\@got, \@wanted, "$place: each function is as doc/scale-out.md says")
	  or diag(join "\n", @got);
	return;
}

1;
