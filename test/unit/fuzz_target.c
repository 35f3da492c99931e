/*-------------------------------------------------------------------------
 *
 * fuzz_target.c
 *	  libFuzzer target for the targets of an upgrade or a downgrade,
 *	  src/schema/target.c.
 *
 * The first byte says which way, the second where the schema is.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz_server.h"

#include "schema/revision.c"
#include "schema/revision_list.c"
#include "schema/target.c"

/* All versions have their script, but one. */
List *
syncmaster_query_text(const char *query, const char *parameter)
{
	static const List row = {.type = T_List, .length = 1};

	(void) query;
	return strcmp(parameter, "1.12") == 0 ? NIL : unconstify(List *, &row);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	RevisionTarget target = {0};

	if (size >= 2 && memchr(input + 2, '\0', size - 2) == NULL)
	{
		bool upgrade = input[0] % 2 == 0;
		int	 current = input[1] % (REVISION_HEAD + 1);

		if (sigsetjmp(fuzz_error, 0) == 0)
		{
			char *text = pnstrdup((const char *) input + 2, size - 2);

			syncmaster_parse_target(text, upgrade, current, &target);
			fuzz_require(target.number >= REVISION_BASE &&
							 target.number <= REVISION_HEAD,
						 "a target is a revision");
			fuzz_require(upgrade || target.number <= current,
						 "a downgrade does not go up");
			fuzz_require(text[0] != '+' || target.number > current,
						 "steps up go up");
			fuzz_require(target.version == NULL ||
							 strcmp(target.version, text) == 0,
						 "a version is the one that was named");
			fuzz_require(strspn(text,
								"abcdefghijklmnopqrstuvwxyz0123456789.+-") ==
							 strlen(text),
						 "nothing else is accepted");
		}
	}
	fuzz_reset();
	return 0;
}
