# Damages to names, rights and membership, and to what hangs on the tables from
# outside; and changes that are none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../test/perl";

use DamagedSchema;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $version) = damaged_server('check_names', 'wal_level = logical');

my @damages = (
	# names
	[
		'ALTER TABLE "user" RENAME TO users',
		'error|table|user|is missing, but seems to have another name', 'fix'
	],
	[
		'ALTER TABLE run RENAME status TO state',
		'error|column|run.status|is missing, but seems to have another name',
		'fix'
	],
	[
		'ALTER TABLE "group" RENAME name TO title',
		'error|column|group.name|is missing, but seems to have another name',
		'fix'
	],
	[
		'ALTER TABLE connection RENAME search_vector TO words',
		'error|column|connection.search_vector|'
		  . 'is missing, but seems to have another name',
		'fix'
	],
	[
		'ALTER SEQUENCE run_id_seq RENAME TO run_seq',
		'warning|sequence|run_id_seq|has another name', 'repair'
	],
	[
		'ALTER SEQUENCE run_id_seq RENAME TO run_seq; '
		  . 'CREATE VIEW run_id_seq AS SELECT 1',
		'warning|sequence|run_id_seq|has another name', 'fix'
	],
	[
		'ALTER TABLE run ALTER id DROP DEFAULT; DROP SEQUENCE run_id_seq; '
		  . 'CREATE TABLE run_id_seq ()',
		'error|sequence|run_id_seq|is no sequence', 'fix'
	],
	[
		'DROP INDEX ix__run__status; CREATE TABLE ix__run__status ()',
		'warning|index|ix__run__status|is missing, and its name is taken',
		'fix'
	],
	[
		'DROP INDEX ix__run__status; '
		  . 'CREATE INDEX ix__run__status ON transfer (name)',
		'warning|index|ix__run__status|is missing, and its name is taken',
		'fix'
	],
	[
		'ALTER INDEX ix__run__status RENAME TO status; '
		  . 'CREATE VIEW ix__run__status AS SELECT 1',
		'warning|index|ix__run__status|has another name, and its name is taken',
		'fix'
	],
	[
		'ALTER TABLE run DROP CONSTRAINT pk__run; '
		  . 'CREATE INDEX pk__run ON transfer (name)',
		'error|constraint|run.pk__run|is missing, and its name is taken', 'fix'
	],
	[
		'ALTER TABLE connection DROP CONSTRAINT uq__connection__name_group_id; '
		  . 'CREATE UNIQUE INDEX uq__connection__name_group_id '
		  . 'ON connection (name, group_id)',
		'error|constraint|connection.uq__connection__name_group_id|is missing',
		'repair'
	],
	[
		'ALTER TABLE queue DROP CONSTRAINT uq__queue__slug; '
		  . 'CREATE INDEX uq__queue__slug ON queue (name)',
		'error|constraint|queue.uq__queue__slug|'
		  . 'is missing, and its name is taken',
		'fix'
	],
	[
		'ALTER INDEX pk__run RENAME TO run_pkey',
		'warning|constraint|run.pk__run|has another name', 'repair'
	],
	# keys
	[
		'ALTER TABLE transfer DROP CONSTRAINT pk__transfer CASCADE',
		'error|constraint|transfer.pk__transfer|is missing', 'repair'
	],
	[
		'ALTER TABLE transfer DROP CONSTRAINT pk__transfer CASCADE, '
		  . 'ADD CONSTRAINT pk__transfer UNIQUE (id)',
		'error|constraint|transfer.pk__transfer|is another one', 'fix'
	],
	[
		'ALTER TABLE user_group DROP CONSTRAINT pk__user_group, '
		  . 'ADD CONSTRAINT pk__user_group PRIMARY KEY (group_id, user_id)',
		'error|constraint|user_group.pk__user_group|is another one', 'repair'
	],
	[
		'ALTER TABLE run DROP CONSTRAINT fk__run__transfer_id__transfer, '
		  . 'ADD CONSTRAINT fk__run__transfer_id__transfer '
		  . 'FOREIGN KEY (transfer_id) REFERENCES transfer (id) '
		  . 'ON DELETE CASCADE ON UPDATE CASCADE',
		'error|constraint|run.fk__run__transfer_id__transfer|is another one',
		'repair'
	],
	[
		'ALTER TABLE run DROP CONSTRAINT fk__run__transfer_id__transfer, '
		  . 'ADD CONSTRAINT fk__run__transfer_id__transfer '
		  . 'FOREIGN KEY (transfer_id) REFERENCES connection (id) '
		  . 'ON DELETE CASCADE',
		'error|constraint|run.fk__run__transfer_id__transfer|is another one',
		'repair'
	],
	[
		q{DO $$BEGIN EXECUTE (
			SELECT format('ALTER TABLE transfer ENABLE REPLICA TRIGGER %I', tgname)
			FROM pg_trigger WHERE tgrelid = 'transfer'::regclass
			AND tgconstrrelid = 'run'::regclass LIMIT 1); END$$},
		'error|constraint|run.fk__run__transfer_id__transfer|'
		  . 'has disabled triggers, so that it guards nothing',
		'repair'
	],
	[
		'ALTER TABLE run ADD CONSTRAINT second FOREIGN KEY (transfer_id) '
		  . 'REFERENCES transfer (id)',
		'warning|constraint|run.second|is extra', 'fix'
	],
	[
		'CREATE SCHEMA away; CREATE TABLE away.note '
		  . '(run_id bigint REFERENCES run (id))',
		'warning|constraint|away.note.note_run_id_fkey|'
		  . 'keeps rows of table "run" from being deleted',
		'fix'
	],
	[
		'CREATE TABLE note (run_id bigint REFERENCES run (id) '
		  . 'ON DELETE SET NULL)',
		'info|constraint|public.note.note_run_id_fkey|refers to table "run"',
		'info'
	],
	[
		'UPDATE pg_index SET indisvalid = false '
		  . q{WHERE indexrelid = 'uq__queue__slug'::regclass},
		'error|index|uq__queue__slug|is not valid', 'repair'
	],
	# indexes
	[
		'DROP INDEX ix__run__status; CREATE INDEX ix__run__status ON run '
		  . '(status) INCLUDE (type)',
		'warning|index|ix__run__status|is another one', 'repair'
	],
	[
		'DROP INDEX ix__run__status; CREATE INDEX ix__run__status ON run '
		  . '(status COLLATE "C")',
		'warning|index|ix__run__status|is another one', 'repair'
	],
	[
		'DROP INDEX ix__run__status; CREATE INDEX ix__run__status ON run '
		  . 'USING hash (status)',
		'warning|index|ix__run__status|is another one', 'repair'
	],
	[
		'DROP INDEX ix__run__status; CREATE INDEX ix__run__status ON run '
		  . '((lower(status)))',
		'warning|index|ix__run__status|is another one', 'repair'
	],
	[
		'DROP INDEX ix__run__status; CREATE UNIQUE INDEX ix__run__status '
		  . 'ON run (status, id)',
		'error|index|ix__run__status|is another one', 'fix'
	],
	# columns
	[
		'ALTER TABLE run ALTER created_at TYPE timestamp',
		'error|column|run.created_at|is of another type', 'fix'
	],
	[
		'ALTER TABLE run ALTER created_at TYPE timestamptz(0)',
		'warning|column|run.created_at|is of another type', 'fix'
	],
	[
		'CREATE DOMAIN word AS varchar(255); '
		  . 'ALTER TABLE run ALTER status TYPE word',
		'error|column|run.status|is of another type', 'fix'
	],
	[
		'ALTER TABLE celery_taskmeta ALTER id TYPE bigint',
		'error|column|celery_taskmeta.id|is of another type', 'fix'
	],
	[
		'ALTER TABLE auth_data ALTER value TYPE varchar(10)',
		'warning|column|auth_data.value|'
		  . 'is shorter than SyncMaster makes it now',
		'repair'
	],
	[
		'ALTER TABLE connection DROP search_vector',
		'error|column|connection.search_vector|is missing', 'repair'
	],
	[
		'ALTER TABLE connection DROP search_vector, '
		  . 'ADD search_vector tsvector',
		'error|column|connection.search_vector|is not generated', 'fix'
	],
	[
		'ALTER TABLE connection DROP search_vector, ADD search_vector text',
		'error|column|connection.search_vector|is of another type', 'fix'
	],
	[
		'ALTER TABLE run ALTER id DROP DEFAULT; '
		  . 'ALTER TABLE run ALTER id ADD GENERATED BY DEFAULT AS IDENTITY',
		'warning|column|run.id|is an identity', 'fix'
	],
	# a generated column goes only if nobody's work goes with it
	[
		q{ALTER TABLE transfer DROP search_vector,
			ADD search_vector tsvector NOT NULL
			GENERATED ALWAYS AS (to_tsvector('simple', name)) STORED;
		CREATE INDEX idx_transfer_search_vector ON transfer
			USING gin (search_vector)},
		'error|column|transfer.search_vector|has another expression', 'repair'
	],
	(
		map {
			[
				q{ALTER TABLE transfer DROP search_vector,
					ADD search_vector tsvector NOT NULL
					GENERATED ALWAYS AS (to_tsvector('simple', name)) STORED;
				CREATE INDEX idx_transfer_search_vector ON transfer
					USING gin (search_vector);} . $_->[0],
				'error|column|transfer.search_vector|has another expression' . ($_->[2] // ''),
				$_->[1]
			]
		} (
			[ 'CREATE INDEX mine ON transfer USING gist (search_vector)', 'fix' ],
			[ 'GRANT SELECT (search_vector) ON transfer TO other', 'fix' ],
			[ q{COMMENT ON COLUMN transfer.search_vector IS 'mine'}, 'fix' ],
			[ 'CREATE VIEW mine AS SELECT search_vector FROM transfer', 'none',
				': it cannot be made anew while rule _RETURN on view public.mine uses it' ]
		)
	),
	# sequences
	[
		q{ALTER SEQUENCE run_id_seq MAXVALUE 3 RESTART 1},
		'error|sequence|run_id_seq|is behind the highest id of its table',
		'repair'
	],
	[
		q{ALTER SEQUENCE run_id_seq MAXVALUE 4; SELECT setval('run_id_seq', 4)},
		'error|sequence|run_id_seq|has no number left', 'repair'
	],
	[
		q{SELECT setval('run_id_seq', 9223372036854775807)},
		'error|sequence|run_id_seq|has no number left', 'repair'
	],
	[
		'ALTER SEQUENCE run_id_seq OWNED BY transfer.id',
		'warning|sequence|run_id_seq|is not owned by its column', 'repair'
	],
	[
		'ALTER SEQUENCE task_id_sequence OWNED BY celery_taskmeta.id',
		'warning|sequence|task_id_sequence|is owned by a column', 'repair'
	],
	[
		'ALTER SEQUENCE task_id_sequence OWNER TO other',
		'warning|sequence|task_id_sequence|'
		  . 'has another owner than the other tables',
		'fix'
	],
	# alembic_version
	[
		'ALTER TABLE alembic_version ALTER version_num TYPE varchar(12)',
		'warning|column|alembic_version.version_num|'
		  . 'is shorter than SyncMaster makes it now',
		'repair'
	],
	[
		'ALTER TABLE alembic_version RENAME CONSTRAINT alembic_version_pkc TO x',
		'warning|constraint|alembic_version.alembic_version_pkc|'
		  . 'has another name',
		'repair'
	],
	[
		'ALTER TABLE alembic_version ALTER version_num TYPE text',
		q{error|revision|alembic_version|is not Alembic's table}, 'none'
	],
	# rights
	[
		'REVOKE ALL ON run FROM app',
		'error|table|run|may not be used by its owner', 'repair'
	],
	[
		'REVOKE INSERT ON run FROM app',
		'error|table|run|may not be used by its owner', 'repair'
	],
	[
		'REVOKE ALL ON SEQUENCE task_id_sequence FROM app',
		'error|sequence|task_id_sequence|may not be used by its owner', 'repair'
	],
	[
		'ALTER SCHEMA public OWNER TO CURRENT_USER; '
		  . 'REVOKE ALL ON SCHEMA public FROM app, PUBLIC',
		q{error|schema|public|may not be used by the tables' owner}, 'fix'
	],
	# membership
	[
		'ALTER EXTENSION syncmaster ADD TABLE run',
		'error|table|run|is a member of an extension, and dropped with it',
		'repair'
	],
	[
		'ALTER EXTENSION pg_trgm ADD SEQUENCE task_id_sequence',
		'error|sequence|task_id_sequence|'
		  . 'is a member of an extension, and dropped with it',
		'repair'
	],
	[
		'ALTER EXTENSION syncmaster DROP FUNCTION syncmaster_history()',
		'warning|function|syncmaster_history|is not a member of the extension',
		'fix'
	],
	[
		'ALTER EXTENSION syncmaster DROP FUNCTION syncmaster_history(); '
		  . 'DROP FUNCTION syncmaster_history()',
		'warning|function|syncmaster_history|is missing', 'fix'
	],
	[
		'CREATE OR REPLACE FUNCTION syncmaster_library_version() RETURNS text '
		  . q{LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$SELECT '9'$$},
		'warning|function|syncmaster_library_version|was replaced', 'fix'
	],
	[
		'CREATE FUNCTION syncmaster_upgrade(varchar) RETURNS text LANGUAGE sql '
		  . q{AS $$SELECT 'caught'$$},
		'error|function|public.syncmaster_upgrade(character varying)|'
		  . 'has the name of a function of the extension',
		'fix'
	],
	[
		'DROP TABLE syncmaster_history.migration; '
		  . 'CREATE TABLE syncmaster_history.migration (note text)',
		'warning|table|syncmaster_history.migration|'
		  . 'is not the record of migrations, so that none can be run',
		'fix'
	],
	# replication
	[
		'CREATE PUBLICATION p FOR TABLE run; '
		  . 'ALTER TABLE run REPLICA IDENTITY NOTHING',
		'error|table|run|has no replica identity, so that its rows cannot change',
		'repair'
	],
	[
		'ALTER TABLE run REPLICA IDENTITY NOTHING',
		'info|table|run|has no replica identity', 'info'
	],
	# partitions
	[
		'CREATE TABLE whole (LIKE celery_tasksetmeta) PARTITION BY RANGE (id); '
		  . 'ALTER TABLE whole ATTACH PARTITION celery_tasksetmeta '
		  . 'FOR VALUES FROM (0) TO (10)',
		'warning|table|celery_tasksetmeta|is a partition of another table',
		'fix'
	],
	# what no service notices
	[
		'CREATE RULE r AS ON INSERT TO run DO ALSO NOTHING; '
		  . 'ALTER TABLE run DISABLE RULE r',
		'info|rule|run.r|is extra, and disabled', 'info'
	],
	[
		'ALTER ROLE app IN DATABASE damaged SET search_path = other',
		q{info|schema|public|is not searched by default by the tables' owner},
		'info'
	]);

try_damages(@damages);

# Nothing at all is said about what only storage and planner know of.
is( $node->safe_psql('damaged', q{
	BEGIN;
	ALTER TABLE run SET (fillfactor = 50, autovacuum_enabled = false);
	ALTER TABLE run ALTER status SET STORAGE EXTERNAL,
		ALTER status SET STATISTICS 1000, ALTER status SET (n_distinct = 5);
	ALTER TABLE run REPLICA IDENTITY FULL;
	ALTER TABLE run CLUSTER ON ix__run__status;
	CREATE STATISTICS s ON status, type FROM run;
	CREATE PUBLICATION p FOR TABLE run;
	ALTER INDEX ix__run__status SET (fillfactor = 50);
	CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
	SELECT * FROM syncmaster_check();
	ROLLBACK}), '', 'what concerns only storage and planning is left alone');

# What is already said by a wrong type is not said again.
is( $node->safe_psql('damaged', q{
	BEGIN;
	ALTER TABLE run ALTER created_at TYPE timestamp;
	SELECT object_name, problem FROM syncmaster_check();
	ROLLBACK}), 'run.created_at|is of another type',
	'a default that is converted along is no problem of its own');

# Why a generated column is left.
like( $node->safe_psql('damaged', q{
	BEGIN;
	ALTER TABLE "group" DROP search_vector, ADD search_vector tsvector NOT NULL
		GENERATED ALWAYS AS (to_tsvector('simple', name)) STORED;
	CREATE INDEX mine ON "group" USING gist (search_vector);
	GRANT SELECT (search_vector) ON "group" TO other;
	SELECT action, why FROM syncmaster_repair() WHERE object_type = 'column';
	ROLLBACK}),
	qr/^left\|dropping the column would also drop: index (?:public\.)?mine, what is granted on it$/,
	'repair says what keeps a column');

# What is computed anew is what SyncMaster would have computed.
is( $node->safe_psql('damaged', q{
	BEGIN;
	CREATE TEMP TABLE before AS SELECT id, search_vector FROM transfer;
	ALTER TABLE transfer DROP search_vector, ADD search_vector tsvector NOT NULL
		GENERATED ALWAYS AS (to_tsvector('simple', 'x'::text)) STORED;
	SELECT count(*) FROM syncmaster_repair(false) WHERE action = 'done';
	SELECT count(*) FROM transfer JOIN before USING (id, search_vector);
	ROLLBACK}), "2\n1", 'repair computes a column, and builds its index');

done_testing();
