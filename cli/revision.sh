# shellcheck shell=sh
# The commands that are about revisions.

# The revisions that the extension knows, newest first.
revisions()
{
	cat <<'TEXT'
@REVISIONS@
TEXT
}

# The revision of the database, for the commands that are about revisions.
ask_current()
{
	# shellcheck disable=SC2030 # for the subshell
	current_revision=$(check_heads= && prepare && current) || exit
	current_revision=${current_revision%% *}
	: "${current_revision:=base}"
}

# Print what $1 names as a revision.
resolve()
{
	case $1 in
		head | heads) echo "$newest" ;;
		current) echo "$current_revision" ;;
		base | 0) echo base ;;
		*)
			revisions | while read -r id _; do
				[ "$id" != "$1" ] || echo "$id"
			done
			;;
	esac
}

# Print what $1 names as the target of a migration that begins at $2, if that is known.
locate()
{
	begin=$1
	move=+0
	case $1 in
		*[+-]*)
			begin=${1%[+-]*}
			move=${1#"$begin"}
			: "${begin:=${2-}}"
			;;
	esac
	case $begin in
		1.1[1-9] | 1.[2-9][0-9]) begin=00${begin#1.} ;;
	esac
	begin=$(resolve "$begin")
	case ${move#?} in
		'' | *[!0-9]* | ????*) return ;;
	esac
	# The newest is first there.
	{
		revisions
		echo base
	} | awk -v begin="$begin" -v move="$move" '
		{ id[NR] = $1 }
		$1 == begin { at = NR }
		END { if (at && (at - move) in id) print id[at - move] }'
}

cannot_locate()
{
	fail 1 "cannot locate revision \"$1\"; there are 0001 to $newest"
}

# A line as Alembic prints it, or more.
describe()
{
	id=$1
	parent=$2
	shift 2
	if [ -n "$more" ]; then
		show_revision "$id" "$parent" "$*"
		return
	fi
	[ "$id" != "$newest" ] || id="$id (head)"
	[ -z "$indicate" ] || [ "${id%% *}" != "$current_revision" ] ||
		id="$id (current)"
	printf '%s -> %s, %s\n' "$parent" "$id" "$*"
}

current_revision=

history()
{
	from=base
	to=$newest
	case $indicate,$range in
		1,* | *current*) ask_current ;;
	esac
	case $range in
		'') ;;
		*:*)
			if [ -n "${range%%:*}" ]; then
				from=$(resolve "${range%%:*}")
				[ -n "$from" ] || cannot_locate "${range%%:*}"
			fi
			if [ -n "${range#*:}" ]; then
				to=$(resolve "${range#*:}")
				[ -n "$to" ] || cannot_locate "${range#*:}"
			fi
			;;
		*) wrong_usage "a range of revisions is FROM:TO" ;;
	esac
	{
		revisions
		echo base
	} | {
		# The line before is printed when its parent is known.
		id=
		inside=
		while read -r parent words; do
			[ "$id" != "$to" ] || inside=1
			shown=$parent
			[ "$parent" != base ] || shown='<base>'
			if [ -n "$inside" ] && [ -n "$id" ]; then
				saved=$id
				describe "$id" "$shown" "$description"
				id=$saved
			fi
			[ "$id" != "$from" ] || inside=
			id=$parent
			description=$words
		done
	}
}

# More about a revision.
show_revision()
{
	shown_id=$1
	[ "$1" != "$newest" ] || shown_id="$1 (head)"
	[ -z "$indicate" ] || [ "$1" != "$current_revision" ] ||
		shown_id="$shown_id (current)"
	printf 'Rev: %s\nParent: %s\n\n    %s\n\n' "$shown_id" "$2" "$3"
}

show()
{
	[ "$1" != current ] || ask_current
	wanted=$(resolve "$1")
	case $wanted in
		'' | base) cannot_locate "$1" ;;
	esac
	show_known "$wanted"
}

show_known()
{
	revisions | while read -r id words; do
		if [ "$id" = "$1" ]; then
			parent=base
			! read -r parent _ || :
			[ "$parent" != base ] && [ -n "$parent" ] || parent='<base>'
			show_revision "$id" "$parent" "$words"
		fi
	done
}

current_verbose()
{
	ask_current
	[ "$current_revision" = base ] || show_known "$current_revision"
	# shellcheck disable=SC2031 # the one that was told
	[ -z "$check_heads" ] || [ "$current_revision" = "$newest" ] || exit 4
}
