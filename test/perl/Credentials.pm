# What the tests of credentials share: keys, key files, a server with rows.

package Credentials;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(%KEY %FINGERPRINT start_node write_keys use_keys query sqlstate
  add_connections);

# Made for the tests, and used nowhere else.
our %KEY = (
	one => '0VPSCAKRIak_0nizRqHAL0KS12_yZl1EMBlFaBBOzNs=',
	two => 'bClzApDlUdcAx_3pgmTmdKHP6Oq5hDxOZVmN7UNCWNY=',
	three => 'rBLfgMjuHPhzxx9CxjDnTyD3qoA53j6NlJAjQmoOVe0=');
our %FINGERPRINT = (
	one => 'dcaeffd3a7a8e9d1',
	two => 'e2a10788cd6fbd03',
	three => 'd6bc2e64d5201f62');

# A server with the extension, and its owner's tables in a schema named "app".
sub start_node
{
	my ($name, $settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', $settings) if $settings;
	$node->start;
	$node->safe_psql(
		'postgres', q{
		CREATE ROLE app LOGIN;
		CREATE SCHEMA app AUTHORIZATION app;
		ALTER DATABASE postgres SET search_path = app;
		CREATE EXTENSION syncmaster SCHEMA app;
		SELECT app.syncmaster_set_owner('app')});
	return $node;
}

# Write a file into the data directory, where relative names point.
sub write_keys
{
	my ($node, $file, @lines) = @_;
	my $path = $node->data_dir . "/$file";

	open my $fh, '>', $path or die "could not write $path: $!";
	print $fh map { "$_\n" } @lines;
	close $fh or die "could not write $path: $!";
	chmod 0600, $path or die "could not chmod $path: $!";
	return $path;
}

# Settings for a session: the key file, and that of previous keys.
sub use_keys
{
	my ($file, $previous) = @_;
	$previous = '' if !defined $previous;
	return qq{
		SET syncmaster.secret_key_file = '$file';
		SET syncmaster.previous_secret_key_file = '$previous';
	};
}

# Result and errors of SQL, with verbose messages.
sub query
{
	my ($node, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	return ($out, $err);
}

sub sqlstate
{
	my ($err) = @_;
	return $err =~ /ERROR:  (\w{5}):/ ? $1 : "none in: $err";
}

# Connections with the given numbers, under one group.
sub add_connections
{
	my ($node, $from, $to) = @_;
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO "user" (id, username, is_superuser, is_active)
			VALUES (1, 'owner', false, true) ON CONFLICT DO NOTHING;
		INSERT INTO "group" (id, name, description, owner_id)
			VALUES (1, 'group', '', 1) ON CONFLICT DO NOTHING;
		INSERT INTO connection (id, group_id, type, name, description, data)
			SELECT g, 1, 'postgres', 'c' || g, '', '{}'
			FROM generate_series($from, $to) g});
	return;
}

1;
