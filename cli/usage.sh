# shellcheck shell=sh
#
# SyncMaster's migrations from the command line, with the words of
# "python -m syncmaster.db.migrations".  Everything is done by functions of the
# extension; this finds the database, calls them with psql, and says how it
# went.  See doc/command-line.md.

set -eu

# A file that is opened must not become one of these three.
(: 3<&0) 2>/dev/null || exec </dev/null
(: 3>&1) 2>/dev/null || exec >/dev/null
(: 3>&2) || exec 2>/dev/null

# The options and exit statuses of all, and what each command is for.
usage()
{
	cat <<'TEXT'
@USAGE@
TEXT
}

# What doc/command-line.md says of a command.
help_on()
{
	case $1 in
@HELP@
		*) wrong_usage "unknown command $1" ;;
	esac
}

program=${0##*/}
child=
translator=
folder=
nagios=
worst=
literal_database=
address_name=
state=
signal=
cr=$(printf '\r')
byte_order_mark=$(printf '\357\273\277')

fail()
{
	status=$1
	shift
	printf '%s: %s\n' "$program" "$*" >&2
	exit "$status"
}

wrong_usage()
{
	fail 2 "$* (try $program --help)"
}
