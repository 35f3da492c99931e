# shellcheck shell=sh
# SyncMaster's configuration file, of which two values are read.

# Print the values of database.url and encryption.secret_key in a file of YAML
# as lines "url VALUE" and "key VALUE"; or "error TEXT" where the file has what
# this does not read with certainty, as a wrong guess would be another database.
#
# What is read: mappings and sequences in blocks, plain and quoted scalars and
# flow collections on one line, and block scalars, which only other keys than
# those two may have.
parse_config()
{
	# shellcheck disable=SC2016 # for awk
	LC_ALL=C awk '
	function refuse(text)
	{
		print "error line " NR ": " text
		refused = 1
		exit
	}

	function refuse_line(text)
	{
		refuse(folding ? "a value that goes on over several lines" : text)
	}

	# Enter the collection of this kind at this column, leaving those that are
	# deeper; a new one needs a value that is still open.
	function enter(column, kind)
	{
		while (depth > 0 && columns[depth] > column) {
			depth--
			open = 0
		}
		if (depth > 0 && columns[depth] == column) {
			if (kinds[depth] == kind)
				;
			else if (kind == "list" && open)
				kinds[++depth] = kind
			else if (kinds[depth] == "list" && depth > 1 &&
					 columns[depth - 1] == column)
				depth--
			else
				refuse("a list and keys side by side")
		} else if (depth == 0 ? started : !open)
			refuse_line("this is indented like nothing above")
		else
			kinds[++depth] = kind
		columns[depth] = column
		started = 1
		open = 0
		if (depth == 1 && kind == "list")
			refuse("a list instead of keys")
	}

	# The length of the quoted text at the beginning, 0 if it does not end.
	function quoted_length(text,    quote, i, c)
	{
		quote = substr(text, 1, 1)
		for (i = 2; i <= length(text); i++) {
			c = substr(text, i, 1)
			if (c == "\\" && quote == "\"")
				i++
			else if (c == quote) {
				if (quote == "\"" || substr(text, i + 1, 1) != quote)
					return i
				i++
			}
		}
		return 0
	}

	# The same of a flow collection.
	function flow_length(text,    i, c, before, level, n)
	{
		before = "["
		for (i = 1; i <= length(text); i++) {
			c = substr(text, i, 1)
			if (index("[{,:", before) && index("\"\047", c)) {
				n = quoted_length(substr(text, i))
				if (n == 0)
					return 0
				i += n - 1
			} else if (index("[{,:", before) && index("&*!|>%@`?", c))
				return 0
			else if (c == "[" || c == "{")
				level++
			else if (c == "]" || c == "}") {
				if (--level == 0)
					return i
			} else if (c == "#" && substr(text, i - 1, 1) == " ")
				return 0
			if (c != " ")
				before = c
		}
		return 0
	}

	# The text that a quoted one stands for.
	function unquote(text,    quote, result, i, c)
	{
		quote = substr(text, 1, 1)
		result = ""
		for (i = 2; i < length(text); i++) {
			c = substr(text, i, 1)
			if (quote == "\"" && c == "\\") {
				c = substr(text, ++i, 1)
				if (!index("\"\\/", c))
					refuse("the escape \\" c)
			} else if (quote == "\047" && c == quote)
				i++
			result = result c
		}
		return result
	}

	function check_rest(text)
	{
		if (text !~ /^ *$/ && text !~ /^ +#/)
			refuse("text behind the end of a value")
	}

	# Is the value of this key one of those that are looked for, or a part?
	function is_ours()
	{
		return depth == 1 ? is_section(keys[1]) : depth == 2 && kinds[2] == "map" && keys[1] "." keys[2] ~ /^(database[.]url|encryption[.]secret_key)$/
	}

	# A value on the line of its key or dash; column is that of the key.
	function take_value(text, column, ours,    first, n)
	{
		first = substr(text, 1, 1)
		folding = open = 0
		if (text == "" || first == "#") {
			open = 1
			if (ours && depth == 2)
				refuse(keys[1] "." keys[2] " has no value")
		} else if (text ~ /^[|>]/) {
			if (ours || text !~ /^[|>][-+]?( *| +#.*)$/)
				refuse("a block scalar" (ours ? "" : " with an indentation"))
			block = column
			block_content = -1
			in_block = 1
		} else if (first == "\"" || first == "\047") {
			n = quoted_length(text)
			if (n == 0)
				refuse("a closing quote is missing on this line")
			check_rest(substr(text, n + 1))
			take_text(unquote_if(ours, substr(text, 1, n)), ours)
		} else if (first == "[" || first == "{") {
			n = flow_length(text)
			if (n == 0)
				refuse("a flow collection that does not end on this line, or " \
					   "has more than texts in it")
			check_rest(substr(text, n + 1))
			if (ours && !(depth == 1 && substr(text, 1, n) ~ /^[{] *[}]$/))
				refuse("a flow collection as the value of " keys[1])
		} else if (index("&*!%@`,]}", first) || text ~ /^[-?:]( |$)/)
			refuse("an anchor, alias, tag or the like: " first)
		else {
			sub(/ +#.*$/, "", text)
			sub(/ +$/, "", text)
			if (text ~ /:( |$)/)
				refuse("a colon inside a value that is not quoted")
			folding = 1
			take_text(text, ours)
			if (ours && text ~ /^(~|null|Null|NULL)$/)
				refuse(keys[1] "." keys[2] " has no value")
		}
	}

	function unquote_if(ours, text)
	{
		return ours ? unquote(text) : text
	}

	function take_text(text, ours)
	{
		if (!ours)
			return
		if (depth == 1)
			refuse("the value of " keys[1] " is not a block of keys")
		if (text == "")
			refuse(keys[1] "." keys[2] " has no value")
		found[keys[1] == "database" ? "url" : "key"] = text
	}

	NR == 1 { sub(/^\357\273\277/, "") }
	{ sub(/\r$/, "") }

	# Characters that Python would not read, or take for the end of a line.
	/[\001-\010\013-\037\177]/ { refuse("a control character") }
	/[\200-\377]/ {
		rest = $0
		if (rest ~ /\302[\200-\237]/ || rest ~ /\342\200[\250\251]/)
			refuse("a control character")
		gsub(/[\302-\337][\200-\277]/, "", rest)
		gsub(/[\340-\357][\200-\277][\200-\277]/, "", rest)
		gsub(/[\360-\364][\200-\277][\200-\277][\200-\277]/, "", rest)
		if (rest ~ /[\200-\377]/)
			refuse("this is not UTF-8")
	}

	in_block && /^ *$/ { next }
	in_block {
		match($0, /^ */)
		if (RLENGTH > block) {
			if (block_content < 0)
				block_content = RLENGTH
			if (RLENGTH < block_content)
				refuse("this is indented like nothing above")
			next
		}
		in_block = 0
	}

	/^ *(#.*)?$/ { next }
	/\t/ { refuse("a tab") }
	/^---( *| +#.*)$/ && !started && !marked {
		marked = 1
		next
	}
	/^(---|\.\.\.)/ || /^%/ { refuse("a document of several") }

	{
		match($0, /^ */)
		column = RLENGTH
		text = substr($0, column + 1)
		sub(/ +$/, "", text)
		while (text ~ /^-( |$)/) {
			enter(column, "list")
			open = 1
			folding = 0
			match(text, /^- */)
			column += RLENGTH
			text = substr(text, RLENGTH + 1)
		}
		if (text == "" || text ~ /^#/)
			next
		dash = open && kinds[depth] == "list" && column > columns[depth] &&
			   $0 ~ /^ *-/

		key = ""
		if (text ~ /^["\047]/) {
			n = quoted_length(text)
			if (n > 0 && substr(text, n + 1) ~ /^ *:( |$)/) {
				key = substr(text, 1, n)
				if (index(key, "\\"))
					refuse("an escape in a key")
				key = unquote(key)
				rest = substr(text, n + 1)
				sub(/^ *:/, "", rest)
			} else
				rest = ""
			is_key = n > 0 && substr(text, n + 1) ~ /^ *:( |$)/
		} else if (match(text, /:( |$)/)) {
			key = substr(text, 1, RSTART - 1)
			rest = substr(text, RSTART + 1)
			is_key = key !~ / #/
			if (is_key && (key == "" || index("&*!|>%@`,[]{}?", substr(key, 1, 1)) ||
						   key ~ /^- / || key == "<<"))
				refuse("an anchor, alias, tag or the like: " substr(text, 1, 1))
			sub(/ +$/, "", key)
		} else
			is_key = 0

		if (!is_key) {
			if (!dash)
				refuse_line("this is neither a key nor an entry of a list")
			# An entry of a list belongs to nothing that is looked for.
			take_value(text, columns[depth], 0)
			next
		}
		enter(column, "map")
		keys[depth] = key
		ours = is_ours()
		if (ours && seen[depth, keys[1], depth > 1 ? key : ""]++)
			refuse("the key " key " appears twice")
		if (depth == 1)
			filled[key] = 0
		else
			filled[keys[1]] = 1
		if (depth > 1 && kinds[2] == "list" && is_section(keys[1]))
			refuse("the value of " keys[1] " is not a block of keys")
		sub(/^ +/, "", rest)
		take_value(rest, column, ours)
		if (depth == 1 && rest ~ /^[{]/)
			filled[key] = 1
	}

	function is_section(name)
	{
		return name == "database" || name == "encryption"
	}

	END {
		if (refused)
			exit
		for (name in filled)
			if (is_section(name) && !filled[name]) {
				print "error the key " name " has no value"
				exit
			}
		for (name in found)
			print name " " found[name]
	}' "$1"
}

# Read the file $1, and leave its values in config_url and config_key.
read_config_file()
{
	if [ -d "$1" ]; then
		fail 2 "$1 is a folder; Docker makes one where the file to mount is" \
			"missing"
	elif [ ! -r "$1" ]; then
		fail 2 "cannot read $1"
	fi
	config_url=
	config_key=
	parsed=$(parse_config "$1") || fail 2 "cannot read $1"
	# A carriage return may end a line, and nothing else.
	while IFS= read -r line; do
		case $line in
			'error '*)
				fail 2 "$1, ${line#error }, which this program does not read:" \
					"write it more simply, or name the database by --env-file" \
					"or --no-config"
				;;
			'url '*) config_url=${line#url } ;;
			'key '*) config_key=${line#key } ;;
		esac
	done <<TEXT
$parsed
TEXT
}
