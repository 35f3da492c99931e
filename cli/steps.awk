# The statements of each step, as branches of a "case" of the shell: those of the scripts
# in migrations/, and for a step that no script takes back what drops its objects.

/^SELECT @extschema@[.]syncmaster_migrate\(/ {
	split($0, word, "'")
	step = word[2] ":" word[4]
	back = word[4] ":" word[2]
	order[++count] = step
	next
}

/^[$]ddl[$]/ { step = "" }

step != "" {
	text[step] = text[step] $0 "\n"

	# An index goes with its table.
	if (match($0, /^CREATE (TABLE|SEQUENCE|EXTENSION) /)) {
		kind = substr($0, 8, RLENGTH - 8)
		name = substr($0, RLENGTH + 1)
		sub(/^IF NOT EXISTS /, "", name)
		sub(/[ ;].*/, "", name)
		drops[back] = "DROP " kind " IF EXISTS " name ";\n" drops[back]
	}
}

END {
	for (i = 1; i <= count; i++) {
		split(order[i], id, ":")
		back = id[2] ":" id[1]
		if (!(back in text)) {
			text[back] = drops[back]
			order[++count] = back
		}
	}
	for (i = 1; i <= count; i++)
		printf "\t\t%s)\n\t\t\tcat <<'SQL'\n%sSQL\n\t\t\t;;\n", order[i], text[order[i]]
}
