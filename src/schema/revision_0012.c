/*-------------------------------------------------------------------------
 *
 * revision_0012.c
 *	  Text search with Russian stemming, with the words as they are, and with words
 *	  split at punctuation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schema/schema.h"

/* clang-format breaks strings made of several parts beyond reading. */
/* clang-format off */
#define NEW_WORDS(value) "to_tsvector('simple', coalesce(" value ", ''))"
#define NEW_PARTS(value) \
	"to_tsvector('simple', translate(coalesce(" value ", ''), " \
	"'./-_:\\', '      '))"
#define NEW_NAME \
	"to_tsvector('russian', coalesce(name, '')) || " \
	NEW_WORDS("name") " || " NEW_PARTS("name")

static const SearchVector search_vectors[] = {
	{.table = "group", .inputs = {"name"}, .expression = NEW_NAME},
	{.table = "queue", .inputs = {"name"}, .expression = NEW_NAME},
	{.table = "connection", .inputs = {"name", "data"},
	 .expression =
		NEW_NAME " || "
		NEW_WORDS("data ->> 'host'") " || "
		NEW_PARTS("data ->> 'host'")},
	{.table = "transfer", .inputs = {"name", "source_params", "target_params"},
	 .expression =
		NEW_NAME " || "
		NEW_WORDS("source_params ->> 'table_name'") " || "
		NEW_WORDS("target_params ->> 'table_name'") " || "
		NEW_PARTS("source_params ->> 'table_name'") " || "
		NEW_PARTS("target_params ->> 'table_name'") " || "
		NEW_WORDS("source_params ->> 'directory_path'") " || "
		NEW_WORDS("target_params ->> 'directory_path'") " || "
		NEW_PARTS("source_params ->> 'directory_path'") " || "
		NEW_PARTS("target_params ->> 'directory_path'")},
	{0}};
/* clang-format on */

DEFINE_REVISION(0012) = {
	.id = "0012",
	.version = "1.12",
	.releases = "0.2.5 - 0.3.2",
	.description = "text search with Russian stemming and exact words",
	.search_vectors = search_vectors,
};
