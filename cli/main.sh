# shellcheck shell=sh
# The command line.

newest=$(revisions | {
	read -r id _
	echo "$id"
})
env_file=
config_option=
no_config=
schema=
quiet=
given=
range=
sql=
allow_destroy=
purge=
detach=
check_heads=
dry_run=
indicate=
more=
keep_last=0
batch_size=10000
older_than=
new_status=
help=

# Take $1, an option, with its value $2.  An empty one, as of an unset variable,
# must not lead to another database.
take_value()
{
	case $1 in
		-r | --rev-range)
			range=$2
			given="$given --rev-range"
			return
			;;
	esac
	[ -n "$2" ] || wrong_usage "$1 needs a value"
	case $1 in
		--env-file) env_file=$2 ;;
		--config) config_option=$2 ;;
		--schema) schema=$2 ;;
		--keep-last) keep_last=$2 given="$given $1" ;;
		--batch-size) batch_size=$2 given="$given $1" ;;
		--older-than) older_than=$2 given="$given $1" ;;
		--status) new_status=$2 given="$given $1" ;;
	esac
}

count=$#
while [ "$count" -gt 0 ]; do
	argument=$1
	shift
	count=$((count - 1))
	case $argument in
		--env-file | --config | --schema | --keep-last | --batch-size | \
			--older-than | --status | -r | --rev-range)
			[ "$count" -gt 0 ] || wrong_usage "$argument needs a value"
			take_value "$argument" "$1"
			shift
			count=$((count - 1))
			;;
		--env-file=* | --config=* | --schema=* | --keep-last=* | \
			--batch-size=* | --older-than=* | --status=* | --rev-range=*)
			take_value "${argument%%=*}" "${argument#*=}"
			;;
		-r?*) take_value -r "${argument#-r}" ;;
		--no-config) no_config=1 ;;
		-q | --quiet) quiet=1 ;;
		-h | --help) help=1 ;;
		-V | --version)
			echo "syncmaster-db @VERSION@"
			exit
			;;
		-v | --verbose) more=1 given="$given --verbose" ;;
		--sql) sql=1 given="$given $argument" ;;
		--allow-destroy) allow_destroy=1 given="$given $argument" ;;
		--purge) purge=true given="$given $argument" ;;
		-c | --check-heads) check_heads=true given="$given --check-heads" ;;
		--detach) detach=detached given="$given $argument" ;;
		--dry-run) dry_run=true given="$given $argument" ;;
		--nagios)
			# Such programs read standard output alone, and the first line most.
			nagios=1 quiet=1 given="$given $argument"
			trap cleanup EXIT
			exec 2>&1
			;;
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

[ -z "$help" ] || set -- help "$@"
[ -z "$config_option" ] || [ -z "$no_config" ] ||
	wrong_usage "--config and --no-config exclude each other"
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
		case $sql,$target in
			1,*:*) range_sql ;;
			,*[a-z0-9]:*) wrong_usage "upgrade: a range needs --sql" ;;
			1,*) prepare && upgrade_sql ;;
			*) prepare && upgrade ;;
		esac
		;;
	downgrade)
		expect 1 1 '--allow-destroy --sql' "$@"
		case $sql,$target in
			1,*:*) range_sql ;;
			,*[a-z0-9]:*) wrong_usage "downgrade: a range needs --sql" ;;
			1,*) wrong_usage "downgrade --sql needs a range FROM:TO" ;;
			*) prepare && downgrade ;;
		esac
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
		expect 0 0 '--check-heads --verbose' "$@"
		if [ -n "$more" ]; then
			current_verbose
		else
			prepare
			current
		fi
		;;
	health)
		expect 0 0 --nagios "$@"
		prepare
		health
		;;
	purge-runs)
		expect 1 1 '--keep-last --batch-size --dry-run' "$@"
		prepare
		purge_runs "$1"
		;;
	purge-partitions)
		expect 1 1 '--keep-last --detach --dry-run' "$@"
		prepare
		purge_partitions "$1"
		;;
	purge-results)
		expect 1 1 '--batch-size --dry-run' "$@"
		prepare
		purge_results "$1"
		;;
	end-runs)
		expect 0 10000 '--older-than --status --dry-run' "$@"
		[ $# -eq 0 ] || [ -z "$older_than" ] ||
			wrong_usage "end-runs: ids and --older-than exclude each other"
		[ $# -gt 0 ] || [ -n "$older_than" ] ||
			wrong_usage "end-runs: an id or --older-than is missing"
		prepare
		end_runs "$@"
		;;
	verify-credentials)
		expect 0 0 '' "$@"
		prepare
		verify_credentials
		;;
	grant | revoke)
		expect 2 2 '' "$@"
		prepare
		grant_or_revoke "$@"
		;;
	privileges)
		expect 0 0 '' "$@"
		prepare
		privileges
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
		expect 0 0 --verbose "$@"
		if [ -n "$more" ]; then show head; else echo "$newest (head)"; fi
		;;
	history)
		expect 0 0 '--rev-range --indicate-current --verbose' "$@"
		history
		;;
	show)
		expect 1 1 '' "$@"
		show "$1"
		;;
	help)
		if [ $# -gt 0 ]; then help_on "$1"; else usage; fi
		;;
	branches | edit | ensure_version | init | list_templates | merge | revision)
		fail 2 "$command has no counterpart: revisions come with the" \
			"extension's package"
		;;
	*) wrong_usage "unknown command $command" ;;
esac
