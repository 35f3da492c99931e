/*-------------------------------------------------------------------------
 *
 * revision_list.c
 *	  The list of SyncMaster's revisions, and what they say, put together.
 *
 * Each revision has a file revision_NNNN.c that says what it adds.  To add one,
 * write that file and name it in the list below: nothing else in the library
 * has to be told of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "schema/schema.h"

/* All revisions, in their order. */
/* clang-format off */
#define REVISIONS(revision) \
	revision(0001) \
	revision(0002) \
	revision(0003) \
	revision(0004) \
	revision(0005) \
	revision(0006) \
	revision(0007) \
	revision(0008) \
	revision(0009) \
	revision(0010) \
	revision(0011) \
	revision(0012) \
	revision(0013)
/* clang-format on */

#define DECLARE_REVISION(id) extern const RevisionInfo syncmaster_revision_##id;
#define REVISION_POINTER(id) &syncmaster_revision_##id,

REVISIONS(DECLARE_REVISION)

static const RevisionInfo *const revisions[] = {REVISIONS(REVISION_POINTER)};
const int						 syncmaster_nrevisions = lengthof(revisions);

/* What all revisions add, in the order of the revisions. */
const RelationInfo		 *syncmaster_relations;
int						  syncmaster_nrelations;
const ExpectedConstraint *syncmaster_constraints;
int						  syncmaster_nconstraints;
const ExpectedIndex		 *syncmaster_indexes;
int						  syncmaster_nindexes;
const SearchVector		 *syncmaster_search_vectors;
int						  syncmaster_nsearch_vectors;

const RevisionInfo *
syncmaster_revision_info(int number)
{
	Assert(number > REVISION_BASE && number <= REVISION_HEAD);
	return revisions[number - 1];
}

/*
 * Append the entries of one revision to those of earlier ones, and note in
 * each which revision adds it.  A list ends with an entry whose first member
 * is NULL.
 */
#define APPEND_ENTRIES(type, list, count, entries, number) \
	do \
	{ \
		for (const type *entry = (entries); \
			 entry != NULL && *(const char *const *) entry != NULL; entry++) \
		{ \
			(list) = (list) == NULL \
						 ? palloc(sizeof(type)) \
						 : repalloc((list), ((count) + 1) * sizeof(type)); \
			(list)[count] = *entry; \
			(list)[(count)++].revision = (number); \
		} \
	} while (0)

/*
 * Put together what the revisions say, when the library is loaded.
 */
void
syncmaster_load_revisions(void)
{
	MemoryContext		caller = MemoryContextSwitchTo(TopMemoryContext);
	RelationInfo	   *relations = NULL;
	ExpectedConstraint *constraints = NULL;
	ExpectedIndex	   *indexes = NULL;
	SearchVector	   *vectors = NULL;

	for (int number = REVISION_BASE + 1; number <= REVISION_HEAD; number++)
	{
		const RevisionInfo *info = syncmaster_revision_info(number);

		APPEND_ENTRIES(RelationInfo, relations, syncmaster_nrelations,
					   info->relations, number);
		APPEND_ENTRIES(ExpectedConstraint, constraints, syncmaster_nconstraints,
					   info->constraints, number);
		APPEND_ENTRIES(ExpectedIndex, indexes, syncmaster_nindexes,
					   info->indexes, number);
		APPEND_ENTRIES(SearchVector, vectors, syncmaster_nsearch_vectors,
					   info->search_vectors, number);
	}
	syncmaster_relations = relations;
	syncmaster_constraints = constraints;
	syncmaster_indexes = indexes;
	syncmaster_search_vectors = vectors;

	MemoryContextSwitchTo(caller);
}
