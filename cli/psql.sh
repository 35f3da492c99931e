# shellcheck shell=sh
# Running psql, and what came of it.

# shellcheck disable=SC2317 # called by the trap
cleanup()
{
	status=$?
	[ -z "$translator" ] || kill -KILL "$translator" 2>/dev/null || :
	[ -z "$folder" ] || rm -rf "$folder"
	[ -z "$nagios" ] || nagios_status "$status"
}

# Hints name functions of the extension, of which some are commands of this program.
translate_hint()
{
	schema_part='(("[^"]*")+[.]|[^ "'"'"']*[.])?'
	call="(SELECT \\* FROM |SELECT |CALL )?${schema_part}syncmaster_"
	sed -E -e "s/${call}upgrade\\('head'\\)/syncmaster-db upgrade/g" \
		-e "s/${call}stamp\\('([^']*)'\\)/syncmaster-db stamp \\4/g" \
		-e "s/${call}(check|preflight|privileges|grant)\\(\\)/syncmaster-db \\4/g" \
		-e "s/${call}(add|remove)_superusers\\(\\)/syncmaster-db superusers \\4/g" \
		-e "s/${call}(verify|rotate)_credentials\\(\\)/syncmaster-db \\4-credentials/g" \
		-e "s/${call}purge_runs\\(interval ('[^']*'), keep_last => ([0-9]+)\\)/syncmaster-db purge-runs \\4 --keep-last \\5/g" \
		-e "s/${call}purge_runs\\(interval ('[^']*')\\)/syncmaster-db purge-runs \\4/g" \
		-e "s/${call}purge_task_results\\(interval ('[^']*')\\)/syncmaster-db purge-results \\4/g" \
		-e "s/(Procedure )?${call}purge_(runs|partitions)\\(\\)/syncmaster-db purge-\\5/g" \
		-e "s/(Procedure )?${call}purge_task_results\\(\\)/syncmaster-db purge-results/g" \
		-e "s/${call}end_runs\\('\\{id, \\.\\.\\.\\}'\\)/syncmaster-db end-runs ID.../g" \
		-e "s/${call}end_runs\\('\\{1,2\\}'\\)/syncmaster-db end-runs 1 2/g" \
		-e "s/${call}end_runs\\(older_than => ('[^']*')\\)/syncmaster-db end-runs --older-than \\4/g" \
		-e "s/${call}end_runs\\(\\)/syncmaster-db end-runs/g" \
		-e '/DROP EXTENSION syncmaster; /!s/CREATE EXTENSION syncmaster SCHEMA (("[^"]*")+|[a-z0-9_]+)/syncmaster-db --schema \1 upgrade/g'
}

# What psql and the server say, in this program's words.
# shellcheck disable=SC2317 # called in the background
translate()
{
	trap '' HUP TERM
	place=
	dropped=
	while IFS= read -r line || [ -n "$line" ]; do
		case $line in
			'psql:<stdin>:'*)
				line=${line#'psql:<stdin>:'}
				line=${line#*: }
				dropped=
				;;
			'syncmaster-db: '* | 'psql: '*) dropped= ;;
		esac
		# A message may go on with DETAIL and HINT.
		[ -z "$dropped" ] || continue
		case $line in
			'INFO:  '* | 'NOTICE:  '*)
				line=${line#*:  }
				line="syncmaster-db: ${line#syncmaster: }"
				if [ "$verbose" = false ]; then
					dropped=1
					continue
				fi
				;;
			'syncmaster-db: in '*)
				place=${line#*: in }
				continue
				;;
			'HINT:  '*syncmaster.allow_destroy*)
				line="HINT:  To drop tables of $place, add --allow-destroy. A"
				line="$line dump made before is the only way back."
				;;
			'HINT:  '*syncmaster_* | 'HINT:  '*'EXTENSION syncmaster'*)
				line=$(printf '%s\n' "$line" | translate_hint)
				;;
		esac
		printf '%s\n' "$line"
		case $line in
			*" database \"${PGDATABASE-}\" does not exist"*)
				echo "syncmaster-db: create it first, for example by createdb"
				;;
		esac
	done
}

