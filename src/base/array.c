/*-------------------------------------------------------------------------
 *
 * array.c
 *	  Arrays as parameters of queries.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"

/*
 * A list of C strings as text[].
 */
Datum
syncmaster_text_array(List *texts)
{
	Datum	 *elements = palloc((list_length(texts) + 1) * sizeof(Datum));
	int		  count = 0;
	ListCell *lc;

	foreach (lc, texts)
		elements[count++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(
		construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * A list of OIDs as oid[].
 */
Datum
syncmaster_oid_array(List *oids)
{
	Datum	 *elements = palloc((list_length(oids) + 1) * sizeof(Datum));
	int		  count = 0;
	ListCell *lc;

	foreach (lc, oids)
		elements[count++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elements, count, OIDOID, sizeof(Oid),
										   true, TYPALIGN_INT));
}
