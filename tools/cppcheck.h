/*
 * What cppcheck has to know of the server's macros, whose headers it does not
 * read.
 */
#define foreach(cell, list) \
	for ((cell) = list_head(list); (cell); (cell) = lnext(list, cell))
#define ERROR 21
#define ereport(level, ...) do { if ((level) >= ERROR) abort(); } while (0)
