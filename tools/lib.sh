# Shell functions that bin/quickstart, packaging/dist and the tests share.
# shellcheck shell=sh

# Messages, sort orders and what initdb records must not depend on who calls.
LC_ALL=C.UTF-8
export LC_ALL
unset LANG LANGUAGE

# The servers here are the program's own, whatever server libpq's variables of the caller
# name: PGHOST, PGSERVICE, PGOPTIONS and the like.
for variable in $(env | sed -n 's/^\(PG[A-Z]*\)=.*/\1/p'); do
	case $variable in
		PGCTLTIMEOUT | PGSPOT) ;; # pg_ctl's, and a program's
		*) unset "$variable" ;;
	esac
done

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

is_root()
{
	[ "$(id -u)" -eq 0 ]
}

# Print those of the named Debian packages that are not installed.
missing_packages()
{
	for package in "$@"; do
		case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
			'install ok installed') ;;
			*) say "$package" ;;
		esac
	done
}

# An index of some other repository may be out of reach; whether that matters
# shows when packages are installed.
update_package_index()
{
	[ -z "${package_index_updated:-}" ] || return 0
	DEBIAN_FRONTEND=noninteractive apt-get -q update >/dev/null 2>&1 || :
	package_index_updated=1
}

# Install the named packages where they are missing.
install_packages()
{
	# shellcheck disable=SC2046 # one word per package
	set -- $(missing_packages "$@")
	[ $# -gt 0 ] || return 0
	is_root || die "needs root to install these packages: $*"
	command -v apt-get >/dev/null || die "needs these packages: $*"

	say "Installing $*"
	update_package_index

	# Debian creates and starts a cluster on port 5432 along with the server's
	# package.  Nobody asked for that one.
	dropin=/etc/postgresql-common/createcluster.d/syncmaster-no-cluster.conf
	mkdir -p "${dropin%/*}"
	echo 'create_main_cluster = false' >"$dropin"
	log=$(mktemp)
	if DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" \
		</dev/null >"$log" 2>&1
	then
		rm -f "$dropin" "$log"
	else
		cat "$log" >&2
		rm -f "$dropin" "$log"
		die "could not install $*"
	fi
}

# The installed servers of the distribution, the oldest first.
installed_majors()
{
	for dir in /usr/lib/postgresql/*/bin; do
		[ ! -x "$dir/postgres" ] || basename "${dir%/bin}"
	done | sort -n
}

# The major version to work with: of the server that PG_CONFIG belongs to, else
# the newest installed server, else what the distribution would install.
default_major()
{
	if [ -n "${PG_CONFIG:-}" ]; then
		"$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/'
		return
	fi
	major=$(installed_majors | tail -n 1)
	if [ -z "$major" ]; then
		update_package_index
		major=$(apt-cache show postgresql 2>/dev/null |
			sed -n 's/^Depends:.*postgresql-\([0-9][0-9]*\).*/\1/p' | head -n 1)
	fi
	say "$major"
}

# What a build against the given major needs: the server's packages, unless
# PG_CONFIG belongs to a server that is there already.
build_packages()
{
	server="postgresql-$1 postgresql-server-dev-$1"
	[ -z "${PG_CONFIG:-}" ] ||
		[ ! -d "$("$PG_CONFIG" --includedir-server)" ] || server=
	say "$server gcc libc6-dev make libssl-dev libkrb5-dev"
}

# The pg_config of the given major.
pg_config_of()
{
	if [ -n "${PG_CONFIG:-}" ]; then
		say "$PG_CONFIG"
	else
		say "/usr/lib/postgresql/$1/bin/pg_config"
	fi
}

# Copy the sources in the current directory, without what is built from them,
# to the folder $1.  Builds and tests then leave nothing behind here.
copy_sources()
{
	mkdir -p "$1"
	tar -cf - --exclude=./.git --exclude=./.demo --exclude=./dist \
		--exclude='*.o' --exclude='*.so' --exclude='*.bc' --exclude='*.d' \
		--exclude=./results --exclude=./output_iso --exclude=./tmp_check . |
		(cd "$1" && tar -xf - --no-same-owner)
}

# Run a command as the user $1, whatever that user's shell is.
as_user()
{
	as=$1
	shift
	if [ "$as" = "$(id -un)" ]; then
		"$@"
	else
		setpriv --reuid "$as" --regid "$(id -g "$as")" --init-groups -- "$@"
	fi
}

# Carry out the statements of the file $1 one by one, and print each as psql's prompt
# would show it, and what comes of it.  The rest is psql with its options.  A statement
# ends with a line that ends with ";".
show_session()
{
	file=$1
	shift
	prompt='syncmaster=#'
	statement=
	while IFS= read -r line; do
		printf '%s %s\n' "$prompt" "${bold:-}$line${plain:-}"
		statement="$statement $line"
		prompt='syncmaster-#'
		case $line in
			*\;)
				"$@" -c "$statement" </dev/null
				prompt='syncmaster=#'
				statement=
				;;
		esac
	done <"$file"
}

# The links and pictures in the pages below the folder $1 that lead to no file.
dead_links()
{
	find "$1" -name '*.md' | while IFS= read -r page; do
		# shellcheck disable=SC2016 # no command
		sed 's/`[^`]*`//g' "$page" | grep -oE '\]\([^()#: ]+[#)]' |
			sed 's/^](//; s/.$//' | while IFS= read -r link; do
			[ -e "${page%/*}/$link" ] || say "$page: $link"
		done
	done
}

# Carry out a script of this repository, $1 with its arguments, as root on a copy of
# this machine's file system, whose changes are kept in memory, with mounts and
# processes of its own.  There, the repository is in /srv/syncmaster.
enter_copy_of_machine()
{
	# shellcheck disable=SC2016 # expanded by that shell
	unshare --mount --pid --fork --kill-child -- sh -euc '
		. tools/lib.sh
		root=$(mktemp -d)
		mount -t tmpfs tmpfs "$root"
		mkdir "$root/changes" "$root/work" "$root/root"
		mount -t overlay -o "lowerdir=/,upperdir=$root/changes,workdir=$root/work" \
			overlay "$root/root"
		mount -t proc proc "$root/root/proc"
		mount --rbind /dev "$root/root/dev"
		for dir in tmp var/tmp srv run dev/shm; do
			mount -t tmpfs -o mode=1777 tmpfs "$root/root/$dir"
		done
		copy_sources "$root/root/srv/syncmaster"
		script=$1
		shift
		chroot "$root/root" "/srv/syncmaster/$script" "$@"' sh "$@"
}

# Run a command as a check with a name; what it prints shows if it fails.
passed=0
failed=0
check()
{
	name=$1
	shift
	if printed=$("$@" 2>&1); then
		passed=$((passed + 1))
		say "ok - $name"
	else
		failed=$((failed + 1))
		say "not ok - $name"
		say "$printed"
	fi
}

finish_checks()
{
	say
	say "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
