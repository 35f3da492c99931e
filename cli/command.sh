# shellcheck shell=sh
# The commands that need a database.

# Change the schema by $1, an expression that calls a function, in one
# transaction.  $2: how to install the extension where it is not.  $3: psql's
# statements before the call.
change()
{
	statements="\\if :installed
SELECT true AS installed \\gset
\\else
$2
\\endif
\\if :ERROR
\\else
SELECT :\"schema\".$1 AS reached \\gset
\\endif"
	settings=$3
	shift 3
	run -v wait=true -v command="$command" "$@" <<SQL
$(begin)
$(require_extension)
$(read_revision)
$settings
$(attempt "$statements")
SELECT CASE WHEN :'revision' = :'reached' THEN 'nothing to do, '
            ELSE format('%s %s -> ', :'command', :'revision') END
       || :'reached'
       || CASE WHEN :'reached' = :'head' THEN ' (head)' ELSE '' END
       AS result \gset
$(finish committing)
COMMIT;
\if :verbose
\echo :result
\endif
$(finish 'done')
SQL
}

upgrade()
{
	case $target in
		head | heads)
			install='CREATE EXTENSION syncmaster SCHEMA :"schema";'
			;;
		# The lowest version, as the revision may be lower than any.
		*)
			install="SELECT version AS lowest
				FROM pg_available_extension_versions
				WHERE name = 'syncmaster' AND version ~ '^[0-9.]+\$'
				ORDER BY string_to_array(version, '.')::int4[] LIMIT 1 \\gset
				$(install_functions "VERSION :'lowest'")"
			;;
	esac
	change "syncmaster_upgrade(:'target')" "$install" '' -v target="$target"
}

downgrade()
{
	# Only what was said here, and for this transaction: behind a pooler, what
	# another client has set may still be there.
	settings="SET LOCAL syncmaster.allow_destroy = ${allow_destroy:+on}"
	[ -n "$allow_destroy" ] || settings="${settings}off"
	settings="$settings;"
	change "syncmaster_downgrade(:'target')" "$(install_functions)" \
		"$settings" -v target="$target"
}

stamp()
{
	change "syncmaster_stamp(:'target', :'purge')" "$(install_functions)" '' \
		-v target="$target" -v purge="${purge:-false}"
}

# Print what is in "lines", and end as "found" says.  $1: psql's text that goes
# with it
show_lines()
{
	cat <<SQL
SELECT :'lines' OPERATOR(pg_catalog.<>) '' AS anything \gset
\if :anything
\echo :lines
\endif
\if :found
$(finish "found${1-}")
\else
$(finish 'done')
\endif
SQL
}

# Ask $1, a script that leaves psql's variables "found" and "lines"; where the
# extension is not in the database, it is for as long as that takes, and two
# cannot make it at a time.
ask()
{
	script=$1
	shift
	run "$@" <<SQL
$(begin)
\if :installed
\else
$(wait_for_others)
$(find_extension)
\endif
$(require_extension)
$(read_revision)
\if :installed
\else
$(attempt "$(install_functions)")
\endif
$(attempt "$script")
ROLLBACK;
$(show_lines)
SQL
}

check()
{
	# Of what is only information, that something was not compared: without it,
	# the answer would be that all is well.
	ask "$(cat <<'SQL'
SELECT count(*) FILTER (WHERE severity <> 'info') > 0 OR :'revision' <> :'head'
           AS found,
       concat_ws(E'\n',
                 CASE WHEN :'revision' = 'base' OR :'revision' ~ '^[0-9]{4}$'
                      AND :'revision' < :'head'
                      THEN format('Target database is not up to date: it is '
                                  'at %s, head is %s.', :'revision', :'head')
                 END,
                 string_agg(format('%s: %s "%s" %s', severity, object_type,
                                   object_name, problem)
                     || coalesce(E'\n  expected: ' || expected, '')
                     || coalesce(E'\n  actual:   ' || actual, '')
                     || coalesce(E'\n  fix:      ' || fix, ''), E'\n'
                     ORDER BY ordinality),
                 CASE WHEN count(*) = 0 AND :'revision' = :'head'
                      THEN 'No new upgrade operations detected.' END) AS lines
FROM :"schema".syncmaster_check() WITH ORDINALITY
WHERE severity <> 'info' OR problem LIKE 'was not compared%' \gset
SQL
)"
}

preflight()
{
	ask "$(cat <<'SQL'
SELECT coalesce(bool_or(severity = 'error'), false) AS found,
       coalesce(string_agg(format('%s: %s: %s', severity, subject, detail)
                           || coalesce(E'\n  ' || hint, ''), E'\n'
                           ORDER BY ordinality),
                'Nothing blocks the upgrade.') AS lines
FROM :"schema".syncmaster_preflight(:'target') WITH ORDINALITY \gset
SQL
)" -v target="$target"
}

plan()
{
	ask "$(cat <<'SQL'
SELECT false AS found,
       coalesce(string_agg(format('%s  %s %s: %s', step, object_type,
                                  object_name, action)
                           || CASE WHEN lock_mode IS NULL THEN ''
                                   ELSE format(' [%s on %s%s]', lock_mode,
                                               table_name, work) END
                           || coalesce(E'\n         before: ' || beforehand
                                       || ';', ''), E'\n'
                           ORDER BY "position"), 'Nothing to do.') AS lines
FROM :"schema".syncmaster_upgrade_plan(:'target') p,
     LATERAL (SELECT CASE WHEN rewrites_table
                          THEN ', rewrites ' || pg_size_pretty(table_bytes)
                          WHEN builds_index
                          THEN ', reads ' || pg_size_pretty(table_bytes)
                          ELSE '' END AS work) w \gset
SQL
)" -v target="$target"
}

upgrade_sql()
{
	ask "$(cat <<'SQL'
SELECT false AS found, :"schema".syncmaster_upgrade_sql(:'target') AS lines \gset
SQL
)" -v target="$target"
}

current()
{
	run -v must_be_head="${check_heads:-false}" <<SQL
$(begin)
$(read_revision)
SELECT :'revision' <> 'base' AS known, :'revision' = :'head' AS is_head,
       :'must_be_head' AND :'revision' <> :'head' AS found \gset
\if :is_head
\echo :revision (head)
\elif :known
\echo :revision
\endif
ROLLBACK;
\if :found
\warn syncmaster-db: the database is not at head, which is :head
$(finish found)
\else
$(finish 'done')
\endif
SQL
}
