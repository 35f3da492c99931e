# The manual page, of doc/command-line.md.

function plain(text)
{
	# [text](address) becomes the text.
	while (match(text, /\[[^]]*\]\([^)]*\)/)) {
		link = substr(text, RSTART, RLENGTH)
		sub(/\]\(.*/, "", link)
		text = substr(text, 1, RSTART - 1) substr(link, 2) \
			substr(text, RSTART + RLENGTH)
	}
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	gsub(/…/, "...", text)
	text = marked(text, "**")
	text = marked(text, "`")
	sub(/^[.']/, "\\\\\\&&", text)
	return text
}

# What is between two marks is bold.
function marked(text, mark,    result, n, bold)
{
	while ((n = index(text, mark)) > 0) {
		result = result substr(text, 1, n - 1) (bold ? "\\fR" : "\\fB")
		bold = !bold
		text = substr(text, n + length(mark))
	}
	return result text
}

function upper(text)
{
	text = toupper(text)
	return text
}

NR == 1 {
	printf ".TH SYNCMASTER\\-DB 1 \"\" \"syncmaster %s\"\n", version
	print ".SH NAME"
	print "syncmaster\\-db \\- create and upgrade the database of SyncMaster"
	print ".SH SYNOPSIS"
	print ".B syncmaster\\-db\n[options] command [arguments]"
	print ".SH DESCRIPTION"
	next
}
/^```/ {
	code = !code
	print code ? ".PP\n.RS 4\n.nf" : ".fi\n.RE"
	next
}
code { print plain($0); next }
/^## / { print ".SH " plain(upper(substr($0, 4))); item = 0; next }
/^### / {
	gsub(/^### |`/, "")
	print ".SS " plain($0)
	next
}
/^\|---/ || /^\| status/ { next }
/^\| / {
	n = split($0, cell, / *\| */)
	printf ".TP\n%s\n%s\n", plain(cell[2]), plain(cell[3])
	next
}
/^[*] `-/ {
	n = index($0, ": ")
	printf ".TP\n%s\n%s\n", plain(substr($0, 3, n - 3)), plain(substr($0, n + 2))
	next
}
/^[*] / { printf ".IP \\(bu 2\n%s\n", plain(substr($0, 3)); next }
/^[0-9]+[.] / {
	match($0, /^[0-9]+[.] /)
	printf ".IP %s 4\n%s\n", substr($0, 1, RLENGTH - 1), plain(substr($0, RLENGTH + 1))
	next
}
NF == 0 { empty = 1; next }
{
	if (empty && $0 !~ /^ /)
		print ".PP"
	empty = 0
	sub(/^ +/, "")
	print plain($0)
}
