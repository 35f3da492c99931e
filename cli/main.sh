# shellcheck shell=sh
# The command line.

newest=$(revisions | {
	read -r id _
	echo "$id"
})
env_file=
quiet=
given=
range=
sql=
allow_destroy=
purge=
check_heads=
dry_run=
indicate=

# An empty value, as of an unset variable, must not lead to the environment's database.
use_env_file()
{
	[ -n "$1" ] || wrong_usage "--env-file needs a value"
	env_file=$1
}

count=$#
while [ "$count" -gt 0 ]; do
	argument=$1
	shift
	count=$((count - 1))
	case $argument in
		--env-file | -r | --rev-range)
			[ "$count" -gt 0 ] || wrong_usage "$argument needs a value"
			case $argument in
				--env-file) use_env_file "$1" ;;
				*)
					range=$1
					given="$given --rev-range"
					;;
			esac
			shift
			count=$((count - 1))
			;;
		--env-file=*) use_env_file "${argument#*=}" ;;
		--rev-range=*)
			range=${argument#*=}
			given="$given --rev-range"
			;;
		-r?*)
			range=${argument#-r}
			given="$given --rev-range"
			;;
		-q | --quiet) quiet=1 ;;
		-h | --help)
			usage
			exit
			;;
		--version)
			echo "syncmaster-db @VERSION@"
			exit
			;;
		--sql) sql=1 given="$given $argument" ;;
		--allow-destroy) allow_destroy=1 given="$given $argument" ;;
		--purge) purge=true given="$given $argument" ;;
		-c | --check-heads) check_heads=true given="$given --check-heads" ;;
		--dry-run) dry_run=true given="$given $argument" ;;
		-i | --indicate-current)
			indicate=1
			given="$given --indicate-current"
			;;
		--)
			while [ "$count" -gt 0 ]; do
				argument=$1
				shift
				count=$((count - 1))
				set -- "$@" "$argument"
			done
			;;
		-[0-9]*) set -- "$@" "$argument" ;;
		-*) wrong_usage "unknown option $argument" ;;
		*) set -- "$@" "$argument" ;;
	esac
done

[ $# -gt 0 ] || wrong_usage "a command is missing"
command=$1
shift

# Are there from $1 to $2 arguments, and no options but $3?
expect()
{
	least=$1
	most=$2
	allowed=$3
	shift 3
	[ $# -ge "$least" ] || wrong_usage "$command: an argument is missing"
	[ $# -le "$most" ] || wrong_usage "$command: there are too many arguments"
	for option in $given; do
		case " $allowed " in
			*" $option "*) ;;
			*) wrong_usage "$command has no option $option" ;;
		esac
	done
}

verbose=true
progress=off
if [ -n "$quiet" ]; then
	verbose=false
elif [ -t 2 ]; then
	progress=on
fi
target=${1-head}

case $command in
	upgrade)
		expect 0 1 --sql "$@"
		prepare
		if [ -n "$sql" ]; then upgrade_sql; else upgrade; fi
		;;
	downgrade)
		expect 1 1 --allow-destroy "$@"
		prepare
		downgrade
		;;
	stamp)
		expect 1 1 --purge "$@"
		prepare
		stamp
		;;
	plan | preflight)
		expect 0 1 '' "$@"
		prepare
		"$command"
		;;
	check)
		expect 0 0 '' "$@"
		prepare
		check
		;;
	current)
		expect 0 0 --check-heads "$@"
		prepare
		current
		;;
	rotate-credentials)
		expect 0 0 --dry-run "$@"
		prepare
		rotate_credentials
		;;
	superusers)
		expect 1 10000 '' "$@"
		case $1 in
			list) expect 1 1 '' "$@" ;;
			add | remove) expect 2 10000 '' "$@" ;;
			*) wrong_usage "superusers: list, add NAME... or remove NAME..." ;;
		esac
		prepare
		superusers "$@"
		;;
	heads)
		expect 0 0 '' "$@"
		echo "$newest (head)"
		;;
	history)
		expect 0 0 '--rev-range --indicate-current' "$@"
		history
		;;
	show)
		expect 1 1 '' "$@"
		show "$1"
		;;
	branches | edit | ensure_version | init | list_templates | merge | revision)
		fail 2 "$command has no counterpart: revisions come with the" \
			"extension's package"
		;;
	*) wrong_usage "unknown command $command" ;;
esac
