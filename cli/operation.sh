# shellcheck shell=sh
# The commands of an operator.

# Call $1, whose rows say what was done, and print them as columns $2.  $3: a
# condition on them that is worth exit status 4.
call_and_print()
{
	statement="SELECT coalesce(bool_or($3), false) AS found,
       coalesce(string_agg($2, E'\\n'), '') AS lines
FROM :\"schema\".$1 r \\gset"
	shift 3
	run -v wait=true -v required=true "$@" <<SQL
$(begin)
$(require_extension)
$(attempt "$statement")
$(finish committing)
COMMIT;
$(show_lines)
SQL
}

rotate_credentials()
{
	call_and_print "syncmaster_rotate_credentials(:'dry_run')" \
		"format('re-encrypted: %s, already current: %s, failed: %s',
			re_encrypted, already_current, failed)
		 || coalesce(' (connections '
			|| nullif(array_to_string(failed_connection_ids, ', '), '')
			|| ')', '')" \
		'failed > 0' -v dry_run="${dry_run:-false}"
}

superusers()
{
	action=$1
	shift
	# psql quotes the names, each a variable of its own.
	names=
	count=$#
	while [ "$count" -gt 0 ]; do
		name=$1
		shift
		set -- "$@" -v "name$count=$name"
		names="$names${names:+, }:'name$count'"
		count=$((count - 1))
	done
	case $action in
		list) call='syncmaster_superusers()' ;;
		add) call="syncmaster_add_superusers(VARIADIC ARRAY[$names]::text[])" ;;
		remove) call="syncmaster_remove_superusers(VARIADIC ARRAY[$names]::text[])" ;;
	esac
	call_and_print "$call" "$(superuser_columns "$action")" false "$@"
}

superuser_columns()
{
	case $1 in
		list) echo 'r.username' ;;
		*) echo "format('%s: %s', r.username, r.action)" ;;
	esac
}

health()
{
	statement=$(cat <<'SQL'
SELECT count(*) FILTER (WHERE severity = 'error') AS errors,
       count(*) FILTER (WHERE severity = 'warning') AS warnings,
       coalesce(string_agg(format('%s: %s: %s: %s', severity, check_name,
                                  subject, detail)
                           || coalesce(E'\n  ' || hint, ''), E'\n'
                           ORDER BY ordinality), '') AS lines
FROM :"schema".syncmaster_health() WITH ORDINALITY
WHERE :'verbose'::bool OR severity <> 'info' \gset
SQL
)
	run -v required=true -v nagios="${nagios:-0}" <<SQL
$(begin)
$(require_extension)
$(attempt "$statement")
SELECT :errors + :warnings > 0 AS found,
       CASE WHEN :errors > 0 THEN 'CRITICAL' WHEN :warnings > 0 THEN 'WARNING'
            ELSE 'OK' END AS worst,
       concat_ws(E'\n',
                 CASE WHEN :'nagios'::bool
                      THEN format('SYNCMASTER %s: errors: %s, warnings: %s',
                                  CASE WHEN :errors > 0 THEN 'CRITICAL'
                                       WHEN :warnings > 0 THEN 'WARNING'
                                       ELSE 'OK' END, :errors, :warnings)
                      WHEN :'verbose'::bool AND :'lines' = ''
                      THEN 'Nothing to look at.' END,
                 nullif(:'lines', '')) AS lines \gset
ROLLBACK;
$(show_lines ' :worst')
SQL
}

# The exit status of a plugin for Nagios, whose command ends with $1.
# shellcheck disable=SC2317 # called by a trap
nagios_status()
{
	case $1,$worst in
		0,*) exit 0 ;;
		4,WARNING) exit 1 ;;
		4,*) exit 2 ;;
	esac
	echo "SYNCMASTER UNKNOWN: exit status $1 of $program"
	exit 3
}

# Call $1, a procedure that commits, whose last argument is called $2 and says how
# many rows or partitions were $3.
purge()
{
	call=$1
	count=$2
	done=$3
	shift 3
	run -v required=true -v dry_run="${dry_run:-false}" "$@" <<SQL
$(begin)
$(require_extension)
COMMIT;
$(attempt "CALL :\"schema\".$call \\gset" '')
\set found false
\if :dry_run
SELECT pg_catalog.format('would be $done: %s', :'$count') AS lines \gset
\else
SELECT pg_catalog.format('$done: %s', :'$count') AS lines \gset
\endif
$(show_lines)
SQL
}

# End unless the age $1 says in which unit it is: PostgreSQL takes a number
# alone for seconds, and m for minutes, which may be meant as days and months.
require_unit()
{
	case $1 in
		[Pp]*) ;;
		*[0-9.[:space:]][Mm] | *[0-9.[:space:]][Mm][!A-Za-z]*)
			wrong_usage "$command: in the age \"$1\", write min or months for m"
			;;
		*[A-Za-z:]* | *[0-9]-[0-9]*) ;;
		*[0-9]*)
			wrong_usage "$command: the age \"$1\" has no unit; write it like" \
				"'90 days'"
			;;
	esac
}

