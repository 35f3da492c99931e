# shellcheck shell=sh
# Finding the database, running psql, and what came of it.

find_database()
{
	[ -z "$env_file" ] || read_env_file "$env_file"
	if [ -n "${SYNCMASTER__DATABASE__URL-}" ]; then
		use_url "$SYNCMASTER__DATABASE__URL"
	elif [ -z "${PGDATABASE-}${PGSERVICE-}" ]; then
		fail 2 "no database is named: set SYNCMASTER__DATABASE__URL, as for" \
			"SyncMaster's services, or PGDATABASE, or use --env-file"
	fi
	export PGAPPNAME="${PGAPPNAME:-syncmaster-db}"
	export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-30}"
}

# shellcheck disable=SC2317 # called by the trap
cleanup()
{
	[ -z "$folder" ] || rm -rf "$folder"
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
	trap cleanup EXIT
	trap 'interrupt 129' HUP
	trap 'interrupt 130' INT
	trap 'interrupt 143' TERM
	folder=$(umask 077 && mktemp -d) ||
		fail 1 "cannot make a temporary folder; set TMPDIR"
	state=$folder/state
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
			-v newest="$newest" -v wait=false -v required=false "$@"
	) <&3 >"$output" 3<&- &
	child=$!
	exec 3<&-
	while :; do
		status=0
		# Some shells would say that it was killed.
		wait "$child" 2>/dev/null || status=$?
		kill -0 "$child" 2>/dev/null || break
	done
	child=
	cat "$output" || lost=1

	# It may be done in spite of a signal.
	read -r outcome <"$state" || outcome=unfinished
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
		2,*) exit 3 ;;
		*) exit 1 ;;
	esac
}
