# shellcheck shell=sh
# Files of variables, which are read and never run.

# What a shell would replace by something else is refused, as nothing is
# expanded here and nothing of the file is ever run.
refuse_expansion()
{
	# shellcheck disable=SC2016 # looked for as they are
	case $1 in
		*'${'* | *'$('* | *\`*)
			wrong_usage "$place: variables and commands are not expanded;" \
				"write the value itself, in single quotes"
			;;
	esac
}

# The value that $1 is the text of: quoted or not, with a comment or without.
unquote_value()
{
	case $1 in
		\'*\'*)
			value=${1#\'}
			tail=${value#*\'}
			value=${value%%\'*}
			;;
		\"*)
			text=${1#\"}
			value=
			while :; do
				part=${text%%[\"\\]*}
				refuse_expansion "$part"
				text=${text#"$part"}
				value=$value$part
				case $text in
					\"*) break ;;
					\\[\"\\\$\`]*)
						escaped=${text%"${text#??}"}
						value=$value${escaped#?}
						text=${text#??}
						;;
					\\*)
						value=$value\\
						text=${text#?}
						;;
					*) wrong_usage "$place: the closing quote is missing" ;;
				esac
			done
			tail=${text#\"}
			;;
		\'*) wrong_usage "$place: the closing quote is missing" ;;
		'#'*)
			value=
			tail=
			;;
		*)
			value=${1%%[[:space:]]#*}
			refuse_expansion "$value"
			value=${value%"${value##*[![:space:]]}"}
			tail=
			;;
	esac
	tail=${tail#"${tail%%[![:space:]]*}"}
	case $tail in
		'' | '#'*) ;;
		*) wrong_usage "$place: there is text behind the closing quote" ;;
	esac
}

# The file names another database than the environment's address or service,
# to which libpq gives precedence; and a host has its own address and port.
forget_another_database()
{
	environment_url=
	case $named in *' PGSERVICE '*) ;; *) unset PGSERVICE ;; esac
	case $named in
		*' PGHOST '*)
			case $named in *' PGHOSTADDR '*) ;; *) unset PGHOSTADDR ;; esac
			case $named in *' PGPORT '*) ;; *) unset PGPORT ;; esac
			;;
	esac
}

read_env_file()
{
	if [ ! -r "$1" ] || [ -d "$1" ]; then
		fail 2 "cannot read $1"
	fi
	number=0
	url=
	url_given=
	key_given=
	config_in_file=
	named=' '
	while IFS= read -r line || [ -n "$line" ]; do
		number=$((number + 1))
		place="$1, line $number"
		[ "$number" -gt 1 ] || line=${line#"$byte_order_mark"}
		line=${line%"$cr"}
		line=${line#"${line%%[![:space:]]*}"}
		case $line in
			export[[:space:]]*)
				line=${line#export}
				line=${line#"${line%%[![:space:]]*}"}
				;;
		esac
		name=${line%%=*}
		value=${line#*=}
		name=${name%"${name##*[![:space:]]}"}
		value=${value#"${value%%[![:space:]]*}"}
		case $name in
			"$line" | *[!A-Za-z0-9_]*) ;;
			PG[A-Z]*)
				unquote_value "$value"
				export "$name=$value"
				named="$named$name "
				;;
			SYNCMASTER_CONFIG_FILE)
				unquote_value "$value"
				config_in_file=$value
				;;
			[Ss][Yy][Nn][Cc][Mm][Aa][Ss][Tt][Ee][Rr]__*)
				take_setting "$(printf '%s' "$name" | tr '[:upper:]' '[:lower:]')"
				;;
		esac
	done <"$1"
	# Beside an address, it is the services' that goes first there.
	config_option=${config_option:-$config_in_file}
	if [ -n "$url" ]; then
		environment_url=$url
		env_file_names=1
	elif [ "$named" != ' ' ]; then
		forget_another_database
		env_file_names=1
	elif [ -z "$config_in_file" ]; then
		fail 2 "$1 contains neither $url_name nor SYNCMASTER_CONFIG_FILE nor PG..."
	fi
}

# A variable of the services with the lower-case name $1.
take_setting()
{
	case $1 in
		syncmaster__database__url)
			unquote_value "$value"
			# The services get both variables.
			[ -z "$url" ] || [ "$url_given" = "$name" ] || [ "$url" = "$value" ] ||
				wrong_usage "$place: $url_given and $name have different values"
			url=$value
			url_given=$name
			;;
		syncmaster__encryption__secret_key)
			unquote_value "$value"
			[ -z "$key_given" ] || [ "$key_given" = "$name" ] ||
				[ "$environment_key" = "$value" ] ||
				wrong_usage "$place: $key_given and $name have different values"
			environment_key=$value
			key_given=$name
			;;
		syncmaster__database)
			fail 2 "$place: $name is not read: use $url_name in its place"
			;;
	esac
}
