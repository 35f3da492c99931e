# Completion for bash: commands, and the options that each of them has.

BEGIN {
	print "# bash completion for syncmaster-db\n"
	print "_syncmaster_db()\n{"
	print "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}"
	print "\tlocal command=\"\" words=\"\" i"
}

/^## / { section = substr($0, 4) }

section == "Commands" && /^### / {
	gsub(/^### |`/, "")
	name = $1
	names = names " " name
	options[name] = ""
	text = $0
	while (match(text, /\[--?[a-z-]+/)) {
		options[name] = options[name] " " substr(text, RSTART + 1, RLENGTH - 1)
		text = substr(text, RSTART + RLENGTH)
	}
	count++
	order[count] = name
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
	sub(/^ /, "", names)
	sub(/^ /, "", global)
	print "\tcase $before in"
	print "\t\t--config | --env-file)"
	print "\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")"
	print "\t\t\treturn"
	print "\t\t\t;;"
	print "\t\t--schema | --keep-last | --batch-size | --older-than | -r | --rev-range) return ;;"
	print "\t\t--status)"
	print "\t\t\tmapfile -t COMPREPLY < <(compgen -W \"FAILED STOPPED\" -- \"$word\")"
	print "\t\t\treturn"
	print "\t\t\t;;"
	print "\tesac"
	print "\tfor ((i = 1; i < COMP_CWORD; i++)); do"
	print "\t\tcase ${COMP_WORDS[i]} in"
	print "\t\t\t--config | --env-file | --schema) ((i++)) ;;"
	print "\t\t\t-*) ;;"
	print "\t\t\t*)"
	print "\t\t\t\tcommand=${COMP_WORDS[i]}"
	print "\t\t\t\tbreak"
	print "\t\t\t\t;;"
	print "\t\tesac"
	print "\tdone"
	print "\tcase $command in"
	printf "\t\t'' | help) words='%s' ;;\n", names
	print "\t\tgrant | revoke) words='server scheduler worker monitor' ;;"
	print "\t\tsuperusers) words='list add remove' ;;"
	print "\t\tupgrade | plan | preflight) words='head' ;;"
	print "\t\tdowngrade) words='base' ;;"
	print "\tesac"
	print "\tif [[ $word == -* ]]; then"
	printf "\t\twords='%s'\n", global
	print "\t\tcase $command in"
	for (i = 1; i <= count; i++)
		if (options[order[i]] != "")
			printf "\t\t\t%s) words+='%s' ;;\n", order[i], options[order[i]]
	print "\t\tesac"
	print "\tfi"
	print "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")"
	print "}\n"
	print "complete -F _syncmaster_db syncmaster-db"
}