# psql cancels at the server when it is interrupted; twice is an order to go.
# While it connects, it ignores that, and has not sent anything; while it
# commits, there is nothing to cancel any more.
# shellcheck disable=SC2317 # called by traps
interrupt()
{
	[ -n "$child" ] || exit "$1"
	read -r reached <"$state" || reached=
	case $signal,$reached in
		,committing | ,done | ,found) ;;
		,unfinished | [!,]*) kill -KILL "$child" 2>/dev/null || : ;;
		*) kill -INT "$child" 2>/dev/null || : ;;
	esac
	signal=$1
}

prepare()
{
	find_database
	psql=psql
	case $0 in
		*/*) [ ! -x "${0%/*}/psql" ] || psql=${0%/*}/psql ;;
	esac
	command -v "$psql" >/dev/null ||
		fail 1 "cannot find psql, of which 13 or later is needed"
	version=$("$psql" --version </dev/null) || version=
	major=${version#*) }
	major=${major%%[!0-9]*}
	[ "${major:-0}" -ge 13 ] ||
		fail 1 "$psql is not psql 13 or later, but ${version:-something else}"
	trap cleanup EXIT
	trap 'interrupt 129' HUP
	trap 'interrupt 130' INT
	trap 'interrupt 143' TERM
	folder=$(umask 077 && mktemp -d) ||
		fail 1 "cannot make a temporary folder; set TMPDIR"
	state=$folder/state
	mkfifo "$folder/errors" || fail 1 "cannot make a pipe in $folder"
}

# Run the script on standard input; $@ are more options of psql.  How far it got
# and what came of it is left in the file $state by the script.
run()
{
	lost=
	echo unfinished >"$state"
	# psql does not look whether what it prints arrives.
	output=$folder/output
	# A background process does not get this standard input by itself.  What is
	# sent to all processes at once must not end psql before it has cancelled.
	exec 3<&0
	(
		trap '' HUP TERM
		exec "$psql" -XqwAt -P pager=off -F ': ' -v ON_ERROR_STOP=1 \
			-v state="$state" -v verbose="$verbose" -v progress="$progress" \
			-v newest="$newest" -v wait=false -v required=false \
			-v wanted="$schema" -v source="$address_name" \
			-v literal_database="$literal_database" "$@"
	) <&3 >"$output" 2>"$folder/errors" 3<&- &
	child=$!
	translate <"$folder/errors" >&2 3<&- &
	translator=$!
	exec 3<&-
	while :; do
		status=0
		# Some shells would say that it was killed.
		wait "$child" 2>/dev/null || status=$?
		kill -0 "$child" 2>/dev/null || break
	done
	child=
	while kill -0 "$translator" 2>/dev/null; do
		wait "$translator" 2>/dev/null || :
	done
	translator=
	case $command in
		health | preflight)
			# Not each sed looks whether what it prints arrives.
			translate_hint <"$output" >"$folder/translated" || lost=1
			output=$folder/translated
			;;
	esac
	cat "$output" || lost=1

	# It may be done in spite of a signal.
	read -r outcome worst <"$state" || outcome=unfinished
	case $outcome,$status,$signal in
		done,* | found,*)
			[ -z "$lost" ] ||
				fail 1 "$command is done, but what it prints is lost"
			[ "$outcome" = 'done' ] || exit 4
			exit 0
			;;
		committing,2,* | committing,*,?*)
			echo "$program: ended while it committed, so look at what came" \
				"of it" >&2
			;;
	esac
	[ -z "$signal" ] || exit "$signal"
	case $status,$outcome in
		# lock_not_available, object_in_use, serialization_failure, deadlock
		0,55P03 | 0,55006 | 0,40001 | 0,40P01) exit 5 ;;
		2,unfinished)
			echo "$program: no connection to $(show_address), by" \
				"$address_name" >&2
			exit 3
			;;
		2,*) exit 3 ;;
		*) exit 1 ;;
	esac
}
