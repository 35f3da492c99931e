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
	unset SYNCMASTER__DATABASE__URL
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
			"$line" | *[!A-Z0-9_]*) ;;
			SYNCMASTER__DATABASE__URL)
				unquote_value "$value"
				url=$value
				;;
			PG[A-Z]*)
				unquote_value "$value"
				export "$name=$value"
				named="$named$name "
				;;
		esac
	done <"$1"
	if [ -n "$url" ]; then
		SYNCMASTER__DATABASE__URL=$url
	elif [ "$named" != ' ' ]; then
		forget_another_database
	else
		fail 2 "$1 contains neither SYNCMASTER__DATABASE__URL nor PG..."
	fi
}
