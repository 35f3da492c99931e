# shellcheck shell=sh
# The address of a database, in libpq's variables.

# Decode %XX in $1, as Python's unquote() does: what is no such code stays.
# Works by the shell alone, as it is used on passwords, and without a process
# for each code: printf gets all of them as octal numbers.
decode()
{
	# The full stop keeps a last % and a last newline.
	set -f
	IFS=%
	# shellcheck disable=SC2086 # split at each %
	set -- $1.
	unset IFS
	set +f
	decoded=
	mark=
	for encoded; do
		case $mark$encoded in
			%00*) wrong_usage "$address_name contains %00" ;;
			%[0-9A-Fa-f][0-9A-Fa-f]*)
				byte=$((0x${encoded%"${encoded#??}"}))
				decoded=$decoded\\0$((byte / 64))$((byte / 8 % 8))$((byte % 8))
				encoded=${encoded#??}
				;;
			*) decoded=$decoded$mark ;;
		esac
		mark=%
		while :; do
			case $encoded in
				*\\*) ;;
				*) break ;;
			esac
			decoded=$decoded${encoded%%\\*}\\\\
			encoded=${encoded#*\\}
		done
		decoded=$decoded$encoded
	done
	decoded=$(printf '%b' "$decoded")
	decoded=${decoded%.}
}

