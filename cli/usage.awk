# The screen of "help": commands, options and exit statuses of
# doc/command-line.md, a line each.

BEGIN { print "Usage: syncmaster-db [options] command [arguments]\n" }

/^## / { section = substr($0, 4) }

section == "Commands" && /^### / {
	gsub(/^### |`/, "")
	command = $0
	next
}
command != "" && NF > 0 {
	gsub(/`/, "")
	sub(/[.]$/, "")
	if (length(command) > 33)
		printf "  %s\n  %-33s  %s\n", command, "", $0
	else
		printf "  %-33s  %s\n", command, $0
	command = ""
}

section == "Options" && /^[*] / {
	if (!options++)
		print "\nTARGET: head, base, 0012, +1, -1 or a version of the extension such as 1.12"
	gsub(/^[*] |`/, "")
	n = index($0, ": ")
	printf "  %-33s  %s\n", substr($0, 1, n - 1), substr($0, n + 2)
}

END {
	print "The database: config.yml, SYNCMASTER__DATABASE__URL or PG...; see the manual."
	print "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no connection, 4 something was"
	print "found, 5 others are at work: try again, 128+N ended by signal N."
}
