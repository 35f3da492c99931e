# What "help COMMAND" prints, as branches of a "case" of the shell.

function finish()
{
	if (command != "")
		print "TEXT\n\t\t\t;;"
	command = ""
}

/^## / { finish() }

/^### / {
	finish()
	gsub(/^### |`/, "")
	command = $1
	printf "\t\t%s)\n\t\t\tcat <<'TEXT'\nUsage: syncmaster-db [options] %s\n",
		command, $0
	next
}

command != "" {
	if ($0 ~ /^```/)
		next
	gsub(/`|[*][*]/, "")
	# The empty line at the end belongs to the page.
	if (NF == 0) {
		empty = 1
		next
	}
	if (empty)
		print ""
	empty = 0
	print
}
