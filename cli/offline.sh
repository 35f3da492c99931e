# shellcheck shell=sh
# "--sql" with a range, which needs no database: SQL for servers on which the extension
# cannot be installed.

# The statements of the step $1, which is FROM:TO.
step_sql()
{
	case $1 in
@STEPS@
	esac
}

# Put the schema, $1 as SQL, where scripts of extensions have a word for it.
with_schema()
{
	SCHEMA=$1 awk '{
		while ((n = index($0, "@extschema@")) > 0) {
			printf "%s%s", substr($0, 1, n - 1), ENVIRON["SCHEMA"]
			$0 = substr($0, n + 11)
		}
		print
	}'
}

# Set "steps" to those of the command from $1 to $2.
find_steps()
{
	order=
	for id in $(revisions | cut -d ' ' -f 1) base; do
		case $command in
			upgrade) order="$id $order" ;;
			downgrade) order="$order $id" ;;
		esac
	done
	steps=
	at=
	for id in $order; do
		if [ -n "$at" ]; then
			steps="$steps $at:$id"
			at=$id
		fi
		[ "$id" != "$1" ] || at=$id
		[ "$id" != "$2" ] || break
	done
	[ -n "$at" ] || fail 1 "$command cannot lead from $1 to $2"
}

# Celery takes ids from these sequences.  Tables of it that are there already may have
# rows that were numbered without them.
sequences_sql()
{
	for kind in task taskset; do
		cat <<SQL
SELECT setval(s.tableoid::regclass, t.last)
FROM @extschema@.${kind}_id_sequence s,
    (SELECT max(id) AS last FROM @extschema@.celery_${kind}meta) t
WHERE t.last >= s.last_value;
SQL
	done
}

# Write the revision that the step $1 has led to.
stamp_sql()
{
	case $1 in
		base:*)
			echo "INSERT INTO @extschema@.alembic_version (version_num)" \
				"VALUES ('${1#*:}');"
			;;
		*:base)
			echo "DELETE FROM ONLY @extschema@.alembic_version" \
				"WHERE version_num = '${1%:*}';"
			;;
		*)
			echo "UPDATE ONLY @extschema@.alembic_version" \
				"SET version_num = '${1#*:}' WHERE version_num = '${1%:*}';"
			;;
	esac
}

# The block of PL/pgSQL that leads from $1 to $2 by "steps".  The statements of a step are
# a string, so that they are not read before standard_conforming_strings is set.
block_sql()
{
	cat <<'SQL'
DECLARE
    revision pg_catalog.text;
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL standard_conforming_strings = on;
    SET LOCAL client_min_messages = warning;
    SET LOCAL lock_timeout = '10s';
SQL
	if [ "$1" = base ]; then
		cat <<'SQL'

    CREATE TABLE IF NOT EXISTS @extschema@.alembic_version (
        version_num varchar(32) NOT NULL,
        CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
    );
SQL
	fi
	cat <<SQL

    LOCK TABLE @extschema@.alembic_version IN SHARE ROW EXCLUSIVE MODE;
    revision := coalesce((SELECT string_agg(version_num, ', ')
                          FROM ONLY @extschema@.alembic_version), 'base');
    IF revision <> '$1' THEN
        RAISE EXCEPTION 'the database is at revision %, but this SQL begins at $1',
            revision USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
SQL
	for step in $steps; do
		printf '\n    -- %s -> %s\n    EXECUTE @quote@\n' "${step%:*}" "${step#*:}"
		step_sql "$step"
		[ "$step" != 0008:0009 ] || sequences_sql
		stamp_sql "$step"
		echo '@quote@;'
	done
	echo 'END'
}

# Print the SQL of the command for the range in "target": one statement that does all or
# nothing, whatever a client does after an error.
range_sql()
{
	[ -z "$config_option$env_file" ] ||
		wrong_usage "a range of revisions needs no database:" \
			"leave out --config and --env-file"
	case $target in
		*:) wrong_usage "a range of revisions is FROM:TO" ;;
		:*) target=base$target ;;
	esac
	from=$(locate "${target%%:*}")
	[ -n "$from" ] || cannot_locate "${target%%:*}"
	to=$(locate "${target#*:}" "$from")
	[ -n "$to" ] || cannot_locate "${target#*:}"
	case ${schema:=public} in
		pg_* | information_schema)
			fail 1 "schema $schema is reserved for the server"
			;;
	esac
	find_steps "$from" "$to"
	text=$(block_sql "$from" "$to")
	case $allow_destroy$command$text in
		downgrade*'DROP TABLE '* | downgrade*'DROP EXTENSION '*)
			fail 1 "this SQL would drop tables with all that is in them, or the" \
				"extension pg_trgm: to print it nevertheless, add --allow-destroy"
			;;
	esac
	# No name of a schema may end a string.
	tag=syncmaster
	while :; do
		case $schema in
			*\$"$tag"*) tag=${tag}_ ;;
			*) break ;;
		esac
	done
	text=$(printf '%s\n' "$text" | sed "s/@quote@/\$${tag}_step\$/" |
		with_schema "\"$(printf %s "$schema" | sed 's/"/""/g')\"")
	cat <<SQL || fail 1 "what it prints is lost"
-- SyncMaster's schema, from $from to $to
BEGIN ISOLATION LEVEL READ COMMITTED;
DO \$$tag\$
$text
\$$tag\$;
COMMIT;
SQL
}
