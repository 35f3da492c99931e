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
	[ -z "$state" ] || rm -f "$state"
}

# psql cancels at the server when it is interrupted; twice is an order to go.
# shellcheck disable=SC2317 # called by traps
interrupt()
{
	if [ -z "$child" ]; then
		exit "$1"
	elif [ -z "$signal" ]; then
		kill -INT "$child" 2>/dev/null || :
	else
		kill -TERM "$child" 2>/dev/null || :
	fi
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
	state=$(umask 077 && mktemp) ||
		fail 1 "cannot make a temporary file; set TMPDIR"
}

# Run the script on standard input; $@ are more options of psql.  What came of
# it is left in the file $state by the script.
run()
{
	echo unfinished >"$state"
	# A background process does not get this standard input by itself.
	exec 3<&0
	"$psql" -XqwAt -P pager=off -F ': ' -v ON_ERROR_STOP=1 \
		-v state="$state" -v verbose="$verbose" -v progress="$progress" \
		-v newest="$newest" -v wait=false -v required=false "$@" \
		<&3 3<&- &
	child=$!
	exec 3<&-
	while :; do
		status=0
		wait "$child" || status=$?
		kill -0 "$child" 2>/dev/null || break
	done
	child=
	[ -z "$signal" ] || exit "$signal"

	read -r outcome <"$state" || outcome=unfinished
	case $status,$outcome in
		0,done) exit 0 ;;
		0,found) exit 4 ;;
		# lock_not_available, object_in_use, serialization_failure, deadlock
		0,55P03 | 0,55006 | 0,40001 | 0,40P01) exit 5 ;;
		2,*) exit 3 ;;
		*) exit 1 ;;
	esac
}