purge_runs()
{
	require_unit "$1"
	purge "syncmaster_purge_runs(:'age'::pg_catalog.interval,
		:'keep_last'::pg_catalog.int4, :'batch_size'::pg_catalog.int4,
		:'dry_run'::pg_catalog.bool, NULL::pg_catalog.int8)" deleted deleted \
		-v age="$1" -v keep_last="$keep_last" -v batch_size="$batch_size"
}

purge_partitions()
{
	require_unit "$1"
	detached=${detach:+true}
	purge "syncmaster_purge_partitions(:'age'::pg_catalog.interval,
		:'keep_last'::pg_catalog.int4, :'dry_run'::pg_catalog.bool,
		:'detach'::pg_catalog.bool, NULL::pg_catalog.int8)" \
		dropped "${detach:-dropped}" -v age="$1" -v keep_last="$keep_last" \
		-v detach="${detached:-false}"
}

purge_results()
{
	require_unit "$1"
	purge "syncmaster_purge_task_results(:'age'::pg_catalog.interval,
		:'batch_size'::pg_catalog.int4, :'dry_run'::pg_catalog.bool,
		NULL::pg_catalog.int8)" deleted deleted \
		-v age="$1" -v batch_size="$batch_size"
}

# Their ids are arguments; without any, --older-than says which runs.
end_runs()
{
	require_unit "$older_than"
	ids=$(IFS=,; printf '%s' "$*")
	call_and_print "syncmaster_end_runs(nullif(:'ids', '{}')::pg_catalog._int8,
		nullif(:'age', '')::pg_catalog.interval, nullif(:'status', ''),
		:'dry_run'::pg_catalog.bool)" \
		"concat_ws(' ', r.id || ':', r.status,
			'since ' || date_trunc('second', r.since), r.action)" \
		"r.action NOT IN ('ended', 'to be ended')" \
		-v ids="{$ids}" -v age="$older_than" -v status="$new_status" \
		-v dry_run="${dry_run:-false}"
}

# The fingerprint of the key that the services use, as far as that is at hand;
# nothing of the key goes to the server.
services_fingerprint()
{
	key=${config_key:-$environment_key}
	[ -n "$key" ] || return 0
	command -v base64 >/dev/null && command -v sha256sum >/dev/null || return 0
	printf '%s' "$key" | tr '_-' '/+' | base64 -d 2>/dev/null | sha256sum |
		cut -c 1-16
}

verify_credentials()
{
	statement=$(cat <<'SQL'
WITH r AS MATERIALIZED (SELECT * FROM :"schema".syncmaster_verify_credentials()
                        WITH ORDINALITY),
line AS (
    SELECT ordinality, status = 'unreadable' AND credentials > 0 AS found,
           format('%s%s: %s%s', status, ' ' || key_fingerprint, credentials,
                  ' (connections '
                  || nullif(array_to_string(connection_ids, ', '), '') || ')')
               AS line
    FROM r
    UNION ALL
    SELECT 1000000, NOT is_primary,
           format('key of the services %s: %s', :'services_key',
                  CASE WHEN is_primary THEN 'is the primary key'
                       ELSE 'is not the primary key' END)
    FROM (SELECT count(*) > 0 AS is_primary FROM r
          WHERE status = 'primary key' AND key_fingerprint = :'services_key') p
    WHERE :'services_key' <> ''
    UNION ALL
    SELECT 1000001, true,
           'key of the services: is the example key of SyncMaster''s .env.docker '
           'and config.docker.yml, which is public: make another one'
    WHERE :'services_key' = '0b37153e32cf569b')
SELECT coalesce(bool_or(found), false) AS found,
       coalesce(string_agg(line, E'\n' ORDER BY ordinality), '') AS lines
FROM line \gset
SQL
)
	run -v required=true -v services_key="$(services_fingerprint)" <<SQL
$(begin)
$(require_extension)
$(attempt "$statement")
ROLLBACK;
$(show_lines)
SQL
}

grant_or_revoke()
{
	call_and_print "syncmaster_$command(:'role', :'service')" "r || ';'" false \
		-v role="$1" -v service="$2"
}

privileges()
{
	call_and_print "syncmaster_privileges()" \
		"CASE WHEN r.state = 'granted'
			THEN format('granted: %s has the service %s', r.role, r.service)
			ELSE format('%s: %s%s: %s on %s %s: %s', r.state, r.role,
				' (' || r.service || ')', r.privilege, r.object_type,
				r.object_name, r.reason) || coalesce(E'\\n  fix: ' || r.fix, '')
			END" "r.state <> 'granted'"
}
