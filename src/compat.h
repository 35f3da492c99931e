/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between PostgreSQL majors, in one place.
 *
 * No other file of this extension looks at PG_VERSION_NUM.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNCMASTER_COMPAT_H
#define SYNCMASTER_COMPAT_H

#if PG_VERSION_NUM < 130000
#error "syncmaster needs PostgreSQL 13 or later; build it with PG_CONFIG=/path/to/a/later/pg_config"
#endif

/*
 * 15 reserves an extension's prefix for its own settings; earlier majors can
 * only warn about unknown ones.
 */
#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

#endif /* SYNCMASTER_COMPAT_H */
