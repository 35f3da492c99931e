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

usage()
{
	cat <<'TEXT'
Usage: syncmaster-db [options] command [arguments]

  upgrade [TARGET] [--sql]      go up to TARGET (default: head), or print SQL
  downgrade TARGET              go down; --allow-destroy if tables may be lost
  current [--check-heads]       revision of the database
  history [-r FROM:TO] [-i]     all revisions; heads: the newest; show REV: one
  check                         differences between tables and revision
  stamp REV [--purge]           write the revision that the tables are at
  plan [TARGET]                 what an upgrade would lock, rewrite and build
  preflight [TARGET]            what stands in an upgrade's way
  rotate-credentials [--dry-run]
  superusers list | add NAME... | remove NAME...

TARGET: head, base, 0012, +1, -1 or a version of the extension such as 1.12
  --env-file FILE   read SYNCMASTER__DATABASE__URL and PG... from FILE
  -q, --quiet       only what was asked for, and errors
  --help, --version
The database is that of SYNCMASTER__DATABASE__URL, else of libpq's variables
(PGDATABASE or PGSERVICE, PGHOST, ...).  Exit status: 0 done, 1 failed, 2 wrong
usage, 3 no connection, 4 differences or obstacles found, 5 others are at work:
try again, 128+N ended by signal N.
TEXT
}

program=${0##*/}
child=
folder=
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
