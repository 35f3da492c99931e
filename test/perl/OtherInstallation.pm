# Another installation of PostgreSQL, with the same programs but with files of
# the test's choice left out.

package OtherInstallation;

use strict;
use warnings;

use Exporter qw(import);
use File::Basename qw(basename);
use File::Path qw(make_path);
use PostgreSQL::Test::Utils;

our @EXPORT = qw(other_installation);

# PostgreSQL finds its files relative to its programs.  So a copy of these, with
# the other files laid out around them in the same way, is an installation of
# its own.  Files whose names match the pattern are left out.  Returns the
# folders of its programs, its extension scripts and its libraries.
sub other_installation
{
	my ($name, $left_out) = @_;
	my $root = PostgreSQL::Test::Utils::tempdir() . "/$name";
	my %dir;

	foreach my $kind (qw(bindir pkglibdir sharedir))
	{
		chomp($dir{$kind} = qx{pg_config --$kind});
		make_path("$root$dir{$kind}");
	}

	# No link: the program looks where it really is.
	system('cp', glob("$dir{bindir}/*"), "$root$dir{bindir}/") == 0
	  or die "could not copy $dir{bindir}";
	link_files($dir{pkglibdir}, "$root$dir{pkglibdir}", $left_out);
	link_files($dir{sharedir}, "$root$dir{sharedir}", qr/^extension$/);
	link_files("$dir{sharedir}/extension", "$root$dir{sharedir}/extension",
		$left_out);
	return ("$root$dir{bindir}", "$root$dir{sharedir}/extension",
		"$root$dir{pkglibdir}");
}

# Link the files of one folder into another, but for those left out.
sub link_files
{
	my ($from, $to, $left_out) = @_;

	make_path($to);
	foreach my $path (glob "$from/*")
	{
		my $name = basename($path);
		next if $name =~ $left_out || (-d $path && -e "$to/$name");
		symlink $path, "$to/$name" or die "could not link $to/$name: $!";
	}
	return;
}

1;
