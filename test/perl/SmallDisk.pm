# Disks that can be filled: file systems of some megabytes, which test/run mounts
# in the folder that $SMALL_DISKS names.

package SmallDisk;

use strict;
use warnings;

use Exporter 'import';
use File::Path qw(remove_tree);

our @EXPORT = qw(small_disk free_bytes leave_free);

# The folder of a disk, which is emptied; nothing if there is none.
sub small_disk
{
	my ($name) = @_;
	my $disks = $ENV{SMALL_DISKS} // '';

	return if $disks eq '' || !-w "$disks/$name";
	remove_tree("$disks/$name", { keep_root => 1 });
	return "$disks/$name";
}

sub free_bytes
{
	my ($disk) = @_;
	my (undef, $line) = qx{df -kP '$disk'};

	return (split ' ', $line)[3] * 1024;
}

# Leave so many bytes on it; all, if none are given.
sub leave_free
{
	my ($disk, $bytes) = @_;

	unlink "$disk/filler";
	return if !defined $bytes;
	open my $file, '>', "$disk/filler" or die "could not open filler: $!";
	print $file "\0" x (free_bytes($disk) - $bytes);
	close $file or die "could not fill $disk: $!";
	return;
}

1;
