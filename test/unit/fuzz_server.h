/*-------------------------------------------------------------------------
 *
 * fuzz_server.h
 *	  What the fuzz targets use of fuzz_server.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_SERVER_H
#define FUZZ_SERVER_H

#include "postgres.h"

#include <setjmp.h>

/* Where an error goes. */
extern sigjmp_buf fuzz_error;

extern void fuzz_require(bool condition, const char *what);
extern void fuzz_reset(void);
extern int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#endif /* FUZZ_SERVER_H */
