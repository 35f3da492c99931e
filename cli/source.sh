# shellcheck shell=sh
# Which of the places that may name the database is taken.

url_name=SYNCMASTER__DATABASE__URL

# Leave the value of the variable whose lower-case name is $1 in found: the
# services take their variables in either case.
find_variable()
{
	found=
	found_name=
	# Names alone, so that no value is seen.
	# shellcheck disable=SC2013 # a name is a word
	for name in $(awk -v wanted="$1" 'BEGIN {
		for (name in ENVIRON)
			if (tolower(name) == wanted && name ~ /^[A-Za-z_]+$/)
				print name
	}'); do
		eval "value=\$$name"
		[ -n "$value" ] || continue
		[ -z "$found" ] || [ "$found" = "$value" ] ||
			wrong_usage "$found_name and $name have different values"
		found=$value
		found_name=$name
	done
}

# What the environment says, in the variables that a file may set as well.
take_environment()
{
	find_variable syncmaster__database
	[ -z "$found" ] ||
		wrong_usage "$found_name is not read: use $url_name in its place"
	find_variable syncmaster__encryption__secret_key
	environment_key=$found
	find_variable syncmaster__database__url
	environment_url=$found
	config_variable=${SYNCMASTER_CONFIG_FILE-}
	config_is_set=${SYNCMASTER_CONFIG_FILE+1}
}

# Which database it is, in libpq's variables, without the password.
show_variables()
{
	for name in PGHOST PGHOSTADDR PGUSER PGDATABASE PGSERVICE PGOPTIONS \
		PGTARGETSESSIONATTRS; do
		eval "printf '%s=%s\n' $name \"\${$name-}\""
	done
	echo "PGPORT=${PGPORT:-5432}"
}

# The same in a few words.
show_address()
{
	if [ -n "${PGSERVICE-}" ]; then
		echo "service $PGSERVICE"
	else
		echo "database \"${PGDATABASE-}\" on ${PGHOST-a local socket}"
	fi
}

# End unless $1 and $3, functions that set libpq's variables, name the same
# database.  $2 and $4: their names.
require_agreement()
{
	one=$("$1" && show_variables && show_address) || exit
	two=$("$3" && show_variables && show_address) || exit
	[ "$one" != "$two" ] || return 0
	line_break='
'
	fail 2 "$2 says ${one##*"$line_break"}, $4 says ${two##*"$line_break"}" \
		"(or another user, port or option): say which is meant by --config" \
		"FILE, --env-file FILE or --no-config"
}

use_config()
{
	address_name="database.url in $config_file"
	use_url "$config_url"
}

use_environment()
{
	address_name=$url_name
	use_url "$environment_url"
}

use_libpq()
{
	[ -n "${PGDATABASE-}${PGSERVICE-}" ]
}

# Find SyncMaster's configuration file, as the services do: the one that is
# named, else config.yml in the current folder.  The option goes first, and a
# variable that is set and empty names none.
find_config_file()
{
	config_file=
	config_url=
	config_key=
	[ -z "$no_config" ] || return 0
	if [ -n "$config_option" ]; then
		config_file=$config_option
	elif [ -n "$config_variable" ]; then
		config_file=$config_variable
		case $config_file in '~'/*) config_file=${HOME-}/${config_file#??} ;; esac
	elif [ -z "$config_is_set" ]; then
		config_file=config.yml
	fi
	if [ -z "$config_file" ]; then
		return 0
	elif [ -e "$config_file" ]; then
		read_config_file "$config_file"
	elif [ -n "$config_option" ]; then
		fail 2 "there is no file $config_file"
	elif [ -n "$config_variable" ]; then
		fail 2 "SYNCMASTER_CONFIG_FILE names $config_file, which does not exist"
	else
		config_file=
	fi
}

# Find the database, and leave it in libpq's variables.  The order is that of
# SyncMaster 0.3.5, the file before the environment; but where they disagree,
# and 0.3.0 to 0.3.4 would take the other one, only an option decides.
find_database()
{
	take_environment
	env_file_names=
	config_file=
	[ -z "$env_file" ] || read_env_file "$env_file"

	if [ -n "$env_file_names" ] && [ -z "$config_option" ]; then
		config_url=
	else
		find_config_file
	fi
	if [ -n "$config_option" ] && [ -z "$config_url$env_file_names" ]; then
		fail 2 "$config_option has no database.url"
	fi

	if [ -n "$config_url" ]; then
		if [ -z "$config_option" ] || [ -n "$env_file_names" ]; then
			if [ -n "$environment_url" ]; then
				require_agreement use_config "$config_file" use_environment \
					"$url_name"
			elif use_libpq; then
				require_agreement use_config "$config_file" use_libpq \
					"the variables PG..."
			fi
		fi
		use_config
	elif [ -n "$environment_url" ]; then
		use_environment
	elif use_libpq; then
		address_name='variables PG...'
	else
		without=${config_file:+, and $config_file has no database.url}
		fail 2 "no database is named$without: set $url_name, as for SyncMaster's" \
			"services, or PGDATABASE, or use --config or --env-file"
	fi
	[ -z "$env_file_names" ] || [ -n "$config_url" ] ||
		address_name="$address_name in $env_file"
	export PGAPPNAME="${PGAPPNAME:-syncmaster-db}"
	export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-30}"
}
