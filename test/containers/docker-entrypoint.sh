#!/bin/sh
# What the official image documents of its entry point.
set -eu
[ "${1:-postgres}" = postgres ] || exec "$@"
if [ "$(id -u)" -eq 0 ]; then
	mkdir -p "$PGDATA" /var/run/postgresql
	chown -R postgres: "$PGDATA" /var/run/postgresql
	exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	POSTGRES_USER=${POSTGRES_USER:-postgres}
	POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
	: "${POSTGRES_PASSWORD:?}"
	printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
	initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile=/tmp/password
	rm /tmp/password
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	pg_ctl -D "$PGDATA" -w -o "-c listen_addresses=''" start
	[ "$POSTGRES_DB" = postgres ] ||
		createdb -U "$POSTGRES_USER" --maintenance-db=postgres "$POSTGRES_DB"
	pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@" -c listen_addresses='*'
