# Completion for zsh: commands with what they do, and the options of each.

function quoted(text)
{
	gsub(/[`]/, "", text)
	gsub(/'/, "'\\''", text)
	return text
}

BEGIN {
	print "#compdef syncmaster-db\n"
	print "local -a verbs options"
	print "verbs=("
}

/^## / { section = substr($0, 4) }

section == "Commands" && /^### / {
	gsub(/^### |`/, "")
	name = $1
	options[name] = ""
	text = $0
	while (match(text, /\[--?[a-z-]+/)) {
		options[name] = options[name] " " substr(text, RSTART + 1, RLENGTH - 1)
		text = substr(text, RSTART + RLENGTH)
	}
	order[++count] = name
	waiting = 1
	next
}
waiting && NF > 0 {
	sub(/[.]$/, "")
	printf "\t'%s:%s'\n", name, quoted($0)
	waiting = 0
}

section == "Options" && /^[*] / {
	text = $0
	sub(/:.*/, "", text)
	while (match(text, /--?[a-zA-Z-]+/)) {
		global = global " " substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
	}
}

END {
	print ")\n"
	print "case $words[CURRENT-1] in"
	print "\t--config | --env-file) _files; return ;;"
	print "\t--schema | --keep-last | --batch-size | --older-than | -r | --rev-range) return ;;"
	print "\t--status) compadd FAILED STOPPED; return ;;"
	print "esac"
	printf "options=(%s)\n", substr(global, 2)
	print "local command="
	print "integer i"
	print "for ((i = 2; i < CURRENT; i++)); do"
	print "\tcase $words[i] in"
	print "\t--config | --env-file | --schema) ((i++)) ;;"
	print "\t-*) ;;"
	print "\t*) command=$words[i]; break ;;"
	print "\tesac"
	print "done"
	print "case $command in"
	for (i = 1; i <= count; i++)
		if (options[order[i]] != "")
			printf "\t%s) options+=(%s) ;;\n", order[i], substr(options[order[i]], 2)
	print "esac"
	print "if [[ $words[CURRENT] == -* ]]; then"
	print "\tcompadd -- $options"
	print "\treturn"
	print "fi"
	print "case $command in"
	print "\t'' | help) _describe command verbs ;;"
	print "\tgrant | revoke) compadd server scheduler worker monitor ;;"
	print "\tsuperusers) compadd list add remove ;;"
	print "\tupgrade | plan | preflight) compadd head ;;"
	print "\tdowngrade) compadd base ;;"
	print "esac"
}