# Split "host:port", where the host is no path.
split_host()
{
	case $1 in
		*/* | *:*:*) PGHOST=$1 ;;
		*:*)
			PGHOST=${1%:*}
			PGPORT=${1##*:}
			;;
		*) PGHOST=$1 ;;
	esac
}

# One NAME=VALUE behind the question mark, in the words of asyncpg or libpq.
parameter()
{
	decode "$1"
	name=$decoded
	# A plus stands for a blank there, and there only.
	encoded_value=$2
	value=
	while :; do
		case $encoded_value in
			*+*) ;;
			*) break ;;
		esac
		value="$value${encoded_value%%+*} "
		encoded_value=${encoded_value#*+}
	done
	decode "$value$encoded_value"
	[ -n "$decoded" ] || return 0

	case $name in
		host)
			if [ -z "$hosts" ]; then
				split_host "$decoded"
				hosts=$PGHOST
				ports=${PGPORT-}
			else
				split_host "$decoded"
				hosts=$hosts,$PGHOST
				ports=$ports,${PGPORT-}
			fi
			PGHOST=$hosts
			PGPORT=$ports
			export PGHOST PGPORT
			;;
		port) export PGPORT="$decoded" ;;
		user) export PGUSER="$decoded" ;;
		password) export PGPASSWORD="$decoded" ;;
		database | dbname) export PGDATABASE="$decoded" ;;
		ssl | sslmode) export PGSSLMODE="$decoded" ;;
		timeout | connect_timeout)
			# libpq takes whole seconds, and waits without an end for 0
			export PGCONNECT_TIMEOUT="${decoded%%.*}"
			case $decoded in
				*[!0-9.]*) ;;
				*.*[1-9]*)
					while [ "${PGCONNECT_TIMEOUT#0}" != "$PGCONNECT_TIMEOUT" ]; do
						PGCONNECT_TIMEOUT=${PGCONNECT_TIMEOUT#0}
					done
					PGCONNECT_TIMEOUT=$((${PGCONNECT_TIMEOUT:-0} + 1))
					;;
			esac
			;;
		application_name) export PGAPPNAME="$decoded" ;;
		channel_binding) export PGCHANNELBINDING="$decoded" ;;
		client_encoding) export PGCLIENTENCODING="$decoded" ;;
		gssencmode) export PGGSSENCMODE="$decoded" ;;
		hostaddr) export PGHOSTADDR="$decoded" ;;
		krbsrvname) export PGKRBSRVNAME="$decoded" ;;
		options) export PGOPTIONS="$decoded" ;;
		passfile) export PGPASSFILE="$decoded" ;;
		require_auth) export PGREQUIREAUTH="$decoded" ;;
		sslcert) export PGSSLCERT="$decoded" ;;
		sslcrl) export PGSSLCRL="$decoded" ;;
		sslkey) export PGSSLKEY="$decoded" ;;
		sslnegotiation) export PGSSLNEGOTIATION="$decoded" ;;
		sslrootcert) export PGSSLROOTCERT="$decoded" ;;
		target_session_attrs) export PGTARGETSESSIONATTRS="$decoded" ;;
		# what only concerns how asyncpg and SQLAlchemy work
		async_fallback | command_timeout | *statement_cache_size) ;;
		max_cacheable_statement_size | max_cached_statement_lifetime) ;;
		prepared_statement_name_func) ;;
		*)
			wrong_usage "$address_name has a parameter that is neither" \
				"asyncpg's nor libpq's: $name"
			;;
	esac
}

# Take an address apart as SQLAlchemy does, and leave it in libpq's variables:
# a password there is seen by nobody but this user and root.
use_url()
{
	case $1 in
		postgresql://* | postgresql+*://* | postgres://*) ;;
		*)
			wrong_usage "$address_name does not begin with postgresql+asyncpg://"
			;;
	esac
	rest=${1#*://}
	unset PGSERVICE

	user=
	password=
	before=${rest%%[:/]*}
	after=${rest#"$before"}
	case $after in
		:*@*)
			user=$before
			password=${after%%@*}
			password=${password#:}
			rest=${after#*@}
			;;
		*)
			case $before in
				*@*)
					user=${before%@*}
					rest=${before##*@}$after
					;;
			esac
			;;
	esac

	query=
	case $rest in
		*\?*)
			query=${rest#*\?}
			rest=${rest%%\?*}
			;;
	esac
	database=
	case $rest in
		*/*) database=${rest#*/} ;;
	esac
	rest=${rest%%/*}
	port=
	case $rest in
		\[*\]*)
			host=${rest%%\]*}
			host=${host#\[}
			rest=${rest#*\]}
			;;
		*)
			host=${rest%%:*}
			rest=${rest#"$host"}
			;;
	esac
	port=${rest#:}
	proper=1
	case $host in *@*) proper= ;; esac
	case $port in *[!0-9]*) proper= ;; esac
	case $rest in [!:]*) proper= ;; esac
	case $database in *:*@*) proper= ;; esac
	# Nothing of it is shown: it may be a part of the password.
	[ -n "$proper" ] ||
		wrong_usage "$address_name has no proper host and port;" \
			"in a user name or password, write @ as %40, : as %3A and / as %2F"

	# Another server's address and port are none of this one's.
	other_port=
	case $host,\&$query in
		[!,]* | *\&host=*)
			other_port=${PGPORT-}
			unset PGHOSTADDR PGPORT
			;;
	esac

	if [ -n "$user" ]; then
		decode "$user"
		export PGUSER="$decoded"
	fi
	if [ -n "$password" ]; then
		decode "$password"
		export PGPASSWORD="$decoded"
	fi
	[ -z "$host" ] || export PGHOST="$host"
	[ -z "$port" ] || export PGPORT="$port"
	# SQLAlchemy 2.0 takes the name as it is written, libpq and SQLAlchemy 2.1
	# decode it: the session looks whether there are two.
	if [ -n "$database" ]; then
		decode "$database"
		export PGDATABASE="$decoded"
		[ "$decoded" = "$database" ] || literal_database=$database
	fi

	hosts=
	ports=
	while [ -n "$query" ]; do
		pair=${query%%&*}
		query=${query#"$pair"}
		query=${query#&}
		case $pair in
			*=*) parameter "${pair%%=*}" "${pair#*=}" ;;
		esac
	done
	# asyncpg would take the environment's, which may be for another server.
	case ${PGPORT-},$other_port in
		*[0-9]*,* | *, | *,5432) ;;
		*)
			wrong_usage "$address_name names a host without a port, and PGPORT" \
				"is $other_port: write into the address which port is meant"
			;;
	esac
	# libpq would take the user's name, and asyncpg as well.
	[ -n "${PGDATABASE-}" ] ||
		wrong_usage "$address_name names no database: it ends with /NAME"
}
