# What CREATE EXTENSION makes, looked at as a whole: every member has a comment.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('objects');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION syncmaster');

my $members = q{
	FROM pg_depend d
	WHERE d.deptype = 'e'
	  AND d.refclassid = 'pg_extension'::regclass
	  AND d.refobjid =
		  (SELECT oid FROM pg_extension WHERE extname = 'syncmaster')};

cmp_ok($node->safe_psql('postgres', "SELECT count(*) $members"),
	'>', 0, 'the extension has members');

# The array type of a composite type is a member as well, and from 18 on the row
# type of a view; neither is anybody's business.
is( $node->safe_psql(
		'postgres', qq{
		SELECT pg_describe_object(d.classid, d.objid, 0) $members
		  AND NOT EXISTS (SELECT FROM pg_description c
						  WHERE (c.classoid, c.objoid, c.objsubid) =
								(d.classid, d.objid, 0))
		  AND NOT EXISTS (SELECT FROM pg_type t
						  WHERE d.classid = 'pg_type'::regclass
							AND t.oid = d.objid
							AND (t.typelem <> 0 OR EXISTS (
								SELECT FROM pg_class r
								WHERE r.oid = t.typrelid AND r.relkind = 'v')))
		ORDER BY 1}),
	'',
	'every member has a comment');

done_testing();
